/**
 * Moves the records of a database of version 3 or older, one row a record, into blocks: a slice in a transaction, so
 * that it goes on where it was left, whatever ends in between. Until it is done nothing else may use the database.
 */
import type { Database } from "../../platform/sqlite.ts";
import { BLOCK_RECORDS_MAX, type BlockRow, deflateBlock } from "./block.ts";
import { insertBlock, makeBlock, type Tier } from "./block_tables.ts";
import { summedUpThrough } from "./rollup.ts";
import { SPAN_MS_MAX } from "./sealing.ts";
import { noteMissing } from "./verify.ts";

type Row = Record<string, unknown>;

/** Records that are still to be moved; `undefined` where all of it is done. */
export function countLegacyRecords(db: Database): number | undefined {
  const table = db.sql("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'records'");
  if (table.get() === undefined) return undefined;
  return Number(db.sql("SELECT COUNT(*) AS n FROM records").get()!.n);
}

/** Moves some records, or says at the end what is not there any more; how many it moved. */
export function moveLegacyRecords(db: Database): number {
  return db.inTransaction(() => {
    const summedUp = summedUpThrough(db);
    const order = `FROM records ORDER BY node_id, epoch, seq LIMIT ${BLOCK_RECORDS_MAX}`;
    const rows = db.sql(`SELECT rowid, * ${order}`).all();
    for (const run of runsOf(rows, (row) => Number(row.rowid) <= summedUp)) {
      const tier: Tier = Number(run[0]!.rowid) <= summedUp ? "sealed" : "recent";
      // Rows' numbers were their order of arrival, as blocks' are.
      const id = Math.min(...run.map((row) => Number(row.rowid)));
      const owner = { id, node_id: String(run[0]!.node_id), epoch: String(run[0]!.epoch) };
      const records = run.map(recordOf);
      const block = makeBlock(records, (index) => records[index]!.received_wall_ms);
      const lines = tier === "sealed" ? deflateBlock(block.lines) : block.lines;
      insertBlock(db, tier, { ...block, ...owner, lines });
    }
    db.exec(`DELETE FROM records WHERE rowid IN (SELECT rowid ${order})`);
    if (rows.length === 0) {
      noteMissing(db);
      db.exec("DROP TABLE records");
    }
    return rows.length;
  });
}

/** Records that can be one block: of one epoch, without a hole, that came within an hour, all summed up or none. */
function runsOf(rows: readonly Row[], isSummedUp: (row: Row) => boolean): Row[][] {
  const runs: Row[][] = [];
  for (const row of rows) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const follows = last !== undefined && row.node_id === last.node_id &&
      row.epoch === last.epoch && Number(row.seq) === Number(last.seq) + 1 &&
      isSummedUp(row) === isSummedUp(last) &&
      Math.abs(Number(row.received_wall_ms) - Number(run![0]!.received_wall_ms)) <= SPAN_MS_MAX;
    if (follows) run!.push(row);
    else runs.push([row]);
  }
  return runs;
}

function recordOf(row: Row): BlockRow {
  return {
    seq: Number(row.seq),
    received_wall_ms: Number(row.received_wall_ms),
    ts_wall_ms: Number(row.ts_wall_ms),
    ts_mono_ms: Number(row.ts_mono_ms),
    is_anomaly: row.is_anomaly === 1,
    score: Number(row.score),
    payload: String(row.payload),
  };
}
