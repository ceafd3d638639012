/**
 * Exponentially weighted mean and variance: recent values weigh more, nothing is kept but two numbers.
 * mean' = mean + a d, var' = (1 - a)(var + a d^2) with d = x - mean
 * (T. Finch, "Incremental calculation of weighted mean and variance", University of Cambridge, 2009).
 */
import {
  bounded,
  type Detector,
  floorAt,
  noVerdict,
  numbersIn,
  type Verdict,
  verdictAt,
} from "./detector.ts";

/** Options of {@linkcode Ewma}. */
export interface EwmaOptions {
  readonly threshold: number;
  /** Values that the memory spans, 2 or more: a = 2 / (span + 1). */
  readonly span: number;
  readonly warmup: number;
}

/** Mean and variance with exponential weights; a plain mean until `span` values were seen. */
export class WeightedMoments {
  count = 0;
  mean = 0;
  variance = 0;
  #alpha: number;

  /** `span` is a number of values, 2 or more. */
  constructor(span: number) {
    this.#alpha = 2 / (span + 1);
  }

  get std(): number {
    return Math.sqrt(this.variance);
  }

  add(value: number): void {
    this.count++;
    const alpha = Math.max(this.#alpha, 1 / this.count);
    const distance = value - this.mean;
    this.mean += alpha * distance;
    this.variance = (1 - alpha) * (this.variance + alpha * distance * distance);
  }

  save(): number[] {
    return [this.count, this.mean, this.variance];
  }

  restore(state: unknown): boolean {
    const [count, mean, variance] = numbersIn(state, 3) ?? [];
    if (count === undefined || count < 0 || variance! < 0) return false;
    Object.assign(this, { count, mean, variance });
    return true;
  }
}

/** See the head of the file. */
export class Ewma implements Detector {
  #options: EwmaOptions;
  #moments: WeightedMoments;

  constructor(options: EwmaOptions) {
    this.#options = options;
    this.#moments = new WeightedMoments(options.span);
  }

  update(given: number): Verdict {
    const value = bounded(given);
    const { count, mean, std } = this.#moments;
    this.#moments.add(value);
    if (count < this.#options.warmup) return noVerdict(mean);
    const floor = floorAt(mean);
    const distance = value - mean;
    const z = Math.abs(distance) <= floor ? 0 : distance / Math.max(std, floor);
    return verdictAt(z, this.#options.threshold, mean, std);
  }

  save(): unknown {
    return this.#moments.save();
  }
  restore(state: unknown): boolean {
    return this.#moments.restore(state);
  }
}
