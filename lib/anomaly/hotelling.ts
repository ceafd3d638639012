/**
 * All metrics of a node together: how far they are from where they usually are relative to each other, as Hotelling's
 * T² says it (H. Hotelling, "The generalization of Student's ratio", Annals of Mathematical Statistics 2, 1931) of the
 * short exponential mean. What two metrics do together that neither does alone is seen here.
 *
 * Mean and covariance forget slowly. They learn what is some hundred readings behind, and nothing while much is out of
 * the ordinary: else the beginning of an anomaly would teach that it is normal.
 */
import { bounded, SCORE_MAX } from "./detector.ts";

/** Metrics that are looked at together, at most: what is kept grows by the square of it. */
export const TOGETHER_MAX = 64;
/** Weight of a new reading in the short mean, and the least one in what is usual. */
const SHORT = 0.1, LEARN = 1e-3;
/** Readings before the first judgement, and how far what is learned is behind. */
const WARMUP = 200, BEHIND = 120;
/** Readings learned between two factorisations of the covariance, and the part of a variance that is added to it. */
const FACTOR_EVERY = 10, RIDGE = 1e-3;
/** Of what was learned before a new level counts, so many readings are left. */
const RELEARN = 60;
/** A spread below this part of the size is rounding. */
const TINY = 1e-9;

/** See the head of the file. */
export class Hotelling {
  readonly size: number;
  #mean: Float64Array;
  #covariance: Float64Array;
  #factor: Float64Array | undefined;
  #sinceFactor = 0;
  #short: Float64Array;
  #whitened: Float64Array;
  #away: Float64Array;
  /** Smallest step of each metric that was seen: what is rounded to it doesn't vary by less. */
  #step: Float64Array;
  /** The last values, NaN where one is missing; and the last one of each that wasn't. */
  #now: Float64Array;
  #before: Float64Array;
  /** The last readings, which are not learned yet, as a ring. */
  #behind: Float64Array;
  #seen = 0;
  #learned = 0;

  /** `size` metrics, 2 to {@linkcode TOGETHER_MAX}. */
  constructor(size: number) {
    this.size = size;
    this.#mean = new Float64Array(size);
    this.#covariance = new Float64Array(size * size);
    this.#short = new Float64Array(size);
    this.#whitened = new Float64Array(size);
    this.#away = new Float64Array(size);
    this.#step = new Float64Array(size).fill(Infinity);
    this.#now = new Float64Array(size);
    this.#before = new Float64Array(size).fill(NaN);
    this.#behind = new Float64Array(size * BEHIND);
  }

  /** Whether enough was learned to judge. */
  get isReady(): boolean {
    return this.#factor !== undefined;
  }

  /**
   * How far the metrics are from their usual relation: about 1 in calm times, whatever their number; 0 before it is
   * known. `values` are finite, or NaN where a metric is missing.
   */
  rate(values: Float64Array): number {
    const { size } = this;
    for (let i = 0; i < size; i++) {
      const value = bounded(values[i]!);
      this.#now[i] = value;
      // What is missing says nothing: it is where it usually is.
      const away = Number.isNaN(value) ? 0 : value - this.#mean[i]!;
      this.#short[i]! += SHORT * (away - this.#short[i]!);
      const step = Math.abs(value - this.#before[i]!);
      if (step > 0 && step < this.#step[i]!) this.#step[i] = step;
      if (!Number.isNaN(value)) this.#before[i] = value;
    }
    this.#seen++;
    return this.#factor === undefined ? 0 : this.#distance(this.#factor);
  }

  /** Learns from what was rated; `isCalm`: nothing of it is out of the ordinary. To be called after each `rate`. */
  learn(isCalm: boolean): void {
    const { size } = this;
    const isNew = this.#learned < WARMUP;
    const at = size * (this.#seen % BEHIND);
    if (isNew) this.#take(this.#now, 0);
    else if (isCalm && this.#seen > WARMUP + BEHIND) this.#take(this.#behind, at);
    this.#behind.set(this.#now, at);
    if (this.#learned < WARMUP) return;
    if (this.#factor === undefined || this.#sinceFactor >= FACTOR_EVERY) {
      this.#sinceFactor = 0;
      this.#factor = this.#factorise();
    }
  }

  /** Where the metrics are now is normal from here on. */
  letGo(): void {
    this.#learned = Math.min(this.#learned, RELEARN);
    this.#factor = undefined;
    this.#short.fill(0);
  }

  /** How much each metric contributes to the last distance, in parts of 1; the sum is 1 where there is any. */
  contributions(): Float64Array {
    const { size } = this;
    const parts = new Float64Array(size);
    const factor = this.#factor;
    if (factor === undefined) return parts;
    // Back substitution: the inverse covariance times the short mean.
    const solved = Float64Array.from(this.#whitened);
    for (let i = size - 1; i >= 0; i--) {
      for (let k = i + 1; k < size; k++) solved[i]! -= factor[k * size + i]! * solved[k]!;
      solved[i]! /= factor[i * size + i]!;
    }
    let sum = 0;
    for (let i = 0; i < size; i++) {
      parts[i] = Math.abs(solved[i]! * this.#short[i]!);
      sum += parts[i]!;
    }
    if (sum > 0) { for (let i = 0; i < size; i++) parts[i]! /= sum; }
    return parts;
  }

  #take(from: Float64Array, at: number): void {
    const { size } = this;
    const mean = this.#mean, covariance = this.#covariance, away = this.#away;
    const weight = Math.max(LEARN, 1 / ++this.#learned);
    for (let i = 0; i < size; i++) {
      const value = from[at + i]!;
      away[i] = Number.isNaN(value) ? 0 : value - mean[i]!;
      mean[i]! += weight * away[i]!;
    }
    for (let i = 0; i < size; i++) {
      const row = i * size, scaled = weight * away[i]!;
      for (let j = 0; j <= i; j++) {
        covariance[row + j] = (1 - weight) * (covariance[row + j]! + scaled * away[j]!);
      }
    }
    this.#sinceFactor++;
  }

  /** The root of T², in units of what it is in the mean where readings are independent. */
  #distance(factor: Float64Array): number {
    const { size } = this;
    const whitened = this.#whitened, short = this.#short;
    let squares = 0;
    for (let i = 0; i < size; i++) {
      let rest = short[i]!;
      for (let k = 0; k < i; k++) rest -= factor[i * size + k]! * whitened[k]!;
      whitened[i] = rest / factor[i * size + i]!;
      squares += whitened[i]! ** 2;
    }
    const usual = size * SHORT / (2 - SHORT);
    return Math.min(SCORE_MAX, Math.sqrt(squares / usual));
  }

  /** Cholesky's lower factor of the covariance, with a ridge: metrics may be constant, or copies of each other. */
  #factorise(): Float64Array {
    const { size } = this;
    const factor = new Float64Array(size * size);
    for (let i = 0; i < size; i++) {
      const own = this.#covariance[i * size + i]!;
      const step = Number.isFinite(this.#step[i]!) ? this.#step[i]! : 0;
      const floor = Math.max(TINY * (1 + Math.abs(this.#mean[i]!)), step) ** 2;
      for (let j = 0; j <= i; j++) {
        let rest = this.#covariance[i * size + j]!;
        if (i === j) rest += RIDGE * own + floor;
        for (let k = 0; k < j; k++) rest -= factor[i * size + k]! * factor[j * size + k]!;
        factor[i * size + j] = i === j
          ? Math.sqrt(Math.max(rest, RIDGE * floor))
          : rest / factor[j * size + j]!;
      }
    }
    return factor;
  }
}
