/**
 * Ticks, and reads the sensors at each. Ticks lie at a start time plus whole periods of the monotonic clock, so
 * that they don't drift; one that was missed is counted and never made up. What is read goes to the recorder.
 */
import { assert } from "../assert.ts";
import { RECORD_METRICS_MAX } from "../limits.ts";
import type { Clock } from "../platform/platform.ts";
import { METRIC_NAME, type Sensor } from "./sensors/sensor.ts";

/** What the sensors said at one tick. */
export interface Reading {
  readonly wallMs: number;
  readonly monoMs: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Metrics whose value is the one of the last reading, told again. */
  readonly repeated: ReadonlySet<string>;
  /** What could not be read, and why. */
  readonly problems: Readonly<Record<string, string>>;
  /** Faults that the simulated sensor put in. */
  readonly injected: readonly string[];
  /** Ticks that were missed right before. */
  readonly missedTicks: number;
}

const NONE: ReadonlySet<string> = new Set();

/** What the sampler hands on to. */
export interface SampleSink {
  record(reading: Reading): void;
  /** Called between two ticks, before the next sample: configurations are swapped in here. */
  boundary(): void;
}

/** See the head of the file. */
export class Sampler {
  #clock: Clock;
  #sink: SampleSink;
  #periodMs: number;
  #sensors: readonly Sensor[];
  #sensorsStop = new AbortController();
  #wake = new AbortController();
  #samples = 0;
  #missedTicks = 0;
  #lastTickMs: number;
  #lastMetrics: Readonly<Record<string, number>> = {};

  constructor(
    options: {
      clock: Clock;
      sink: SampleSink;
      sampleHz: number;
      sensors: readonly Sensor[];
    },
  ) {
    assert(options.sampleHz > 0, `sampleHz is ${options.sampleHz}, must be above 0`);
    this.#clock = options.clock;
    this.#sink = options.sink;
    this.#periodMs = 1_000 / options.sampleHz;
    this.#sensors = options.sensors;
    this.#lastTickMs = options.clock.monotonicMs();
  }

  get samples(): number {
    return this.#samples;
  }
  get missedTicks(): number {
    return this.#missedTicks;
  }
  /** Monotonic time of the last tick. */
  get lastTickMs(): number {
    return this.#lastTickMs;
  }
  get periodMs(): number {
    return this.#periodMs;
  }
  /** Values of the last sample. */
  get lastMetrics(): Readonly<Record<string, number>> {
    return this.#lastMetrics;
  }

  /** Takes samples until `signal` aborts. Never rejects for what a sensor does. */
  async run(signal: AbortSignal): Promise<void> {
    this.#startSensors();
    const stop = () => this.#wake.abort();
    signal.addEventListener("abort", stop);
    let tickMs = this.#clock.monotonicMs();
    while (!signal.aborted) {
      await this.#clock.sleepUntil(tickMs, this.#wake.signal);
      if (signal.aborted) break;
      const now = this.#clock.monotonicMs();
      const period = this.#periodMs;
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
      this.#sink.boundary();
      if (this.#periodMs !== period) tickMs = Math.max(now, this.#lastTickMs + this.#periodMs);
      if (now < tickMs) continue;
      const missed = Math.floor((now - tickMs) / this.#periodMs);
      this.#missedTicks += missed;
      this.#tick(now, missed);
      tickMs += (missed + 1) * this.#periodMs;
    }
    signal.removeEventListener("abort", stop);
    this.#sensorsStop.abort();
  }

  /** Calls `boundary` now instead of at the next tick. */
  hurry(): void {
    this.#wake.abort();
  }

  /** For `boundary`: changes the rate and, where given, the sensors. */
  reconfigure(sampleHz: number, sensors: readonly Sensor[] | undefined): void {
    this.#periodMs = 1_000 / sampleHz;
    if (sensors === undefined) return;
    this.#sensorsStop.abort();
    this.#sensorsStop = new AbortController();
    this.#sensors = sensors;
    this.#startSensors();
  }

  #startSensors(): void {
    for (const sensor of this.#sensors) sensor.run(this.#sensorsStop.signal);
  }

  #tick(monoMs: number, missed: number): void {
    const wallMs = this.#clock.wallMs();
    const metrics: Record<string, number> = {};
    const problems: Record<string, string> = {};
    let injected: readonly string[] = [];
    let repeated: ReadonlySet<string> = NONE;
    let count = 0;
    for (const sensor of this.#sensors) {
      const reading = sensor.sample(wallMs, monoMs);
      for (const name in reading.values) {
        const value = reading.values[name]!;
        if (!METRIC_NAME.test(name) || count++ >= RECORD_METRICS_MAX) continue;
        if (Number.isFinite(value)) metrics[name] = value;
        else problems[name] = "not a finite number";
      }
      Object.assign(problems, reading.problems);
      const told = reading.repeated ?? NONE;
      if (told.size > 0) repeated = repeated.size === 0 ? told : new Set([...repeated, ...told]);
      if (reading.injected !== undefined) injected = [...injected, ...reading.injected];
    }
    this.#samples++;
    this.#lastTickMs = monoMs;
    this.#lastMetrics = metrics;
    const read = { wallMs, monoMs, metrics, repeated, problems, injected };
    this.#sink.record({ ...read, missedTicks: missed });
  }
}
