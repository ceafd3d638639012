/** What the SQLite engine writes: each thing once, as it came, and nobody else's is touched. */
import { assert, assertEquals } from "@std/assert";
import { readEvents, readGaps, readMetrics, readRecords } from "../../lib/store/sqlite/queries.ts";
import { SqliteEngine } from "../../lib/store/sqlite/engine.ts";
import type { Database } from "../../lib/platform/sqlite.ts";
import { EPOCH } from "../messages.ts";
import { commitTo, numberOf, openEngine, upTo } from "./in_memory.ts";

const OTHER = "00000000000000ff", THIRD = "00000000000000aa";
const TABLES = [
  "recent",
  "sealed",
  "epochs",
  "gaps",
  "spans",
  "events",
  "series",
  "nodes",
];

/** How much there is of a node, by table. */
function rowsOf(db: Database, nodeId: string): Record<string, number> {
  const sums = ["rollup_fine", "rollup_coarse"].map((table) =>
    [
      table,
      `SELECT COUNT(*) FROM ${table} JOIN series ON series.id = series WHERE node_id = '${nodeId}'`,
    ] as const
  );
  const rows = TABLES.map((table) =>
    [table, `SELECT COUNT(*) FROM ${table} WHERE node_id = '${nodeId}'`] as const
  );
  return Object.fromEntries([...rows, ...sums].map(([name, sql]) => [name, numberOf(db, sql)]));
}

Deno.test("SqliteEngine gives records back as they came, to the last character", () => {
  const { db, engine } = openEngine();
  const payload = (seq: number) => seq === 1 ? "é🙂 eins" : `zwei ${seq} `;
  const wallMs = (seq: number) => seq + 0.25;
  commitTo(engine, [1, 2], 777.5, { flagged: [2], score: 0, payload, wallMs });
  commitTo(engine, [3], 888, { score: 5, payload });
  const common = { node_id: "a", epoch: EPOCH };
  const [first, second, third] = readRecords(db, { node_id: "a", limit: 9 });
  assertEquals(first, {
    ...common,
    seq: 1,
    ts_wall_ms: 1.25,
    ts_mono_ms: 1.5,
    received_wall_ms: 777.5,
    is_anomaly: false,
    score: 0,
    payload: "é🙂 eins",
  });
  assertEquals([second?.is_anomaly, second?.score, second?.payload], [true, 0, "zwei 2 "]);
  assertEquals([third?.is_anomaly, third?.received_wall_ms], [false, 888]);
  commitTo(engine, [4, 5], 999, { flagged: [4, 5], score: -3 });
  commitTo(engine, [6], 999, { flagged: [6], score: 2.5 });
  const flagged = readRecords(db, { node_id: "a", limit: 9, anomalies_only: true });
  assertEquals(flagged.map(({ seq, score }) => [seq, score]), [[2, 0], [4, 0], [5, 0], [6, 2.5]]);
});

Deno.test("SqliteEngine: a record or gap that is there already stays as it is", () => {
  const { db, engine } = openEngine();
  const gap = { from_seq: 5, to_seq: 6, reason: "evicted" };
  commitTo(engine, [1], 10.5, { payload: () => "first", gaps: [gap] });
  const again = { payload: () => "second", gaps: [{ ...gap, to_seq: 9, reason: "corrupt" }] };
  commitTo(engine, [1], 20, again);
  const [row, ...rows] = readRecords(db, { node_id: "a", limit: 9 });
  assertEquals([row?.payload, row?.received_wall_ms, rows.length], ["first", 10.5, 0]);
  const [found, ...gaps] = readGaps(db, { limit: 9 });
  assertEquals([found?.to_seq, found?.reason, found?.declared_wall_ms], [6, "evicted", 10.5]);
  assertEquals(gaps, []);
});

Deno.test("SqliteEngine: an epoch's state is that of its last commit, its ranges those said last", () => {
  const { engine } = openEngine();
  const state = (high_acked: number, ranges: [number, number][], max_seq: number) => ({
    state: { high_acked, ranges, max_seq },
  });
  const known = () => {
    const { high_acked, ranges, max_seq } = engine.epoch("a", EPOCH)!;
    return [high_acked, ranges, max_seq];
  };
  commitTo(engine, [], 1, { ...state(0, [[3, 4]], 4), rangesChanged: false });
  assertEquals(known(), [0, [], 4], "the first commit has nothing to leave as it is");
  commitTo(engine, [], 1, state(1, [[3, 4]], 9));
  assertEquals(known(), [1, [[3, 4]], 9]);
  commitTo(engine, [], 1, { ...state(2, [[7, 7]], 10), rangesChanged: false });
  assertEquals(known(), [2, [[3, 4]], 10]);
  commitTo(engine, [], 1, state(10, [], 10));
  assertEquals(known(), [10, [], 10]);
  assertEquals([engine.epoch("b", EPOCH), engine.epoch("a", OTHER)], [undefined, undefined]);
});

Deno.test("SqliteEngine forgets empty epochs of one node with their gaps, but for the newest", () => {
  const { db, engine } = openEngine();
  const gaps = [{ from_seq: 1, to_seq: 2, reason: "evicted" }];
  commitTo(engine, [], 1, { gaps });
  commitTo(engine, [3], 2, { epoch: OTHER, gaps });
  commitTo(engine, [], 3, { epoch: THIRD, gaps });
  commitTo(engine, [3], 1, { node_id: "b", gaps });
  commitTo(engine, [], 1, { node_id: "b", epoch: THIRD, gaps });
  assertEquals([engine.epochCount("a"), engine.epochCount("b")], [3, 2]);
  assertEquals(engine.forgetEmptyEpochs("a"), 2);
  assertEquals(engine.epoch("a", EPOCH), undefined);
  const left = readGaps(db, { limit: 9 }).map(({ node_id, epoch }) => `${node_id} ${epoch}`);
  assertEquals(left.sort(), [`a ${THIRD}`, `a ${OTHER}`, `b ${EPOCH}`, `b ${THIRD}`].sort());
  assertEquals(engine.epochCount("b"), 2);
  commitTo(engine, [4], 9, { epoch: OTHER });
  assertEquals(engine.forgetEmptyEpochs("a"), 1, "the newest is the one that was committed last");
  assertEquals(engine.epoch("a", THIRD), undefined);
});

Deno.test("SqliteEngine: a node is known by what was said last of it, or by what is stored of it", () => {
  const { engine } = openEngine();
  const known = () => engine.open("another name");
  engine.putNodes(new Map([["a", { x: 1 }], ["b", { x: 1 }]]));
  engine.putNodes(new Map([["a", { x: 2 }]]));
  commitTo(engine, [1], 1, { node_id: "c" });
  assertEquals(known().host_id, "host-1");
  const c: [string, unknown] = ["c", undefined];
  assertEquals([...known().nodes].sort(), [["a", { x: 2 }], ["b", { x: 1 }], c]);
  assertEquals([engine.forgetNode("c", false), engine.forgetNode("a", false)], [false, false]);
  assertEquals([...known().nodes], [["b", { x: 1 }]]);
  assertEquals(engine.epoch("c", EPOCH)?.high_acked, 1, "what was acked stays acked");
  engine.putNodes(new Map([["a", { x: 3 }]]));
  assertEquals([...known().nodes].sort(), [["a", { x: 3 }], ["b", { x: 1 }]]);
});

Deno.test("SqliteEngine forgets a node with all that there is of it, and nothing of another", () => {
  const { db, engine } = openEngine();
  const fill = (node_id: string, count: number) => {
    const gaps = [{ from_seq: 10_000, to_seq: 10_001, reason: "evicted" }];
    commitTo(engine, upTo(count), 1, { node_id, gaps });
    while (engine.sumUp());
    while (engine.sealSome(1e12, 1e9));
    for (let seq = count + 2; seq < 2 * count; seq += 2) commitTo(engine, [seq], 1, { node_id });
    engine.putNodes(new Map([[node_id, {}]]));
    engine.addEvents([{ at_wall_ms: 1, node_id, kind: "gap", detail: {} }]);
  };
  fill("a", 30);
  fill("b", 301);
  engine.putConfig({ target: "b", cfg_version: 3, config: {}, at_wall_ms: 1 });
  while (engine.sumUp());
  const others = rowsOf(db, "a");
  assert(Object.values(others).every((count) => count > 0));
  assertEquals(engine.forgetNode("b", true), true);
  assert(rowsOf(db, "b").recent! > 0, "a piece at a time, so that commits go in between");
  while (engine.forgetNode("b", true));
  assert(Object.values(rowsOf(db, "b")).every((count) => count === 0));
  assertEquals(numberOf(db, "SELECT COUNT(*) FROM rollup_fine"), others.rollup_fine);
  assertEquals(numberOf(db, "SELECT COUNT(*) FROM rollup_coarse"), others.rollup_coarse);
  assertEquals(rowsOf(db, "a"), others);
  assertEquals(engine.open("h").configs.length, 1, "versions only go up");
  fill("b", 3);
  while (engine.sumUp());
  assertEquals(readMetrics(db, "b").map(({ name }) => name), ["temp_c"]);
  assertEquals(rowsOf(db, "b").rollup_fine, 1);
});

Deno.test("SqliteEngine: what was summed up of other nodes, and not written, outlives a forgotten one", () => {
  const { db, engine } = openEngine();
  for (const node_id of ["a", "b"]) commitTo(engine, [1, 2], 1, { node_id });
  engine.rollUp.read(10);
  while (engine.forgetNode("a", true));
  while (engine.sumUp());
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans WHERE node_id = 'a'"), 0);
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans WHERE node_id = 'b'"), 2);
  assertEquals(numberOf(db, "SELECT SUM(n) FROM rollup_fine"), 2);
});

Deno.test("SqliteEngine: records behind those of a forgotten node are summed up once", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2, 3], 1, { node_id: "b" });
  commitTo(engine, [1, 2], 1);
  while (engine.forgetNode("b", true));
  for (const next of [() => engine, () => engine, () => new SqliteEngine(db, () => 0)]) {
    const one = next();
    while (one.sumUp());
    assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 2);
  }
});

Deno.test("SqliteEngine: as many records as a forgotten node had are summed up like any", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1], 1);
  commitTo(engine, upTo(9), 1, { node_id: "b" });
  while (engine.sumUp());
  while (engine.forgetNode("b", true));
  commitTo(engine, upTo(10), 1);
  while (engine.sumUp());
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 10);
});

Deno.test("SqliteEngine: what came after a node was forgotten is summed up also where the host ended before", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1], 1);
  commitTo(engine, upTo(9), 1, { node_id: "b" });
  while (engine.sumUp());
  while (engine.forgetNode("b", true));
  commitTo(engine, [2, 3, 4], 1);
  const next = new SqliteEngine(db, () => 0);
  while (next.sumUp());
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 4);
});

Deno.test("SqliteEngine: of a target the last configuration is kept, with its version and time", () => {
  const { engine } = openEngine();
  const one = (target: string, cfg_version: number) => ({
    target,
    cfg_version,
    config: { sample_hz: cfg_version },
    at_wall_ms: 10 * cfg_version + 0.5,
  });
  for (const config of [one("*", 1), one("a", 2), one("*", 3)]) engine.putConfig(config);
  const configs = engine.open("h").configs.toSorted((a, b) => a.cfg_version - b.cfg_version);
  assertEquals(configs, [one("a", 2), one("*", 3)]);
});

Deno.test("SqliteEngine keeps the last hundred thousand events, and says which it can't keep", () => {
  const { db, engine } = openEngine();
  const event = (n: number) => ({ at_wall_ms: n + 0.5, node_id: "a", kind: "gap", detail: { n } });
  const bad = { ...event(0), detail: { n: 1n } };
  assertEquals(engine.addEvents(upTo(100_000).map(event)), 0);
  assertEquals(numberOf(db, "SELECT COUNT(*) FROM events"), 100_000);
  assertEquals(engine.addEvents([event(100_001), bad, event(100_002), bad]), 2);
  assertEquals(numberOf(db, "SELECT COUNT(*) FROM events"), 100_000);
  assertEquals(numberOf(db, "SELECT MIN(at_wall_ms) FROM events"), 3.5);
  assertEquals(readEvents(db, { limit: 1 })[0]?.detail, { n: 100_002 });
});

Deno.test("SqliteEngine writes in the background what it summed up, each 15 s, not oftener", () => {
  let now = 1_000;
  const { db, engine } = openEngine(() => now);
  const written = () => numberOf(db, "SELECT SUM(records) FROM spans");
  const seen: [number, number][] = [];
  for (const [seq, ms] of [[1, 16_000], [2, 16_001], [3, 31_001], [4, 31_002]] as const) {
    now = ms;
    commitTo(engine, [seq], 1);
    assertEquals(engine.sumUpSome(), false);
    seen.push([ms, written()]);
  }
  assertEquals(seen, [[16_000, 0], [16_001, 2], [31_001, 2], [31_002, 4]]);
});

Deno.test("SqliteEngine sums up a piece at a time, and what is said to be done is written", () => {
  const { db, engine } = openEngine();
  commitTo(engine, upTo(1_500), 1);
  assertEquals([engine.sumUp(), engine.sumUp()], [true, false]);
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 1_500);
});

Deno.test("SqliteEngine: at the end what was summed up is written, and not summed up again", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2], 1);
  engine.sumUpSome();
  db.close = () => {};
  engine.close();
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 2);
  const again = new SqliteEngine(db, () => 0);
  commitTo(again, [3], 1);
  while (again.sumUp());
  assertEquals(numberOf(db, "SELECT SUM(records) FROM spans"), 3);
});
