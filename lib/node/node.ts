/** The node as a whole: sensors to sampler to log to uplink, with status and configuration beside. */
import { getLogger } from "@logtape/logtape";
import { MetricBank } from "../anomaly/bank.ts";
import type { NodeSettings } from "../config/node_settings.ts";
import type { Clock, Disk, Random, Transport } from "../platform/platform.ts";
import { encodeContent, type RecordContent } from "../protocol/record.ts";
import type { Encoding } from "../protocol/message.ts";
import { Wal } from "../wal/wal.ts";
import { BaselineFile } from "./baseline_file.ts";
import { chooseDetectors, makeSensors } from "./choices.ts";
import { ConfigListener } from "./config_listener.ts";
import { Diagnostics } from "./diagnostics.ts";
import { Degraded, Downsampler, type Pressure, samplesPerRecord } from "./downsample.ts";
import { isLosing, type LedState } from "./led.ts";
import { Recent, RecentEvents } from "./recent.ts";
import { Sampler } from "./sampler.ts";
import type { Sensor, SensorRuntime } from "./sensors/sensor.ts";
import type { NodeStatus } from "./status.ts";
import { type LinkStatus, UplinkDriver } from "./uplink_driver.ts";

/** See {@linkcode Node.start}. */
export interface NodeOptions {
  readonly settings: NodeSettings;
  readonly nodeId: string;
  readonly version: string;
  /** Directory of the log alone. */
  readonly walDisk: Disk;
  /** Directory of the applied configuration. */
  readonly configDisk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly sensors: SensorRuntime;
  /** Identity of this run of the monotonic clock. */
  readonly bootId: string;
  /** Identity of this run of the operating system. */
  readonly osBootId: string;
}

const DISK_CHECK_MS = 10_000;
/** Time over which it is measured how fast the log is written. */
const WRITTEN_MS = 60_000;
const log = getLogger(["holdfast", "node"]);

/** See the head of the file. */
export class Node {
  readonly wal: Wal;
  readonly nodeId: string;
  /** The last minutes of each metric. */
  readonly recent = new Recent();
  #o: NodeOptions;
  #settings: NodeSettings;
  #config: ConfigListener;
  #bank: MetricBank;
  #baselines: BaselineFile;
  #diagnostics: Diagnostics;
  #sampler: Sampler;
  #uplink: UplinkDriver;
  #degraded = new Degraded();
  #downsampler = new Downsampler();
  #samplesPerRecord = 1;
  #anomalies = 0;
  #diskFreeBytes: number | undefined;
  #pending: (() => void)[] = [];
  #stopSampling = new AbortController();
  #stopLog = new AbortController();
  #stopUplink = new AbortController();
  #running: Promise<void>[] = [];
  #startedMs: number;
  #recentEvents = new RecentEvents();
  #written = { atMs: 0, bytes: 0, perMs: 0 };
  /** Wall time of each record that no sync covers yet, oldest first. */
  #unsynced: { seq: number; wallMs: number }[] = [];
  #oldest: { seq: number; wallMs: number } | undefined;

  private constructor(options: NodeOptions, wal: Wal, config: ConfigListener) {
    const { clock, random, transport } = options;
    const settings = config.settings;
    this.#o = options;
    this.#settings = settings;
    this.wal = wal;
    this.nodeId = options.nodeId;
    this.#config = config;
    this.#startedMs = clock.monotonicMs();
    this.#written.atMs = this.#startedMs;
    this.#bank = new MetricBank(chooseDetectors(settings), settings, runOf(options.bootId));
    this.#baselines = new BaselineFile({
      disk: options.configDisk,
      clock,
      bank: this.#bank,
      sampleHz: () => this.#settings.sample_hz,
    });
    this.#diagnostics = new Diagnostics(settings);
    this.#sampler = new Sampler({
      clock,
      bootId: options.bootId,
      sampleHz: settings.sample_hz,
      sensors: makeSensors(settings.sensors, options.sensors),
      cfgVersion: config.version,
      sink: {
        detect: (metrics, now) => {
          const block = this.#bank.observe(metrics, now);
          if (block.events?.some(({ state }) => state !== "update")) this.#baselines.soon();
          this.recent.add(metrics, (name) => name in block.metrics, now);
          for (const event of block.events ?? []) this.#recentEvents.add(event);
          return block;
        },
        diagnose: (metrics, problems, wallMs, monoMs, missedTicks) =>
          this.#diagnostics.judge(metrics, problems, {
            wallMs,
            monoMs,
            missedTicks,
            walWritable: wal.writable,
            diskFreeBytes: this.#diskFreeBytes,
            ringPressure: this.#pressure().ring,
          }),
        take: (sample) => this.#take(sample),
        boundary: () => {
          for (const swap of this.#pending.splice(0)) swap();
        },
      },
    });
    this.#uplink = new UplinkDriver({
      wal,
      clock,
      transport,
      random,
      hosts: settings.host.split(","),
      nodeId: options.nodeId,
      bootId: options.bootId,
      version: options.version,
      encodings: encodingsOf(settings.encoding),
      sendIntervalMs: () => this.#settings.send_interval_ms,
      reconnectMsMax: settings.reconnect_ms_max,
      cfgVersion: () => this.#config.version,
      heartbeat: () => ({
        next_seq: wal.nextSeq,
        backlog: wal.backlog,
        wal_bytes: wal.bytes,
        wal_bytes_max: wal.bytesMax,
        degraded: this.#degraded.on,
        cfg_version: this.#config.version,
        missed_ticks: this.#sampler.missedTicks,
      }),
      onConfig: (received) => this.#config.receive(received),
    });
    config.onApply((wanted, cfgVersion) => this.#apply(wanted, cfgVersion));
  }

  /**
   * Opens the log in whatever state it is, and starts sampling and sending. Rejects only for settings that
   * can't be used, with one line.
   */
  static async start(options: NodeOptions): Promise<Node> {
    const config = await ConfigListener.load(options.configDisk, options.settings);
    const { settings } = config;
    const wal = await Wal.open({
      disk: options.walDisk,
      clock: options.clock,
      random: options.random,
      osBootId: options.osBootId,
      ringRecords: settings.ring_records,
      bytesMax: settings.wal_bytes_max,
      sync: settings.wal_sync,
      syncIntervalMs: settings.wal_sync_interval_ms,
    });
    const node = new Node(options, wal, config);
    await node.#baselines.load();
    node.#start();
    return node;
  }

  #start(): void {
    const { wal } = this;
    log.info("node {id} of epoch {epoch}: next seq {next}, {backlog} records not acked", {
      id: this.nodeId,
      epoch: wal.epoch,
      next: wal.nextSeq,
      backlog: wal.backlog,
    });
    this.#running = [
      wal.run(this.#stopLog.signal),
      this.#sampler.run(this.#stopSampling.signal),
      this.#uplink.run(this.#stopUplink.signal),
      this.#watchDisk(this.#stopSampling.signal),
      this.#baselines.run(this.#stopSampling.signal),
    ];
  }

  /**
   * Stops sampling, makes everything durable, sends what is left for at most `graceMs`, says goodbye to the
   * host, and closes the log. What was not sent is sent after the next start.
   */
  async stop(graceMs: number): Promise<void> {
    const deadlineMs = this.#o.clock.monotonicMs() + graceMs;
    this.#stopSampling.abort();
    await this.#running[1];
    for (const record of this.#downsampler.flush()) this.#append(record);
    await this.wal.sync();
    const saved = this.#baselines.save();
    const drained = await this.#uplink.drain(deadlineMs);
    await this.#uplink.finalHeartbeat();
    this.#stopUplink.abort();
    this.#stopLog.abort();
    await Promise.all([...this.#running, saved]);
    await this.wal.close();
    log.info("stopped at seq {last}, {backlog} records not acked", {
      last: this.wal.nextSeq - 1,
      backlog: drained ? 0 : this.wal.backlog,
    });
  }

  /** Local settings were read anew; those that can change at run time do. Rejects with one line. */
  reload(settings: NodeSettings): Promise<void> {
    return this.#config.reload(settings);
  }

  /** Whether samples are being taken; otherwise why not. */
  health(): string | undefined {
    const late = this.#o.clock.monotonicMs() - this.#sampler.lastTickMs;
    const allowed = 3 * this.#sampler.periodMs + 2_000;
    return late > allowed ? `no sample for ${Math.round(late)} ms` : undefined;
  }

  /** What the health LED shows. */
  get ledState(): LedState {
    const { wal } = this;
    return {
      sampling: this.health() === undefined,
      writable: wal.writable,
      losing: isLosing(wal.gaps),
      anomaly: this.#bank.events.open > 0,
      degraded: this.#degraded.on,
      connected: this.#uplink.status().state === "connected",
    };
  }

  /** The link as it is now. */
  get link(): LinkStatus {
    return this.#uplink.status();
  }
  /** Samples taken, and ticks that were missed, since the start. */
  get sampled(): { readonly samples: number; readonly missedTicks: number } {
    const { samples, missedTicks } = this.#sampler;
    return { samples, missedTicks };
  }
  /** Version of the configuration in force; 0 before the first. */
  get cfgVersion(): number {
    return this.#config.version;
  }

  /** Everything at a glance. */
  async status(): Promise<NodeStatus> {
    const { clock } = this.#o;
    const { wal } = this;
    const now = clock.wallMs();
    const uptimeMs = clock.monotonicMs() - this.#startedMs;
    const link = this.#uplink.status();
    const oldest = await this.#oldestUnackedMs();
    const attention = this.#attention(link.state === "connected");
    return {
      safe: wal.writable && wal.gaps.length === 0,
      attention,
      link,
      backlog: wal.backlog,
      oldest_unacked_ms: oldest === undefined ? 0 : Math.max(0, now - oldest),
      durable_until_wall_ms: this.#durableUntil(now),
      wal: {
        bytes: wal.bytes,
        bytes_max: wal.bytesMax,
        writable: wal.writable,
        error: wal.lastError,
        seconds_until_full: this.#secondsUntilFull(uptimeMs),
        written_bytes: wal.stats.written_bytes,
        written_bytes_per_day: uptimeMs < 1_000
          ? 0
          : Math.round((wal.stats.written_bytes / uptimeMs) * 86_400_000),
      },
      degraded: this.#degraded.on,
      downsample_n: this.#samplesPerRecord,
      gaps: wal.gaps,
      cfg_version: this.#config.version,
      samples: this.#sampler.samples,
      missed_ticks: this.#sampler.missedTicks,
      anomalies: this.#anomalies,
      events: this.#bank.events,
      last_events: this.#recentEvents.read(),
      metrics: this.#metrics(),
      diagnostics: this.#diagnostics.current,
      rules: this.#diagnostics.rules,
      node_id: this.nodeId,
      epoch: wal.epoch,
      boot_id: this.#o.bootId,
      next_seq: wal.nextSeq,
      high_acked: wal.highAcked,
      version: this.#o.version,
      uptime_s: uptimeMs / 1_000,
      now_wall_ms: now,
      wal_stats: { ...wal.stats },
      config: this.#config.config,
    };
  }

  #attention(connected: boolean): string[] {
    const { wal } = this;
    return [
      ...(connected ? [] : ["no host is connected"]),
      ...(wal.writable ? [] : [`records are in memory only: ${wal.lastError}`]),
      ...wal.gaps.map(({ from_seq, to_seq, reason }) =>
        `lost: seq ${from_seq} to ${to_seq}, ${reason}`
      ),
      ...(this.#degraded.on
        ? [`degraded: a record stands for ${this.#samplesPerRecord} samples`]
        : []),
    ];
  }

  #metrics(): NodeStatus["metrics"] {
    const metrics: NodeStatus["metrics"] = {};
    const verdicts = this.#bank.last;
    for (const [name, value] of Object.entries(this.#sampler.lastMetrics)) {
      const verdict = verdicts.get(name);
      metrics[name] = { value, ...verdict };
    }
    return metrics;
  }

  #durableUntil(now: number): number {
    const { syncedSeq, highAcked } = this.wal;
    const safe = Math.max(syncedSeq, highAcked);
    this.#unsynced = this.#unsynced.filter(({ seq }) => seq > safe);
    return this.#unsynced[0]?.wallMs ?? now;
  }

  async #oldestUnackedMs(): Promise<number | undefined> {
    const { wal } = this;
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
    const { wal } = this;
    const perMs = this.#written.perMs || wal.stats.written_bytes / uptimeMs;
    if (!(perMs > 0)) return undefined;
    return Math.round((wal.bytesMax - wal.bytes) / perMs / 1_000);
  }

  #pressure(): Pressure {
    const { wal } = this;
    return {
      ring: wal.backlog / wal.ringRecords,
      wal: wal.bytes / wal.bytesMax,
      writable: wal.writable,
    };
  }

  #take(sample: RecordContent): void {
    const pressure = this.#pressure();
    const wasOn = this.#degraded.on;
    const isOn = this.#degraded.update(pressure);
    if (isOn !== wasOn) {
      log.warn(isOn ? "degraded: records are thinned" : "no longer degraded", { ...pressure });
    }
    this.#samplesPerRecord = samplesPerRecord(isOn, pressure, this.#settings.downsample_max);
    this.#sampler.degraded = isOn;
    this.#noteWritten(sample.ts_mono_ms);
    for (const record of this.#downsampler.push(sample, this.#samplesPerRecord)) {
      this.#append(record);
    }
  }

  #append(record: RecordContent): void {
    const seq = this.wal.append(encodeContent(record));
    this.#unsynced.push({ seq, wallMs: record.ts_wall_ms });
    if (this.#unsynced.length > 4_096) this.#durableUntil(record.ts_wall_ms);
    if (this.#unsynced.length > 4_096) this.#unsynced.splice(1, 2_048);
    if (record.anomaly.is_anomaly) this.#anomalies++;
    this.#uplink.notify(seq, record.anomaly.is_anomaly || record.anomaly.events !== undefined);
  }

  #noteWritten(monoMs: number): void {
    const { atMs, bytes } = this.#written;
    if (monoMs - atMs < WRITTEN_MS) return;
    const now = this.wal.stats.written_bytes;
    this.#written = { atMs: monoMs, bytes: now, perMs: (now - bytes) / (monoMs - atMs) };
  }

  /** Checks everything that settings mean before the boundary, so that the swap itself can't fail. */
  async #apply(settings: NodeSettings, cfgVersion: number): Promise<void> {
    const choice = chooseDetectors(settings);
    const sameSensors = JSON.stringify(settings.sensors) === JSON.stringify(this.#settings.sensors);
    const sensors: Sensor[] | undefined = sameSensors
      ? undefined
      : makeSensors(settings.sensors, this.#o.sensors);
    await new Promise<void>((resolve) => {
      this.#pending.push(() => {
        this.#settings = settings;
        this.#bank.reconfigure(choice, settings);
        if (!sameSensors) this.#bank.settle();
        this.#diagnostics.reconfigure(settings);
        this.wal.setLimits({ bytesMax: settings.wal_bytes_max });
        this.#sampler.reconfigure(settings.sample_hz, sensors);
        this.#sampler.cfgVersion = cfgVersion;
        resolve();
      });
      this.#sampler.hurry();
    });
  }

  async #watchDisk(signal: AbortSignal): Promise<void> {
    const { clock, walDisk } = this.#o;
    while (!signal.aborted) {
      this.#diskFreeBytes = await walDisk.freeBytes();
      await clock.sleepUntil(clock.monotonicMs() + DISK_CHECK_MS, signal);
    }
  }
}

/** Enough of the run's identity to tell its events from those of other runs. */
function runOf(bootId: string): string {
  return bootId.slice(-12);
}

function encodingsOf(preferred: Encoding): Encoding[] {
  return preferred === "deflate" ? ["deflate", "ndjson"] : ["ndjson"];
}
