/**
 * A detector that an anomaly doesn't teach. In calm times what the detector knows is kept aside now and then;
 * while an event is open it is put back again and again, so that an anomaly that lasts is held against what
 * was normal before it. Works for any detector: it needs only `save` and `restore`. Pure.
 *
 * What is kept aside is also what is worth keeping over a restart.
 */
import type { Detector, Verdict } from "./detector.ts";

/** Unflagged samples in a row that make a calm time. */
const CALM_SAMPLES = 20;
/** Samples between two copies kept aside. */
const COPY_SAMPLES = 300;
/** Flagged samples that a detector may learn from before it is put back. */
const LEARNED_MAX = 16;

/** See the head of the file. */
export class Baseline {
  #detector: Detector;
  #copy: unknown;
  #calm = 0;
  #sinceCopy = COPY_SAMPLES;
  #learned = 0;
  /** Whether the detector learned from flagged samples of an event. */
  #isTainted = false;

  /** `copyEarly` samples sooner than usual the first copy after this one is made, to spread the work. */
  constructor(detector: Detector, copyEarly = 0) {
    this.#detector = detector;
    this.#sinceCopy = COPY_SAMPLES - CALM_SAMPLES + copyEarly % CALM_SAMPLES;
  }

  /** Judges a value; `guarded`: what is flagged is not to be learned. */
  update(value: number, nowMs: number, wallMs: number, guarded: boolean): Verdict {
    const verdict = this.#detector.update(value, nowMs, wallMs);
    this.#sinceCopy++;
    if (verdict.is_anomaly) {
      this.#calm = 0;
      this.#learned++;
      if (!guarded) return verdict;
      this.#isTainted = true;
      if (this.#learned >= LEARNED_MAX) this.#putBack();
    } else if (++this.#calm >= CALM_SAMPLES) {
      // What came back soon has taught the detector too: also that is forgotten.
      if (this.#isTainted) this.#putBack();
      this.#isTainted = false;
      this.#learned = 0;
      if (this.#sinceCopy >= COPY_SAMPLES) {
        this.#copy = this.#detector.save();
        this.#sinceCopy = 0;
      }
    }
    return verdict;
  }

  #putBack(): void {
    if (this.#copy !== undefined) this.#detector.restore(this.#copy);
    this.#learned = 0;
  }

  /** What was normal until now no longer counts: the detector goes on from what it sees. */
  letGo(): void {
    this.#copy = undefined;
    this.#isTainted = false;
    this.#calm = 0;
    this.#sinceCopy = COPY_SAMPLES;
  }

  /** What the detector knew at the last calm time; `undefined` before the first. */
  get saved(): unknown {
    return this.#copy;
  }

  /** Goes on from what `saved` gave; false, and the detector as it was made, where it doesn't fit. */
  restore(state: unknown): boolean {
    if (!this.#detector.restore(state)) return false;
    this.#copy = state;
    this.#sinceCopy = 0;
    return true;
  }
}
