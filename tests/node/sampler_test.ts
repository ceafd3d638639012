/** Ticks and sensors: when samples are taken, what is counted, what is handed on. */
import { assert, assertEquals } from "@std/assert";
import { type Reading, Sampler } from "../../lib/node/sampler.ts";
import type { Reading as SensorReading, Sensor } from "../../lib/node/sensors/sensor.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const WALL_MS = 7_000_000;

function sensor(
  read: (monoMs: number) => Partial<SensorReading>,
): Sensor & { runs: AbortSignal[] } {
  const runs: AbortSignal[] = [];
  return {
    name: "test",
    runs,
    run: (signal) => {
      runs.push(signal);
      return Promise.resolve();
    },
    sample: (_, monoMs) => ({ values: {}, problems: {}, ...read(monoMs) }),
  };
}

class Bench {
  readonly kernel = new Kernel();
  readonly clock = new MachineClock(this.kernel, WALL_MS);
  readonly readings: Reading[] = [];
  readonly boundaries: number[] = [];
  readonly stop = new AbortController();
  readonly sampler: Sampler;
  /** Work of the next boundary. */
  swap: (() => void) | undefined;
  /** The machine does nothing for that long before the sample is handed on. */
  stallMs = 0;

  constructor(sampleHz: number, sensors: readonly Sensor[]) {
    this.sampler = new Sampler({
      clock: this.clock,
      sampleHz,
      sensors,
      sink: {
        record: (reading) => this.readings.push(reading),
        boundary: () => {
          this.boundaries.push(this.kernel.nowMs);
          const swap = this.swap;
          this.swap = undefined;
          swap?.();
        },
      },
    });
  }

  async run(ms: number): Promise<this> {
    if (this.boundaries.length === 0) this.sampler.run(this.stop.signal);
    await this.kernel.runUntil(this.kernel.nowMs + ms);
    return this;
  }

  times(): number[] {
    return this.readings.map(({ monoMs }) => monoMs);
  }
}

/** A clock whose sleeps end late by what is asked for. */
function late(bench: Bench, lateMs: (deadlineMs: number) => number): void {
  const sleepUntil = bench.clock.sleepUntil.bind(bench.clock);
  bench.clock.sleepUntil = (deadlineMs, signal) =>
    sleepUntil(deadlineMs + lateMs(deadlineMs), signal);
}

Deno.test("a sample has the time of both clocks, and is the last one that is known", async () => {
  const bench = await new Bench(2, [sensor((ms) => ({ values: { a: ms } }))]).run(1_100);
  assertEquals(bench.times(), [0, 500, 1_000]);
  assertEquals(bench.readings[1], {
    wallMs: WALL_MS + 500,
    monoMs: 500,
    metrics: { a: 500 },
    repeated: new Set<string>(),
    problems: {},
    injected: [],
    missedTicks: 0,
  });
  const { samples, missedTicks, lastTickMs, lastMetrics, periodMs } = bench.sampler;
  assertEquals([samples, missedTicks, lastTickMs, lastMetrics, periodMs], [3, 0, 1_000, {
    a: 1_000,
  }, 500]);
});

Deno.test("ticks that were missed are counted, told with the next sample only, and never made up", async () => {
  const bench = new Bench(10, [sensor(() => ({}))]);
  late(bench, (deadlineMs) => deadlineMs === 300 ? 250 : deadlineMs === 800 ? 130 : 7);
  await bench.run(1_150);
  assertEquals(bench.times(), [7, 107, 207, 550, 607, 707, 930, 1_007, 1_107]);
  assertEquals(bench.readings.map(({ missedTicks }) => missedTicks), [0, 0, 0, 2, 0, 0, 1, 0, 0]);
  assertEquals(bench.sampler.missedTicks, 3);
});

Deno.test("values that are no numbers are named as problems, bad names are left out, sensors are put together", async () => {
  const bench = await new Bench(1, [
    sensor(() => ({ values: { a: 1, b: NaN, "bad name": 2 }, injected: ["a"] })),
    sensor(() => ({ values: { c: Infinity, d: 3 }, problems: { e: "gone" }, injected: ["d"] })),
  ]).run(10);
  const [{ metrics, problems, injected }] = bench.readings as [Reading];
  assertEquals(metrics, { a: 1, d: 3 });
  assertEquals(problems, { b: "not a finite number", c: "not a finite number", e: "gone" });
  assertEquals(injected, ["a", "d"]);
});

Deno.test("a record has room for 256 metrics, whichever sensors they come from", async () => {
  const many = (prefix: string) =>
    sensor(() => ({
      values: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${prefix}${i}`, i])),
    }));
  const bench = await new Bench(1, [many("a"), many("b")]).run(10);
  const names = Object.keys(bench.readings[0]!.metrics);
  assertEquals([names.length, names.at(-1)], [256, "b55"]);
});

Deno.test("a new rate counts from the last sample, and no tick of the old one follows", async () => {
  const bench = await new Bench(1, [sensor(() => ({}))]).run(2_500);
  bench.swap = () => bench.sampler.reconfigure(4, undefined);
  bench.sampler.hurry();
  await bench.run(600);
  assertEquals(bench.times(), [0, 1_000, 2_000, 2_500, 2_750, 3_000]);
  bench.swap = () => bench.sampler.reconfigure(0.5, undefined);
  bench.sampler.hurry();
  await bench.run(2_000);
  assertEquals(bench.times().slice(6), [5_000]);
  assertEquals(bench.sampler.missedTicks, 0);
});

Deno.test("a boundary that is wanted at once comes once, and no sample with it", async () => {
  const bench = await new Bench(1, [sensor(() => ({}))]).run(500);
  bench.sampler.hurry();
  await bench.run(100);
  assertEquals(bench.boundaries, [0, 500]);
  await bench.run(1_000);
  assertEquals([bench.times(), bench.boundaries], [[0, 1_000], [0, 500, 1_000]]);
});

Deno.test("sensors run while they are in use: until they are replaced or sampling ends", async () => {
  const old = sensor(() => ({ values: { a: 1 } })), fresh = sensor(() => ({ values: { b: 2 } }));
  const bench = await new Bench(1, [old]).run(100);
  assertEquals([old.runs.length, old.runs[0]!.aborted], [1, false]);
  bench.swap = () => bench.sampler.reconfigure(1, undefined);
  await bench.run(1_000);
  assertEquals([old.runs.length, old.runs[0]!.aborted], [1, false], "another rate only");
  bench.swap = () => bench.sampler.reconfigure(1, [fresh]);
  await bench.run(1_000);
  assertEquals([old.runs[0]!.aborted, fresh.runs.length], [true, 1]);
  assertEquals(bench.readings.at(-1)!.metrics, { b: 2 }, "from the very tick on");
  assert(!fresh.runs[0]!.aborted);
  bench.stop.abort();
  await bench.run(2_000);
  assertEquals([fresh.runs[0]!.aborted, bench.readings.length], [true, 3]);
});
