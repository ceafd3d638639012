/** Evidence, budget and baseline by themselves: what counts, what is learned, what is put back. */
import { assert, assertEquals } from "@std/assert";
import { Baseline } from "../../lib/anomaly/baseline.ts";
import { AlertBudget, HourlyCap } from "../../lib/anomaly/budget.ts";
import type { Detector, Verdict } from "../../lib/anomaly/detector.ts";
import { Evidence } from "../../lib/anomaly/evidence.ts";
import { assertNear } from "./noise.ts";

const SAMPLES = 864_000;

function verdict(score: number, flag = 3): Verdict {
  return { score, is_anomaly: score > flag, z: score, mean: 0, std: 1 };
}

/** Evidence that has seen nothing yet, given scores one by one; each value is another unless told. */
class Scores {
  readonly evidence: Evidence;
  nowMs = 0;
  #value = 0;

  constructor(isCertain = false) {
    this.evidence = new Evidence(3, isCertain);
  }

  take(score: number, { inEvent = false, repeats = false, afterMs = 100 } = {}): number {
    this.nowMs += afterMs;
    if (!repeats) this.#value++;
    this.evidence.take(verdict(score), this.#value, this.nowMs, SAMPLES, inEvent);
    return this.evidence.strength;
  }

  many(count: number, score: number): this {
    for (let i = 0; i < count; i++) this.take(score);
    return this;
  }
}

Deno.test("flags in a row of fresh values are stronger evidence, up to four more; repeated ones and others are not", () => {
  const fresh = new Scores();
  const row = Array.from({ length: 7 }, () => fresh.take(4, { inEvent: true }));
  for (const [i, strength] of row.entries()) {
    assertNear(strength / row[0]!, 1 + 0.25 * Math.min(i, 4), 1e-9);
  }
  const repeated = new Scores();
  repeated.take(4, { inEvent: true });
  assertEquals(repeated.take(4, { inEvent: true, repeats: true }), row[0]);
  const broken = new Scores();
  for (const score of [4, 4, 1]) broken.take(score, { inEvent: true });
  assertEquals(broken.take(4, { inEvent: true }), row[0], "a value between that is not flagged");
});

Deno.test("what the detector doesn't flag opens no event, however near it is", () => {
  const evidence = new Evidence(3);
  evidence.take({ ...verdict(100), is_anomaly: false }, 1, 0, SAMPLES, true);
  assertEquals(evidence.strength, 0.7);
});

Deno.test("strong evidence within ten seconds is of one time, which began with the first", () => {
  const scores = new Scores();
  const { evidence } = scores;
  scores.take(9);
  const sinceMs = scores.nowMs;
  scores.take(9, { afterMs: 10_000 });
  scores.take(1);
  scores.take(9, { afterMs: 9_000 });
  assertEquals(evidence.sinceMs, sinceMs);
  scores.take(9, { afterMs: 10_001 });
  assertEquals(evidence.sinceMs, scores.nowMs);
});

Deno.test("no judgement is no evidence, also right after some", () => {
  const scores = new Scores();
  assert(scores.take(50) > 1);
  scores.evidence.take(
    { score: 0, is_anomaly: false, z: 0, mean: 0, std: 0 },
    5,
    0,
    SAMPLES,
    false,
  );
  assertEquals(scores.evidence.strength, 0);
});

Deno.test("after a gap nothing is concluded until fifty values in a row are ordinary, from the next one on", () => {
  const scores = new Scores().many(100, 1);
  const { evidence } = scores;
  evidence.settle();
  assertEquals([evidence.isSettling, evidence.strength], [true, 0]);
  scores.many(49, 1);
  assertEquals(scores.take(50), 0, "the row begins anew");
  scores.many(49, 1);
  assertEquals(evidence.isSettling, true);
  assertEquals([scores.take(1), evidence.isSettling], [0, false]);
  assert(scores.take(50) > 1);
  evidence.settle();
  scores.many(30, 1);
  evidence.settle();
  scores.many(49, 1);
  assertEquals(evidence.isSettling, true, "a second gap counts from its own end");
});

Deno.test("a metric that never calms down is judged again after 1,200 values", () => {
  const scores = new Scores();
  scores.evidence.settle();
  for (let i = 1; i < 1_200; i++) assertEquals(scores.take(50), 0);
  assertEquals([scores.evidence.isSettling, scores.take(50)], [true, 0]);
  assert(scores.take(50) > 1);
});

Deno.test("what belongs to an event says nothing of normal times", () => {
  const calm = new Scores().many(2_000, 1), stirred = new Scores().many(2_000, 1);
  for (let i = 0; i < 500; i++) stirred.take(2.9, { inEvent: true });
  assertEquals(stirred.evidence.alertScore(SAMPLES), calm.evidence.alertScore(SAMPLES));
});

Deno.test("where a flag is certain three in a row are an event, with one between that isn't they are none", () => {
  const scores = new Scores(true);
  assertEquals([4, 4, 1, 4, 4].map((score) => scores.take(score)), [0, 0, 0, 0, 0]);
  assertEquals([scores.take(4), scores.take(5), scores.take(1)], [4, 5, 0]);
  assertEquals(scores.evidence.alertScore(SAMPLES), 3);
  const faint = new Scores(true);
  faint.evidence.take({ ...verdict(0.5), is_anomaly: true }, 1, 1, SAMPLES, false);
  faint.evidence.take({ ...verdict(0.5), is_anomaly: true }, 2, 2, SAMPLES, false);
  faint.evidence.take({ ...verdict(0.5), is_anomaly: true }, 3, 3, SAMPLES, false);
  assertEquals(faint.evidence.strength, 1);
});

Deno.test("people are told the detector's score that opens an event, not the softened one", () => {
  const { evidence } = new Scores();
  for (let i = 0; i < 20; i++) evidence.budget.alarmed();
  const threshold = evidence.budget.threshold(SAMPLES);
  const told = evidence.alertScore(SAMPLES);
  assert(told > 2 * threshold, `${told} for ${threshold}`);
  assertNear(evidence.budget.soften(told), threshold, 1e-6);
});

Deno.test("AlertBudget: scores are softened from four flags on without a jump, and hardened back, up to the highest there is", () => {
  const budget = new AlertBudget(3);
  assertEquals([budget.soften(11), budget.soften(12), budget.hardened(12)], [11, 12, 12]);
  assertNear(budget.soften(12.001), 12.001, 1e-6);
  for (const score of [5, 13, 100, 9e5]) {
    assertNear(budget.hardened(budget.soften(score)) / score, 1, 1e-9);
  }
  assertEquals(budget.hardened(1e3), 1e6);
});

Deno.test("AlertBudget: each alarm raises the bar by the same factor, thirtyfold in the end; so many a day lower it", () => {
  const budget = new AlertBudget(3);
  const before = budget.threshold(SAMPLES);
  const raised = () => Math.log(budget.threshold(SAMPLES) / before);
  budget.alarmed();
  budget.alarmed();
  assertNear(raised(), 0.3, 1e-9);
  budget.elapse(21_600_000, 4);
  assertNear(raised(), 0.15, 1e-9);
  for (let i = 0; i < 100; i++) budget.alarmed();
  assertNear(raised(), 3.4, 1e-9);
  budget.elapse(1e12, 4);
  assertEquals(budget.threshold(SAMPLES), before);
});

Deno.test("AlertBudget: what is restored goes on exactly as it was, alarms and learning", () => {
  const first = new AlertBudget(3), second = new AlertBudget(3);
  for (let i = 0; i < 5_000; i++) first.learn((i * 7_919 % 1_000) / 300);
  first.alarmed();
  assert(second.restore(JSON.parse(JSON.stringify(first.save()))));
  for (let i = 0; i < 500; i++) {
    for (const budget of [first, second]) budget.learn((i * 104_729 % 1_000) / 250);
  }
  first.elapse(3_600_000, 1);
  second.elapse(3_600_000, 1);
  assertEquals(second.save(), first.save());
  assertEquals(second.restore([3, 1, 1, 1, 1, 9]), true);
  assertEquals(second.save()[5], 3.4);
  assertEquals(second.restore([3, 1, 0, 1, 1, 0]), false);
});

Deno.test("AlertBudget: one odd score teaches little, and a signal without spread leaves room above the flag", () => {
  const budget = new AlertBudget(3);
  for (let i = 0; i < 2_000; i++) budget.learn((i * 7_919 % 1_000) / 500);
  const before = budget.threshold(SAMPLES);
  budget.learn(1_000);
  assert(budget.threshold(SAMPLES) < 1.5 * before, `${before} to ${budget.threshold(SAMPLES)}`);
  const flat = new AlertBudget(3);
  for (let i = 0; i < 100_000; i++) flat.learn(2);
  const [, level, excess] = flat.save() as [number, number, number];
  assert(excess >= 0.03 && Math.abs(level - 2) < 0.5, `${level} ${excess}`);
});

Deno.test("AlertBudget: at another pace the tail is learned faster again", () => {
  const loose = new AlertBudget(3), firm = new AlertBudget(3);
  for (const budget of [loose, firm]) {
    for (let i = 0; i < 20_000; i++) budget.learn((i * 7_919 % 1_000) / 500);
  }
  loose.loosen();
  assert(firm.save()[4]! > 100);
  assertEquals(loose.save(), [...firm.save().slice(0, 3), 100, 20, 0]);
});

Deno.test("HourlyCap: what is refused doesn't count against the next hour", () => {
  const cap = new HourlyCap();
  const times = [0, 10, 20, 3_599_999, 3_600_000, 3_600_001];
  assertEquals(times.map((ms) => cap.take(ms, 1)), [true, false, false, false, true, false]);
  assertEquals(cap.take(0, 0), false);
});

/** Counts what it learned; flags what is above 100. */
class Counting implements Detector {
  learned = 0;
  update(value: number): Verdict {
    this.learned++;
    return verdict(value, 100);
  }
  save(): unknown {
    return this.learned;
  }
  restore(state: unknown): boolean {
    if (typeof state !== "number") return false;
    this.learned = state;
    return true;
  }
}

/** A baseline on such a detector. */
class Learning {
  readonly detector = new Counting();
  readonly baseline = new Baseline(this.detector);

  take(count: number, value: number, isGuarded = false): this {
    for (let i = 0; i < count; i++) this.baseline.update(value, 0, 0, isGuarded);
    return this;
  }
}

Deno.test("Baseline: a copy is kept aside at a calm time, the first soon, then one each 300 values", () => {
  const learning = new Learning();
  assertEquals(learning.take(19, 1).baseline.saved, undefined);
  assertEquals(learning.take(1, 1).baseline.saved, 20);
  assertEquals(learning.take(299, 1).baseline.saved, 20);
  assertEquals(learning.take(1, 1).baseline.saved, 320);
  learning.take(299, 1).take(1, 200).take(19, 1);
  assertEquals(learning.baseline.saved, 320, "twenty calm values in a row");
  assertEquals(learning.take(1, 1).baseline.saved, 640);
});

Deno.test("Baseline: while an event is open the detector is put back each sixteen flagged values, and once it is calm", () => {
  const learning = new Learning().take(320, 1);
  learning.take(15, 200, true);
  assertEquals(learning.detector.learned, 335);
  learning.take(1, 200, true);
  assertEquals(learning.detector.learned, 320);
  learning.take(15, 200, true);
  assertEquals(learning.detector.learned, 335);
  learning.take(19, 1, true);
  assertEquals(learning.detector.learned, 354);
  learning.take(1, 1, true);
  assertEquals(learning.detector.learned, 320, "what came back soon has taught it too");
  learning.take(50, 1);
  assertEquals(learning.detector.learned, 370, "and from here on it learns again");
});

Deno.test("Baseline: outside of events what is flagged is learned", () => {
  assertEquals(new Learning().take(20, 1).take(40, 200).take(20, 1).detector.learned, 80);
});

Deno.test("Baseline: what is let go of is not put back, and the new level is kept aside as soon as it is calm", () => {
  const learning = new Learning().take(320, 1).take(10, 200, true);
  learning.baseline.letGo();
  assertEquals(learning.baseline.saved, undefined);
  learning.take(20, 1);
  assertEquals([learning.detector.learned, learning.baseline.saved], [350, 350]);
});

Deno.test("Baseline: what is restored is kept aside at once, so that an event right after a start changes nothing", () => {
  const learning = new Learning();
  assertEquals([learning.baseline.restore("x"), learning.baseline.saved], [false, undefined]);
  assertEquals([learning.baseline.restore(500), learning.baseline.saved], [true, 500]);
  learning.take(16, 200, true);
  assertEquals(learning.detector.learned, 500);
});
