import { assert, assertEquals } from "@std/assert";
import { AlertBudget, HourlyCap } from "../../lib/anomaly/budget.ts";
import { EventTracker, type StrongEvidence } from "../../lib/anomaly/events.ts";
import { gaussian } from "./noise.ts";

const LIMITS = { quietMs: () => 10_000, perHourMax: 10 };
const around = (): [number, number][] => [[1, 2]];

function evidence(metric: string, strength: number, sinceMs: number): StrongEvidence {
  return { metric, strength, sinceMs, value: 7, score: 4 * strength };
}
/** Ticks a tracker; what it told in short: state, metrics, severity. */
function ticker(tracker = new EventTracker("r")) {
  return (second: number, ...strong: StrongEvidence[]) => {
    const now = { monoMs: 1_000 * second, wallMs: 5_000_000 + 1_000 * second };
    return tracker.tick(strong, now, LIMITS, around).events;
  };
}
const short = (events: ReturnType<ReturnType<typeof ticker>>) =>
  events.map(({ state, metrics, severity }) => `${state} ${metrics.join("+")} ${severity}`);

Deno.test("an event opens at full strength, goes on with less, and closes after the quiet time", () => {
  const tick = ticker();
  assertEquals(short(tick(1, evidence("a", 0.9, 1_000))), []);
  assertEquals(short(tick(2, evidence("a", 1.2, 1_000))), ["open a low"]);
  assertEquals(short(tick(11, evidence("a", 0.8, 1_000))), []);
  assertEquals(short(tick(20)), []);
  const [closed] = tick(21);
  assertEquals([closed?.state, closed?.duration_ms, closed?.since_wall_ms], [
    "close",
    10_000,
    5_001_000,
  ]);
  assertEquals(closed?.peak, { metric: "a", value: 7, score: 4.8 });
  assertEquals(short(tick(22)), []);
});

Deno.test("an update is told when the event grows, at most each five seconds", () => {
  const tick = ticker();
  tick(1, evidence("a", 1.2, 1_000));
  assertEquals(short(tick(2, evidence("a", 2, 1_000))), []);
  assertEquals(short(tick(6, evidence("a", 1, 1_000))), ["update a medium"]);
  assertEquals(short(tick(12, evidence("a", 1.9, 1_000))), []);
  assertEquals(short(tick(13, evidence("a", 9, 1_000))), ["update a high"]);
});

Deno.test("what moved shortly before an event opens is in it, and first; what moves late is another event", () => {
  const tick = ticker();
  tick(1, evidence("early", 0.8, 1_000));
  assertEquals(short(tick(3, evidence("b", 1.1, 3_000))), ["open early+b low"]);
  assertEquals(short(tick(9, evidence("c", 0.7, 9_000))), ["update early+b+c medium"]);
  tick(15, evidence("b", 1, 3_000));
  assertEquals(short(tick(20, evidence("b", 1, 3_000), evidence("d", 1.1, 20_000))), [
    "open d low",
  ]);
});

Deno.test("open events go on after a restart with their id, start and peak", () => {
  const tracker = new EventTracker("before");
  const tick = ticker(tracker);
  const [opened] = tick(1, evidence("a", 1.2, 1_000));
  const saved = JSON.parse(JSON.stringify(tracker.save({ monoMs: 4_000, wallMs: 5_004_000 })));
  const later = new EventTracker("after");
  later.restore(saved, 60_000, { monoMs: 10, wallMs: 5_064_000 });
  assertEquals(later.joinedMs("a"), 10 - 63_000);
  const [closed] = later.tick([], { monoMs: 10_010, wallMs: 5_074_000 }, LIMITS, around).events;
  assertEquals([closed?.state, closed?.id, closed?.peak, closed?.since_wall_ms], [
    "close",
    opened!.id,
    opened!.peak,
    opened!.since_wall_ms,
  ]);
});

Deno.test("AlertBudget finds the score that one in n samples of Gaussian noise exceeds, from above and closely", () => {
  const noise = gaussian(21);
  const budget = new AlertBudget(3);
  for (let i = 0; i < 200_000; i++) budget.learn(Math.abs(noise()));
  // |z| beyond 4.87 is one in 864,000 samples.
  const threshold = budget.threshold(864_000);
  assert(threshold > 4.87 && threshold < 6, String(threshold));
  assert(budget.threshold(8_640) < threshold, "more alerts accepted, lower threshold");
  assertEquals(new AlertBudget(3).threshold(1), 3, "never below the detector's flag");
});

Deno.test("AlertBudget: each alarm raises the bar, each accepted one's share of a day lowers it", () => {
  const budget = new AlertBudget(3);
  const before = budget.threshold(864_000);
  budget.alarmed();
  assert(budget.threshold(864_000) > 1.1 * before);
  budget.elapse(86_400_000, 1);
  assertEquals(budget.threshold(864_000), before);
});

Deno.test("AlertBudget keeps its state, and refuses what doesn't fit", () => {
  const budget = new AlertBudget(3);
  for (let i = 0; i < 1_000; i++) budget.learn(i % 7);
  budget.alarmed();
  const again = new AlertBudget(3);
  assert(again.restore(JSON.parse(JSON.stringify(budget.save()))));
  assertEquals(again.threshold(1e6), budget.threshold(1e6));
  for (const bad of [undefined, [], [3, 1, 1, 1, 1], [3, NaN, 1, 1, 1, 1], [4, 1, 1, 1, 1, 1]]) {
    assertEquals(again.restore(bad), false);
  }
});

Deno.test("HourlyCap allows so many in any hour", () => {
  const cap = new HourlyCap();
  const taken = [0, 1, 2, 3_600_000, 3_600_001, 3_600_001].map((ms) => cap.take(ms, 2));
  assertEquals(taken, [true, true, false, true, true, false]);
});

Deno.test("a metric that is strong for minutes while the cap holds it back is held back once", () => {
  const tracker = new EventTracker("r");
  const tick = ticker(tracker);
  for (let i = 0; i < LIMITS.perHourMax; i++) {
    tick(20 * i, evidence(`m${i}`, 1.2, 20_000 * i));
    tick(20 * i + 15);
  }
  assertEquals(tracker.opened, LIMITS.perHourMax);
  for (let second = 300; second < 420; second++) tick(second, evidence("late", 1.2, 300_000));
  assertEquals([tracker.opened, tracker.heldBack], [LIMITS.perHourMax, 1]);
});
