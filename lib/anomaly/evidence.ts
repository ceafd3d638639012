/**
 * How strong the evidence is that one metric is anomalous, in parts of what an alarm needs. A flag alone is
 * weak evidence, flags in a row of fresh values are stronger; during a gap's aftermath there is none. Pure.
 */
import { AlertBudget } from "./budget.ts";
import type { Verdict } from "./detector.ts";

/** From there on evidence counts for an event that is open already: hysteresis below 1, which opens one. */
export const STRONG = 0.7;
/** What moves within that time of each other belongs together. */
export const TOGETHER_MS = 10_000;

/** What each further flag in a row adds, in parts of the score, and how many count. */
const ROW_BONUS = 0.25;
const ROW_MAX = 4;
/** Unflagged samples in a row after which a level that a gap led to counts as known. */
const SETTLED_SAMPLES = 50;
/** Flagged samples in a row that are enough where a flag is certain: a single one may be a slip of the sensor. */
const CERTAIN_SAMPLES = 3;
/** After that many samples a metric is judged again in any case. */
const SETTLING_SAMPLES_MAX = 1_200;

/** See the head of the file. */
export class Evidence {
  readonly budget: AlertBudget;
  /** Evidence at the last sample: 1 and more opens an event. */
  strength = 0;
  /** Monotonic time at which the present strong evidence began. */
  sinceMs = 0;
  #strongMs = -Infinity;
  #row = 0;
  #value = NaN;
  /** Unflagged samples in a row, and samples since the settling began; negative: not settling. */
  #calm = 0;
  #settling = -1;
  #isCertain: boolean;
  #isCalibrated: boolean;
  #flagged = 0;

  /**
   * `flag`: see {@linkcode AlertBudget}; `isCertain`: what is flagged needs no comparison with the past;
   * `isCalibrated`: the detector itself flags no more often than is accepted, and says a thing once.
   */
  constructor(flag: number, isCertain = false, isCalibrated = false) {
    this.budget = new AlertBudget(flag);
    this.#isCertain = isCertain;
    this.#isCalibrated = isCalibrated;
  }

  /** The detector's score that opens an event at present. */
  alertScore(samplesPerAlert: number): number {
    const { budget } = this;
    if (this.#isCertain) return budget.flag;
    const needed = this.#isCalibrated
      ? budget.raised(budget.flag)
      : budget.threshold(samplesPerAlert);
    return budget.hardened(needed);
  }

  /** Whether the level is being learned anew and nothing is concluded. */
  get isSettling(): boolean {
    return this.#settling >= 0;
  }

  /** The level may have moved unseen: nothing is concluded until the detector knows it. */
  settle(): void {
    this.#settling = 0;
    this.#calm = 0;
    this.strength = 0;
  }

  /**
   * Takes in the verdict on `value`. `samplesPerAlert`: see {@linkcode AlertBudget.threshold}; `inEvent`:
   * the metric is part of an open event, so its scores say nothing of normal times.
   */
  take(
    verdict: Verdict,
    value: number,
    nowMs: number,
    samplesPerAlert: number,
    inEvent: boolean,
  ): void {
    this.strength = 0;
    if (this.#isCertain) return this.#takeCertain(verdict, nowMs);
    if (!verdict.is_anomaly) this.#row = 0;
    // A value that a sensor merely repeats is no further evidence.
    else if (value !== this.#value) this.#row = Math.min(ROW_MAX + 1, this.#row + 1);
    this.#value = value;
    if (this.#settling >= 0) {
      this.#calm = verdict.is_anomaly ? 0 : this.#calm + 1;
      const isOver = this.#calm >= SETTLED_SAMPLES || ++this.#settling >= SETTLING_SAMPLES_MAX;
      if (isOver) this.#settling = -1;
      return;
    }
    // No judgement yet, or a constant signal: neither says anything of the tail.
    if (verdict.score === 0 && verdict.std === 0) return;
    const { budget } = this;
    if (this.#isCalibrated) {
      return this.#conclude(budget.soften(verdict.score) / budget.raised(budget.flag), nowMs);
    }
    const bonus = 1 + ROW_BONUS * Math.max(0, this.#row - 1);
    const score = bonus * budget.soften(verdict.score);
    const tail = budget.tail(samplesPerAlert);
    const strength = score / budget.raised(tail);
    // What only the alarms before it hold back is as unusual as they were: it says nothing of normal times.
    if (!inEvent && score < tail) budget.learn(score);
    this.#conclude(strength >= 1 && !verdict.is_anomaly ? STRONG : strength, nowMs);
  }

  #takeCertain({ is_anomaly, score }: Verdict, nowMs: number): void {
    this.#flagged = is_anomaly ? this.#flagged + 1 : 0;
    if (this.#flagged >= CERTAIN_SAMPLES) this.#conclude(Math.max(1, score), nowMs);
  }

  #conclude(strength: number, nowMs: number): void {
    this.strength = strength;
    if (strength < STRONG) return;
    if (nowMs - this.#strongMs > TOGETHER_MS) this.sinceMs = nowMs;
    this.#strongMs = nowMs;
  }
}
