/**
 * How rare a number is among all that came before it: minus the decimal logarithm of the part of them that were as
 * large or larger. A histogram of bins that grow by a constant factor keeps it in bounded bytes. A number larger than
 * all before counts by how much it is.
 */

/** Where the bins begin and end, and the factor from one to the next. */
const LOW = 0.1, HIGH = 100, RATIO = 1.2;
const PER_LN = 1 / Math.log(RATIO);
/** Bins: below LOW, between, and from HIGH on. */
const BINS = Math.floor(Math.log(HIGH / LOW) * PER_LN) + 2;
/** Numbers beyond it count as this. */
const TOP_MAX = 1e6;
/** Then each bin is halved: single precision counts no further than 2^24, and what is long past may fade. */
const COUNT_MAX = 8_000_000;

/** How many numbers {@linkcode Rarity} saves. */
export const RARITY_NUMBERS: number = BINS + 1;

/** See the head of the file. Some 160 bytes. */
export class Rarity {
  #bins = new Float32Array(BINS);
  #count = 0;
  #top = LOW;

  /** How rare `size`, 0 or more, is; then it is one of those that came before. 0 for what is usual. */
  rate(given: number): number {
    const size = Math.min(TOP_MAX, given);
    const bins = this.#bins;
    const bin = size <= LOW ? 0 : Math.min(BINS - 1, Math.floor(Math.log(size / LOW) * PER_LN) + 1);
    let larger = 0.5;
    for (let i = bin; i < BINS; i++) larger += bins[i]!;
    let rarity = Math.max(0, -Math.log10(larger / (this.#count + 1)));
    if (size > this.#top) {
      // Below the first bin all are alike.
      rarity += Math.log10(size / this.#top);
      this.#top = size;
    }
    bins[bin]!++;
    if (++this.#count >= COUNT_MAX) this.#halve();
    return rarity;
  }

  #halve(): void {
    for (let i = 0; i < BINS; i++) this.#bins[i]! /= 2;
    this.#count /= 2;
  }

  /** The largest so far, and the bins. */
  save(): number[] {
    return [this.#top, ...this.#bins];
  }

  /** Takes up what {@linkcode save} gave, which must be {@linkcode RARITY_NUMBERS} finite numbers. */
  restore(numbers: readonly number[]): void {
    this.#top = Math.max(LOW, Math.min(TOP_MAX, numbers[0]!));
    this.#bins.set(numbers.slice(1).map((count) => Math.max(0, Math.min(COUNT_MAX, count))));
    this.#count = this.#bins.reduce((sum, count) => sum + count, 0);
  }
}
