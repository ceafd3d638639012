import { assert, assertEquals } from "@std/assert";
import { type EventSettings, MetricBank } from "../../lib/anomaly/bank.ts";
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
  readonly told: (AnomalyEvent & { atMs: number })[] = [];
  periodMs: number;
  nowMs = 0;

  constructor(settings: Partial<EventSettings> = {}, choice = ZSCORE) {
    const all = { ...SETTINGS, ...settings };
    this.bank = new MetricBank(choice, all, "run-1");
    this.periodMs = 1_000 / all.sample_hz;
  }

  /** Takes `seconds` of samples. */
  run(seconds: number, sample: () => Record<string, number>): this {
    for (
      const endMs = this.nowMs + 1_000 * seconds;
      this.nowMs < endMs;
      this.nowMs += this.periodMs
    ) {
      const now = { monoMs: this.nowMs, wallMs: WALL_MS + this.nowMs };
      const { events = [] } = this.bank.observe(sample(), now);
      for (const event of events) this.told.push({ ...event, atMs: this.nowMs });
    }
    return this;
  }

  /** What became of events, without the updates. */
  ends(): string[] {
    return this.told.map(({ state }) => state).filter((state) => state !== "update");
  }
  opened(): number {
    return this.told.filter(({ state }) => state === "open").length;
  }
}

Deno.test("on white noise at 10 Hz default settings open at most one event a day and metric", () => {
  const days = 3;
  const bench = new Bench();
  const [a, b] = [gaussian(1), gaussian(2)];
  bench.run(days * 86_400, () => ({ a: 20 + 3 * a(), b: b() }));
  for (const metric of ["a", "b"]) {
    const count = bench.told.filter(({ state, metrics }) =>
      state === "open" && metrics.includes(metric)
    ).length;
    assert(count <= days, `${metric}: ${count} events in ${days} days`);
  }
});

Deno.test("a step of five standard deviations opens an event within two seconds, and only one", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const noise = gaussian(seed);
    const bench = new Bench().run(300, () => ({ a: noise() }));
    const before = bench.opened();
    const stepMs = bench.nowMs;
    bench.run(20, () => ({ a: 5 + noise() }));
    const opened = bench.told.filter(({ state }) => state === "open").slice(before);
    assertEquals(opened.length, 1);
    assert(opened[0]!.atMs - stepMs <= 2_000, `seed ${seed}: ${opened[0]!.atMs - stepMs} ms`);
    assertEquals(opened[0]!.around.at(-1)?.[0], opened[0]!.atMs);
  }
});

Deno.test("an event keeps what was normal until the time to learn is over, then the new level is learned", () => {
  const noise = gaussian(3);
  const bench = new Bench({ learn_anomalies_s: 600 }).run(300, () => ({ a: noise() }));
  bench.run(580, () => ({ a: 8 + noise() }));
  assertEquals(bench.ends(), ["open"]);
  const { mean } = bench.bank.last.get("a")!;
  assert(mean < 1, `after ten minutes 8 is not normal yet: mean ${mean}`);
  bench.run(120, () => ({ a: 8 + noise() }));
  assertEquals(bench.ends(), ["open", "close"]);
  const [opened, closed] = [bench.told[0]!, bench.told.at(-1)!];
  assertEquals(closed.id, opened.id);
  assert(closed.duration_ms >= 580_000 && closed.duration_ms < 660_000);
  bench.run(1_800, () => ({ a: 8 + noise() }));
  assertEquals(bench.opened(), 1, "the new level is normal now");
});

Deno.test("after an anomaly that ends in time what was normal before is normal again at once", () => {
  const noise = gaussian(4);
  const bench = new Bench().run(300, () => ({ a: noise() }));
  bench.run(300, () => ({ a: 8 + noise() })).run(60, () => ({ a: noise() }));
  assertEquals(bench.ends(), ["open", "close"]);
  const { mean, std } = bench.bank.last.get("a")!;
  assert(Math.abs(mean) < 1 && std < 2, `mean ${mean}, std ${std}`);
});

Deno.test("with learn_anomalies_s 0 a new level is learned as fast as the detector does", () => {
  const noise = gaussian(5);
  const bench = new Bench({ learn_anomalies_s: 0 }).run(300, () => ({ a: noise() }));
  bench.run(60, () => ({ a: 8 + noise() }));
  assertEquals(bench.ends(), ["open", "close"]);
});

Deno.test("a gap in sampling after which the level is another opens no event", () => {
  const noise = gaussian(6);
  const bench = new Bench().run(300, () => ({ a: noise() }));
  bench.nowMs += 600_000;
  bench.run(600, () => ({ a: 8 + noise() }));
  assertEquals(bench.opened(), 0);
  bench.run(10, () => ({ a: 20 + noise() }));
  assertEquals(bench.opened(), 1, "what happens after it is seen again");
});

Deno.test("a metric that was missing for a while and one that is new open no event", () => {
  const noise = gaussian(7);
  const bench = new Bench().run(300, () => ({ a: noise(), b: noise() }));
  bench.run(120, () => ({ a: noise() }));
  bench.run(300, () => ({ a: noise(), b: 9 + noise(), c: 5 + noise() }));
  assertEquals(bench.opened(), 0);
});

Deno.test("changed rates, sensors and detectors open no event, though all levels look different then", () => {
  const noise = gaussian(8);
  let level = 0;
  // A slow wave: at a tenth of the rate the same number of samples spans ten times as much of it.
  const wave = (): { a: number } => ({
    a: 30 * Math.sin(bench.nowMs / 600_000) + level + noise(),
  });
  const bench = new Bench();
  bench.run(600, wave);
  const slow = { ...SETTINGS, sample_hz: 0.2 };
  bench.bank.reconfigure(ZSCORE, slow);
  bench.periodMs = 5_000;
  bench.run(36_000, wave);
  assertEquals(bench.opened(), 0, "rate");
  bench.bank.settle();
  level = 200;
  bench.run(3_600, wave);
  assertEquals(bench.opened(), 0, "sensors");
  bench.bank.reconfigure(chooseDetectors({ detector: "zscore:window=100", detectors: [] }), slow);
  level = 0;
  bench.run(3_600, wave);
  assertEquals(bench.opened(), 0, "detector");
});

Deno.test("metrics that move within seconds are one event, named in the order in which they moved", () => {
  const noise = gaussian(9);
  const bench = new Bench().run(300, () => ({ a: noise(), b: noise(), c: noise() }));
  bench.run(1, () => ({ a: noise(), b: 12 + noise(), c: noise() }));
  bench.run(1, () => ({ a: noise(), b: 12 + noise(), c: 12 + noise() }));
  bench.run(10, () => ({ a: 12 + noise(), b: 12 + noise(), c: 12 + noise() }));
  assertEquals(bench.told.map(({ state }) => state), ["open", "update"]);
  assertEquals(bench.told[0]!.metrics, ["b"]);
  assertEquals(bench.told[1]!.metrics, ["b", "c", "a"]);
  assertEquals(bench.told[1]!.severity, "high");
  bench.run(20, () => ({ a: noise(), b: noise(), c: noise() }));
  assertEquals(bench.ends(), ["open", "close"]);
});

Deno.test("events that happen each hour become normal: in the long run there are as many as accepted", () => {
  const noise = gaussian(10);
  const bench = new Bench();
  for (let hour = 0; hour < 96; hour++) {
    bench.run(3_590, () => ({ a: noise() })).run(0.3, () => ({ a: 15 + noise() }));
  }
  const opened = bench.told.filter(({ state }) => state === "open");
  const late = opened.filter(({ atMs }) => atMs >= 2 * 86_400_000).length;
  assert(opened.length >= 3, "the first ones are told");
  assert(late <= 4, `${late} in two days`);
});

Deno.test("no more events open in an hour than events_per_hour_max", () => {
  const noise = gaussian(11);
  const bench = new Bench({ events_per_hour_max: 2 }).run(300, () => ({ a: noise() }));
  for (let i = 0; i < 5; i++) {
    bench.run(0.5, () => ({ a: 100 * (i + 1) })).run(60, () => ({ a: noise() }));
  }
  assertEquals(bench.opened(), 2);
  assertEquals(bench.bank.events.held_back, 3);
});

Deno.test("a bank goes on with what another one saved: no warm-up, the same thresholds, the open event", () => {
  const noise = gaussian(12);
  const sample = () => ({ a: 50 + noise() });
  const first = new Bench().run(900, sample).run(5, () => ({ a: 60 + noise() }));
  assertEquals(first.ends(), ["open"]);
  const now = { monoMs: first.nowMs, wallMs: WALL_MS + first.nowMs };
  const saved = JSON.parse(JSON.stringify([...first.bank.saved()]));
  const events = JSON.parse(JSON.stringify(first.bank.savedEvents(now)));
  const second = new Bench();
  second.bank.restore(saved, events, 5_000, { monoMs: 0, wallMs: now.wallMs + 5_000 });
  second.run(0.1, sample);
  const { mean, alert_score } = second.bank.last.get("a")!;
  assert(Math.abs(mean - 50) < 1, `mean ${mean}`);
  assertEquals(alert_score, first.bank.last.get("a")!.alert_score);
  second.run(30, sample);
  assertEquals(second.told.map(({ id, state }) => [id, state]), [[first.told[0]!.id, "close"]]);
});

Deno.test("what was saved for another detector, or is damaged, is learned anew", () => {
  const noise = gaussian(13);
  const first = new Bench().run(100, () => ({ a: noise(), b: noise(), c: noise() }));
  const [a, b, c] = [...first.bank.saved()];
  const second = new Bench();
  const parts = [{ ...a!, spec: "zscore:window=7" }, { ...b!, detector: { nonsense: [1] } }, c!];
  second.bank.restore(parts, [], 0, { monoMs: 0, wallMs: WALL_MS });
  second.run(0.1, () => ({ a: noise(), b: noise(), c: noise() }));
  const { last } = second.bank;
  assertEquals(["a", "b", "c"].map((name) => last.get(name)!.std > 0), [false, false, true]);
});

Deno.test("MetricBank keeps what an unchanged detector has learned over a new choice", () => {
  const choose = (threshold: number) =>
    chooseDetectors({
      detector: "zscore:warmup=5",
      detectors: [`b=zscore:warmup=5,threshold=${threshold}`],
    });
  const bank = new MetricBank(choose(3));
  for (let i = 0; i < 50; i++) bank.observe({ a: i % 2, b: i % 2 }, { monoMs: i, wallMs: i });
  bank.reconfigure(choose(4));
  const block = bank.observe({ a: 100, b: 100 }, { monoMs: 50, wallMs: 50 });
  assertEquals(Object.keys(block.metrics), ["a"]);
});

Deno.test("a detector that derives its threshold itself opens events as any other does", () => {
  for (const detector of ["surprise", "ewma:threshold=0"]) {
    const bench = new Bench({}, chooseDetectors({ detector, detectors: [] }));
    const noise = gaussian(5);
    bench.run(600, () => ({ a: 20 + noise() }));
    const before = bench.opened();
    bench.run(20, () => ({ a: 60 + noise() }));
    assert(bench.opened() > before, detector);
    assert(Number.isFinite(bench.bank.last.get("a")!.alert_score), detector);
  }
});

Deno.test("limits open an event within a few samples of a lasting excess, each time, and none for a slip", () => {
  const choice = chooseDetectors({ detector: "limits:low=10,high=30", detectors: [] });
  const bench = new Bench({}, choice);
  const noise = gaussian(6);
  const inside = () => ({ a: 20 + noise() });
  bench.run(600, inside).run(0.1, () => ({ a: 30.5 })).run(60, inside);
  assertEquals(bench.opened(), 0, "a single value is no event");
  for (let times = 1; times <= 8; times++) {
    const fromMs = bench.nowMs;
    bench.run(2, () => ({ a: 30.5 }));
    assertEquals(bench.opened(), times);
    assert(bench.told.at(-1)!.atMs - fromMs <= 500);
    bench.run(600, inside);
  }
  assertEquals(bench.bank.last.get("a")!.alert_score, 1);
});

Deno.test("what strikes each few seconds stays an anomaly: it doesn't teach the detector that it is normal", () => {
  const bench = new Bench({ alerts_per_day: 1 });
  const noise = gaussian(7);
  bench.run(900, () => ({ a: 20 + noise() }));
  for (let times = 1; times <= 10; times++) {
    bench.run(38.5, () => ({ a: 20 + noise() })).run(1.5, () => ({ a: -20 + noise() }));
    assertEquals(bench.opened(), times);
  }
  bench.run(30, () => ({ a: 20 + noise() }));
  const { mean, std, alert_score } = bench.bank.last.get("a")!;
  assert(Math.abs(mean - 20) < 1 && std < 1.5, `${mean} ${std}`);
  assert(alert_score < 1e6);
});

Deno.test("seasons follow the wall clock of the device, not the time since the start", () => {
  const choice = chooseDetectors({ detector: "seasonal:warmup=2", detectors: [] });
  const bank = new MetricBank(choice, { ...SETTINGS, sample_hz: 1 / 60 }, "run-1");
  const noise = gaussian(8);
  const at = (wallMs: number) =>
    20 + 10 * Math.sin((2 * Math.PI * wallMs) / 86_400_000) + noise() / 10;
  let found = 0;
  // Two lives of the node, the second at another time of day.
  for (let minute = 0; minute < 14 * 1_440; minute++) {
    const wallMs = WALL_MS + minute * 60_000;
    const monoMs = minute * 60_000 + (minute > 7 * 1_440 ? 7 * 3_600_000 : 0);
    if (bank.observe({ a: at(wallMs) }, { monoMs, wallMs }).is_anomaly) found++;
  }
  assertEquals(found, 0);
});

Deno.test("one detector flags values and another tells events: the record says the one's, the last judgement both", () => {
  const settings = { detector: "zscore", event_detector: "surprise", detectors: ["b=none"] };
  const bench = new Bench({}, chooseDetectors({ ...settings, alerts_per_day: 1 }));
  const noise = gaussian(12);
  bench.run(600, () => ({ a: 20 + noise(), b: noise() }));
  const now = { monoMs: bench.nowMs, wallMs: bench.nowMs };
  const block = bench.bank.observe({ a: 23.6, b: 99 }, now);
  assertEquals([block.is_anomaly, Object.keys(block.metrics), block.events], [
    ...[true, ["a"], undefined],
  ]);
  const { z, score, usual: [low, high], is_anomaly, alert_score } = bench.bank.last.get("a")!;
  assert(is_anomaly && z > 3 && score < 1 && alert_score === 1, `${z} ${score} ${alert_score}`);
  assert(low > 16 && low < 18 && high > 22 && high < 24, `${low} ${high}`);
  bench.nowMs += 100;
  bench.run(2, () => ({ a: 40 + noise() }));
  assertEquals(bench.opened(), 1);
});
