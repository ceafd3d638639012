/** What the database answers: boundaries, whose rows, in which order, and rows that are damaged. */
import { assert, assertEquals } from "@std/assert";
import { CFG_VERSION_MAX, SEQ_JUMP_MAX, SEQ_MAX } from "../../lib/limits.ts";
import {
  readBytes,
  readEvents,
  readGaps,
  readMetrics,
  readRecords,
  readSeries,
} from "../../lib/store/sqlite/queries.ts";
import type { Database } from "../../lib/platform/sqlite.ts";
import { isByTime, knownNodes, type RecordQuery } from "../../lib/store/store.ts";
import { EPOCH } from "../messages.ts";
import { commitTo, openEngine, upTo } from "./in_memory.ts";

const OTHER = "00000000000000ff";

function found(db: Database, query: Partial<RecordQuery>): string {
  return readRecords(db, { node_id: "a", limit: 100, ...query })
    .map(({ epoch, seq }) => `${epoch === OTHER ? "o" : ""}${seq}`).join(" ");
}

/** Two nodes; of `a` an older epoch, and a newer one of which 3 and 6 are flagged, each at its second. */
function filled() {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2, 3], 100, { epoch: OTHER, wallMs: (seq) => 30_000 + seq, flagged: [2] });
  commitTo(engine, upTo(8), 200, { wallMs: (seq) => 18_000 + 1_000 * seq, flagged: [3, 6] });
  commitTo(engine, [5], 300, { node_id: "b", wallMs: () => 20_000, flagged: [5] });
  while (engine.sumUp());
  return { db, engine };
}

const BY_NUMBER: [query: Partial<RecordQuery>, found: string][] = [
  [{}, "1 2 3 4 5 6 7 8"],
  [{ limit: 3 }, "1 2 3"],
  [{ newest_first: true, limit: 3 }, "8 7 6"],
  [{ after_seq: 6 }, "7 8"],
  [{ before_seq: 3 }, "1 2"],
  [{ after_seq: 2, before_seq: 5, newest_first: true }, "4 3"],
  [{ before_seq: 0 }, ""],
  [{ anomalies_only: true }, "3 6"],
  [{ anomalies_only: true, newest_first: true, after_seq: 3 }, "6"],
  [{ epoch: OTHER }, "o1 o2 o3"],
  [{ epoch: OTHER, anomalies_only: true }, "o2"],
  [{ epoch: "0000000000000000" }, ""],
  [{ node_id: "b" }, "5"],
  [{ node_id: "c" }, ""],
];
const BY_TIME: [query: Partial<RecordQuery>, found: string][] = [
  [{ from_wall_ms: 0 }, "1 2 3 4 5 6 7 8 o1 o2 o3"],
  [{ to_wall_ms: 21_000 }, "1 2"],
  [{ to_wall_ms: 0 }, ""],
  [{ from_wall_ms: 25_000 }, "7 8 o1 o2 o3"],
  [{ from_wall_ms: 25_001, to_wall_ms: 30_002 }, "8 o1"],
  [{ from_wall_ms: 30_002, to_wall_ms: 30_003 }, "o2"],
  [{ from_wall_ms: 0, newest_first: true, limit: 5 }, "o3 o2 o1 8 7"],
  [{ from_wall_ms: 0, anomalies_only: true }, "3 6 o2"],
  [{ from_wall_ms: 0, anomalies_only: true, newest_first: true, limit: 2 }, "o2 6"],
  [{ from_wall_ms: 0, epoch: OTHER }, "o1 o2 o3"],
  [{ from_wall_ms: 0, node_id: "b" }, "5"],
  [{ cursor: { span_wall_ms: 20_000, epoch: EPOCH, seq: 7 } }, "8 o1 o2 o3"],
  [{ cursor: { span_wall_ms: 20_000, epoch: EPOCH, seq: 3 }, newest_first: true }, "2 1"],
  [{ cursor: { span_wall_ms: 30_000, epoch: OTHER, seq: 3 } }, ""],
  [{ cursor: { span_wall_ms: 25_000, epoch: "", seq: 9 } }, "o1 o2 o3"],
];
for (const [kind, cases] of [["number", BY_NUMBER], ["time", BY_TIME]] as const) {
  for (const [query, expected] of cases) {
    Deno.test(`records by ${kind} ${JSON.stringify(query)}`, () => {
      assertEquals(isByTime({ node_id: "a", limit: 1, ...query }), kind === "time");
      assertEquals(found(filled().db, query), expected);
    });
  }
}

Deno.test("records by number are those of the epoch that was written to last", () => {
  const { db, engine } = filled();
  commitTo(engine, [4], 400, { epoch: OTHER });
  assertEquals(found(db, {}), "o1 o2 o3 o4");
});

Deno.test("records by time: a cursor within one span of several epochs skips none and repeats none", () => {
  const { db, engine } = openEngine();
  for (const epoch of [OTHER, EPOCH]) {
    commitTo(engine, upTo(3), 1, { epoch, wallMs: () => 60_000 });
  }
  while (engine.sumUp());
  const cursor = { span_wall_ms: 60_000, epoch: OTHER, seq: 2 };
  assertEquals(found(db, { cursor }), "o3 1 2 3");
  assertEquals(found(db, { cursor: { ...cursor, epoch: EPOCH } }), "3");
  assertEquals(
    found(db, { cursor: { ...cursor, epoch: EPOCH }, newest_first: true }),
    "1 o3 o2 o1",
  );
});

Deno.test("records by time: a clock that jumps back and forth puts each record into one place", () => {
  const { db, engine } = openEngine();
  commitTo(engine, upTo(5), 1, { wallMs: (seq) => seq % 2 === 0 ? 70_000 : 60_000 });
  while (engine.sumUp());
  assertEquals(found(db, { from_wall_ms: 0 }), "1 3 5 2 4");
  assertEquals(found(db, { from_wall_ms: 0, newest_first: true }), "4 2 5 3 1");
});

Deno.test("records by time: more spans than are read at once are all found, in both directions", () => {
  const { db, engine } = openEngine();
  commitTo(engine, upTo(600), 1, { wallMs: (seq) => 10_000 * seq });
  while (engine.sumUp());
  const all = upTo(600).join(" ");
  assertEquals(found(db, { from_wall_ms: 0, limit: 1_000 }), all);
  const back = found(db, { from_wall_ms: 0, limit: 1_000, newest_first: true });
  assertEquals(back, upTo(600).reverse().join(" "));
});

Deno.test("a chart is of one node and metric, from records or sums, and says whether it is complete", () => {
  const { db, engine } = openEngine();
  const metrics = (seq: number) => ({ temp_c: seq, rail_v: 100 + seq });
  for (const [node_id, from] of [["a", 1], ["b", 500], ["c", 900]] as const) {
    commitTo(engine, upTo(from + 9, from), 1, {
      node_id,
      metrics,
      wallMs: (seq) => 1_200_000 + 1_000 * (seq - from),
      flagged: [from, from + 1],
    });
  }
  while (engine.sumUp());
  for (const [points, to_wall_ms] of [[500, 1_210_000], [1, 1_210_000], [1, 1_800_000]] as const) {
    const query = { metric: "temp_c", from_wall_ms: 1_200_000, to_wall_ms, points };
    for (const [node_id, from] of [["a", 1], ["b", 500], ["c", 900]] as const) {
      for (const complete of [true, false]) {
        const answer = readSeries(db, { node_id, ...query }, complete);
        const { t, n, min, max, anomalies } = answer;
        const flagged = anomalies.reduce((sum, one) => sum + one);
        assertEquals([answer.complete, flagged, t[0]], [complete, 2, 1_200_000]);
        assertEquals([n.reduce((sum, one) => sum + one), Math.min(...min)], [10, from]);
        assertEquals(Math.max(...max), from + 9);
      }
    }
    assertEquals(readSeries(db, { node_id: "a", ...query, metric: "none" }, true).t, []);
    assertEquals(readSeries(db, { node_id: "0", ...query }, true).t, []);
  }
});

Deno.test("a chart of ten-minute columns begins and ends where it was asked to", () => {
  const { db, engine } = openEngine();
  commitTo(engine, upTo(6), 1, { wallMs: (seq) => 600_000 * seq });
  while (engine.sumUp());
  const query = { node_id: "a", metric: "temp_c", points: 3 };
  const window = { from_wall_ms: 1_200_000, to_wall_ms: 3_000_000 };
  const { t, n, min } = readSeries(db, { ...query, ...window }, true);
  assertEquals([t, n, min], [[1_200_000, 1_800_000, 2_400_000], [1, 1, 1], [2, 3, 4]]);
  const within = { from_wall_ms: 1_500_000, to_wall_ms: 3_000_000 };
  const whole = readSeries(db, { ...query, ...within, points: 2 }, true);
  assertEquals([whole.t[0], whole.n[0]], [1_200_000, 2], "a whole column");
});

Deno.test("a short chart over many records is taken from sums, and holds them all; that of few is exact", () => {
  const { db, engine } = openEngine();
  const wallMs = (seq: number) => 60_000 + seq % 10_000;
  commitTo(engine, upTo(20_001), 1, { node_id: "b", wallMs });
  for (const node_id of ["a", "c"]) commitTo(engine, upTo(5), 1, { node_id, wallMs });
  while (engine.sumUp());
  const window = { from_wall_ms: 60_000, to_wall_ms: 70_000, points: 1_000 };
  const chart = (node_id: string) => {
    const { step_ms, n } = readSeries(db, { node_id, metric: "temp_c", ...window }, true);
    return [step_ms, n.reduce((sum, one) => sum + one)];
  };
  assertEquals(["a", "b", "c"].map(chart), [[10, 5], [10_000, 20_001], [10, 5]]);
});

Deno.test("metrics are listed by name, with the first and last time of each", () => {
  const { db, engine } = openEngine();
  const metrics = (seq: number) => ({ z: 1, ...(seq === 2 ? { a: 1 } : {}) });
  commitTo(engine, [1, 2, 3], 1, { metrics, wallMs: (seq) => 55_000 + 10_000 * seq });
  commitTo(engine, [1], 1, { node_id: "b", metrics: () => ({ b: 1 }) });
  while (engine.sumUp());
  assertEquals(readMetrics(db, "a"), [
    { name: "a", first_ms: 70_000, last_ms: 70_000 },
    { name: "z", first_ms: 60_000, last_ms: 80_000 },
  ]);
});

Deno.test("gaps are given newest first, with the times of their own epoch's neighbours", () => {
  const { db, engine } = filled();
  const gap = (from_seq: number, to_seq: number) => ({ gaps: [{ from_seq, to_seq, reason: "r" }] });
  commitTo(engine, [20, 40], 1_000, { ...gap(9, 19), wallMs: () => 99_000 });
  commitTo(engine, [], 2_000, { epoch: OTHER, ...gap(4, 30) });
  commitTo(engine, [], 3_000, { node_id: "b", ...gap(1, 4) });
  const gaps = readGaps(db, { limit: 9 });
  assertEquals(gaps.map(({ from_wall_ms, to_wall_ms }) => [from_wall_ms, to_wall_ms]), [
    [undefined, 20_000],
    [30_003, undefined],
    [26_000, 99_000],
  ]);
  const [b, other, own] = gaps;
  assertEquals([own?.declared_wall_ms, own?.from_seq, own?.to_seq, own?.reason], [
    1_000,
    9,
    19,
    "r",
  ]);
  const ids = (query: Partial<Parameters<typeof readGaps>[1]>) =>
    readGaps(db, { limit: 9, ...query }).map(({ id }) => id);
  assertEquals(ids({ limit: 1 }), [b!.id]);
  assertEquals(ids({ node_id: "a" }), [other!.id, own!.id]);
  assertEquals(ids({ after_id: own!.id, before_id: b!.id }), [other!.id]);
  assertEquals(ids({ from_wall_ms: 2_000, to_wall_ms: 3_000 }), [other!.id]);
});

Deno.test("events are given in the order in which they were told, whatever the clock said", () => {
  const { db, engine } = openEngine();
  const kinds = ["anomaly_open", "anomaly", "anomalyopen", "gap"];
  engine.addEvents(kinds.map((kind, i) => ({
    at_wall_ms: [300, 100, 400, 200][i]!,
    node_id: i === 3 ? "b" : "a",
    kind,
    detail: { i },
  })));
  const told = (query: Partial<Parameters<typeof readEvents>[1]>) =>
    readEvents(db, { limit: 9, ...query }).map(({ detail }) => detail.i);
  assertEquals(told({}), [3, 2, 1, 0]);
  assertEquals(told({ kind: "anomaly" }), [1, 0]);
  assertEquals(told({ from_wall_ms: 200, to_wall_ms: 400 }), [3, 0]);
  assertEquals(told({ node_id: "a", before_id: 3 }), [1, 0]);
  assertEquals(told({ after_id: 2 }), [3, 2]);
  db.exec("UPDATE events SET detail = '{broken' WHERE id = 1");
  const [{ id, at_wall_ms, node_id, kind, detail } = {} as never] = readEvents(db, {
    limit: 9,
    before_id: 2,
  });
  assertEquals([id, at_wall_ms, node_id, kind, detail], [1, 300, "a", "anomaly_open", {}]);
});

Deno.test("a metric of a device that thinks it is 1970 is listed like any", () => {
  const { db, engine } = openEngine();
  commitTo(engine, [1, 2, 3], 1, { wallMs: (seq) => 1_000 * seq });
  while (engine.sumUp());
  assertEquals(readMetrics(db, "a"), [{ name: "temp_c", first_ms: 0, last_ms: 0 }]);
});

Deno.test("the size is that of what is left, not of all that ever came", () => {
  const { db, engine } = openEngine();
  assertEquals(engine.records, 0);
  commitTo(engine, upTo(10), 100);
  commitTo(engine, upTo(15, 11), 900);
  assertEquals(engine.records, 15);
  engine.keepWithin({ ageMs: 0 });
  while (engine.retention.slice(500, 0));
  assertEquals(engine.records, 5);
  assert(readBytes(db) > 4_096);
});

Deno.test("configurations that can't be are left out at a start, the others are in force", () => {
  const { db, engine } = openEngine();
  const put = db.sql("INSERT INTO configs VALUES (?, ?, ?, 7)");
  const rows: [target: string, version: number | bigint, config: string][] = [
    ["first", 1, "{}"],
    ["last", BigInt(CFG_VERSION_MAX), '{"sample_hz":5}'],
    ["none", 0, "{}"],
    ["high", BigInt(CFG_VERSION_MAX) + 1n, "{}"],
    ["list", 2, "[]"],
    ["null", 2, "null"],
    ["text", 2, '"x"'],
    ["broken", 2, "{"],
  ];
  for (const row of rows) put.run(...row);
  const common = { at_wall_ms: 7 };
  const { configs } = engine.open("h");
  assertEquals(configs.toSorted((a, b) => a.cfg_version - b.cfg_version), [
    { target: "first", cfg_version: 1, config: {}, ...common },
    { target: "last", cfg_version: CFG_VERSION_MAX, config: { sample_hz: 5 }, ...common },
  ]);
});

const HIGHEST = SEQ_MAX + SEQ_JUMP_MAX;
const EPOCHS: [what: string, high: number, max: number, ranges: string, found: unknown][] = [
  ["is as it was", 3, 12, "[[5,6],[9,9]]", [3, 12, [[5, 6], [9, 9]]]],
  ["has the highest numbers", HIGHEST, HIGHEST, "[]", [HIGHEST, HIGHEST, []]],
  ["has a range up to its highest", 3, 9, "[[9,9]]", [3, 9, [[9, 9]]]],
  ["has ranges that can't be", 3, 9, "[[7,6],[8,10],[5],5,[5,5.5],[6,6]]", [3, 9, [[6, 6]]]],
  ["has ranges that are none", 3, 9, "{broken", [3, 9, []]],
  ["has a high_acked above all numbers", 10, 9, "[]", undefined],
  ["has a number below 0", -1, 9, "[]", undefined],
  ["has a number that is too high", 3, HIGHEST + 1, "[]", undefined],
];
for (const [what, high, max, ranges, expected] of EPOCHS) {
  Deno.test(`an epoch that ${what} is read as what makes sense of it`, () => {
    const { db, engine } = openEngine();
    commitTo(engine, [1], 1);
    db.sql("UPDATE epochs SET high_acked = ?, max_seq = ?, ranges = ?").run(
      BigInt(high),
      BigInt(max),
      ranges,
    );
    const state = engine.epoch("a", EPOCH);
    assertEquals(state && [state.high_acked, state.max_seq, state.ranges], expected as never);
  });
}

Deno.test("knownNodes(): the last word on a node counts, and a forgotten one is none", () => {
  const known = knownNodes([["a", undefined], ["b", 1], ["c", 1], ["b", null], ["c", 2], [
    "d",
    null,
  ]]);
  assertEquals([...known], [["a", undefined], ["c", 2]]);
});
