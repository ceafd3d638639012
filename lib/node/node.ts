/**
 * The node as a whole, one line that data takes: sensors, sampler, recorder (which appends to the log), uplink;
 * status and configuration beside. Here the parts are wired, started and stopped.
 */
import { getLogger } from "@logtape/logtape";
import { MetricBank } from "../anomaly/bank.ts";
import type { NodeSettings } from "../config/node_settings.ts";
import type { Clock, Disk, Random, Transport } from "../platform/platform.ts";
import type { Encoding } from "../protocol/message.ts";
import { Wal } from "../wal/wal.ts";
import { BaselineFile } from "./baseline_file.ts";
import { chooseDetectors } from "../anomaly/choice.ts";
import { makeSensors } from "./choices.ts";
import { ConfigListener } from "./config_listener.ts";
import { Diagnostics } from "./diagnostics.ts";
import { isLosing, type LedState } from "./led.ts";
import { Recent, RecentEvents } from "./recent.ts";
import { Recorder } from "./recorder.ts";
import { Sampler } from "./sampler.ts";
import type { Sensor, SensorRuntime } from "./sensors/sensor.ts";
import { type NodeStatus, StatusSource } from "./status.ts";
import { type LinkStatus, UplinkDriver } from "./uplink_driver.ts";

/** See {@linkcode Node.start}. */
export interface NodeOptions {
  readonly settings: NodeSettings;
  readonly nodeId: string;
  readonly version: string;
  /** Directory of the log alone. */
  readonly walDisk: Disk;
  /** Directory of the log's tail alone in memory-backed storage, where there is one. */
  readonly memoryDisk?: Disk | undefined;
  /** Where that is. */
  readonly memoryPlace?: (() => string | undefined) | undefined;
  /** Bytes that this process wrote to storage, as the kernel counts them; where it does. */
  readonly blockWrites?: (() => number | undefined) | undefined;
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
  /** The host told what stands for the authorities that it trusts; see `tagOf`. */
  readonly onAuthorities?: ((tag: string) => void) | undefined;
}

const DISK_CHECK_MS = 10_000;
const log = getLogger(["holdfast", "node"]);

/** See the head of the file. */
export class Node {
  readonly wal: Wal;
  readonly nodeId: string;
  /** The last minutes of each metric. */
  readonly recent = new Recent();
  #options: NodeOptions;
  #settings: NodeSettings;
  #config: ConfigListener;
  #bank: MetricBank;
  #baselines: BaselineFile;
  #diagnostics: Diagnostics;
  #sampler: Sampler;
  #recorder: Recorder;
  #uplink: UplinkDriver;
  #status: StatusSource;
  #diskFreeBytes: number | undefined;
  /** Settings that are swapped in at the next tick boundary. */
  #swaps: (() => void)[] = [];
  #stopSampling = new AbortController();
  #stopLog = new AbortController();
  #stopUplink = new AbortController();
  #running: { sampler: Promise<void>; others: Promise<void>[] } | undefined;

  private constructor(options: NodeOptions, wal: Wal, config: ConfigListener) {
    const { clock, random, transport, nodeId, bootId, version } = options;
    const settings = config.settings;
    this.#options = options;
    this.#settings = settings;
    this.wal = wal;
    this.nodeId = nodeId;
    this.#config = config;
    this.#bank = new MetricBank(chooseDetectors(settings), settings, runOf(bootId));
    this.#baselines = new BaselineFile({
      disk: options.configDisk,
      clock,
      bank: this.#bank,
      sampleHz: () => this.#settings.sample_hz,
    });
    this.#diagnostics = new Diagnostics(settings);
    const recentEvents = new RecentEvents();
    this.#recorder = new Recorder(
      {
        wal,
        bank: this.#bank,
        diagnostics: this.#diagnostics,
        recent: this.recent,
        recentEvents,
        bootId,
        downsampleMax: () => this.#settings.downsample_max,
        diskFreeBytes: () => this.#diskFreeBytes,
        onEvent: () => this.#baselines.soon(),
        onAppended: (seq, urgent) => this.#uplink.notify(seq, urgent),
      },
      config.version,
      clock.monotonicMs(),
    );
    this.#sampler = new Sampler({
      clock,
      sampleHz: settings.sample_hz,
      sensors: makeSensors(settings.sensors, options.sensors),
      sink: {
        record: (reading) => this.#recorder.record(reading),
        boundary: () => {
          for (const swap of this.#swaps.splice(0)) swap();
        },
      },
    });
    this.#uplink = new UplinkDriver({
      wal,
      clock,
      transport,
      random,
      hosts: settings.host.split(","),
      nodeId,
      bootId,
      version,
      token: settings.token,
      encodings: encodingsOf(settings.encoding),
      sendIntervalMs: () => this.#settings.send_interval_ms,
      reconnectMsMax: settings.reconnect_ms_max,
      cfgVersion: () => config.version,
      heartbeat: () => ({
        next_seq: wal.nextSeq,
        backlog: wal.backlog,
        wal_bytes: wal.bytes,
        wal_bytes_max: wal.bytesMax,
        degraded: this.#recorder.isDegraded,
        cfg_version: config.version,
        missed_ticks: this.#sampler.missedTicks,
      }),
      onConfig: (received) => config.receive(received),
      onAuthorities: options.onAuthorities,
    });
    this.#status = new StatusSource({
      wal,
      clock,
      bank: this.#bank,
      sampler: this.#sampler,
      recorder: this.#recorder,
      diagnostics: this.#diagnostics,
      recentEvents,
      config,
      uplink: this.#uplink,
      memoryPlace: options.memoryPlace ?? (() => undefined),
      blockWrites: options.blockWrites ?? (() => undefined),
      nodeId,
      bootId,
      version,
      isInsecure: settings.insecure && settings.tls_ca === "",
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
      memory: options.memoryDisk,
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
    this.#running = {
      sampler: this.#sampler.run(this.#stopSampling.signal),
      others: [
        wal.run(this.#stopLog.signal),
        this.#uplink.run(this.#stopUplink.signal),
        this.#watchDisk(this.#stopSampling.signal),
        this.#baselines.run(this.#stopSampling.signal),
      ],
    };
  }

  /**
   * Stops sampling, makes everything durable, sends what is left for at most `graceMs`, says goodbye to the
   * host, and closes the log. What was not sent is sent after the next start.
   */
  async stop(graceMs: number): Promise<void> {
    const deadlineMs = this.#options.clock.monotonicMs() + graceMs;
    this.#stopSampling.abort();
    await this.#running?.sampler;
    this.#recorder.flush();
    await this.wal.sync();
    const saved = this.#baselines.save();
    const drained = await this.#uplink.drain(deadlineMs);
    await this.#uplink.finalHeartbeat();
    this.#stopUplink.abort();
    this.#stopLog.abort();
    await Promise.all([...this.#running?.others ?? [], saved]);
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
    const late = this.#options.clock.monotonicMs() - this.#sampler.lastTickMs;
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
      degraded: this.#recorder.isDegraded,
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
  status(): Promise<NodeStatus> {
    return this.#status.read();
  }

  /** Checks everything that settings mean before the boundary, so that the swap itself can't fail. */
  async #apply(settings: NodeSettings, cfgVersion: number): Promise<void> {
    const choice = chooseDetectors(settings);
    const sameSensors = JSON.stringify(settings.sensors) === JSON.stringify(this.#settings.sensors);
    const sensors: Sensor[] | undefined = sameSensors
      ? undefined
      : makeSensors(settings.sensors, this.#options.sensors);
    await new Promise<void>((resolve) => {
      this.#swaps.push(() => {
        this.#settings = settings;
        this.#bank.reconfigure(choice, settings);
        if (!sameSensors) this.#bank.settle();
        this.#diagnostics.reconfigure(settings);
        this.wal.setLimits({ bytesMax: settings.wal_bytes_max });
        this.#sampler.reconfigure(settings.sample_hz, sensors);
        this.#recorder.cfgVersion = cfgVersion;
        resolve();
      });
      this.#sampler.hurry();
    });
  }

  async #watchDisk(signal: AbortSignal): Promise<void> {
    const { clock, walDisk } = this.#options;
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
  return preferred === "block" ? ["block", "ndjson"] : ["ndjson"];
}
