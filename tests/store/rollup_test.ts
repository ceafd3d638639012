/** Sums and spans stay true to the records, whatever fails or is deleted in between. */
import { assert, assertEquals } from "@std/assert";
import { SqliteEngine } from "../../lib/store/sqlite/engine.ts";
import { packBatch } from "../../lib/store/sqlite/pack.ts";
import type { Database } from "../../lib/platform/sqlite.ts";
import { EPOCH } from "../messages.ts";
import { openEngine } from "./in_memory.ts";

const BUCKET_MS = 20_000;

function commit(
  engine: SqliteEngine,
  seqs: readonly number[],
  atWallMs: number,
  node_id = "a",
): void {
  const high = seqs.at(-1)!;
  engine.commit([packBatch({
    state: { node_id, epoch: EPOCH, high_acked: high, ranges: [], max_seq: high },
    rangesChanged: true,
    records: seqs.map((seq) => ({
      seq,
      ts_wall_ms: BUCKET_MS,
      ts_mono_ms: seq,
      is_anomaly: false,
      score: 0,
      payload: JSON.stringify({ seq, metrics: { temp_c: 1 } }),
    })),
    gaps: [],
  }, atWallMs)], atWallMs);
}

function count(db: Database, of: string): number {
  return Number(db.sql(`SELECT coalesce(SUM(n), 0) AS n FROM (${of})`).get()!.n);
}

Deno.test("RollUp: what a forgotten node had in memory doesn't come back", () => {
  const { db, engine } = openEngine();
  commit(engine, [1, 2, 3], 100_000);
  engine.rollUp.read(100);
  while (engine.forgetNode("a", true));
  engine.rollUp.flush();
  assertEquals(count(db, "SELECT records AS n FROM spans"), 0);
  assertEquals(count(db, "SELECT n FROM rollup_fine"), 0);
});

Deno.test("RollUp: records that come after a node was forgotten are summed up, though rowids are given out again", () => {
  const { db, engine } = openEngine();
  commit(engine, [1, 2, 3], 100_000, "a");
  commit(engine, [1, 2, 3, 4, 5], 100_000, "b");
  while (engine.sumUp());
  while (engine.forgetNode("b", true));
  commit(engine, [4, 5, 6, 7], 100_000, "a");
  while (engine.sumUp());
  const again = new SqliteEngine(db, () => 0);
  while (again.sumUp());
  assertEquals(count(db, "SELECT records AS n FROM spans"), 7);
  assertEquals(count(db, "SELECT n FROM rollup_fine"), 7);
});

Deno.test("RollUp: after a failed transaction no sum goes to a series that was rolled back", () => {
  const { db, engine } = openEngine();
  commit(engine, [1], 100_000);
  const inTransaction = db.inTransaction.bind(db);
  db.inTransaction = (work) =>
    inTransaction(() => {
      work();
      throw new Error("disk I/O error");
    });
  try {
    engine.rollUp.read(100);
  } catch {
    // As the disk threw.
  }
  db.inTransaction = inTransaction;
  engine.sumUp();
  assertEquals(count(db, "SELECT n FROM rollup_fine JOIN series ON series.id = series"), 1);
});

Deno.test("RollUp: records that retention takes before they were summed up are not taken off twice", () => {
  const { db, engine } = openEngine();
  commit(engine, [1], 100_000);
  commit(engine, [2, 3], 900_000);
  engine.sumUp();
  commit(engine, [4, 5, 6], 100_000);
  engine.keepWithin({ ageMs: 1_000 });
  engine.retention.slice(200_000, 0);
  engine.sumUp();
  assertEquals(count(db, "SELECT records AS n FROM spans"), 2);
});

Deno.test("Retention takes the sums of a column with its last record, and no other node's", () => {
  const { db, engine } = openEngine();
  commit(engine, [1, 2], 100_000, "a");
  commit(engine, [1, 2, 3], 900_000, "b");
  engine.sumUp();
  engine.keepWithin({ ageMs: 1_000 });
  while (engine.retention.slice(900_500, 0));
  assertEquals(engine.records, 3);
  for (const [node, n] of [["a", 0], ["b", 3]]) {
    const sums =
      `SELECT n FROM rollup_fine JOIN series ON series.id = series WHERE node_id = '${node}'`;
    assertEquals(count(db, sums), n);
  }
});

Deno.test("RollUp: records that are summed up to very many columns hold a commit up for some of them only", () => {
  const { db, engine } = openEngine();
  const names = Array.from({ length: 256 }, (_, i) => `m${i}`);
  const records = Array.from({ length: 300 }, (_, i) => ({
    seq: i + 1,
    // Each in columns of its own, as of a clock that leaps.
    ts_wall_ms: 600_000 * i,
    ts_mono_ms: i,
    is_anomaly: false,
    score: 0,
    payload: JSON.stringify({ metrics: Object.fromEntries(names.map((name) => [name, i])) }),
  }));
  const state = { node_id: "a", epoch: EPOCH, high_acked: 300, ranges: [], max_seq: 300 };
  engine.commit([packBatch({ state, rangesChanged: true, records, gaps: [] }, 1_000)], 1_000);
  const rows = () =>
    count(db, "SELECT 1 AS n FROM rollup_fine UNION ALL SELECT 1 FROM rollup_coarse");
  let before = 0, most = 0, more = true;
  while (more) {
    more = engine.sumUp();
    most = Math.max(most, rows() - before);
    before = rows();
  }
  assertEquals(before, 2 * 300 * 256);
  assert(most < 100_000, `${most} at once`);
});
