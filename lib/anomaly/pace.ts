/** How often readings come: a mean of the intervals between them, in which a gap counts little, and what is a gap. */

/** Least weight of a new interval, and how many usual ones it counts as at most once some are known. */
const WEIGHT = 0.05, INTERVAL_MAX = 3, KNOWN = 5;

/** So long without a reading, and so many usual intervals, is a gap: what is read may have moved meanwhile. */
const GAP_MS = 60_000, GAP_PERIODS = 10;

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

  /** A longer time than this without a reading is a gap. */
  get gapMs(): number {
    return Math.max(GAP_MS, GAP_PERIODS * this.periodMs);
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
