/** The real {@linkcode Clock} and {@linkcode Random}. */
import type { Clock, Random } from "./platform.ts";

/** Longest wait that a timer takes; longer ones are waited for in pieces. */
const TIMER_MS_MAX = 2_000_000_000;

/** The machine's clocks; waits end with the first timer at or after the deadline. */
export const denoClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleepUntil(deadlineMs, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const arm = () => {
        const left = deadlineMs - performance.now();
        if (left <= 0) done();
        else timer = setTimeout(arm, Math.min(Math.ceil(left), TIMER_MS_MAX));
      };
      signal?.addEventListener("abort", done);
      timer = setTimeout(arm, Math.max(0, Math.min(deadlineMs - performance.now(), TIMER_MS_MAX)));
    });
  },
};

/** The system's randomness. */
export const denoRandom: Random = {
  below(n) {
    // Rejection keeps all results equally likely.
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const value = crypto.getRandomValues(new Uint32Array(1))[0]!;
      if (value < limit) return value % n;
    }
  },
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
};
