/** The arithmetic of charts. */
import { assertEquals } from "@std/assert";
import {
  addRows,
  addTo,
  bucketOf,
  Columns,
  planSeries,
  samplesOf,
  type Sum,
} from "../../lib/store/series.ts";
import { AGG_SAMPLES_MAX } from "../../lib/limits.ts";

const MOST = Number.MAX_VALUE;
const TEMP = { temp_c: 5 };

Deno.test("bucketOf() is the start of ten seconds, for times from 1970 to the end of dates", () => {
  const times = [0, 9_999, 10_000, 8.64e15 - 1, -1, 8.64e15, NaN, Infinity];
  const none = undefined;
  assertEquals(times.map(bucketOf), [0, 0, 10_000, 8.64e15 - 10_000, none, none, none, none]);
});

Deno.test("addTo() sums up each key for itself, and stays finite", () => {
  const sums = new Map<string, Sum>();
  const one = { n: 2, sum: 8, min: 3, max: 5, anomalies: 1 };
  addTo(sums, "a", one);
  addTo(sums, "b", one);
  addTo(sums, "a", { n: 3, sum: MOST, min: -1, max: MOST, anomalies: 1 });
  addTo(sums, "a", { n: 1, sum: MOST, min: 4, max: 4, anomalies: 0 });
  assertEquals(sums.get("a"), { n: 6, sum: MOST, min: -1, max: MOST, anomalies: 2 });
  assertEquals(sums.get("b"), one);
  assertEquals(one.n, 2, "what is added stays as it is");
});

const RECORDS: [what: string, record: unknown, samples: unknown][] = [
  ["one sample", { metrics: TEMP }, [{ n: 1, sum: 5, min: 5, max: 5, anomalies: 0 }]],
  [
    "one that stands for many",
    { metrics: TEMP, agg: { n: 4, min: { temp_c: -1 }, max: { temp_c: 9 } } },
    [{ n: 4, sum: 20, min: -1, max: 9, anomalies: 0 }],
  ],
  [
    "extremes that are none",
    { metrics: TEMP, agg: { n: AGG_SAMPLES_MAX, min: { temp_c: "low" }, max: 7 } },
    [{ n: AGG_SAMPLES_MAX, sum: 5 * AGG_SAMPLES_MAX, min: 5, max: 5, anomalies: 0 }],
  ],
  [
    "a sum that is too large",
    { metrics: { temp_c: MOST }, agg: { n: 2 } },
    [{ n: 2, sum: MOST, min: MOST, max: MOST, anomalies: 0 }],
  ],
  [
    "a flagged metric",
    { metrics: TEMP, anomaly: { metrics: { temp_c: {} } } },
    [{ n: 1, sum: 5, min: 5, max: 5, anomalies: 1 }],
  ],
  [
    "a flag of another metric",
    { metrics: TEMP, anomaly: { metrics: { rail_v: {} } } },
    [{ n: 1, sum: 5, min: 5, max: 5, anomalies: 0 }],
  ],
  ["values that are none", { metrics: { temp_c: "5", rail_v: null } }, []],
  ["no metrics", { seq: 1 }, []],
  ["no sample at all", { metrics: TEMP, agg: { n: 0 } }, undefined],
  ["more samples than may be", { metrics: TEMP, agg: { n: AGG_SAMPLES_MAX + 1 } }, undefined],
  ["a half sample", { metrics: TEMP, agg: { n: 1.5 } }, undefined],
];
for (const [what, record, samples] of RECORDS) {
  Deno.test(`samplesOf() a record with ${what}`, () => {
    const found = samplesOf(JSON.stringify(record));
    const expected = (samples as Sum[] | undefined)?.map((one) => ({ metric: "temp_c", ...one }));
    assertEquals(found as unknown, expected as unknown);
  });
}

Deno.test("samplesOf() takes 256 metrics whose names have up to 200 characters", () => {
  const many = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`m${i}`, i]));
  assertEquals(samplesOf(JSON.stringify({ metrics: many }))?.length, 256);
  const names = ["x".repeat(200), "x".repeat(201), "y"];
  const metrics = Object.fromEntries(names.map((name) => [name, 1]));
  const found = samplesOf(JSON.stringify({ metrics }))?.map(({ metric }) => metric.length);
  assertEquals(found, [200, 1]);
  assertEquals(samplesOf("{broken"), undefined);
});

const PLANS: [from: number, to: number, points: number, raw: boolean, plan: unknown][] = [
  [0, 10_000, 100, true, ["raw", 100, 0]],
  [1_234, 11_235, 100, true, ["raw", 101, 1_212]],
  [5, 5, 100, true, ["raw", 1, 5]],
  [0, 999_901, 100, true, ["fine", 10_000, 0]],
  [0, 999_900, 100, true, ["raw", 9_999, 0]],
  [0, 10_000, 100, false, ["fine", 10_000, 0]],
  [25_000, 1_525_001, 100, true, ["fine", 20_000, 20_000]],
  [0, 59_999_900, 100, true, ["fine", 600_000, 0]],
  [700_000, 60_700_000, 100, true, ["coarse", 600_000, 600_000]],
  [0, 60_000_001, 100, true, ["coarse", 1_200_000, 0]],
];
for (const [from_wall_ms, to_wall_ms, points, raw, plan] of PLANS) {
  Deno.test(`planSeries() ${points} columns from ${from_wall_ms} to ${to_wall_ms}: ${plan}`, () => {
    const query = { node_id: "a", metric: "m", from_wall_ms, to_wall_ms, points };
    const { level, step_ms, from_ms } = planSeries(query, raw);
    assertEquals([level, step_ms, from_ms] as unknown, plan);
  });
}

Deno.test("Columns: each value of the window lies in the column of its time, in order", () => {
  const query = {
    node_id: "a",
    metric: "temp_c",
    from_wall_ms: 1_050,
    to_wall_ms: 1_300,
    points: 2,
  };
  const plan = { level: "raw", step_ms: 100, from_ms: 1_000 } as const;
  const columns = new Columns(plan, 1_300);
  const times = [1_299, 1_300, 1_050, 1_099, 1_100, 1_049];
  addRows(
    columns,
    query,
    times.map((ts_wall_ms, i) => ({
      ts_wall_ms,
      payload: JSON.stringify({
        metrics: { rail_v: 99, temp_c: i },
        agg: { n: i + 1 },
        anomaly: { metrics: i === 3 ? { temp_c: 1 } : {} },
      }),
    })),
  );
  addRows(columns, query, [{ ts_wall_ms: 1_100, payload: "{broken" }]);
  assertEquals(columns.result(false), {
    from_ms: 1_000,
    to_ms: 1_300,
    step_ms: 100,
    t: [1_000, 1_100, 1_200],
    min: [2, 4, 0],
    mean: [(2 * 3 + 3 * 4) / 7, 4, 0],
    max: [3, 4, 0],
    n: [7, 5, 1],
    anomalies: [1, 0, 0],
    complete: false,
  });
});
