/**
 * What the metrics of a node do together, as evidence for events: a bar for the distance from their usual relation,
 * which follows from the false alarms that are accepted and from how the distance behaves, and the names of those that
 * contribute most.
 */
import { AlertBudget } from "./budget.ts";
import { Hotelling, TOGETHER_MAX } from "./hotelling.ts";
import type { StrongEvidence } from "./events.ts";
import { STRONG } from "./evidence.ts";
import { Pace } from "./pace.ts";

/** What is taken for unusual before anything is known, in units of {@linkcode Hotelling.rate}. */
const FLAG = 3;
/** The budget errs on the quiet side, more so for a mean of readings: so many times the accepted alarms are asked of it. */
const GENEROUS = 8;
/** Metrics that are named: a relation is between two at least; of a third the least part that it contributes. */
const NAMED_MIN = 2, NAMED_MAX = 3, NAMED_PART = 0.15;
/** What one metric contributes where it is unusual by itself, and no relation is. */
const ALONE_PART = 0.8;
/** Distances before the first judgement: how they vary is to be known. */
const SCORES_MIN = 100;
/** After so many readings within the usual it is over. */
const QUIET_READINGS = 60;
const DAY_MS = 86_400_000;

/** See the settings of the same names. */
export interface TogetherLimits {
  readonly alertsPerDay: number;
  /** How long something lasts until it is the new normal. */
  readonly learnMs: number;
}

/** See the head of the file. */
export class Together {
  /** The place of each metric, in order. */
  #slots = new Map<string, number>();
  #values = new Float64Array(0);
  #model: Hotelling | undefined;
  #budget = new AlertBudget(FLAG);
  /** Distances that the bar was learned from. */
  #scores = 0;
  #pace: Pace;
  /** When there was anything, be it told again. */
  #lastMs: number | undefined;
  /** What is going on: since when, who is in it, and readings since it was last seen. */
  #ongoing: { sinceMs: number; named: string[]; quiet: number } | undefined;

  /** `periodMs`: how often readings come until that is known. */
  constructor(periodMs: number) {
    this.#pace = new Pace(periodMs);
  }

  /** Takes in the readings of one moment; `isNew` says of which there is one. What is strong evidence now. */
  observe(
    metrics: Readonly<Record<string, number>>,
    isNew: (metric: string) => boolean,
    nowMs: number,
    limits: TogetherLimits,
  ): StrongEvidence[] {
    this.#elapse(nowMs, limits);
    if (!this.#fill(metrics, isNew)) return [];
    const model = this.#model!;
    this.#pace.note(nowMs);
    const budget = this.#budget;
    const rating = model.rate(this.#values);
    const score = budget.soften(rating);
    const tail = budget.tail(DAY_MS / (this.#pace.periodMs * limits.alertsPerDay * GENEROUS));
    const isKnown = model.isReady && ++this.#scores > SCORES_MIN;
    const strength = isKnown ? score / budget.raised(tail) : 0;
    const evidence = this.#conclude(strength, rating, nowMs, limits);
    const isNormal = this.#ongoing === undefined && (score < tail || !isKnown);
    if (model.isReady && isNormal) budget.learn(score);
    model.learn(strength < 1);
    return evidence;
  }

  /** The metrics may be anywhere from here on. */
  settle(): void {
    this.#model?.letGo();
    this.#ongoing = undefined;
    this.#pace.pause();
  }

  #conclude(
    strength: number,
    rating: number,
    nowMs: number,
    { learnMs }: TogetherLimits,
  ): StrongEvidence[] {
    if (strength >= 1 && this.#ongoing === undefined) {
      this.#ongoing = { sinceMs: nowMs, named: this.#contributors(), quiet: 0 };
      this.#budget.alarmed();
    }
    const ongoing = this.#ongoing;
    if (ongoing === undefined) return [];
    if (nowMs - ongoing.sinceMs >= learnMs) {
      this.settle();
      return [];
    }
    if (strength < STRONG) {
      if (++ongoing.quiet > QUIET_READINGS) this.#ongoing = undefined;
      return [];
    }
    ongoing.quiet = 0;
    return ongoing.named.map((metric) => ({
      metric,
      strength,
      sinceMs: ongoing.sinceMs,
      value: this.#values[this.#slots.get(metric)!]!,
      score: rating,
      isRelation: ongoing.named.length > 1,
    }));
  }

  #contributors(): string[] {
    const parts = this.#model!.contributions();
    const order = [...this.#slots].map(([name, at]) => ({ name, at, part: parts[at]! }))
      .filter(({ part, at }) => part > 0 && !Number.isNaN(this.#values[at]!))
      .sort((a, b) => b.part - a.part);
    if (order[0] !== undefined && order[0].part >= ALONE_PART) return [order[0].name];
    return order.filter(({ part }, i) => i < NAMED_MIN || part >= NAMED_PART).slice(0, NAMED_MAX)
      .map(({ name }) => name);
  }

  /** Puts readings in their places; false where there is nothing to be seen together. A new metric starts all anew. */
  #fill(metrics: Readonly<Record<string, number>>, isNew: (metric: string) => boolean): boolean {
    let news = 0;
    for (const name in metrics) {
      if (isNew(name)) news++;
      if (this.#slots.has(name) || this.#slots.size >= TOGETHER_MAX) continue;
      this.#slots.set(name, this.#slots.size);
      this.#model = undefined;
    }
    const { size } = this.#slots;
    if (size < 2 || news === 0) return false;
    if (this.#model === undefined) {
      this.#model = new Hotelling(size);
      this.#values = new Float64Array(size);
      this.#ongoing = undefined;
    }
    for (const [name, at] of this.#slots) this.#values[at] = metrics[name] ?? NaN;
    return true;
  }

  #elapse(nowMs: number, { alertsPerDay }: TogetherLimits): void {
    const sinceMs = nowMs - (this.#lastMs ?? nowMs);
    this.#lastMs = nowMs;
    this.#budget.elapse(sinceMs, alertsPerDay);
    if (sinceMs > this.#pace.gapMs) this.settle();
  }
}
