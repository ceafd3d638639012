/** How often readings come: a mean of the intervals between them, in which a gap counts little. */

/** Least weight of a new interval, and how many usual ones it counts as at most once some are known. */
const WEIGHT = 0.05, INTERVAL_MAX = 3, KNOWN = 5;

/** See the head of the file. */
export class Pace {
  /** Usual time between two readings, in ms. */
  periodMs: number;
  #intervals = 0;
  #lastMs: number | undefined;

  /** `periodMs` until there were readings. */
  constructor(periodMs: number) {
    this.periodMs = periodMs;
  }

  /** A reading came. */
  note(nowMs: number): void {
    if (this.#lastMs !== undefined && nowMs > this.#lastMs) {
      const sinceMs = nowMs - this.#lastMs;
      const isKnown = ++this.#intervals > KNOWN;
      const intervalMs = isKnown ? Math.min(sinceMs, INTERVAL_MAX * this.periodMs) : sinceMs;
      this.periodMs += Math.max(WEIGHT, 1 / this.#intervals) * (intervalMs - this.periodMs);
    }
    this.#lastMs = nowMs;
  }

  /** When the next one comes says nothing of how often they do. */
  pause(): void {
    this.#lastMs = undefined;
  }
}
