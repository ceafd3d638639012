/** Holds a database against itself: whether every block can be read and every seq is accounted for, once. */
import type { Database } from "../../platform/sqlite.ts";
import { bucketOf } from "../series.ts";
import { RangeSet } from "../../protocol/ranges.ts";
import { blocksInOrder, rowsOf, TIERS } from "./block_tables.ts";
import { readEpoch } from "./queries.ts";
import { noteDeleted } from "./retention.ts";
import { summedUpThrough } from "./rollup.ts";

/** Seqs of an epoch. */
export interface SeqRange {
  readonly node_id: string;
  readonly epoch: string;
  readonly from_seq: number;
  readonly to_seq: number;
}

/** What {@linkcode verifyDatabase} found. */
export interface VerifyReport {
  readonly blocks: number;
  readonly records: number;
  /** Records that are declared lost, and those that retention took. */
  readonly gap_records: number;
  readonly deleted_records: number;
  /** What SQLite finds wrong with the file. */
  readonly file: readonly string[];
  /** Blocks that can't be read. */
  readonly damaged: readonly SeqRange[];
  /** Epochs of which the table doesn't say what is acked. */
  readonly unreadable: readonly Pick<SeqRange, "node_id" | "epoch">[];
  /** Acked, and neither stored nor declared lost nor deleted. */
  readonly missing: readonly SeqRange[];
  /** Stored in two blocks. */
  readonly doubled: readonly SeqRange[];
  /** Nodes of which the index by time counts other records than there are. */
  readonly miscounted: readonly { node_id: string; records: number; counted: number }[];
}

/** The lists of a report; all is well where they are empty. */
export const FAULTS = [
  "file",
  "damaged",
  "unreadable",
  "missing",
  "doubled",
  "miscounted",
] as const satisfies readonly (keyof VerifyReport)[];

/** Most lines of what SQLite finds. */
const FILE_LINES_MAX = 20;

/** Reads all of a database of the newest version, as it was at one moment. Throws what the driver throws. */
export function verifyDatabase(db: Database): VerifyReport {
  db.exec("BEGIN");
  try {
    return verified(db);
  } finally {
    db.exec("COMMIT");
  }
}

function verified(db: Database): VerifyReport {
  const file = db.sql(`PRAGMA integrity_check(${FILE_LINES_MAX})`).all()
    .map((row) => String(Object.values(row)[0])).filter((line) => line !== "ok");
  let blocks = 0, records = 0;
  const damaged: SeqRange[] = [];
  const summedUp = summedUpThrough(db);
  /** By node, of what is summed up: records with a time that a chart can show. */
  const timed = new Map<string, number>();
  for (const tier of TIERS) {
    for (const block of blocksInOrder(db, tier)) {
      blocks++;
      const rows = rowsOf(block);
      records += rows.length;
      const { id, node_id, epoch, from_seq, to_seq } = block;
      if (rows.length === 0) damaged.push({ node_id, epoch, from_seq, to_seq });
      if (id > summedUp) continue;
      const count = rows.filter((row) => bucketOf(row.ts_wall_ms) !== undefined).length;
      timed.set(node_id, (timed.get(node_id) ?? 0) + count);
    }
  }
  const counted = new Map(
    db.sql("SELECT node_id, SUM(records) AS n FROM spans GROUP BY node_id").all()
      .map((row) => [String(row.node_id), Number(row.n)]),
  );
  const miscounted = [...new Set([...timed.keys(), ...counted.keys()])]
    .map((node_id) => ({
      node_id,
      records: timed.get(node_id) ?? 0,
      counted: counted.get(node_id) ?? 0,
    }))
    .filter((node) => node.records !== node.counted && damaged.length === 0);
  const doubled: SeqRange[] = [];
  const missing: SeqRange[] = [];
  const unreadable: VerifyReport["unreadable"][number][] = [];
  for (const account of accounts(db)) {
    const { node_id, epoch } = account;
    if (!account.isReadable) unreadable.push({ node_id, epoch });
    missing.push(...account.missing);
    doubled.push(...account.doubled);
  }
  return {
    blocks,
    records,
    gap_records: sumOf(db, "gaps"),
    deleted_records: sumOf(db, "deleted"),
    file,
    damaged,
    unreadable,
    missing,
    doubled,
    miscounted,
  };
}

/** Notes as deleted what an older program's retention took without a word: all that is missing. To be called in a transaction. */
export function noteMissing(db: Database): void {
  for (const { missing } of accounts(db)) {
    for (const range of missing) noteDeleted(db, range);
  }
}

type Ranges = readonly (readonly [from: number, to: number])[];

/** Of each epoch, what is on record of its seqs. */
function* accounts(db: Database) {
  for (const row of db.sql("SELECT node_id, epoch FROM epochs ORDER BY node_id, epoch").all()) {
    const node_id = String(row.node_id), epoch = String(row.epoch);
    const of = (table: string): Ranges =>
      db.sql(`SELECT from_seq, to_seq FROM ${table} WHERE node_id = ? AND epoch = ?`)
        .all(node_id, epoch).map((row) => [Number(row.from_seq), Number(row.to_seq)]);
    const state = readEpoch(db, node_id, epoch);
    const acked: Ranges = state === undefined || state.high_acked === 0
      ? state?.ranges ?? []
      : [[1, state.high_acked], ...state.ranges];
    const stored = TIERS.flatMap(of);
    const known = new RangeSet([...stored, ...of("gaps"), ...of("deleted")]);
    const missing = acked.flatMap(([from, to]) => known.missing(from, to));
    const named = ([from_seq, to_seq]: readonly [number, number]): SeqRange => ({
      ...{ node_id, epoch },
      ...{ from_seq, to_seq },
    });
    yield {
      node_id,
      epoch,
      isReadable: state !== undefined,
      missing: missing.map(named),
      doubled: doubledIn(stored).map(named),
    };
  }
}

function doubledIn(ranges: Ranges): Ranges {
  const seen = new RangeSet();
  return ranges.filter(([from, to]) => {
    const before = seen.size;
    seen.add(from, to);
    return seen.size - before < to - from + 1;
  });
}

function sumOf(db: Database, table: "gaps" | "deleted"): number {
  return Number(
    db.sql(`SELECT SUM(to_seq - from_seq + 1) AS n FROM ${table}`).get()!.n ?? 0,
  );
}
