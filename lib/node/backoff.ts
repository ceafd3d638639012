/**
 * Waits between attempts to connect: exponential with full jitter, so that nodes that lost a host together
 * don't come back together.
 */
import type { Random } from "../platform/platform.ts";

/** The first wait is at most this. */
const FIRST_MS = 500;

/** Counts failures and names the next wait. */
export class Backoff {
  #random: Random;
  #longestMs: number;
  #failures = 0;

  /** No wait is longer than `longestMs`. */
  constructor(random: Random, longestMs: number) {
    this.#random = random;
    this.#longestMs = longestMs;
  }

  /** The wait before the next attempt, from 0 to 0.5 s doubled at each failure, within the longest. */
  next(): number {
    const ceiling = Math.min(this.#longestMs, FIRST_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    return this.#random.below(ceiling + 1);
  }

  /** A session lasted: the next failure starts from the beginning. */
  reset(): void {
    this.#failures = 0;
  }
}
