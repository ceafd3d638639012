/**
 * Rate of change: the slope between two values, held against the slopes before. Finds what jumps or runs away
 * while its level is still ordinary.
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
import { WeightedMoments } from "./ewma.ts";

/** Options of {@linkcode Rate}. */
export interface RateOptions {
  readonly threshold: number;
  /** Slopes that the memory spans, 2 or more. */
  readonly span: number;
  readonly warmup: number;
  /** A gap in time of more than that many usual steps starts anew with the next value. */
  readonly gap: number;
}

/** See the head of the file. `mean` and `std` of its verdicts are of slopes, in units a second. */
export class Rate implements Detector {
  #options: RateOptions;
  #slopes: WeightedMoments;
  #last = 0;
  #lastMs = 0;
  #stepMs = 0;
  #started = 0;

  constructor(options: RateOptions) {
    this.#options = options;
    this.#slopes = new WeightedMoments(options.span);
  }

  update(given: number, tMs: number): Verdict {
    const value = bounded(given);
    const elapsedMs = tMs - this.#lastMs;
    const isFirst = this.#started === 0;
    const isGap = this.#stepMs > 0 && elapsedMs > this.#options.gap * this.#stepMs;
    const before = this.#last;
    this.#last = value;
    this.#lastMs = tMs;
    this.#started = 1;
    const { count, mean, std } = this.#slopes;
    if (isFirst || isGap || !(elapsedMs > 0)) return noVerdict(mean);
    this.#stepMs = this.#stepMs === 0 ? elapsedMs : 0.9 * this.#stepMs + 0.1 * elapsedMs;
    const slope = bounded((value - before) * 1_000 / elapsedMs);
    this.#slopes.add(slope);
    if (count < this.#options.warmup) return noVerdict(mean);
    const floor = Math.max(floorAt(mean), floorAt(value));
    const z = Math.abs(slope - mean) <= floor ? 0 : (slope - mean) / Math.max(std, floor);
    return verdictAt(z, this.#options.threshold, mean, std);
  }

  save(): unknown {
    return [...this.#slopes.save(), this.#last, this.#lastMs, this.#stepMs, this.#started];
  }

  restore(state: unknown): boolean {
    const numbers = numbersIn(state, 7);
    if (numbers === undefined || !this.#slopes.restore(numbers.slice(0, 3))) return false;
    [this.#last, this.#lastMs, this.#stepMs, this.#started] = numbers.slice(3) as [
      number,
      number,
      number,
      number,
    ];
    return true;
  }
}
