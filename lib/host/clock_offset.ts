/**
 * How a node's monotonic clock lies to the host's wall clock. Each message says what the node's clock showed
 * when it left; the smallest difference within the last minutes is that of the message which travelled
 * fastest, so the nearest to the truth. A longer memory would be wrong: clocks drift (50 ppm are 4 s a day),
 * and a device that was suspended comes back with all its differences hours larger. Pure.
 */

/** Differences are remembered that long. */
const WINDOW_MS = 600_000;
const SAMPLES_MAX = 64;
/** How far clocks may drift apart: 100 ppm, more than cheap crystals do. */
const DRIFT = 1e-4;
/** As many differences in a row, all larger than the smallest by that much, mean that a clock was moved. */
const STEP_SAMPLES = 3;
const STEP_MS = 2_000;

/** What is known of a node's clock. */
export interface Offset {
  /** Host's wall clock minus the node's monotonic clock. */
  readonly offsetMs: number;
  /** How far that may be off, beside the travel time of the fastest message. */
  readonly errorMs: number;
}

/** See the head of the file. One for each boot of a node. */
export class ClockOffset {
  /** Differences in order of arrival. */
  #samples: { atMs: number; offsetMs: number }[] = [];

  /** A message came in at `nowMs` of the host's monotonic clock and `wallMs` of its wall clock. */
  observe(nodeMonoMs: number, wallMs: number, nowMs: number): Offset {
    const first = this.#samples.findIndex(({ atMs }) => nowMs - atMs < WINDOW_MS);
    this.#samples.splice(0, first < 0 ? this.#samples.length : first);
    if (this.#samples.length === SAMPLES_MAX) this.#samples.shift();
    this.#samples.push({ atMs: nowMs, offsetMs: wallMs - nodeMonoMs });
    const last = this.#samples.slice(-STEP_SAMPLES);
    const before = this.#samples.slice(0, -STEP_SAMPLES);
    const low = Math.min(...before.map(({ offsetMs }) => offsetMs));
    const isStep = last.length === STEP_SAMPLES && before.length > 0 &&
      last.every(({ offsetMs }) => offsetMs > low + STEP_MS);
    if (isStep) this.#samples = last;
    return this.#estimate(nowMs);
  }

  #estimate(nowMs: number): Offset {
    const sorted = this.#samples.map(({ offsetMs }) => offsetMs).sort((a, b) => a - b);
    const offsetMs = sorted[0]!;
    const { atMs } = this.#samples.findLast((sample) => sample.offsetMs === offsetMs)!;
    const jitterMs = sorted[Math.floor(sorted.length / 2)]! - offsetMs;
    return { offsetMs, errorMs: Math.round(jitterMs + DRIFT * (nowMs - atMs)) };
  }
}
