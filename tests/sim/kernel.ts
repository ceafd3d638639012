/**
 * Virtual time. Everything that waits, waits here; events run in the order of (time, counter), and after each
 * one all promises settle before the next. Nothing depends on real time, so a seed gives the same run.
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../../lib/platform/platform.ts";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  /** `undefined`: taken back. */
  fire: (() => void) | undefined;
}

/** More events than this at one moment mean that something waits for the past, over and over. */
const AT_ONCE_MAX = 100_000;

/** See the head of the file. */
export class Kernel {
  #now = 0;
  #order = 0;
  #heap: Timer[] = [];
  #atOnce = 0;
  /** Events run so far. */
  steps = 0;
  #watchers: { atStep: number; act: () => void }[] = [];

  get nowMs(): number {
    return this.#now;
  }

  /** How many waits there are, of running machines and of gone ones. */
  get waiting(): number {
    return this.#heap.filter(({ fire }) => fire !== undefined).length;
  }

  /** Runs `fire` at `atMs`; call the result to take it back. */
  at(atMs: number, fire: () => void): () => void {
    const timer: Timer = { atMs: Math.max(atMs, this.#now), order: this.#order++, fire };
    this.#push(timer);
    return () => timer.fire = undefined;
  }

  /** Runs `act` between two events, `steps` events from now. */
  afterSteps(steps: number, act: () => void): void {
    this.#watchers.push({ atStep: this.steps + steps, act });
  }

  /** Runs everything due up to `untilMs`, which is then the present. */
  async runUntil(untilMs: number): Promise<void> {
    await settle();
    while (this.#heap.length > 0 && this.#heap[0]!.atMs <= untilMs) {
      const timer = this.#pop();
      if (timer.fire === undefined) continue;
      this.#atOnce = timer.atMs > this.#now ? 0 : this.#atOnce + 1;
      if (this.#atOnce > AT_ONCE_MAX) throw new Error(`time stands still at ${this.#now} ms`);
      this.#now = Math.max(this.#now, timer.atMs);
      this.steps++;
      timer.fire();
      await settle();
      const due = this.#watchers.filter(({ atStep }) => atStep <= this.steps);
      if (due.length > 0) {
        this.#watchers = this.#watchers.filter(({ atStep }) => atStep > this.steps);
        for (const { act } of due) act();
        await settle();
      }
    }
    this.#now = untilMs;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(timer, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = timer;
  }

  #pop(): Timer {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Lets all promises run that can; no timer of the real world is involved. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * The clocks of one machine. `stop` ends the machine: its waits never end, so whatever ran on it stands still
 * for ever, as after a crash.
 */
export class MachineClock implements Clock {
  #kernel: Kernel;
  #alive = true;
  #bootMs: number;
  #rate: number;
  /** Wall time minus virtual time; a jump changes it. */
  wallOffsetMs: number;

  /** `rate` is how fast this machine's clocks run; 1 is right. */
  constructor(kernel: Kernel, wallOffsetMs: number, rate: number = 1) {
    this.#kernel = kernel;
    this.#bootMs = kernel.nowMs;
    this.#rate = rate;
    this.wallOffsetMs = wallOffsetMs;
  }

  stop(): void {
    this.#alive = false;
  }
  get alive(): boolean {
    return this.#alive;
  }
  monotonicMs(): number {
    return (this.#kernel.nowMs - this.#bootMs) * this.#rate;
  }
  wallMs(): number {
    return this.#bootMs + this.monotonicMs() + this.wallOffsetMs;
  }

  sleepUntil(deadlineMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      let cancel = () => {};
      const done = () => {
        cancel();
        signal?.removeEventListener("abort", done);
        if (this.#alive) resolve();
      };
      signal?.addEventListener("abort", done);
      // Rounding must not let a wait end before its deadline by this machine's own clock.
      let at = deadlineMs / this.#rate + this.#bootMs;
      if ((at - this.#bootMs) * this.#rate < deadlineMs) at += 0.001;
      if (at !== Infinity) cancel = this.#kernel.at(at, done);
    });
  }
}
