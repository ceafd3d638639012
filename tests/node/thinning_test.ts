/** How records are thinned: from which pressure, by how much, and what one record keeps of many samples. */
import { assertEquals } from "@std/assert";
import { Degraded, Downsampler, samplesPerRecord } from "../../lib/node/downsample.ts";
import type { RecordContent } from "../../lib/protocol/record.ts";

function sample(at: number, more: Partial<RecordContent> = {}): RecordContent {
  return {
    ts_wall_ms: 1_000 + at,
    ts_mono_ms: at,
    boot_id: "b",
    metrics: { a: at },
    anomaly: { is_anomaly: false, score: 0, metrics: {} },
    diagnostics: {},
    degraded: true,
    cfg_version: 0,
    ...more,
  };
}

const CALM = { ring: 0, wal: 0, writable: true };

Deno.test("a node is degraded from 90 % of the ring, 80 % of the log, or a disk that fails, and until all three are well", () => {
  const cases: [name: string, course: Partial<typeof CALM>[], degraded: boolean[]][] = [
    ["ring", [{ ring: 0.899 }, { ring: 0.9 }, { ring: 0.501 }, { ring: 0.5 }], [
      false,
      true,
      true,
      false,
    ]],
    ["log", [{ wal: 0.799 }, { wal: 0.8 }, { wal: 0.701 }, { wal: 0.7 }], [
      false,
      true,
      true,
      false,
    ]],
    ["disk", [{ writable: false }, { writable: false }, {}], [true, true, false]],
    ["ring well, log not", [{ ring: 0.9, wal: 0.8 }, { wal: 0.75 }, {}], [true, true, false]],
    ["log well, ring not", [{ ring: 0.9, wal: 0.8 }, { ring: 0.6 }, {}], [true, true, false]],
    ["all well but the disk", [{ ring: 0.9 }, { writable: false }, {}], [true, true, false]],
  ];
  for (const [name, course, expected] of cases) {
    const degraded = new Degraded();
    const found = course.map((pressure) => degraded.update({ ...CALM, ...pressure }));
    assertEquals(found, expected, name);
    assertEquals(degraded.on, expected.at(-1));
  }
});

Deno.test("samples a record: two once degraded, doubled with the backlog beyond the ring and each 4 % of the log from 80 %", () => {
  const cases: [ring: number, wal: number, samples: number][] = [
    [0.9, 0, 2],
    [3.99, 0, 2],
    [4, 0, 4],
    [7.99, 0, 4],
    [8, 0, 8],
    [0, 0.799, 2],
    [0, 0.801, 4],
    [0, 0.839, 4],
    [0, 0.841, 8],
    [0, 0.881, 16],
    [8, 0.801, 8],
    [4, 0.881, 16],
    [1_000, 0, 64],
    [0, 1, 64],
  ];
  for (const [ring, wal, samples] of cases) {
    const pressure = { ...CALM, ring, wal };
    assertEquals(samplesPerRecord(true, pressure, 64), samples, `ring ${ring}, log ${wal}`);
    assertEquals(samplesPerRecord(false, pressure, 64), 1);
    assertEquals(samplesPerRecord(true, pressure, 1), 1, "a limit of 1 never thins");
    assertEquals(samplesPerRecord(true, pressure, 3), Math.min(3, samples));
  }
});

Deno.test("a record of many samples has the moment of the last, and the lowest and highest of each metric", () => {
  const downsampler = new Downsampler();
  const metrics = [{ a: -3, b: 2 }, { a: -5 }, { a: -4, b: 4 }];
  const [record] = metrics.flatMap((metrics, at) => downsampler.push(sample(at, { metrics }), 3));
  assertEquals(record, {
    ...sample(2),
    metrics: { a: -4, b: 3 },
    agg: { n: 3, min: { a: -5, b: 2 }, max: { a: -3, b: 4 } },
  });
});

Deno.test("a record of many samples keeps the highest score, all diagnostics, and each rule once", () => {
  const downsampler = new Downsampler();
  const anomaly = (score: number) => ({ is_anomaly: false, score, metrics: {} });
  const [record] = [
    sample(0, { anomaly: anomaly(1), diagnostics: { rail_low: true, rules: ["x", "y"] } }),
    sample(1, { anomaly: anomaly(2.5), diagnostics: { rail_low: false, temp_high: true } }),
    sample(2, { anomaly: anomaly(2), diagnostics: { rail_low: false, rules: ["z", "x"] } }),
  ].flatMap((each) => downsampler.push(each, 3));
  assertEquals(record!.anomaly, anomaly(2.5));
  assertEquals(record!.diagnostics, { rail_low: false, temp_high: true, rules: ["x", "y", "z"] });
});

Deno.test("no record blurs two configurations", () => {
  const downsampler = new Downsampler();
  const records = [0, 0, 1, 1, 2].flatMap((cfg_version, at) =>
    downsampler.push(sample(at, { cfg_version }), 3)
  );
  records.push(...downsampler.flush());
  assertEquals(records.map(({ cfg_version, agg }) => [cfg_version, agg?.n]), [
    [0, 2],
    [1, 2],
    [2, undefined],
  ]);
});

Deno.test("what was gathered under another configuration goes first, also where the next sample completes a record", () => {
  const event = {
    id: "1-r",
    state: "open" as const,
    severity: "low" as const,
    metrics: ["a"],
    since_wall_ms: 1,
    since_mono_ms: 1,
    duration_ms: 0,
    peak: { metric: "a", value: 1, score: 4 },
    around: [],
  };
  const downsampler = new Downsampler();
  downsampler.push(sample(0), 9);
  const anomaly = { is_anomaly: false, score: 0, metrics: {}, events: [event] };
  const records = downsampler.push(sample(1, { cfg_version: 1, anomaly }), 9);
  assertEquals(records.map(({ ts_mono_ms }) => ts_mono_ms), [0, 1]);
  assertEquals(downsampler.waiting, 0);
});

Deno.test("samples that wait leave before an anomalous one, and as soon as nothing is thinned any more", () => {
  const downsampler = new Downsampler();
  const anomalous = { anomaly: { is_anomaly: true, score: 9, metrics: {} } };
  const times = (records: RecordContent[]) => records.map(({ ts_mono_ms }) => ts_mono_ms);
  downsampler.push(sample(0), 9);
  assertEquals(downsampler.waiting, 1);
  assertEquals(times(downsampler.push(sample(1, anomalous), 9)), [0, 1]);
  downsampler.push(sample(2), 9);
  assertEquals(times(downsampler.push(sample(3), 1)), [2, 3]);
  assertEquals(downsampler.flush(), []);
  downsampler.push(sample(4), 9);
  downsampler.push(sample(5), 9);
  assertEquals(
    downsampler.push(sample(6), 3).map(({ agg }) => agg?.n),
    [3],
    "fewer are enough now",
  );
});
