/**
 * Rolling z-score: how many standard deviations a value lies from the mean of the values before it.
 * z = (x - mean) / std over a sliding window; |z| above the threshold flags.
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
import { SlidingMoments } from "./welford.ts";

/** Options of {@linkcode ZScore}. */
export interface ZScoreOptions {
  /** |z| above it is an anomaly. */
  readonly threshold: number;
  /** Values in the window, 2 or more. */
  readonly window: number;
  /** Values to be seen before the first judgement, 2 or more. */
  readonly warmup: number;
}

/** See the head of the file. The judged value itself is not in the window. */
export class ZScore implements Detector {
  #moments: SlidingMoments;
  #options: ZScoreOptions;

  constructor(options: ZScoreOptions) {
    this.#options = options;
    this.#moments = new SlidingMoments(options.window);
  }

  update(given: number): Verdict {
    const value = bounded(given);
    const moments = this.#moments;
    const { mean } = moments;
    if (moments.count < this.#options.warmup) {
      moments.add(value);
      return noVerdict(mean);
    }
    const { std } = moments;
    const floor = floorAt(mean);
    const distance = value - mean;
    const z = Math.abs(distance) <= floor ? 0 : distance / Math.max(std, floor);
    moments.add(value);
    return verdictAt(z, this.#options.threshold, mean, std);
  }

  /** Count, mean and standard deviation; not the window itself, which would be kilobytes a metric. */
  save(): unknown {
    const { count, mean, std } = this.#moments;
    return [count, mean, std];
  }

  /** The window is filled with values of the saved mean and spread. */
  restore(state: unknown): boolean {
    const [count, mean, std] = numbersIn(state, 3) ?? [];
    if (count === undefined || !(count >= 0 && count <= this.#options.window && std! >= 0)) {
      return false;
    }
    this.#moments = new SlidingMoments(this.#options.window);
    for (let i = 0; i < count; i++) this.#moments.add(mean! + (i % 2 === 0 ? std! : -std!));
    return true;
  }
}
