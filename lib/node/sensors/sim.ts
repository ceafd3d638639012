/**
 * Signals without hardware: noise, drift, a daily cycle, spikes, dropouts, and a supply rail that sags. The
 * same seed gives the same signals, and every spike is labelled, so that a detector can be checked.
 */
import type { Random } from "../../platform/platform.ts";
import type { Reading, Sensor, SensorRuntime } from "./sensor.ts";

/** Options of `sim`, with their defaults. */
export const SIM_OPTIONS = {
  seed: 1,
  /** Mean time between spikes in seconds; 0 for none. */
  spike_every_s: 30,
  /** Nothing is injected that soon after the start, so that a detector has learned what is normal. */
  quiet_s: 15,
  /** Size of a spike in standard deviations of the noise. */
  spike_sigma: 15,
  /** Probability that a value is missing. */
  dropout_p: 0.0005,
  /** Mean time between sags of the rail in seconds; 0 for none. */
  sag_every_s: 120,
  /** Additional metrics `sim_1`, `sim_2`, … */
  extra: 0,
};

/** See {@linkcode SIM_OPTIONS}. */
export type SimOptions = typeof SIM_OPTIONS;

interface Signal {
  readonly name: string;
  readonly base: number;
  readonly noise: number;
  /** Height of the daily wave. */
  readonly daily: number;
  /** Drift per hour. */
  readonly drift: number;
  readonly digits: number;
}

const SIGNALS: readonly Signal[] = [
  { name: "temp_c", base: 41, noise: 0.15, daily: 4, drift: 0.05, digits: 2 },
  { name: "rail_v", base: 5.02, noise: 0.008, daily: 0, drift: 0, digits: 3 },
  { name: "pressure_bar", base: 3.4, noise: 0.02, daily: 0.1, drift: 0.01, digits: 3 },
  { name: "flow_lpm", base: 120, noise: 1.2, daily: 15, drift: 0, digits: 1 },
  { name: "vibration_g", base: 0.3, noise: 0.02, daily: 0.02, drift: 0.005, digits: 3 },
];

const DAY_MS = 86_400_000;
const PARTS = 1_000_000;
/** How deep the rail sags, and for how long. */
const SAG_V = 0.5;
const SAG_MS = 1_500;
/** Longest step that counts for the chance of a spike, after a pause. */
const STEP_MS_MAX = 1_000;

/** See the head of the file. */
export class SimSensor implements Sensor {
  readonly name = "sim";
  #options: SimOptions;
  #random: Random;
  #signals: readonly Signal[];
  #startMs: number | undefined;
  #lastMs: number | undefined;
  #sagUntilMs = -Infinity;

  constructor(options: SimOptions, runtime: Pick<SensorRuntime, "seeded">) {
    this.#options = options;
    this.#random = runtime.seeded(options.seed);
    const extra = Array.from({ length: options.extra }, (_, i) => ({
      name: `sim_${i + 1}`,
      base: 10 * (i + 1),
      noise: 0.1,
      daily: 1,
      drift: 0,
      digits: 3,
    }));
    this.#signals = [...SIGNALS, ...extra];
  }

  run(): Promise<void> {
    return Promise.resolve();
  }

  sample(_wallMs: number, monoMs: number): Reading {
    this.#startMs ??= monoMs;
    const stepMs = Math.min(STEP_MS_MAX, monoMs - (this.#lastMs ?? monoMs));
    this.#lastMs = monoMs;
    if (this.#happens(stepMs, this.#options.sag_every_s)) this.#sagUntilMs = monoMs + SAG_MS;
    const spike = this.#happens(stepMs, this.#options.spike_every_s)
      ? this.#signals[this.#random.below(this.#signals.length)]!.name
      : undefined;
    const values: Record<string, number> = {};
    const problems: Record<string, string> = {};
    for (const signal of this.#signals) {
      let value = this.#level(signal, monoMs - this.#startMs) + signal.noise * this.#gauss();
      if (signal.name === "rail_v" && monoMs < this.#sagUntilMs) value -= SAG_V;
      if (signal.name === spike) {
        const sign = this.#random.below(2) === 0 ? 1 : -1;
        value += sign * this.#options.spike_sigma * signal.noise;
      }
      const isMissing = this.#random.below(PARTS) < this.#options.dropout_p * PARTS;
      if (isMissing && signal.name !== spike) problems[signal.name] = "simulated dropout";
      else values[signal.name] = Number(value.toFixed(signal.digits));
    }
    return spike === undefined ? { values, problems } : { values, problems, injected: [spike] };
  }

  #level(signal: Signal, ageMs: number): number {
    const day = signal.daily * Math.sin((2 * Math.PI * ageMs) / DAY_MS);
    // The drift turns round each twelve hours, so that no signal leaves its range.
    const hours = (ageMs / 3_600_000) % 24;
    return signal.base + day + signal.drift * (hours < 12 ? hours : 24 - hours);
  }

  #happens(stepMs: number, everySeconds: number): boolean {
    const roll = this.#random.below(PARTS);
    const isQuiet = this.#lastMs! - this.#startMs! < this.#options.quiet_s * 1_000;
    return !isQuiet && everySeconds > 0 && roll < (stepMs / (everySeconds * 1_000)) * PARTS;
  }

  /** A standard normal number: the sum of twelve uniform ones, by the central limit theorem. */
  #gauss(): number {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += this.#random.below(PARTS) / PARTS;
    return sum;
  }
}
