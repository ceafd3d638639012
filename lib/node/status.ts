/** The node's state at a glance, as `/status` shows it: the first lines answer 'is my data safe?'. */
import type { MetricBank } from "../anomaly/bank.ts";
import { LOST_LATELY_MS } from "../fleet/concerns.ts";
import {
  deviceConcerns,
  type DeviceState,
  type DeviceVerdict,
  deviceVerdict,
} from "../fleet/device.ts";
import type { Concern } from "../fleet/node_info.ts";
import type { Clock } from "../platform/platform.ts";
import type { RecordContent } from "../protocol/record.ts";
import type { LostRange, Wal } from "../wal/wal.ts";
import type { ConfigListener } from "./config_listener.ts";
import type { Diagnostics, RuleStatus } from "./diagnostics.ts";
import type { RecentEvent, RecentEvents } from "./recent.ts";
import type { Recorder } from "./recorder.ts";
import type { Sampler } from "./sampler.ts";
import type { LinkStatus, UplinkDriver } from "./uplink_driver.ts";

/** A metric at a glance. */
export interface MetricStatus {
  value: number;
  z?: number;
  mean?: number;
  std?: number;
  score?: number;
  is_anomaly?: boolean;
  usual?: readonly [number, number];
  alert_score?: number;
}

/** See the head of the file. Times by the node's clock. */
export interface NodeStatus {
  /** Whether everything sampled is on disk here or at the host, and nothing was lost within a day. */
  safe: boolean;
  /** Why not, or what to look at, a line each; empty when all is well. */
  attention: string[];
  verdict: DeviceVerdict;
  /** What `attention` says, by kind. */
  concerns: readonly Concern[];
  link: LinkStatus;
  /** Records that the host has not acknowledged. */
  backlog: number;
  /** Age of the oldest of them; 0 where there is none. */
  oldest_unacked_ms: number;
  /** Everything sampled up to then survives a power cut of this device. */
  durable_until_wall_ms: number;
  wal: {
    bytes: number;
    bytes_max: number;
    writable: boolean;
    error: string | undefined;
    /**
     * If nothing were acknowledged from now on, at the rate of the last minute: how long an outage there is
     * room for. Absent before the first write.
     */
    seconds_until_full: number | undefined;
    /** Bytes of records handed to the disk since the start. */
    written_bytes: number;
    /** What storage is asked to write at that rate: as the kernel counts it, else as handed to the disk. */
    written_bytes_per_day: number;
    /** Bytes that storage was asked to write since the start, whole blocks and all files; where the kernel tells. */
    block_bytes: number | undefined;
    /** Where records wait for the host's ack. */
    tail: {
      /** `memory`: they go to the disk only if the host doesn't ack them within the sync interval. */
      in: "memory" | "disk";
      /** Directory of the tail in memory. */
      directory: string | undefined;
      bytes: number;
      /** Why it is not in memory, if it should be. */
      error: string | undefined;
    };
  };
  degraded: boolean;
  /** Samples that one record stands for at present. */
  downsample_n: number;
  /** Lost for good and not acknowledged yet. */
  gaps: readonly LostRange[];
  cfg_version: number;
  samples: number;
  missed_ticks: number;
  anomalies: number;
  /** Anomaly events: opened since the start, open now, and held back by the cap per hour. */
  events: { readonly opened: number; readonly open: number; readonly held_back: number };
  /** The last events of this run, newest first, each as it was told of last. */
  last_events: readonly RecentEvent[];
  /**
   * Each metric's last value and judgement: `usual` is the range that it keeps to now, `score` how near it is to an
   * event, which opens at `alert_score`.
   */
  metrics: Record<string, MetricStatus>;
  diagnostics: Record<string, unknown>;
  /** The rules of the settings, and which of them are active. */
  rules: RuleStatus[];
  node_id: string;
  epoch: string;
  boot_id: string;
  next_seq: number;
  high_acked: number;
  version: string;
  /** Without TLS beyond this machine, as `insecure` allows. */
  insecure: boolean;
  uptime_s: number;
  now_wall_ms: number;
  wal_stats: Readonly<Record<string, number>>;
  config: Readonly<Record<string, unknown>>;
}

/** What the status is put together from. */
export interface StatusParts {
  readonly wal: Wal;
  readonly clock: Clock;
  readonly bank: MetricBank;
  readonly sampler: Sampler;
  readonly recorder: Recorder;
  readonly diagnostics: Diagnostics;
  readonly recentEvents: RecentEvents;
  readonly config: ConfigListener;
  readonly uplink: UplinkDriver;
  readonly memoryPlace: () => string | undefined;
  readonly blockWrites: () => number | undefined;
  readonly nodeId: string;
  readonly bootId: string;
  readonly version: string;
  readonly isInsecure: boolean;
}

/** Puts the status together; remembers what it must between two calls. */
export class StatusSource {
  #parts: StatusParts;
  #startedMs: number;
  #blocksAtStart: number;
  #oldest: { seq: number; wallMs: number } | undefined;
  #lost = { records: 0, ever: 0, atMs: -Infinity };

  constructor(parts: StatusParts) {
    this.#parts = parts;
    this.#startedMs = parts.clock.monotonicMs();
    this.#blocksAtStart = parts.blockWrites() ?? 0;
  }

  /** The node's state now. */
  async read(): Promise<NodeStatus> {
    const { wal, clock, bank, sampler, recorder, diagnostics, recentEvents } = this.#parts;
    const { config, uplink, nodeId, bootId, version, memoryPlace, blockWrites } = this.#parts;
    const blocks = blockWrites();
    const blockBytes = blocks === undefined ? undefined : blocks - this.#blocksAtStart;
    const now = clock.wallMs();
    const uptimeMs = clock.monotonicMs() - this.#startedMs;
    const link = uplink.status();
    const oldest = await this.#oldestUnackedMs();
    const oldest_unacked_ms = oldest === undefined ? 0 : Math.max(0, now - oldest);
    const secondsUntilFull = this.#secondsUntilFull(uptimeMs);
    const state = this.#deviceState(link, oldest_unacked_ms, secondsUntilFull);
    const concerns = deviceConcerns(state);
    const verdict = deviceVerdict(state);
    return {
      safe: verdict.safe,
      attention: concerns.map(({ text }) => text),
      verdict,
      concerns,
      link,
      backlog: wal.backlog,
      oldest_unacked_ms,
      durable_until_wall_ms: recorder.durableUntil(now),
      wal: {
        bytes: wal.bytes,
        bytes_max: wal.bytesMax,
        writable: wal.writable,
        error: wal.lastError,
        seconds_until_full: secondsUntilFull,
        written_bytes: wal.stats.written_bytes,
        written_bytes_per_day: uptimeMs < 1_000
          ? 0
          : Math.round(((blockBytes ?? wal.stats.written_bytes) / uptimeMs) * 86_400_000),
        block_bytes: blockBytes,
        tail: {
          in: wal.tail.in_memory ? "memory" : "disk",
          directory: wal.tail.in_memory ? memoryPlace() : undefined,
          bytes: wal.tail.bytes,
          error: wal.tail.error,
        },
      },
      degraded: recorder.isDegraded,
      downsample_n: recorder.samplesPerRecord,
      gaps: wal.gaps,
      cfg_version: config.version,
      samples: sampler.samples,
      missed_ticks: sampler.missedTicks,
      anomalies: recorder.anomalies,
      events: bank.events,
      last_events: recentEvents.read(),
      metrics: this.#metrics(),
      diagnostics: diagnostics.current,
      rules: diagnostics.rules,
      node_id: nodeId,
      epoch: wal.epoch,
      boot_id: bootId,
      next_seq: wal.nextSeq,
      high_acked: wal.highAcked,
      version,
      insecure: this.#parts.isInsecure,
      uptime_s: uptimeMs / 1_000,
      now_wall_ms: now,
      wal_stats: { ...wal.stats },
      config: config.config,
    };
  }

  #deviceState(
    link: LinkStatus,
    oldest_unacked_ms: number,
    seconds_until_full: number | undefined,
  ): DeviceState {
    const { wal, recorder, config } = this.#parts;
    return {
      connected: link.state === "connected",
      link_error: link.last_error,
      link_since_wall_ms: link.since_wall_ms,
      writable: wal.writable,
      disk_error: wal.lastError,
      gaps: wal.gaps,
      lost_records: this.#lostLately(),
      degraded: recorder.isDegraded,
      samples_per_record: recorder.samplesPerRecord,
      backlog: wal.backlog,
      oldest_unacked_ms,
      wal_bytes: wal.bytes,
      wal_bytes_max: wal.bytesMax,
      seconds_until_full,
      config_error: config.lastError,
    };
  }

  /** Losses stay in sight for a day, also once the host knows of them. */
  #lostLately(): number {
    const { wal, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lost.atMs > LOST_LATELY_MS) this.#lost.records = 0;
    if (wal.lostRecords > this.#lost.ever) {
      this.#lost.records += wal.lostRecords - this.#lost.ever;
      this.#lost.ever = wal.lostRecords;
      this.#lost.atMs = nowMs;
    }
    return this.#lost.records;
  }

  #metrics(): NodeStatus["metrics"] {
    const metrics: NodeStatus["metrics"] = {};
    const verdicts = this.#parts.bank.last;
    for (const [name, value] of Object.entries(this.#parts.sampler.lastMetrics)) {
      metrics[name] = { value, ...verdicts.get(name) };
    }
    return metrics;
  }

  async #oldestUnackedMs(): Promise<number | undefined> {
    const { wal } = this.#parts;
    if (wal.backlog === 0) return undefined;
    const seq = wal.highAcked + 1;
    if (this.#oldest?.seq === seq) return this.#oldest.wallMs;
    const [record] = await wal.read(seq, { records: 1, bytes: 1 });
    if (record === undefined) return undefined;
    const content = JSON.parse(new TextDecoder().decode(record.payload)) as RecordContent;
    this.#oldest = { seq, wallMs: content.ts_wall_ms };
    return content.ts_wall_ms;
  }

  #secondsUntilFull(uptimeMs: number): number | undefined {
    const { wal, recorder } = this.#parts;
    const perMs = recorder.writtenPerMs(uptimeMs);
    if (!(perMs > 0)) return undefined;
    return Math.round((wal.bytesMax - wal.bytes) / perMs / 1_000);
  }
}
