/** What the bank of detectors makes of settings and restarts, and of metrics that come slowly, late, or in numbers. */
import { assert, assertEquals } from "@std/assert";
import { type EventSettings, MetricBank, METRICS_MAX } from "../../lib/anomaly/bank.ts";
import type { ChosenDetector } from "../../lib/anomaly/judge.ts";
import type { AnomalyEvent } from "../../lib/anomaly/events.ts";
import { chooseDetectors } from "../../lib/anomaly/choice.ts";
import { gaussian } from "./noise.ts";

const SETTINGS: EventSettings = {
  sample_hz: 10,
  alerts_per_day: 1,
  events_per_hour_max: 12,
  learn_anomalies_s: 1_800,
};
const WALL_MS = 1_763_900_000_000;
const ZSCORE = chooseDetectors({ detector: "zscore", detectors: [] });

/** A bank with its clock, and what it told. */
class Bench {
  readonly bank: MetricBank;
  readonly told: AnomalyEvent[] = [];
  nowMs = 0;

  constructor(readonly settings: Partial<EventSettings> = {}, choice = ZSCORE) {
    this.bank = new MetricBank(choice, { ...SETTINGS, ...settings }, "run");
  }

  get now() {
    return { monoMs: this.nowMs, wallMs: WALL_MS + this.nowMs };
  }

  /** Takes so many samples, one a period. */
  run(samples: number, sample: () => Record<string, number>, periodMs = 100): this {
    for (let i = 0; i < samples; i++, this.nowMs += periodMs) {
      this.told.push(...this.bank.observe(sample(), this.now).events ?? []);
    }
    return this;
  }

  states(): string[] {
    return this.told.map(({ state }) => state);
  }

  /** A bank after a restart that took so long. */
  restarted(awayMs: number, settings: Partial<EventSettings> = {}): Bench {
    const later = new Bench({ ...this.settings, ...settings });
    const metrics = JSON.parse(JSON.stringify([...this.bank.saved()]));
    const events = JSON.parse(JSON.stringify(this.bank.savedEvents(this.now)));
    const now = { monoMs: 0, wallMs: WALL_MS + this.nowMs + awayMs };
    later.bank.restore(metrics, events, awayMs, now);
    return later;
  }
}

const isKnown = (bench: Bench, metric = "a") => bench.bank.last.get(metric)!.std > 0;

Deno.test("what moved while the node was away for more than a minute opens no event, what moves at once does", () => {
  const noise = gaussian(1);
  const taught = new Bench().run(1_000, () => ({ a: noise() }));
  for (const [awayMs, events] of [[55_000, 1], [65_000, 0]] as const) {
    const later = taught.restarted(awayMs).run(100, () => ({ a: 9 + noise() }));
    assertEquals(later.bank.events.opened, events, `${awayMs} ms`);
  }
});

Deno.test("a metric that is missed at a slow rate for ten periods has not been away", () => {
  const noise = gaussian(2);
  for (const [awayMs, events] of [[80_000, 1], [140_000, 0]] as const) {
    const bench = new Bench({ sample_hz: 0.1 }).run(300, () => ({ a: noise() }), 10_000);
    bench.nowMs += awayMs - 10_000;
    bench.run(20, () => ({ a: 12 + noise() }), 10_000);
    assertEquals(bench.bank.events.opened, events, `${awayMs} ms`);
  }
});

Deno.test("at a slow rate an event lasts over ten samples without evidence, not ten seconds", () => {
  const noise = gaussian(3);
  const bench = new Bench({ sample_hz: 0.1 }).run(300, () => ({ a: noise() }), 10_000);
  bench.run(3, () => ({ a: 15 + noise() }), 10_000).run(9, () => ({ a: 0 }), 10_000);
  assertEquals(bench.states(), ["open"]);
  bench.run(3, () => ({ a: 0 }), 10_000);
  assertEquals(bench.states(), ["open", "close"]);
});

Deno.test("what was saved of a metric is used once: a detector that was changed meanwhile learns anew", () => {
  const noise = gaussian(4);
  const later = new Bench().run(1_000, () => ({ a: noise() })).restarted(1_000);
  later.run(1, () => ({ a: noise() }));
  assert(isKnown(later));
  later.bank.reconfigure(chooseDetectors({ detector: "zscore:window=50", detectors: [] }));
  later.run(10, () => ({ a: noise() }));
  later.bank.reconfigure(ZSCORE);
  later.run(1, () => ({ a: noise() }));
  assertEquals(isKnown(later), false);
});

Deno.test("what was saved at another rate is of no use once the rate has changed, also for a metric that comes late", () => {
  const noise = gaussian(5);
  for (const [hz, known] of [[14, true], [20, false]] as const) {
    const later = new Bench().run(1_000, () => ({ a: noise() })).restarted(1_000);
    later.bank.reconfigure(ZSCORE, { ...SETTINGS, sample_hz: hz });
    later.run(1, () => ({ a: noise() }));
    assertEquals(isKnown(later), known, `${hz} Hz`);
  }
});

Deno.test("another rate makes a detector learn anew, one that is nearly the same does not", () => {
  const noise = gaussian(6);
  for (const [hz, known] of [[15, true], [16, false], [6.7, true], [6, false]] as const) {
    const bench = new Bench().run(1_000, () => ({ a: noise() }));
    bench.bank.reconfigure(ZSCORE, { ...SETTINGS, sample_hz: hz });
    bench.run(1, () => ({ a: noise() }));
    assertEquals(isKnown(bench), known, `${hz} Hz`);
  }
});

Deno.test("at another rate a metric's usual scores are learned faster again, its alarms are kept", () => {
  const noise = gaussian(14);
  const saved = {
    metric: "a",
    spec: "zscore",
    detector: [600, 0, 1],
    budget: [3, 2.6, 0.3, 1e4, 400, 1],
  };
  const bench = new Bench();
  bench.bank.restore([saved], [], 0, bench.now);
  bench.run(1, () => ({ a: noise() / 2 }));
  bench.bank.reconfigure(ZSCORE, { ...SETTINGS, sample_hz: 1 });
  bench.run(100, () => ({ a: noise() / 2 }), 1_000);
  const { budget } = [...bench.bank.saved()][0]!;
  assert(budget[3]! <= 200 && budget[4]! <= 120 && budget[5]! > 0.9, String(budget));
});

Deno.test("a metric whose detector is switched off is judged no more, and begins anew when it is on again", () => {
  const noise = gaussian(7);
  const bench = new Bench().run(1_000, () => ({ a: noise(), b: noise() }));
  bench.bank.reconfigure(chooseDetectors({ detector: "zscore", detectors: ["a=none"] }));
  const block = bench.bank.observe({ a: 1e6, b: 0 }, bench.now);
  assertEquals([Object.keys(block.metrics), [...bench.bank.last.keys()]], [[], ["b"]]);
  bench.bank.reconfigure(ZSCORE);
  bench.run(1, () => ({ a: 0, b: 0 }));
  assertEquals([isKnown(bench), isKnown(bench, "b")], [false, true]);
});

Deno.test("settings count from the next sample on: the cap, the alarms that are accepted, the time to learn", () => {
  const noise = gaussian(8);
  const bench = new Bench().run(1_000, () => ({ a: noise() }));
  const score = () => bench.bank.last.get("a")!.alert_score;
  const before = score();
  bench.bank.reconfigure(ZSCORE, { ...SETTINGS, alerts_per_day: 1_000 });
  assert(score() < before, `${score()} after ${before}`);
  bench.bank.reconfigure(ZSCORE, { ...SETTINGS, events_per_hour_max: 0 });
  bench.run(20, () => ({ a: 20 + noise() }));
  assertEquals([bench.told, bench.bank.events.held_back], [[], 1]);
});

Deno.test("a bar that alarms have raised sinks with the time that passes, at whatever rate samples come", () => {
  const noise = gaussian(9);
  for (const periodMs of [100, 5_000, 50_000]) {
    const bench = new Bench({ sample_hz: 1_000 / periodMs, alerts_per_day: 24 });
    const saved = {
      metric: "a",
      spec: "zscore",
      detector: [600, 0, 1],
      budget: [3, 2.6, 0.3, 1e4, 20, 1],
    };
    bench.bank.restore([saved], [], 0, bench.now);
    bench.run(1 + 1_800_000 / periodMs, () => ({ a: noise() / 2 }), periodMs);
    const raised = [...bench.bank.saved()][0]!.budget[5]!;
    // Half an hour of 24 alarms a day is half an alarm.
    assert(Math.abs(1 - raised - 0.15 / 2) < 0.001, `${periodMs} ms: ${raised}`);
  }
});

Deno.test("a record's score is the highest of its metrics, whichever comes last", () => {
  const noise = gaussian(10);
  const bench = new Bench().run(1_000, () => ({ a: noise(), b: noise() }));
  const block = bench.bank.observe({ a: 50, b: 0 }, bench.now);
  assertEquals(block.score, block.metrics.a!.z);
  assertEquals([block.is_anomaly, Object.keys(block.metrics)], [true, ["a"]]);
});

Deno.test("an event shows the sixteen latest values of its first metric, oldest first, and began with the first strong one", () => {
  const noise = gaussian(11);
  const bench = new Bench().run(1_000, () => ({ a: noise(), b: noise() }));
  const fromMs = bench.nowMs;
  let value = 8;
  bench.run(30, () => ({ a: value++, b: noise() }));
  const [opened] = bench.told as [AnomalyEvent];
  assertEquals(opened.around.length, 16);
  const times = opened.around.map(([ms]) => ms);
  assertEquals(times, Array.from({ length: 16 }, (_, i) => times[15]! - 100 * (15 - i)));
  assertEquals(opened.around.at(-1)?.[1], 8 + (times[15]! - fromMs) / 100);
  assert(opened.since_mono_ms >= fromMs && opened.since_mono_ms <= times[15]!);
  const early = new Bench().bank.observe({ a: 1 }, { monoMs: 0, wallMs: 0 });
  assertEquals(early, { is_anomaly: false, score: 0, metrics: {} });
});

Deno.test("an event that grows strong over samples began with the first of them", () => {
  // Scores as a detector would give them: strong evidence first, an alarm a second later.
  const choice: ChosenDetector = {
    spec: "as given",
    flag: 4,
    isCertain: false,
    isCalibrated: false,
    make: () => ({
      update: (value) => ({ score: value, is_anomaly: value > 4, z: value, mean: 0, std: 1 }),
      save: () => [],
      restore: () => true,
    }),
  };
  const bench = new Bench({}, () => ({ flags: choice, events: choice }));
  const course = [...Array(100).fill(1), 5, ...Array(9).fill(4.9), 60];
  for (const value of course) bench.run(1, () => ({ a: value }));
  assertEquals(bench.told[0]?.since_mono_ms, 10_000);
});

Deno.test("once the time to learn is over what was normal before no longer counts, and the event ends within seconds", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const noise = gaussian(seed);
    const bench = new Bench({ learn_anomalies_s: 600 }).run(3_000, () => ({ a: noise() }));
    bench.run(6_500, () => ({ a: 8 + noise() }));
    const [closed] = bench.told.filter(({ state }) => state === "close") as [AnomalyEvent];
    const { duration_ms } = closed;
    assert(duration_ms >= 600_000 && duration_ms < 608_000, `${duration_ms} ms`);
  }
});

Deno.test("no more than 256 metrics are judged, or kept for after a restart", () => {
  const many = () =>
    Object.fromEntries(Array.from({ length: METRICS_MAX + 44 }, (_, i) => [`m${i}`, i]));
  const bench = new Bench().run(3, many);
  assertEquals(bench.bank.last.size, METRICS_MAX);
  const later = new Bench();
  const parts = Array.from({ length: METRICS_MAX + 44 }, (_, i) => ({
    metric: `m${i}`,
    spec: "zscore",
    detector: [100, 5, 1],
    budget: [3, 2, 1, 0, 0, 0],
  }));
  later.bank.restore(parts, [], 0, later.now);
  later.run(1, () => ({ [`m${METRICS_MAX - 1}`]: 5, [`m${METRICS_MAX}`]: 5 }));
  assertEquals(isKnown(later, `m${METRICS_MAX - 1}`), true);
  assertEquals(isKnown(later, `m${METRICS_MAX}`), false);
});

Deno.test("after sensors were changed nothing is concluded at first, and what was normal before is forgotten", () => {
  const noise = gaussian(12);
  const bench = new Bench().run(1_000, () => ({ a: noise() }));
  assertEquals([...bench.bank.saved()].length, 1);
  bench.bank.settle();
  assertEquals([...bench.bank.saved()].length, 0);
  bench.run(40, () => ({ a: 30 + noise() }));
  assertEquals(bench.told, []);
});
