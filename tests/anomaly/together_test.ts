/** All metrics of a node together: what none of them does alone, and that calm metrics stay calm. */
import { assert, assertEquals } from "@std/assert";
import { type EventSettings, MetricBank } from "../../lib/anomaly/bank.ts";
import type { AnomalyEvent } from "../../lib/anomaly/events.ts";
import { Hotelling } from "../../lib/anomaly/hotelling.ts";
import { chooseDetectors } from "../../lib/anomaly/choice.ts";
import { gaussian } from "./noise.ts";

const CHOICE = chooseDetectors({
  detector: "zscore",
  event_detector: "surprise",
  detectors: [],
  alerts_per_day: 1,
});

/** A bank that looks at relations, at ten samples a second; what it told. */
class Bench {
  readonly told: (AnomalyEvent & { atMs: number })[] = [];
  nowMs = 0;
  readonly bank: MetricBank;

  constructor(learn_anomalies_s = 1_800, more: Partial<EventSettings> = {}) {
    const settings = { sample_hz: 10, alerts_per_day: 1, events_per_hour_max: 12, ...more };
    this.bank = new MetricBank(CHOICE, { ...settings, learn_anomalies_s, relations: true }, "r");
  }
  run(seconds: number, sample: () => Record<string, number>): this {
    for (const endMs = this.nowMs + 1_000 * seconds; this.nowMs < endMs; this.nowMs += 100) {
      const { events = [] } = this.bank.observe(sample(), {
        monoMs: this.nowMs,
        wallMs: this.nowMs,
      });
      for (const event of events) this.told.push({ ...event, atMs: this.nowMs });
    }
    return this;
  }
  get opened() {
    return this.told.filter(({ state }) => state === "open");
  }
}

/** Pressure and flow go up and down together, temperature by itself. */
function plant(seed: number): (share: number) => Record<string, number> {
  const noise = gaussian(seed);
  let load = 0;
  return (share) => {
    load += 0.05 * (noise() - load);
    return {
      pressure: 3 + 2 * load + 0.02 * noise(),
      flow: 100 + share * 40 * load + 0.4 * noise(),
      temp: 20 + noise(),
    };
  };
}

Deno.test("metrics that leave their usual relation are an event, though none leaves its own range", () => {
  const sample = plant(1);
  const bench = new Bench().run(3_600, () => sample(1));
  assertEquals(bench.opened.length, 0);
  // Flow no longer follows the pressure, but stays where it always was.
  bench.run(60, () => sample(-1));
  const [event] = bench.opened;
  assert(event !== undefined && event.atMs - 3_600_000 < 20_000, `${event?.atMs}`);
  assertEquals([event.relation, event.metrics.toSorted()], [true, ["flow", "pressure"]]);
  const alone = new MetricBank(CHOICE, {
    ...{ sample_hz: 10, alerts_per_day: 1, events_per_hour_max: 12, learn_anomalies_s: 1_800 },
  }, "r");
  const again = plant(1);
  for (let i = 0; i < 36_600; i++) {
    alone.observe(again(i < 36_000 ? 1 : -1), { monoMs: 100 * i, wallMs: 100 * i });
  }
  assertEquals(alone.events.opened, 0, "each alone sees nothing");
});

Deno.test("what lasts is learned after learn_anomalies_s: one event, and then the next", () => {
  const sample = plant(2);
  const bench = new Bench(120).run(1_800, () => sample(1)).run(1_200, () => sample(-1));
  const first = bench.opened.length;
  assert(first >= 1 && first <= 2, `${first} events`);
  const quiet = bench.run(600, () => sample(-1)).opened.length;
  assertEquals(quiet, first, "what it is now is normal");
  assert(bench.run(60, () => sample(1)).opened.length > first, "and what was before is not");
});

for (const count of [1, 8, 64]) {
  Deno.test(`on white noise of ${count} metrics at 10 Hz events stay within one a day and metric`, () => {
    const hours = count === 64 ? 4 : 6;
    const noise = gaussian(count);
    const names = Array.from({ length: count }, (_, i) => `m${i}`);
    const bench = new Bench().run(hours * 3_600, () => {
      const sample: Record<string, number> = {};
      for (const name of names) sample[name] = noise();
      return sample;
    });
    assert(bench.opened.length <= Math.max(1, count * hours / 24), `${bench.opened.length}`);
  });
}

Deno.test("copies, constants, missing values and a metric that comes later break nothing and tell nothing", () => {
  const noise = gaussian(5);
  let at = 0;
  const bench = new Bench().run(1_800, () => {
    const value = noise();
    const sample: Record<string, number> = { a: value, copy: value, fixed: 7, zero: 0 };
    if (at++ % 3 !== 0) sample.gappy = noise();
    if (at > 9_000) sample.late = noise();
    return sample;
  });
  assertEquals(bench.opened.length, 0);
});

Deno.test("a value that is rounded and hardly ever changes is no event each time it does", () => {
  const noise = gaussian(6);
  let at = 0;
  const bench = new Bench().run(7_200, () => {
    at++;
    return { a: noise(), b: noise(), disk: 50 + 0.01 * Math.floor(at / 9_000) };
  });
  assert(bench.opened.length <= 2, `${bench.opened.length} events of 8 steps`);
});

Deno.test("Hotelling: who moves against the others contributes most; parts add up to one", () => {
  const noise = gaussian(7), model = new Hotelling(3);
  const values = new Float64Array(3);
  for (let i = 0; i < 2_000; i++) {
    const common = noise();
    values.set([common + 0.1 * noise(), common + 0.1 * noise(), noise()]);
    model.rate(values);
    model.learn(true);
  }
  let rating = 0;
  for (let i = 0; i < 20; i++) {
    values.set([1, -1, 0]);
    rating = model.rate(values);
  }
  const parts = [...model.contributions()];
  assert(rating > 5, `${rating}`);
  assert(parts[0]! + parts[1]! > 0.9 && Math.abs(parts.reduce((a, b) => a + b) - 1) < 1e-9);
});

Deno.test("Hotelling: whatever numbers come, what it says is finite", () => {
  const model = new Hotelling(2);
  const odd = [0, -0, 1e100, -1e100, 1e-300, NaN, 5];
  for (let i = 0; i < 3_000; i++) {
    const values = Float64Array.of(odd[i % odd.length]!, odd[(i * 5 + 2) % odd.length]!);
    assert(Number.isFinite(model.rate(values)));
    model.learn(i % 7 !== 0);
    assert([...model.contributions()].every(Number.isFinite));
  }
});

Deno.test("of groups that are named each is judged by itself, and the others are not", () => {
  for (
    const [relation_groups, found] of [[["pressure,flow"], 1], [["pressure, temp"], 0]] as const
  ) {
    const sample = plant(3);
    const bench = new Bench(1_800, { relation_groups }).run(3_600, () => sample(1));
    assertEquals(bench.run(60, () => sample(-1)).opened.length, found);
  }
});

Deno.test("metrics that are read each five minutes are judged together, sampled as fast as others are", () => {
  const sample = plant(4);
  const bank = new MetricBank(CHOICE, {
    ...{ sample_hz: 0.2, alerts_per_day: 1, events_per_hour_max: 12, learn_anomalies_s: 86_400 },
    relations: true,
  }, "r");
  const opened: number[] = [];
  const all = new Set(["pressure", "flow", "temp"]), none: ReadonlySet<string> = new Set();
  let values = sample(1);
  for (let tick = 0; tick < 60 * 1_000; tick++) {
    const reading = Math.floor(tick / 60), isNew = tick % 60 === 0;
    if (isNew) values = sample(reading < 900 ? 1 : -1);
    const now = { monoMs: 5_000 * tick, wallMs: 5_000 * tick };
    const { events = [] } = bank.observe(values, now, isNew ? none : all);
    if (events.some(({ state, relation }) => state === "open" && relation)) opened.push(reading);
  }
  const [first] = opened.filter((reading) => reading >= 900);
  assert(opened.length <= 5 && first !== undefined && first < 950, `${opened}`);
});

Deno.test("the first change in the last digit of what was constant is an event of no high severity, and the next ones are none", () => {
  let at = 0;
  const bench = new Bench().run(
    1_200,
    () => ({ disk: 69.3 + 0.01 * Math.floor(at++ / 2_000), swap: 0 }),
  );
  assertEquals(bench.opened.map(({ metrics, severity }) => [metrics, severity]), [
    [["disk"], "low"],
  ]);
});
