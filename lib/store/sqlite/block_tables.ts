/**
 * The blocks of records in the database: `recent` as they came, `sealed` larger and deflated. A record is in one
 * block of one of the two. Each block has a number that no other ever had, in the order in which they came; a sealed
 * one has that of its first.
 */
import type { Database } from "../../platform/sqlite.ts";
import { type Range, RangeSet } from "../../protocol/ranges.ts";
import type { RecordRow, StoredRow } from "../store.ts";
import { type BlockRow, decodeBlock, encodeBlock } from "./block.ts";

/** Where a block lies. */
export type Tier = "recent" | "sealed";
export const TIERS: readonly Tier[] = ["sealed", "recent"];

/** A block with what the tables say of it. */
export interface Block {
  readonly id: number;
  readonly node_id: string;
  readonly epoch: string;
  /** Of its first and last record; there is one for each seq between. */
  readonly from_seq: number;
  readonly to_seq: number;
  /** By the device's clock, of those two. */
  readonly first_wall_ms: number;
  readonly last_wall_ms: number;
  /** When its last record came. */
  readonly received_wall_ms: number;
  readonly anomalies: number;
  /** Its records, packed. */
  readonly lines: Uint8Array;
}

const COLUMNS = "id, node_id, epoch, from_seq, to_seq, first_wall_ms, last_wall_ms, " +
  "received_wall_ms, anomalies, lines";
/** A number above it is none that was given out. */
export const ID_MAX = 2 ** 52;
/** Blocks that are read at once. */
const AT_ONCE = 8;

/** A row of either table. Nothing else than what it says is trusted to be there: reading it may still fail. */
export function blockOf(row: Record<string, unknown>): Block {
  return {
    id: Number(row.id),
    node_id: String(row.node_id),
    epoch: String(row.epoch),
    from_seq: Number(row.from_seq),
    to_seq: Number(row.to_seq),
    first_wall_ms: Number(row.first_wall_ms),
    last_wall_ms: Number(row.last_wall_ms),
    received_wall_ms: Number(row.received_wall_ms),
    anomalies: Number(row.anomalies),
    lines: row.lines instanceof Uint8Array ? row.lines : new Uint8Array(),
  };
}

/** The records of a block; none where it is damaged. */
export function rowsOf({ lines, from_seq, to_seq }: Block): BlockRow[] {
  const rows = decodeBlock(lines, from_seq);
  return rows?.length === to_seq - from_seq + 1 ? rows : [];
}

/** Which blocks of an epoch to read: those with seqs from `from` to `to`. */
export interface BlockQuery {
  readonly node_id: string;
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  readonly anomalies_only?: boolean | undefined;
  readonly newest_first?: boolean | undefined;
}

/**
 * The blocks of an epoch in the order of their seqs, or against it. Each step reads what the tables hold then, so
 * that blocks may be sealed in between.
 */
export function* blocksOf(db: Database, query: BlockQuery): Generator<Block> {
  const { newest_first = false } = query;
  let { from, to } = query;
  while (from <= to) {
    const found = TIERS.flatMap((tier) => someBlocks(db, tier, { ...query, from, to }));
    found.sort((a, b) => newest_first ? b.from_seq - a.from_seq : a.from_seq - b.from_seq);
    for (const block of found.slice(0, AT_ONCE)) {
      yield block;
      if (newest_first) to = block.from_seq - 1;
      else from = block.to_seq + 1;
    }
    if (found.length < AT_ONCE) return;
  }
}

/** Where the last block begins that begins at or before a seq; takes node, epoch and seq. */
function straddling(tier: Tier): string {
  return `coalesce((SELECT from_seq FROM ${tier} INDEXED BY ${tier}_by_seq ` +
    "WHERE node_id = ? AND epoch = ? AND from_seq <= ? ORDER BY from_seq DESC LIMIT 1), 0)";
}

function someBlocks(db: Database, tier: Tier, query: BlockQuery): Block[] {
  const { node_id, epoch, from, to, anomalies_only, newest_first } = query;
  const index = `${tier}_${anomalies_only && tier === "sealed" ? "anomalies" : "by_seq"}`;
  return db.sql(
    `SELECT ${COLUMNS} FROM ${tier} INDEXED BY ${index} WHERE node_id = ? AND epoch = ? AND ` +
      `from_seq >= ${straddling(tier)} AND from_seq <= ? AND to_seq >= ? ${
        anomalies_only ? "AND anomalies > 0 " : ""
      }` +
      `ORDER BY from_seq ${newest_first ? "DESC" : "ASC"} LIMIT ${AT_ONCE}`,
  ).all(node_id, epoch, node_id, epoch, from, to, from).map(blockOf);
}

/** Writes a block into a table. */
export function insertBlock(db: Database, tier: Tier, block: Block): void {
  db.sql(`INSERT INTO ${tier} (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`).run(
    block.id,
    block.node_id,
    block.epoch,
    block.from_seq,
    block.to_seq,
    block.first_wall_ms,
    block.last_wall_ms,
    block.received_wall_ms,
    block.anomalies,
    block.lines,
  );
}

/** A block that has no number yet, for the table `recent`. */
export type NewBlock = Omit<Block, "id" | "node_id" | "epoch" | "lines"> & {
  readonly lines: Uint8Array<ArrayBuffer>;
};

/**
 * The block of records whose seqs follow each other, from one to BLOCK_RECORDS_MAX of them; `receivedMs` gives the
 * time at which each came.
 */
export function makeBlock(
  rows: readonly RecordRow[],
  receivedMs: (index: number) => number,
): NewBlock {
  const first = rows[0]!, last = rows.at(-1)!;
  let received = -Infinity, anomalies = 0;
  for (let index = 0; index < rows.length; index++) {
    received = Math.max(received, receivedMs(index));
    if (rows[index]!.is_anomaly) anomalies++;
  }
  return {
    from_seq: first.seq,
    to_seq: last.seq,
    first_wall_ms: first.ts_wall_ms,
    last_wall_ms: last.ts_wall_ms,
    received_wall_ms: received,
    anomalies,
    lines: encodeBlock(rows, receivedMs),
  };
}

/** The part of a block with the seqs of a range. */
export function partOf(block: NewBlock, [from, to]: Range): NewBlock {
  const rows = decodeBlock(block.lines, block.from_seq)!
    .slice(from - block.from_seq, to - block.from_seq + 1);
  return makeBlock(rows, (index) => rows[index]!.received_wall_ms);
}

/** The parts of `from` to `to` of which no block has a record, ascending. */
export function missingRanges(
  db: Database,
  { node_id, epoch, from, to }: BlockQuery,
): readonly Range[] {
  const taken = TIERS.flatMap((tier) =>
    db.sql(
      `SELECT from_seq, to_seq FROM ${tier} INDEXED BY ${tier}_by_seq WHERE node_id = ? AND epoch = ? AND ` +
        `from_seq >= ${straddling(tier)} AND from_seq <= ? AND to_seq >= ? ORDER BY from_seq`,
    ).all(node_id, epoch, node_id, epoch, from, to, from)
  ).map((row) => [Number(row.from_seq), Number(row.to_seq)] as const);
  return new RangeSet(taken).missing(from, to);
}

/** Records in a table, and the highest number of a block in it. No content of it makes this fail. */
export function sizeOf(db: Database, tier: Tier): { records: number; lastId: number } {
  const { n } = db.sql(
    "SELECT SUM(CAST(to_seq AS REAL) - from_seq + 1) AS n " +
      `FROM ${tier} INDEXED BY ${tier}_by_seq`,
  ).get()!;
  const { id } = db.sql(`SELECT MAX(id) AS id FROM ${tier} WHERE id <= ${ID_MAX}`).get()!;
  return { records: Number(n ?? 0), lastId: Number(id ?? 0) };
}

/** All blocks of a table that are numbered above `after`, in the order in which they came. */
export function* blocksInOrder(db: Database, tier: Tier, after = -1): Generator<Block> {
  for (let id = after;;) {
    const row = db.sql(`SELECT ${COLUMNS} FROM ${tier} WHERE id > ? ORDER BY id LIMIT 1`).get(id);
    if (row === undefined) return;
    const block = blockOf(row);
    yield block;
    id = block.id;
  }
}

/** All records that are stored. Nothing may be written meanwhile. */
export function* allRecords(db: Database): Generator<StoredRow> {
  for (const tier of TIERS) {
    for (const block of blocksInOrder(db, tier)) {
      const { node_id, epoch } = block;
      for (const record of rowsOf(block)) yield { ...record, node_id, epoch };
    }
  }
}
