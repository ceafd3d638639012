/**
 * Rolling z-score: how many standard deviations a value lies from the mean of the values before it.
 * z = (x - mean) / std over a sliding window; |z| above the threshold flags.
 */
import { type Detector, noVerdict, type Verdict } from "./detector.ts";
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

/** Standard deviations below this part of the mean's size are rounding noise of a constant signal. */
const STD_FLOOR_RELATIVE = 1e-9;
const STD_FLOOR = 1e-12;
/** A change of a constant signal has no bound; this keeps its z finite and comparable. */
const Z_MAX = 1e6;

/** See the head of the file. The judged value itself is not in the window. */
export class ZScore implements Detector {
  #moments: SlidingMoments;
  #options: ZScoreOptions;

  constructor(options: ZScoreOptions) {
    this.#options = options;
    this.#moments = new SlidingMoments(options.window);
  }

  update(value: number): Verdict {
    const moments = this.#moments;
    const { mean } = moments;
    if (moments.count < this.#options.warmup) {
      moments.add(value);
      return noVerdict(mean);
    }
    const { std } = moments;
    const floor = Math.max(STD_FLOOR, STD_FLOOR_RELATIVE * Math.abs(mean));
    const distance = value - mean;
    const z = Math.abs(distance) <= floor
      ? 0
      : Math.max(-Z_MAX, Math.min(Z_MAX, distance / Math.max(std, floor)));
    moments.add(value);
    const score = Math.abs(z);
    return { score, is_anomaly: score > this.#options.threshold, z, mean, std };
  }
}
