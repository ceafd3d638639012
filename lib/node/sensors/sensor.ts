/** What a sensor is to the sampler: values that are there at once. Nothing here waits at a tick. */
import { oneLine } from "../../errors.ts";
import type { Clock, Random } from "../../platform/platform.ts";

/** What a sensor has at a tick. */
export interface Reading {
  /** Finite numbers by metric. */
  readonly values: Readonly<Record<string, number>>;
  /** Metrics whose value was told before and is no new reading; none unless given. */
  readonly repeated?: ReadonlySet<string> | undefined;
  /** What can't be read, by metric or by the sensor's own name, and why. */
  readonly problems: Readonly<Record<string, string>>;
  /** Metrics that were given a false value on purpose (`sim` only), for tests of the detector. */
  readonly injected?: readonly string[];
}

/** A source of values. Slow ones read in the background and answer with what they have. */
export interface Sensor {
  /** For logs and problems. */
  readonly name: string;
  /** Works in the background until `signal` aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** The values at a tick; never throws, never waits. */
  sample(wallMs: number, monoMs: number): Reading;
}

/** What sensors may use of the machine. */
export interface SensorRuntime {
  readonly clock: Clock;
  /** A generator that repeats itself for a seed. */
  seeded(seed: number): Random;
  /** The text of a file, at most 64 KiB of it; rejects with one line. */
  readText(path: string): Promise<string>;
  /** Names in a directory, sorted; empty where there is none. */
  listDirectory(path: string): Promise<string[]>;
  /**
   * Runs a program without a shell; what it printed, at most 64 KiB. Rejects with one line when it can't be
   * started, ends with an error, or takes longer than `timeoutMs` (it is killed then).
   */
  run(command: readonly string[], timeoutMs: number): Promise<string>;
  /** Size and free bytes of the file system that holds `path`. */
  diskSpace(path: string): Promise<{ total: number; free: number } | undefined>;
}

/** A metric's name: what it must look like, so that labels, columns and JSON paths hold it. */
export const METRIC_NAME: RegExp = /^[A-Za-z_][A-Za-z0-9_.]{0,63}$/;
/** Values from one sensor beyond this number are left out. */
export const VALUES_MAX = 256;

/**
 * A sensor that reads every `everyMs` in the background. A value older than three readings and the time that
 * one may take is absent, and a problem says so. Each reading is told as new once.
 */
export abstract class PolledSensor implements Sensor {
  readonly name: string;
  protected readonly runtime: SensorRuntime;
  #everyMs: number;
  #timeoutMs: number;
  #values: Readonly<Record<string, number>> = {};
  /** Of the values, those that are no new ones; and whether the others were told. */
  #old: ReadonlySet<string> = new Set();
  #all: ReadonlySet<string> = new Set();
  #isTold = false;
  #newAtMs = new Map<string, number>();
  #readAtMs = -Infinity;
  #problem: string | undefined = "has not been read yet";
  #startedMs = -Infinity;

  constructor(name: string, runtime: SensorRuntime, everyMs: number, timeoutMs: number) {
    this.name = name;
    this.runtime = runtime;
    this.#everyMs = everyMs;
    this.#timeoutMs = timeoutMs;
  }

  /** One reading; rejects with one line. */
  protected abstract read(): Promise<Record<string, number>>;

  /** How often what is behind a metric changes at most, in ms, where that is slower than it is read. */
  protected periodMs(_metric: string): number {
    return 0;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.runtime;
    this.#startedMs = clock.monotonicMs();
    for (let next = this.#startedMs; !signal.aborted;) {
      try {
        const values = clean(await this.read());
        this.#readAtMs = clock.monotonicMs();
        this.#note(values);
        this.#problem = undefined;
      } catch (error) {
        this.#problem = oneLine(error);
      }
      next = Math.max(next + this.#everyMs, clock.monotonicMs());
      await clock.sleepUntil(next, signal);
    }
  }

  sample(_wallMs: number, monoMs: number): Reading {
    const oldestMs = 3 * this.#everyMs + this.#timeoutMs;
    if (monoMs - this.#readAtMs <= oldestMs) {
      const repeated = this.#isTold ? this.#all : this.#old;
      this.#isTold = true;
      return { values: this.#values, repeated, problems: {} };
    }
    // Just started: the first reading is still under way.
    if (monoMs - this.#startedMs <= oldestMs && this.#readAtMs === -Infinity) {
      return { values: {}, problems: {} };
    }
    return { values: {}, problems: { [this.name]: this.#problem ?? "gives no new values" } };
  }

  #note(values: Readonly<Record<string, number>>): void {
    const old = new Set<string>();
    for (const name in values) {
      const ageMs = this.#readAtMs - (this.#newAtMs.get(name) ?? -Infinity);
      // Readings come a little early or late.
      const isDue = ageMs >= this.periodMs(name) - this.#everyMs / 2;
      const isNew = isDue || values[name] !== this.#values[name];
      // Read again before anybody was told of it: it still is to be told.
      const isWaiting = !this.#isTold && this.#all.has(name) && !this.#old.has(name);
      if (isNew) this.#newAtMs.set(name, this.#readAtMs);
      else if (!isWaiting) old.add(name);
    }
    for (const name of this.#newAtMs.keys()) if (!(name in values)) this.#newAtMs.delete(name);
    this.#values = values;
    this.#old = old;
    this.#all = new Set(Object.keys(values));
    this.#isTold = false;
  }
}

/** Leaves out what is no number or has no proper name. */
function clean(values: Record<string, number>): Record<string, number> {
  const kept: Record<string, number> = {};
  let count = 0;
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isFinite(value) || !METRIC_NAME.test(name) || ++count > VALUES_MAX) continue;
    kept[name] = value;
  }
  return kept;
}
