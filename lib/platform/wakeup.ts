/** A wait on a deadline that somebody may cut short; wake-ups between two waits are not lost. */
import type { Clock } from "./platform.ts";

/** Given to every abort: making a new exception with its stack costs more than all else of a wake-up. */
const WOKEN = "woken";

/** See the head of the file. One waiter at a time. */
export class Wakeup {
  #woken = new AbortController();

  /** Ends the present wait, or the next one before it starts. */
  wake(): void {
    this.#woken.abort(WOKEN);
  }

  /** Resolves at the monotonic time `deadlineMs` (`Infinity`: never) or when woken. */
  async wait(clock: Clock, deadlineMs: number): Promise<void> {
    if (!this.#woken.signal.aborted) await clock.sleepUntil(deadlineMs, this.#woken.signal);
    this.#woken = new AbortController();
  }
}
