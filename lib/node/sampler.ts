/**
 * One sample at each tick: read the sensors, judge, and hand on the record. Ticks lie at a start time plus
 * whole periods of the monotonic clock, so that they don't drift; one that was missed is counted and never
 * made up.
 */
import type { AnomalyBlock } from "../anomaly/bank.ts";
import type { Instant } from "../anomaly/events.ts";
import type { Clock } from "../platform/platform.ts";
import type { RecordContent } from "../protocol/record.ts";
import { METRIC_NAME, type Sensor } from "./sensors/sensor.ts";

/** What the sampler hands each sample to. */
export interface SampleSink {
  /** Judges the values of one sample. */
  detect(metrics: Readonly<Record<string, number>>, now: Instant): AnomalyBlock;
  diagnose(
    metrics: Readonly<Record<string, number>>,
    problems: Readonly<Record<string, string>>,
    wallMs: number,
    monoMs: number,
    missedTicks: number,
  ): Record<string, unknown>;
  take(sample: RecordContent): void;
  /** Called between two ticks, before the next sample: configurations are swapped in here. */
  boundary(): void;
}

/** Values of one sample beyond this number are left out. */
const METRICS_MAX = 256;

/** See the head of the file. */
export class Sampler {
  #clock: Clock;
  #sink: SampleSink;
  #bootId: string;
  #periodMs: number;
  #sensors: readonly Sensor[];
  #sensorsStop = new AbortController();
  #wake = new AbortController();
  #samples = 0;
  #missedTicks = 0;
  #lastTickMs: number;
  #lastMetrics: Readonly<Record<string, number>> = {};
  cfgVersion: number;
  degraded = false;

  constructor(
    options: {
      clock: Clock;
      sink: SampleSink;
      bootId: string;
      sampleHz: number;
      sensors: readonly Sensor[];
      cfgVersion: number;
    },
  ) {
    this.#clock = options.clock;
    this.#sink = options.sink;
    this.#bootId = options.bootId;
    this.#periodMs = 1_000 / options.sampleHz;
    this.#sensors = options.sensors;
    this.cfgVersion = options.cfgVersion;
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
    let count = 0;
    for (const sensor of this.#sensors) {
      const reading = sensor.sample(wallMs, monoMs);
      for (const name in reading.values) {
        const value = reading.values[name]!;
        if (!METRIC_NAME.test(name) || count++ >= METRICS_MAX) continue;
        if (Number.isFinite(value)) metrics[name] = value;
        else problems[name] = "not a finite number";
      }
      Object.assign(problems, reading.problems);
      if (reading.injected !== undefined) injected = [...injected, ...reading.injected];
    }
    const anomaly = this.#sink.detect(metrics, { monoMs, wallMs });
    const diagnostics = this.#sink.diagnose(metrics, problems, wallMs, monoMs, missed);
    if (injected.length > 0) diagnostics.sim_injected = injected;
    this.#samples++;
    this.#lastTickMs = monoMs;
    this.#lastMetrics = metrics;
    this.#sink.take({
      ts_wall_ms: wallMs,
      ts_mono_ms: Math.round(monoMs * 10) / 10,
      boot_id: this.#bootId,
      metrics,
      anomaly,
      diagnostics,
      degraded: this.degraded,
      cfg_version: this.cfgVersion,
    });
  }
}
