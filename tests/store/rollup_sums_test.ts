/** What spans and sums hold: each record once, whatever order it came in, up to the limits. */
import { assertEquals } from "@std/assert";
import { SqliteEngine } from "../../lib/store/sqlite/engine.ts";
import { readMetrics, readRecords, readSeries } from "../../lib/store/sqlite/queries.ts";
import type { Database } from "../../lib/platform/sqlite.ts";
import { commitTo, numberOf, openEngine, upTo } from "./in_memory.ts";

const OTHER = "00000000000000ff";

function chart(db: Database, stepMs: number, metric = "temp_c", node_id = "a") {
  const window = { from_wall_ms: 0, to_wall_ms: 12_000_000, points: 12_000_000 / stepMs };
  const { t, n, min, max, mean, anomalies } = readSeries(
    db,
    { node_id, metric, ...window },
    true,
  );
  return t.map((start, i) => [start, n[i], min[i], max[i], mean[i], anomalies[i]]);
}

function inTime(db: Database, more: Record<string, unknown> = {}): string[] {
  return readRecords(db, { node_id: "a", from_wall_ms: 0, limit: 1_000, ...more })
    .map(({ epoch, seq }) => `${epoch === OTHER ? "other " : ""}${seq}`);
}

Deno.test("RollUp: sums grow over writes, with lowest, highest and all that a record stands for", () => {
  const { db, engine } = openEngine();
  const wallMs = (seq: number) => 700_000 + 10_000 * Math.floor(seq / 3);
  const parts = [
    [[1, 2], { flagged: [1] }],
    [[4], { agg: { n: 8, min: { temp_c: -5 }, max: { temp_c: 90 } } }],
    [[5, 3], { flagged: [3, 5] }],
  ] as const;
  for (const [seqs, more] of parts) {
    commitTo(engine, seqs, 1, { wallMs, ...more });
    engine.sumUp();
  }
  assertEquals(chart(db, 10_000), [
    [700_000, 2, 1, 2, 1.5, 1],
    [710_000, 10, -5, 90, (8 * 4 + 5 + 3) / 10, 2],
  ]);
  assertEquals(chart(db, 600_000), [[600_000, 12, -5, 90, (8 * 4 + 5 + 3 + 3) / 12, 3]]);
});

Deno.test("RollUp: within one write a column takes in lower, higher and flagged values, too", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [5, 2, 9, 4], 1, { wallMs: () => 700_000, flagged: [9, 4] });
  engine.sumUp();
  assertEquals(chart(db, 10_000), [[700_000, 4, 2, 9, 5, 2]]);
  assertEquals(chart(db, 600_000), [[600_000, 4, 2, 9, 5, 2]]);
});

for (const between of ["in one write", "in three"]) {
  Deno.test(`RollUp: records that come in any order, ${between}, are all found by time`, () => {
    const { db, engine } = openEngine();
    const parts: [number[], string | undefined][] = [[[5, 4], undefined], [[9], undefined]];
    parts.push([[7, 3], undefined], [[2, 6], OTHER]);
    for (const [seqs, epoch] of parts) {
      const more = epoch === undefined ? {} : { epoch };
      commitTo(engine, seqs, 1, { wallMs: () => 60_000, flagged: [3, 9, 6], ...more });
      if (between === "in three") engine.sumUp();
    }
    engine.sumUp();
    const found = ["3", "4", "5", "7", "9"];
    assertEquals(inTime(db).sort(), [...found, "other 2", "other 6"]);
    assertEquals(inTime(db, { anomalies_only: true }).sort(), ["3", "9", "other 6"]);
    const { records, anomalies } = db.sql("SELECT * FROM spans WHERE epoch <> ?").get(OTHER)!;
    assertEquals([records, anomalies], [5, 2]);
  });
}

Deno.test("RollUp: a span whose first flagged record comes with a later write is found as one", () => {
  const { db, engine } = openEngine();
  for (const flagged of [[], [2]]) {
    commitTo(engine, [flagged.length + 1], 1, { wallMs: () => 60_000, flagged });
    engine.sumUp();
  }
  assertEquals(inTime(db, { anomalies_only: true }), ["2"]);
});

Deno.test("RollUp: a node has 256 metrics in its charts, also over a restart; others have their own", () => {
  const { db, engine } = openEngine();
  const metrics = (from: number) => () =>
    Object.fromEntries(upTo(200, 1).map((i) => [`m${from + i}`, i]));
  commitTo(engine, [1], 1, { metrics: metrics(0) });
  commitTo(engine, [2], 1, { metrics: metrics(100) });
  while (engine.sumUp());
  assertEquals(readMetrics(db, "a").length, 256);
  const again = new SqliteEngine(db, () => 0);
  commitTo(again, [3], 1, { metrics: metrics(50) });
  commitTo(again, [1], 1, { node_id: "b", metrics: metrics(0) });
  while (again.sumUp());
  assertEquals([readMetrics(db, "a").length, readMetrics(db, "b").length], [256, 200]);
  assertEquals(chart(db, 600_000, "m120").map(([, n]) => n), [3], "one that is known goes on");
  assertEquals(chart(db, 600_000, "m280"), []);
});

Deno.test("RollUp: a record that can't be summed up is counted, and found by time all the same", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2], 1, { payload: (seq) => seq === 1 ? "{broken" : "{}" });
  while (engine.sumUp());
  assertEquals([engine.rollUp.skippedRecords, inTime(db)], [1, ["1", "2"]]);
});

Deno.test("RollUp: what a device says of a time that is none is stored, not charted, and stops nothing", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2, 3], 1, { wallMs: (seq) => [-1, 8.64e15, 60_000][seq - 1]! });
  while (engine.sumUp());
  assertEquals(inTime(db), ["3"]);
  assertEquals(readRecords(db, { node_id: "a", limit: 9 }).length, 3);
  assertEquals(engine.rollUp.skippedRecords, 0);
});

Deno.test("RollUp: a column that is full says so and stops no other", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1], 1);
  engine.sumUp();
  db.exec("UPDATE rollup_fine SET n = 9223372036854775807");
  commitTo(engine, [2, 30], 1);
  engine.sumUp();
  assertEquals(engine.rollUp.skippedRecords, 1);
  assertEquals(numberOf(db, "SELECT COUNT(*) FROM rollup_fine"), 2);
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 3);
});

Deno.test("RollUp: so many sums wait in memory, then they are written", () => {
  for (const [columns, written] of [[70, 0], [80, 80]] as const) {
    const { db, engine } = openEngine();
    const metrics = Object.fromEntries(upTo(256).map((i) => [`m${i}`, i]));
    commitTo(engine, upTo(columns), 1, {
      metrics: () => metrics,
      wallMs: (seq) => 10_000 * seq,
    });
    engine.rollUp.read(1_000);
    assertEquals(numberOf(db, "SELECT COUNT(*) FROM spans"), written);
    engine.rollUp.flush();
    assertEquals(numberOf(db, "SELECT SUM(n) FROM rollup_coarse"), 256 * columns);
  }
});

Deno.test("RollUp: what was read and not written is read again after a restart, and what was, not", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2], 1);
  engine.rollUp.read(10);
  for (const [seq, total] of [[3, 3], [4, 4]] as const) {
    const next = new SqliteEngine(db, () => 0);
    commitTo(next, [seq], 1);
    while (next.sumUp());
    assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), total);
    assertEquals(numberOf(db, "SELECT SUM(n) FROM rollup_coarse"), total);
  }
});

Deno.test("RollUp: a write that fails leaves nothing half done, and all is summed up the next time", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1], 1, { wallMs: () => 60_000 });
  engine.sumUp();
  commitTo(engine, [2, 3], 1, { wallMs: () => 60_000 });
  engine.rollUp.read(10);
  const inTransaction = db.inTransaction.bind(db);
  db.inTransaction = (work) =>
    inTransaction(() => {
      work();
      throw new Error("disk I/O error");
    });
  let failed = 0;
  try {
    engine.rollUp.flush();
  } catch {
    failed++;
  }
  db.inTransaction = inTransaction;
  commitTo(engine, [4], 1, { wallMs: () => 60_000 });
  while (engine.sumUp());
  assertEquals(failed, 1);
  assertEquals(chart(db, 10_000), [[60_000, 4, 1, 4, 2.5, 0]]);
  assertEquals(chart(db, 600_000), [[0, 4, 1, 4, 2.5, 0]]);
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 4);
});
