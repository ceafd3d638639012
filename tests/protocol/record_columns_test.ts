/** Records by their numbers are what they are by their lines: taken in alike, refused alike. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { valueAt } from "../../lib/codec/column.ts";
import { type Group, LinesBuilder, type Run, textsOf } from "../../lib/codec/lines.ts";
import { NUMBER_MARK, Shape } from "../../lib/codec/shape.ts";
import { AGG_SAMPLES_MAX, CFG_VERSION_MAX, SEQ_MAX } from "../../lib/limits.ts";
import { parseNodeMessage } from "../../lib/protocol/message.ts";
import { type RecordColumns, RecordShapes } from "../../lib/protocol/record_columns.ts";
import { EPOCH, telemetry } from "../messages.ts";

function runsOf(lines: readonly string[]): Run[] {
  const builder = new LinesBuilder();
  for (const line of lines) builder.addText(line);
  return [...builder.done().runs()].filter((run) => typeof run !== "string");
}

function columnsOf(run: Run, nodeId = "pump-7", epoch = EPOCH): RecordColumns | undefined {
  return new RecordShapes(nodeId, epoch).columnsOf(run);
}

function record(seq: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  const moment = { ts_wall_ms: 1_763_900_000_000 + 100 * seq, ts_mono_ms: 100.5 * seq };
  return telemetry("pump-7", seq, moment, { temp_c: 41 + seq / 8, rail_v: 5 }, more);
}

const ordinary = (more?: Record<string, unknown>) =>
  [1, 2, 3, 4].map((seq) => JSON.stringify(record(seq, more)));

/** Values for places that have bounds and for such that have none, within and without. */
const any = fc.oneof(
  fc.integer(),
  ...[1, 2, 3].map((min) => fc.integer({ min, max: 9 })),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
  fc.constantFrom(
    ...[0, 1, -1, 0.5, SEQ_MAX, SEQ_MAX + 1, CFG_VERSION_MAX, CFG_VERSION_MAX + 1],
    ...[AGG_SAMPLES_MAX, AGG_SAMPLES_MAX + 1],
  ),
);

Deno.test("whatever their numbers are, records are taken by columns only where each line is a record", () => {
  const lines = fc.array(fc.record({ seq: any, score: any, cfg: any, n: any, temp: any, z: any }), {
    minLength: 1,
    maxLength: 5,
  });
  let taken = 0;
  fc.assert(
    fc.property(lines, fc.boolean(), fc.boolean(), (values, thinned, flagged) => {
      const texts = values.map(({ seq, score, cfg, n, temp, z }) =>
        JSON.stringify({
          ...record(1),
          seq,
          cfg_version: cfg,
          metrics: { temp_c: temp },
          anomaly: {
            is_anomaly: flagged,
            score,
            metrics: flagged ? { temp_c: { z, mean: temp, std: 1 } } : {},
          },
          ...(thinned ? { agg: { n, min: { temp_c: temp }, max: { temp_c: temp } } } : {}),
          more: { depth: [n] },
        })
      );
      for (const run of runsOf(texts)) {
        const columns = columnsOf(run);
        const parsed = textsOf(run).map(parseNodeMessage);
        if (columns === undefined) continue;
        taken++;
        parsed.forEach((one, index) => {
          assert(one.ok && one.message.type === "telemetry", "taken though it is no record");
          const row = run.from + index;
          const { seq, ts_wall_ms, ts_mono_ms, anomaly } = one.message;
          assertEquals(valueAt(columns.seq, row), seq);
          assertEquals(valueAt(columns.wall, row), ts_wall_ms);
          assertEquals(valueAt(columns.mono, row), ts_mono_ms);
          assertEquals(valueAt(columns.score, row), anomaly.score);
          assertEquals(columns.isAnomaly, anomaly.is_anomaly);
        });
      }
    }),
    { numRuns: 3_000 },
  );
  assert(taken > 100, `${taken} were taken`);
});

Deno.test("ordinary records are taken by columns, flagged and thinned ones, too", () => {
  const flagged = { is_anomaly: true, score: 4, metrics: { temp_c: { z: 4, mean: 1, std: 2 } } };
  const agg = { n: 8, min: { temp_c: 1 }, max: { temp_c: 2 } };
  for (const more of [{}, { anomaly: flagged }, { agg }, { note: "by hand" }]) {
    const runs = runsOf(ordinary(more));
    assertEquals(runs.length, 1);
    assert(columnsOf(runs[0]!) !== undefined, JSON.stringify(more));
  }
});

const event = {
  ...{ id: "1", state: "open", severity: "low", metrics: ["temp_c"], since_wall_ms: 1 },
  ...{ since_mono_ms: 1, duration_ms: 1, around: [] },
  peak: { metric: "temp_c", value: 1, score: 4 },
};
for (
  const [what, lines] of [
    ["of another node", ordinary({ node_id: "pump-8" })],
    ["of another epoch", ordinary({ epoch: "00000000000000ff" })],
    [
      "that tell of an event",
      ordinary({
        anomaly: { is_anomaly: true, score: 4, metrics: {}, events: [event] },
      }),
    ],
    ["that tell of a clock that jumped", ordinary({ diagnostics: { clock_jump_ms: 5 } })],
    ["of another type", ordinary({ type: "gap" })],
    ["whose metric is a text", ordinary({ metrics: { temp_c: "41" } })],
    ["with a carriage return", ordinary().map((line) => line.replace(",", ",\r"))],
    ["that are no JSON", ordinary().map((line) => line.slice(1))],
    [
      "whose time is no short number",
      ordinary().map((line) => line.replace(/"ts_wall_ms":\d+/, '"ts_wall_ms":1.0')),
    ],
  ] as const
) {
  Deno.test(`records ${what} are looked at one by one`, () => {
    for (const run of runsOf(lines)) assertEquals(columnsOf(run), undefined);
  });
}

Deno.test("the first line of a shape may be wrong and the next ones right, and the other way round", () => {
  const [run] = runsOf([0, 1, 2, 3].map((seq) => JSON.stringify(record(seq))));
  const shapes = new RecordShapes("pump-7", EPOCH);
  assertEquals(shapes.columnsOf(run!), undefined, "seq 0 is none");
  const [other] = runsOf([1, 2, 0].map((seq) => JSON.stringify(record(seq))));
  const more = new RecordShapes("pump-7", EPOCH);
  assert(more.columnsOf({ ...other!, to: 2 }) !== undefined);
  assertEquals(more.columnsOf(other!), undefined);
});

Deno.test("a shape made to be read in two ways is never taken for records", () => {
  const line = JSON.stringify(record(1));
  const wrong = [
    line.replace('"seq":1', `"seq":1${NUMBER_MARK}`),
    line.replace('"seq":1', `"seq":${NUMBER_MARK}e0`),
    line.replace('"boot_id":"', `"boot_id":"${NUMBER_MARK}`),
    line.replace('"seq":1', `"seq":${NUMBER_MARK},"seq":0`),
    line.replace('"seq":1', '"seq":"\\u0070lace 0"').replace(
      /"ts_mono_ms":[\d.]+/,
      `"ts_mono_ms":${NUMBER_MARK}`,
    ),
  ];
  for (const text of wrong) {
    const shape = new Shape(text);
    const columns = Array.from({ length: shape.size }, () => ({
      numbers: Float64Array.of(1, 2),
      scale: 0,
    }));
    const group: Group = { shape, count: 2, columns };
    assertEquals(columnsOf({ group, from: 0, to: 2 }), undefined, text);
  }
});
