/**
 * Location and scale that outliers don't drag along: each value moves them by a bounded step only, in the
 * manner of Huber's M-estimators (P. J. Huber, "Robust estimation of a location parameter", Annals of
 * Mathematical Statistics 35, 1964), with exponential weights.
 *
 * On a series that is constant most of the time any robust scale is 0, and each change would be infinitely
 * rare. So the scale never falls below a part of the largest change seen lately.
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

/** Options of {@linkcode Robust}. */
export interface RobustOptions {
  readonly threshold: number;
  /** Values that the memory spans, 2 or more. */
  readonly span: number;
  readonly warmup: number;
}

/** Distances beyond that many scales count as that many. */
const CLIP = 2.5;
/** What E[min(|z|, CLIP)^2] is for Gaussian noise: makes the scale a standard deviation. */
const CLIPPED_VARIANCE = 0.9795;
/** The scale is at least this part of the largest change, which fades over ten spans. */
const CHANGE_PART = 0.25;

/** See the head of the file. */
export class Robust implements Detector {
  #options: RobustOptions;
  #count = 0;
  #center = 0;
  #variance = 0;
  #largest = 0;

  constructor(options: RobustOptions) {
    this.#options = options;
  }

  update(given: number): Verdict {
    const value = bounded(given);
    const { span, warmup, threshold } = this.#options;
    const center = this.#center;
    const distance = value - center;
    const scale = Math.max(
      Math.sqrt(this.#variance),
      CHANGE_PART * this.#largest,
      floorAt(center),
    );
    this.#learn(distance, scale, 2 / (span + 1));
    if (this.#count <= warmup) return noVerdict(center);
    const z = Math.abs(distance) <= floorAt(center) ? 0 : distance / scale;
    return verdictAt(z, threshold, center, scale);
  }

  #learn(distance: number, scale: number, weight: number): void {
    this.#count++;
    const alpha = Math.max(weight, 1 / this.#count);
    // The first values must be free to find the place.
    const reach = this.#count <= this.#options.warmup ? Infinity : CLIP * scale;
    const clipped = Math.max(-reach, Math.min(reach, distance));
    this.#center += alpha * clipped;
    const square = clipped * clipped / CLIPPED_VARIANCE;
    this.#variance = (1 - alpha) * (this.#variance + alpha * square);
    const size = this.#count === 1 ? 0 : Math.abs(distance);
    this.#largest = size > this.#largest ? size : this.#largest * (1 - weight / 10);
  }

  save(): unknown {
    return [this.#count, this.#center, this.#variance, this.#largest];
  }

  restore(state: unknown): boolean {
    const numbers = numbersIn(state, 4);
    if (numbers === undefined || numbers[0]! < 0 || numbers[2]! < 0 || numbers[3]! < 0) {
      return false;
    }
    [this.#count, this.#center, this.#variance, this.#largest] = numbers as [
      number,
      number,
      number,
      number,
    ];
    return true;
  }
}
