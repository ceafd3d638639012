/**
 * Joins the small blocks of `recent` into large ones in `sealed`, in the background. A block moves in one
 * transaction, so that each record is in one of the tables whatever ends in between. Only what is summed up moves:
 * summing up reads `recent`.
 */
import type { Database } from "../../platform/sqlite.ts";
import { BLOCK_RECORDS_MAX, deflateBlock, joinBlocks } from "./block.ts";
import { blockOf, insertBlock } from "./block_tables.ts";
import { readEpoch } from "./queries.ts";

/** Blocks of fewer records wait for more, unless none can come. */
const RECORDS_MIN = BLOCK_RECORDS_MAX / 2;
/** See `#spanMs`; and it is no longer than that part of the age that retention allows. */
export const SPAN_MS_MAX = 3_600_000;
const AGE_PART = 8;
/** Blocks of an epoch that are looked at together. */
const HEADS_MAX = 1_024;

interface Head {
  readonly id: number;
  readonly from_seq: number;
  readonly to_seq: number;
  readonly received_wall_ms: number;
}

/** What waits of an epoch. */
interface Waiting {
  readonly nodeId: string;
  readonly epoch: string;
  /** Records that came since all that could be sealed was. */
  records: number;
  /** Up to which block it was looked at. */
  lookedThrough: number;
  /** When to look at it at the latest. */
  dueWallMs: number;
}

/** See the head of the file. */
export class Sealing {
  #db: Database;
  #waiting = new Map<string, Waiting>();
  /** Longest time that a block waits, and that lies between the records of one: retention takes whole blocks. */
  #spanMs = SPAN_MS_MAX;

  constructor(db: Database) {
    this.#db = db;
    for (const row of db.sql("SELECT node_id, epoch FROM recent GROUP BY node_id, epoch").all()) {
      this.added(String(row.node_id), String(row.epoch), BLOCK_RECORDS_MAX, 0);
    }
  }

  /** Retention takes records of that age: none of them lies in a block with ones that are much younger. */
  keepApart(ageMs: number): void {
    this.#spanMs = Math.min(SPAN_MS_MAX, ageMs / AGE_PART);
  }

  /** Records of an epoch were put into `recent`. */
  added(nodeId: string, epoch: string, records: number, wallMs: number): void {
    const key = `${nodeId} ${epoch}`;
    const known = this.#waiting.get(key);
    if (known !== undefined) {
      known.records += records;
      return;
    }
    const dueWallMs = wallMs + this.#spanMs;
    this.#waiting.set(key, { nodeId, epoch, records, lookedThrough: -1, dueWallMs });
  }

  /**
   * Seals blocks up to number `throughId` until `isOver` says so, and looks at one epoch at least; whether there may be
   * more. Throws what the disk throws, and has sealed nothing then.
   */
  sealSome(throughId: number, wallMs: number, isOver: () => boolean): boolean {
    const due = [...this.#waiting.values()]
      .filter(({ records, lookedThrough, dueWallMs }) =>
        wallMs >= dueWallMs || (records >= BLOCK_RECORDS_MAX && throughId > lookedThrough)
      );
    if (due.length === 0) return false;
    return this.#db.inTransaction(() => {
      for (const [index, waiting] of due.entries()) {
        if (this.#sealEpoch(waiting, throughId, wallMs, isOver)) return true;
        if (isOver()) return index + 1 < due.length;
      }
      return false;
    });
  }

  /** Whether there is more of an epoch to seal. */
  #sealEpoch(waiting: Waiting, throughId: number, wallMs: number, isOver: () => boolean): boolean {
    for (;;) {
      const { groups, later, isAll } = this.#sealable(waiting, throughId, wallMs);
      for (const group of groups) {
        this.#seal(group);
        if (isOver()) return true;
      }
      if (groups.length > 0 && !isAll) continue;
      if (!later) waiting.records = 0;
      waiting.lookedThrough = throughId;
      waiting.dueWallMs = wallMs + this.#spanMs / 4;
      return false;
    }
  }

  /**
   * Groups of blocks of an epoch, each to become one; whether there are more that are not summed up, and whether all
   * blocks were looked at.
   */
  #sealable({ nodeId, epoch }: Waiting, throughId: number, wallMs: number) {
    const heads = this.#db.sql(
      "SELECT id, from_seq, to_seq, received_wall_ms FROM recent INDEXED BY recent_by_seq " +
        "WHERE node_id = ? AND epoch = ? ORDER BY from_seq LIMIT ?",
    ).all(nodeId, epoch, HEADS_MAX) as unknown as Head[];
    if (heads.length === 0) this.#waiting.delete(`${nodeId} ${epoch}`);
    // Behind that, what is missing never comes.
    const highAcked = readEpoch(this.#db, nodeId, epoch)?.high_acked ?? 0;
    const all = groupsOf(heads.filter(({ to_seq }) => to_seq <= highAcked), this.#spanMs);
    const worth = all.filter((group, index) =>
      countOf(group) >= RECORDS_MIN || index < all.length - 1 ||
      wallMs - group[0]!.received_wall_ms >= this.#spanMs
    );
    const groups = worth.filter((group) => group.every(({ id }) => id <= throughId));
    return { groups, later: groups.length < worth.length, isAll: heads.length < HEADS_MAX };
  }

  #seal(group: readonly Head[]): void {
    const read = this.#db.sql("SELECT * FROM recent WHERE id = ?");
    const blocks = group.map(({ id }) => blockOf(read.get(id)!));
    const lines = blocks.length === 1
      ? deflateBlock(blocks[0]!.lines)
      : joinBlocks(blocks.map((block) => ({ bytes: block.lines, records: countOf([block]) })));
    if (lines === undefined) {
      for (const head of group) this.#seal([head]);
      return;
    }
    const forget = this.#db.sql("DELETE FROM recent WHERE id = ?");
    for (const { id } of blocks) forget.run(id);
    const [first] = blocks, last = blocks.at(-1)!;
    insertBlock(this.#db, "sealed", {
      ...first!,
      id: Math.min(...blocks.map(({ id }) => id)),
      to_seq: last.to_seq,
      last_wall_ms: last.last_wall_ms,
      received_wall_ms: Math.max(...blocks.map(({ received_wall_ms }) => received_wall_ms)),
      anomalies: blocks.reduce((sum, { anomalies }) => sum + anomalies, 0),
      lines,
    });
  }
}

function countOf(heads: readonly Pick<Head, "from_seq" | "to_seq">[]): number {
  return heads.reduce((sum, { from_seq, to_seq }) => sum + to_seq - from_seq + 1, 0);
}

/** Blocks that may be one, in the order of their seqs. */
function groupsOf(heads: readonly Head[], spanMs: number): Head[][] {
  const groups: Head[][] = [];
  for (const head of heads) {
    const group = groups.at(-1);
    const fits = group !== undefined && group.at(-1)!.to_seq + 1 === head.from_seq &&
      countOf(group) + countOf([head]) <= BLOCK_RECORDS_MAX &&
      Math.abs(head.received_wall_ms - group[0]!.received_wall_ms) <= spanMs;
    if (fits) group.push(head);
    else groups.push([head]);
  }
  return groups;
}
