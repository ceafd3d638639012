/** What retention takes: the oldest by arrival, what the limits don't allow, and not more. */
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openDatabase, SqliteEngine } from "../../lib/store/sqlite/engine.ts";
import { readBytes, readMetrics, readRecords } from "../../lib/store/sqlite/queries.ts";
import type { Database } from "../../lib/platform/sqlite.ts";
import { realTest } from "../real.ts";
import { commitTo, numberOf, openEngine, upTo } from "./in_memory.ts";

function seqsOf(db: Database, node_id = "a"): number[] {
  return readRecords(db, { node_id, limit: 100_000 }).map(({ seq }) => seq);
}

function fineAndCoarse(db: Database): number[] {
  return ["fine", "coarse"].map((of) => numberOf(db, `SELECT COUNT(*) FROM rollup_${of}`));
}

/** Records of about a kilobyte each, of which no two are alike. */
const LARGE = {
  payload: (seq: number) =>
    JSON.stringify({ seq, text: String.fromCharCode(97 + seq % 26).repeat(990) + `t${seq}t` }),
};
const BYTES_MAX = 3_000_000;

Deno.test("Retention takes what was received longer ago than allowed, by the host's clock alone", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2], 99, { wallMs: () => 8e12 });
  commitTo(engine, [3], 100, { wallMs: () => 5 });
  commitTo(engine, [4], 101);
  engine.keepWithin({ ageMs: 1_000 });
  assertEquals(engine.retention.slice(1_099, 1e9), false);
  assertEquals(seqsOf(db), [1, 2, 3, 4]);
  while (engine.retention.slice(1_100, 0));
  assertEquals([seqsOf(db), engine.retention.deletedRecords], [[3, 4], 2]);
  while (engine.retention.slice(1_101, 0));
  assertEquals([seqsOf(db), engine.retention.deletedRecords], [[4], 3]);
});

Deno.test("Retention: without a limit nothing goes, and a new limit takes the place of all before", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2], 1);
  assertEquals(engine.retention.slice(1e12, 1e9), false);
  engine.keepWithin({ ageMs: 5 });
  engine.keepWithin({ bytesMax: 1e9 });
  assertEquals(engine.retention.slice(1e12, 1e9), false);
  assertEquals(seqsOf(db), [1, 2]);
});

for (const more of [{}, { ageMs: 1e12 }]) {
  const how = "ageMs" in more ? "with a limit of age, too" : "alone";
  Deno.test(`Retention: of too large a database the oldest records go until it fits (a limit of bytes ${how})`, () => {
    const { db, engine } = openEngine();
    for (const at of [0, 1, 2, 3, 4]) {
      commitTo(engine, upTo(1_000 * at + 1_000, 1_000 * at + 1), 1_000 + at, LARGE);
    }
    engine.keepWithin({ bytesMax: BYTES_MAX, ...more });
    while (engine.retention.slice(2_000, 0));
    const left = seqsOf(db);
    const used = numberOf(db, "PRAGMA page_count") - numberOf(db, "PRAGMA freelist_count");
    assert(used * numberOf(db, "PRAGMA page_size") <= BYTES_MAX);
    assert(left.length > 0, "no more than must");
    assertEquals(left, upTo(5_000, 5_001 - left.length), "the oldest");
    assertEquals(engine.retention.deletedRecords, 5_000 - left.length);
    assertEquals(engine.retention.slice(2_000, 1e9), false);
  });
}

Deno.test("Retention gives space back, but for what the next records need", () => {
  const { db, engine } = openEngine();
  commitTo(engine, upTo(6_000), 1, LARGE);
  commitTo(engine, [6_001], 5_000);
  const before = readBytes(db);
  engine.keepWithin({ ageMs: 1_000 });
  while (engine.retention.slice(5_500, 0));
  const pages = numberOf(db, "PRAGMA page_count"), free = numberOf(db, "PRAGMA freelist_count");
  assert(readBytes(db) < before / 4);
  assert(free > 50 && free <= 256 + 0.1 * pages, `${free} of ${pages} pages are free`);
});

Deno.test("Retention works in slices: each ends when its time is over, and says that there is more", () => {
  let now = 0;
  const { db, engine } = openEngine(() => now += 10);
  for (let from = 1; from < 3_500; from += 500) commitTo(engine, upTo(from + 499, from), 1);
  engine.keepWithin({ ageMs: 1_000 });
  const left: [boolean, number][] = [];
  for (const budgetMs of [5, 20, 0]) {
    const more = engine.retention.slice(9_000, budgetMs);
    left.push([more, seqsOf(db).length]);
  }
  assertEquals(left, [[true, 2_500], [true, 500], [true, 0]]);
  assertEquals(engine.retention.slice(9_000, 1e9), false);
  assertEquals(engine.retention.deletedRecords, 3_500);
});

Deno.test("Retention: a chart's column stays as long as a record of it, in each width", () => {
  const { db, engine } = openEngine();
  // The first two of one column of 10 s, all of one of 10 min, in two epochs.
  commitTo(engine, [1], 100, { wallMs: () => 1_000_000 });
  commitTo(engine, [1], 200, { wallMs: () => 1_005_000, epoch: "00000000000000ff" });
  commitTo(engine, [2], 300, { wallMs: () => 1_030_000 });
  engine.sumUp();
  engine.keepWithin({ ageMs: 0 });
  const columns = [150, 250, 350].map((ms) => {
    while (engine.retention.slice(ms, 0));
    return fineAndCoarse(db);
  });
  assertEquals(columns, [[2, 1], [1, 1], [0, 0]]);
  assertEquals(readMetrics(db, "a"), []);
});

Deno.test("Retention: columns and spans of other nodes at the same time stay", () => {
  const { db, engine } = openEngine();
  for (const [node_id, at] of [["b", 100], ["a", 900], ["c", 900]] as const) {
    commitTo(engine, [1, 2], at, { node_id });
  }
  engine.sumUp();
  engine.keepWithin({ ageMs: 0 });
  while (engine.retention.slice(500, 0));
  assertEquals(fineAndCoarse(db), [2, 2]);
  assertEquals(["a", "b", "c"].map((id) => readMetrics(db, id).length), [1, 0, 1]);
});

Deno.test("Retention: of a column that loses a part, records and flagged ones are counted on", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2, 3], 100, { flagged: [1, 2], wallMs: () => 60_000 });
  commitTo(engine, [4, 5], 900, { flagged: [5], wallMs: () => 60_000 });
  engine.sumUp();
  engine.keepWithin({ ageMs: 0 });
  while (engine.retention.slice(500, 0));
  const { records, anomalies } = db.sql("SELECT records, anomalies FROM spans").get()!;
  assertEquals([records, anomalies], [2, 1]);
});

Deno.test("Retention: after all went, what comes next is summed up once, also over a restart", () => {
  const { db, engine } = openEngine();
  commitTo(engine, upTo(5), 100);
  engine.sumUp();
  engine.keepWithin({ ageMs: 0 });
  while (engine.retention.slice(500, 0));
  assertEquals([numberOf(db, "SELECT COUNT(*) FROM spans"), engine.records], [0, 0]);
  let next = engine;
  for (const count of [5, 8]) {
    commitTo(next, upTo(count), 900);
    while (next.sumUp());
    assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), count);
    assertEquals(numberOf(db, "SELECT SUM(n) FROM rollup_fine"), count);
    next = new SqliteEngine(db, () => 0);
  }
});

Deno.test("Retention: what came after all went is summed up also where the host ended before it was", () => {
  const { db, engine } = openEngine();
  commitTo(engine, upTo(5), 100);
  engine.sumUp();
  engine.keepWithin({ ageMs: 0 });
  while (engine.retention.slice(500, 0));
  commitTo(engine, upTo(3), 900);
  const next = new SqliteEngine(db, () => 0);
  while (next.sumUp());
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 3);
});

Deno.test("Retention: records of a device whose clock is far ahead don't outlive their time", () => {
  const { db, engine } = openEngine();
  commitTo(engine, upTo(10), 100, { wallMs: () => 8e12 });
  commitTo(engine, upTo(1_510, 11), 900, { wallMs: () => 60_000 });
  engine.keepWithin({ ageMs: 0 });
  while (engine.retention.slice(500, 0));
  assertEquals(seqsOf(db)[0], 11);
});

realTest(
  "Retention ends also in a database of an older program, which can't be shortened",
  async () => {
    const path = await Deno.makeTempFile();
    const old = new DatabaseSync(path);
    old.exec("CREATE TABLE old (x)");
    old.close();
    const db = openDatabase(path);
    const engine = new SqliteEngine(db, () => 0);
    engine.open("h");
    commitTo(engine, upTo(3_000), 1, LARGE);
    engine.keepWithin({ ageMs: 0 });
    let slices = 0;
    while (slices < 100 && engine.retention.slice(500, 0)) slices++;
    assertEquals([engine.records, slices < 100], [0, true]);
    assert(numberOf(db, "PRAGMA freelist_count") > 500);
    engine.close();
    for (const suffix of ["", "-wal", "-shm"]) await Deno.remove(path + suffix).catch(() => {});
  },
);

Deno.test("Retention: what was read for the charts and not yet written goes with its records", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2], 100);
  commitTo(engine, [3], 900);
  engine.rollUp.read(10);
  engine.keepWithin({ ageMs: 0 });
  while (engine.retention.slice(500, 0));
  engine.rollUp.flush();
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 1);
  assertEquals(engine.records, 1);
});
