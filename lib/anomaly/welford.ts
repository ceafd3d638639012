/**
 * Mean and variance of the last values, in constant time a value.
 *
 * Welford's update (B. P. Welford, "Note on a method for calculating corrected sums of squares and products",
 * Technometrics 4, 1962) in its sliding form: replacing x0 by x1 in a window of n moves the mean by
 * (x1 - x0) / n and the sum of squared deviations by (x1 - x0) (x1 - mean' + x0 - mean). Rounding errors
 * would add up for ever, so once in each window length the sums are computed anew from the values kept;
 * that is one more addition a value on average.
 */

/** See the head of the file. Memory: 8 bytes a place. */
export class SlidingMoments {
  #values: Float64Array;
  #next = 0;
  #count = 0;
  #mean = 0;
  #squares = 0;

  /** `window` is a number of values, 2 or more. */
  constructor(window: number) {
    this.#values = new Float64Array(window);
  }

  get count(): number {
    return this.#count;
  }
  get mean(): number {
    return this.#mean;
  }
  /** Sample variance (divided by n - 1); 0 with fewer than two values. */
  get variance(): number {
    return this.#count < 2 ? 0 : Math.max(0, this.#squares) / (this.#count - 1);
  }
  get std(): number {
    return Math.sqrt(this.variance);
  }

  /** Adds a finite value; the oldest leaves once the window is full. */
  add(value: number): void {
    const window = this.#values.length;
    const oldest = this.#values[this.#next]!;
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % window;
    if (this.#count < window) {
      this.#count++;
      const delta = value - this.#mean;
      this.#mean += delta / this.#count;
      this.#squares += delta * (value - this.#mean);
    } else {
      const before = this.#mean;
      this.#mean += (value - oldest) / window;
      this.#squares += (value - oldest) * (value - this.#mean + oldest - before);
    }
    if (this.#next === 0) this.#recompute();
  }

  #recompute(): void {
    let sum = 0;
    for (let i = 0; i < this.#count; i++) sum += this.#values[i]!;
    this.#mean = sum / this.#count;
    let squares = 0;
    for (let i = 0; i < this.#count; i++) squares += (this.#values[i]! - this.#mean) ** 2;
    this.#squares = squares;
  }
}
