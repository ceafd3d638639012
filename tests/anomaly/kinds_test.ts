/** Each kind of detector by itself: its numbers, its limits, its hours and days. */
import { assert, assertEquals } from "@std/assert";
import { detectorMaker } from "../../lib/anomaly/registry.ts";
import { RuleState } from "../../lib/anomaly/rules.ts";
import { SlidingMoments } from "../../lib/anomaly/welford.ts";
import { parseRule } from "../../lib/config/rule_spec.ts";
import { assertNear, gaussian } from "./noise.ts";

const HOUR_MS = 3_600_000, DAY_MS = 24 * HOUR_MS;

function make(kind: string, options: Record<string, number> = {}) {
  const texts = Object.entries(options).map((
    [name, value],
  ): [string, string] => [name, `${value}`]);
  return detectorMaker(kind, new Map(texts))();
}

Deno.test("limits: the score is 1 at a limit and 1 more for each width beyond, with the side's sign", () => {
  const cases: [value: number, z: number, mean: number][] = [
    [30, 0, 30],
    [10, 0, 10],
    [31, 1.05, 30],
    [50, 2, 30],
    [0, -1.5, 10],
    [1e12, 1e6, 30],
  ];
  for (const [value, z, mean] of cases) {
    const verdict = make("limits", { low: 10, high: 30 }).update(value, 0);
    assertEquals(verdict, { score: Math.abs(z), is_anomaly: z !== 0, z, mean, std: 0 }, `${value}`);
  }
});

Deno.test("limits: an anomaly that lasts over a restart ends inside the hysteresis", () => {
  const options = { low: 0, high: 10, hysteresis: 2 };
  const first = make("limits", options), second = make("limits", options);
  first.update(11, 0);
  assert(second.restore(first.save()));
  assertEquals([9, 7, 9].map((value) => second.update(value, 0).is_anomaly), [true, false, false]);
});

Deno.test("rate: mean and spread are of changes a second, whatever the step, and a gap is told by the usual step", () => {
  for (const stepMs of [100, 1_000]) {
    const detector = make("rate");
    const noise = gaussian(1);
    let at = 0, value = 0;
    const step = (change: number, ms = stepMs) => detector.update(value += change, at += ms);
    for (let i = 0; i < 2_000; i++) step((2 + noise() / 10) * stepMs / 1_000);
    const { mean, std } = step(2 * stepMs / 1_000);
    assertNear(mean, 2, 0.05);
    assertNear(std, 0.1, 0.02);
    assertEquals(step(50, 11 * stepMs).score, 0);
    assertEquals(step(2 * stepMs / 1_000).is_anomaly, false);
    assertEquals(step(9 * 50 * stepMs / 1_000, 9 * stepMs).is_anomaly, true, "nine steps are none");
  }
});

Deno.test("rate: what was learned holds over a restart, from the last value on", () => {
  const first = make("rate"), second = make("rate");
  const noise = gaussian(2);
  for (let i = 0; i < 1_000; i++) first.update(noise(), 100 * i);
  assert(second.restore(JSON.parse(JSON.stringify(first.save()))));
  assertEquals(second.update(30, 100_000), first.update(30, 100_000));
  const third = make("rate");
  third.restore(JSON.parse(JSON.stringify(first.save())));
  assertEquals(third.update(500, 900_000), first.update(500, 900_000), "a gap is one there, too");
});

Deno.test("rate: rounding noise of a large value is no change", () => {
  const detector = make("rate");
  for (let i = 0; i < 500; i++) detector.update(1e9, 100 * i);
  assertEquals(detector.update(1e9 + 1e-7, 50_000).score, 0);
});

Deno.test("zscore: judges from the value after its warm-up on, against the values before it, of its window only", () => {
  const detector = make("zscore", { window: 4, warmup: 3 });
  const values = [1, 2, 3, 9, 5, 5, 5, 5, 7];
  const verdicts = values.map((value) => detector.update(value, 0));
  assertEquals(verdicts.slice(0, 3).map(({ score }) => score), [0, 0, 0]);
  assertEquals([verdicts[3]!.mean, verdicts[3]!.std, verdicts[3]!.z], [2, 1, 7]);
  assertNear(verdicts[5]!.mean, (2 + 3 + 9 + 5) / 4, 1e-9);
  assertEquals([verdicts[8]!.mean, verdicts[8]!.is_anomaly], [5, true]);
});

Deno.test("zscore: restored, it judges by mean and spread of what it saw, and forgets what it had seen before that", () => {
  const noise = gaussian(3);
  const first = make("zscore");
  for (let i = 0; i < 200; i++) first.update(50 + 2 * noise(), 0);
  const second = make("zscore");
  for (let i = 0; i < 600; i++) second.update(-1_000, 0);
  assert(second.restore(JSON.parse(JSON.stringify(first.save()))));
  const { mean, std } = second.update(50, 0);
  assertNear(mean, 50, 0.5);
  assertNear(std, 2, 0.3);
  assertEquals(second.restore([601, 0, 1]), false, "more values than its window has");
});

Deno.test("SlidingMoments: rounding errors of huge values that have left the window are gone within one length of it", () => {
  const moments = new SlidingMoments(10);
  for (let i = 0; i < 7; i++) moments.add(1e15);
  for (let i = 0; i < 20; i++) moments.add(i % 2 + 0.1);
  assertNear(moments.mean, 0.6, 1e-12);
  assertNear(moments.variance, 0.25 * 10 / 9, 1e-12);
});

Deno.test("robust: judges after its warm-up; a first value far from all is no change, a large change widens what is usual for a while", () => {
  const detector = make("robust", { span: 20, warmup: 10 });
  const noise = gaussian(4);
  const take = (value: number) => detector.update(value, 0);
  assertEquals(Array.from({ length: 10 }, () => take(1_000 + noise()).score), Array(10).fill(0));
  assert(take(1_030).is_anomaly, "1000 from 0 was no change");
  for (let i = 0; i < 5; i++) take(1_000 + noise());
  assertEquals(take(1_020).is_anomaly, false, "less than it has just changed by");
  for (let i = 0; i < 2_000; i++) take(1_000 + noise());
  assert(take(1_020).is_anomaly, "and that is long ago");
});

Deno.test("surprise: hours are those of the wall clock: a boot changes no verdict", () => {
  const one = make("surprise"), other = make("surprise");
  const noise = gaussian(5);
  for (let i = 0; i < 14 * 288; i++) {
    const wallMs = 300_000 * i;
    const value = 50 - 40 * Math.cos((2 * Math.PI * wallMs) / DAY_MS) + noise();
    const bootMs = i < 10 * 288 ? 0 : 300_000 * (10 * 288 - 77);
    assertEquals(other.update(value, wallMs - bootMs, wallMs), one.update(value, wallMs, wallMs));
  }
});

Deno.test("surprise: a threshold that is given counts, one that isn't follows from the alarms that are accepted", () => {
  const scores = (options: Record<string, number>) => {
    const detector = make("surprise", options);
    const noise = gaussian(6);
    let flags = 0;
    for (let i = 0; i < 20_000; i++) if (detector.update(noise(), 100 * i).is_anomaly) flags++;
    return flags;
  };
  const [low, high] = [scores({ threshold: 0.01 }), scores({ threshold: 5 })];
  assert(low > 10 && high === 0, `${low} ${high}`);
  const [few, many] = [scores({ alerts_per_day: 1 }), scores({ alerts_per_day: 10_000 })];
  assert(many > few, `${many} of ${few}`);
});

Deno.test("surprise: hours count only where values come so slowly that they say something", () => {
  for (const [stepMs, counts] of [[9_000, false], [11_000, true]] as const) {
    const detector = make("surprise");
    for (let i = 0; i < 500; i++) detector.update(i % 3, stepMs * i, 5 * HOUR_MS);
    // Of its state the hours' counts stand before the last seven numbers.
    const seen = (detector.save() as number[]).slice(-7 - 24, -7);
    assertEquals(
      seen.map((count) => count > 0),
      Array.from({ length: 24 }, (_, hour) => counts && hour === 5),
    );
  }
});

Deno.test("surprise: an anomaly is said as it grows, and not again as it goes", () => {
  for (const seed of [5, 6]) {
    const detector = make("surprise", { threshold: 0.3 });
    const noise = gaussian(seed);
    for (let i = 0; i < 3_000; i++) detector.update(noise(), 100 * i);
    const said = Array.from({ length: 40 }, (_, i) => i).filter((i) =>
      detector.update((i < 4 ? 10 : 0) + noise(), 300_000 + 100 * i).is_anomaly
    );
    assert(said[0] === 0 && said.at(-1)! <= 4, `at ${said}`);
  }
});

Deno.test("surprise: what was learned holds over a restart, the hours and the time of the last value too", () => {
  const first = make("surprise"), second = make("surprise");
  const noise = gaussian(8);
  const startMs = 123_456_789_012;
  for (let i = 0; i < 3_000; i++) first.update(noise(), startMs + 600_000 * i);
  assert(second.restore(JSON.parse(JSON.stringify(first.save()))));
  for (let i = 3_000; i < 3_400; i++) {
    const value = noise();
    const [a, b] = [first, second].map((each) => each.update(value, startMs + 600_000 * i));
    assertNear(a!.score, b!.score, 0.01);
  }
  const { length } = first.save() as number[];
  const states = [first, second].map((each) => each.save() as number[]);
  for (let i = 0; i < length; i++) {
    const [a, b] = [states[0]![i]!, states[1]![i]!];
    assert(Math.abs(a - b) <= 1e-3 * (1 + Math.abs(a)), `number ${i}: ${a} ${b}`);
  }
  assertEquals((first.save() as number[]).at(-1), startMs + 600_000 * 3_399);
});

/** Values of a week: working days at 10, weekends at 20. */
function weeks(detector: ReturnType<typeof make>, days: number, fromDay = 0): void {
  const noise = gaussian(9);
  for (let at = fromDay * 24; at < (fromDay + days) * 24; at++) {
    const day = Math.floor(at / 24);
    // 1970-01-01 was a Thursday.
    const isWeekend = [2, 3].includes(day % 7);
    detector.update((isWeekend ? 20 : 10) + noise() / 10, at * HOUR_MS);
  }
}

Deno.test("seasonal: Saturday and Sunday are held against weekends, the other days against working days", () => {
  const MONDAY = 32, SATURDAY = 37, SUNDAY = 38, FRIDAY = 36;
  for (const [day, usual] of [[MONDAY, 10], [FRIDAY, 10], [SATURDAY, 20], [SUNDAY, 20]] as const) {
    for (const value of [10, 20]) {
      const detector = make("seasonal", { places: 24 });
      weeks(detector, day);
      const verdict = detector.update(value, (day + 0.5) * DAY_MS);
      assertEquals(verdict.is_anomaly, value !== usual, `day ${day}: ${value}`);
      assertNear(verdict.mean, usual, 0.5);
    }
  }
});

Deno.test("seasonal: a place judges once it has seen as many days as the warm-up says", () => {
  const detector = make("seasonal", { places: 24, warmup: 3 });
  const noise = gaussian(10);
  // Monday to Friday; a pass through a place counts once the next one begins.
  const judged = [4, 5, 6, 7, 8].map((day) => {
    const { std } = detector.update(10 + noise(), (day + 0.5) * DAY_MS);
    for (let hour = 13; hour < 36; hour++) {
      detector.update(10 + noise(), day * DAY_MS + hour * HOUR_MS);
    }
    return std > 0;
  });
  assertEquals(judged, [false, false, false, true, true]);
});

Deno.test("seasonal: days that were seen count over a restart", () => {
  const first = make("seasonal", { places: 24 }), second = make("seasonal", { places: 24 });
  weeks(first, 32);
  assert(second.restore(JSON.parse(JSON.stringify(first.save()))));
  assertEquals(second.update(20, 32.5 * DAY_MS).is_anomaly, true);
  assertEquals(second.update(10, 33.5 * DAY_MS).is_anomaly, false);
});

Deno.test("seasonal: an anomaly hardly widens what is usual", () => {
  const detector = make("seasonal", { places: 24 });
  weeks(detector, 32);
  const before = detector.update(10, 32.5 * DAY_MS).std;
  detector.update(1e4, 32.55 * DAY_MS);
  const after = detector.update(10, 32.56 * DAY_MS).std;
  assert(after < 2 * before, `${before} to ${after}`);
});

/** Whether a rule is active after each value, at times in seconds. */
function active(
  spec: string,
  values: readonly [second: number, a: number, b?: number][],
): boolean[] {
  const state = new RuleState(parseRule(spec));
  return values.map(([second, a, b]) => state.tick((name) => name === "a" ? a : b, 1_000 * second));
}

Deno.test("rules: a limit may be touched, a change is taken over a second at least, two that differ must both be there", () => {
  assertEquals(active("range:a:min=0:max=10", [[0, 0], [1, 10], [2, 10.01]]), [false, false, true]);
  assertEquals(
    active("rate:a:max=1:hold=0s", [[0, 0], [0.1, 0.5], [0.2, 0.9], [1, 0.9], [1.1, 2]]),
    [false, false, false, false, true],
  );
  assertEquals(active("rate:a:max=1", [[0, 0], [4, 5]]), [false, true]);
  assertEquals(active("rate:a:max=1", [[0, 0], [4, 3.9]]), [false, false]);
  assertEquals(
    active("rate:a:max=1", [[0, 0], [0.3, 0.3], [0.6, 0.6], [0.9, 0.9], [0.95, 1.2]]),
    [false, false, false, false, true],
    "small steps add up",
  );
  const other: [number, number, number?][] = [[0, 1], [1, 1, 4], [2, 1], [4, 1], [9, 1]];
  assertEquals(active("disagree:a,b:by=2", other), [false, true, true, true, true]);
});
