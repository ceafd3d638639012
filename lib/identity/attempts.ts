/** How often somebody may be wrong: so many times at once, then once in a while. Pure. */

/** Who is remembered; beyond it those who were wrong longest ago are forgotten. */
const KEYS_MAX = 10_000;

/** See the head of the file. */
export class Attempts {
  #burst: number;
  #forgivenMs: number;
  /** When all is forgiven, by who it was; who was wrong last is last. */
  #freeMs = new Map<string, number>();
  /** Attempts that were refused unseen. */
  refused = 0;

  /** So many at once, of which each is forgiven after so long. */
  constructor(burst = 10, forgivenMs = 10_000) {
    this.#burst = burst;
    this.#forgivenMs = forgivenMs;
  }

  /** Milliseconds until somebody may try again; 0 for now. */
  waitMs(who: string, nowMs: number): number {
    const freeMs = this.#freeMs.get(who) ?? nowMs;
    return Math.max(0, freeMs - (this.#burst - 1) * this.#forgivenMs - nowMs);
  }

  /** Somebody was wrong. */
  failed(who: string, nowMs: number): void {
    const freeMs = Math.max(this.#freeMs.get(who) ?? nowMs, nowMs) + this.#forgivenMs;
    this.#freeMs.delete(who);
    this.#freeMs.set(who, freeMs);
    if (this.#freeMs.size <= KEYS_MAX) return;
    const [oldest] = this.#freeMs.keys();
    this.#freeMs.delete(oldest!);
  }
}
