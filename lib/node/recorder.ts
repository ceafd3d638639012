/**
 * From a reading to a record in the log: detect, diagnose, thin, append, notify, in this order, at each tick.
 * Nothing in here waits.
 */
import { getLogger } from "@logtape/logtape";
import type { MetricBank } from "../anomaly/bank.ts";
import { encodeContent, type RecordContent } from "../protocol/record.ts";
import type { Wal } from "../wal/wal.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { Degraded, Downsampler, type Pressure, samplesPerRecord } from "./downsample.ts";
import type { Recent, RecentEvents } from "./recent.ts";
import type { Reading } from "./sampler.ts";

/** See {@linkcode Recorder}. */
export interface RecorderParts {
  readonly wal: Wal;
  readonly bank: MetricBank;
  readonly diagnostics: Diagnostics;
  readonly recent: Recent;
  readonly recentEvents: RecentEvents;
  readonly bootId: string;
  readonly downsampleMax: () => number;
  readonly diskFreeBytes: () => number | undefined;
  /** What is normal has changed: it is worth saving. */
  readonly onEvent: () => void;
  /** A record is in the log; `urgent` ones are to be sent at once. */
  readonly onAppended: (seq: number, urgent: boolean) => void;
}

/** Time over which it is measured how fast the log is written. */
const WRITTEN_MS = 60_000;
/** Records whose times are remembered until they are synced. */
const UNSYNCED_MAX = 4_096;
const log = getLogger(["holdfast", "node"]);

/** See the head of the file. */
export class Recorder {
  #parts: RecorderParts;
  #degraded = new Degraded();
  #downsampler = new Downsampler();
  #samplesPerRecord = 1;
  #anomalies = 0;
  #written: { atMs: number; bytes: number; perMs: number };
  /** Wall time of each record that no sync covers yet, oldest first. */
  #unsynced: { seq: number; wallMs: number }[] = [];
  /** Version of the configuration in force. */
  cfgVersion: number;

  constructor(parts: RecorderParts, cfgVersion: number, nowMs: number) {
    this.#parts = parts;
    this.cfgVersion = cfgVersion;
    this.#written = { atMs: nowMs, bytes: 0, perMs: 0 };
  }

  /** Whether records are thinned. */
  get isDegraded(): boolean {
    return this.#degraded.on;
  }
  /** Samples that one record stands for at present. */
  get samplesPerRecord(): number {
    return this.#samplesPerRecord;
  }
  /** Records with an anomaly, since the start. */
  get anomalies(): number {
    return this.#anomalies;
  }

  /** Records one reading. */
  record(reading: Reading): void {
    const sample = this.#judge(reading);
    this.#weighPressure();
    this.#measureWriting(reading.monoMs);
    const thinned = { ...sample, degraded: this.#degraded.on };
    for (const record of this.#downsampler.push(thinned, this.#samplesPerRecord)) {
      this.#append(record);
    }
  }

  /** Appends what the thinning still holds back. */
  flush(): void {
    for (const record of this.#downsampler.flush()) this.#append(record);
  }

  /** Everything sampled up to then survives a power cut, by the wall clock. */
  durableUntil(nowWallMs: number): number {
    this.#forgetSynced();
    return this.#unsynced[0]?.wallMs ?? nowWallMs;
  }

  /** Bytes that the log grows by in a millisecond, over the last minute; 0 where nothing was written. */
  writtenPerMs(uptimeMs: number): number {
    return this.#written.perMs || this.#parts.wal.stats.appended_bytes / uptimeMs;
  }

  #judge(reading: Reading): RecordContent {
    const { bank, diagnostics, recent, recentEvents, bootId, onEvent, wal } = this.#parts;
    const { wallMs, monoMs, metrics, repeated, problems, injected, missedTicks } = reading;
    const anomaly = bank.observe(metrics, { monoMs, wallMs }, repeated);
    if (anomaly.events?.some(({ state }) => state !== "update")) onEvent();
    recent.add(metrics, (name) => Object.hasOwn(anomaly.metrics, name), { monoMs, wallMs });
    for (const event of anomaly.events ?? []) recentEvents.add(event);
    const found = diagnostics.judge(metrics, problems, {
      repeated,
      wallMs,
      monoMs,
      missedTicks,
      walWritable: wal.writable,
      diskFreeBytes: this.#parts.diskFreeBytes(),
      ringPressure: this.#pressure().ring,
    });
    if (injected.length > 0) found.sim_injected = injected;
    return {
      ts_wall_ms: wallMs,
      ts_mono_ms: Math.round(monoMs * 10) / 10,
      boot_id: bootId,
      metrics,
      anomaly,
      diagnostics: found,
      degraded: false,
      cfg_version: this.cfgVersion,
    };
  }

  #pressure(): Pressure {
    const { wal } = this.#parts;
    return {
      ring: wal.backlog / wal.ringRecords,
      wal: wal.bytes / wal.bytesMax,
      writable: wal.writable,
    };
  }

  #weighPressure(): void {
    const pressure = this.#pressure();
    const wasOn = this.#degraded.on;
    const isOn = this.#degraded.update(pressure);
    if (isOn !== wasOn) {
      log.warn(isOn ? "degraded: records are thinned" : "no longer degraded", { ...pressure });
    }
    this.#samplesPerRecord = samplesPerRecord(isOn, pressure, this.#parts.downsampleMax());
  }

  #append(record: RecordContent): void {
    const { wal, onAppended } = this.#parts;
    const seq = wal.append(encodeContent(record));
    this.#unsynced.push({ seq, wallMs: record.ts_wall_ms });
    if (this.#unsynced.length > UNSYNCED_MAX) this.#forgetSynced();
    // While the disk fails the first one says since when; those in the middle may go.
    if (this.#unsynced.length > UNSYNCED_MAX) this.#unsynced.splice(1, UNSYNCED_MAX / 2);
    if (record.anomaly.is_anomaly) this.#anomalies++;
    onAppended(seq, record.anomaly.is_anomaly || record.anomaly.events !== undefined);
  }

  #forgetSynced(): void {
    const { syncedSeq, highAcked } = this.#parts.wal;
    const safe = Math.max(syncedSeq, highAcked);
    const first = this.#unsynced.findIndex(({ seq }) => seq > safe);
    this.#unsynced.splice(0, first < 0 ? this.#unsynced.length : first);
  }

  #measureWriting(monoMs: number): void {
    const { atMs, bytes } = this.#written;
    if (monoMs - atMs < WRITTEN_MS) return;
    const now = this.#parts.wal.stats.appended_bytes;
    this.#written = { atMs: monoMs, bytes: now, perMs: (now - bytes) / (monoMs - atMs) };
  }
}
