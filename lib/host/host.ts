/** The host as a whole: wires its parts, accepts connections, and runs what happens by the clock. */
import { getLogger } from "@logtape/logtape";
import { assert } from "../assert.ts";
import type { HostSettings } from "../config/host_settings.ts";
import { checkRuntimeConfig, problemsText } from "../config/runtime.ts";
import { oneLine, printable } from "../errors.ts";
import type { NodeSummary } from "../fleet/node_info.ts";
import { summarize } from "../fleet/verdict.ts";
import { CONFIG_BYTES_MAX } from "../limits.ts";
import type { Clock, Listener, Random, Transport } from "../platform/platform.ts";
import type { ConfigRow, Store } from "../store/store.ts";
import { Activity } from "./activity.ts";
import { Admission } from "./admission.ts";
import { AnomalyEvents } from "./anomaly_events.ts";
import { CommitQueue, type CommitStats } from "./commit_queue.ts";
import { ALL_NODES, ConfigAuthority } from "./config_authority.ts";
import type { Enroller } from "./enroller.ts";
import { EventLog } from "./event_log.ts";
import { type ActiveFault, Faults, type FaultSpec } from "./faults.ts";
import { Gate } from "./gate.ts";
import { Intake, type IntakeCounters } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import { Ledgers } from "./ledgers.ts";
import { type Node, Registry } from "./registry.ts";
import { Strangers } from "./strangers.ts";
import { Trust } from "./trust.ts";
import { type SessionCounters, SessionDriver, type SessionParts } from "./session_driver.ts";

export { ALL_NODES };

/** See the settings of the same names for meanings and ranges. */
export interface HostOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly listen: string;
  readonly version: string;
  readonly connectionsMax: number;
  readonly newcomersPerAddressMax: number;
  readonly nodesMax: number;
  readonly epochsPerNodeMax: number;
  readonly handshakeTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly broadcastMs: number;
  readonly unprocessedBytesMax: number;
  readonly inflightBytesTotal: number;
  readonly commitIntervalMs: number;
  readonly commitRecordsMax: number;
  readonly retentionAgeMs: number;
  readonly retentionBytes: number;
  readonly allowFaults: boolean;
  readonly faults: readonly FaultSpec[];
  /** What goes over the network can be read and changed on the way. */
  readonly isInsecure?: boolean;
  /** Gives devices their certificates. */
  readonly enroller?: Enroller | undefined;
  /** What stands for the authorities whose certificates it gives, as they are now; see `tagOf`. */
  readonly authorities?: () => string | undefined;
}

/** The part of the options that settings decide. */
export function limitsOf(settings: HostSettings): Omit<
  HostOptions,
  | "store"
  | "clock"
  | "random"
  | "transport"
  | "version"
  | "faults"
  | "isInsecure"
  | "enroller"
  | "authorities"
> {
  return {
    listen: settings.listen,
    connectionsMax: settings.connections_max,
    newcomersPerAddressMax: settings.newcomers_per_address_max,
    nodesMax: settings.nodes_max,
    epochsPerNodeMax: settings.epochs_per_node_max,
    handshakeTimeoutMs: settings.handshake_timeout_ms,
    heartbeatMs: settings.heartbeat_ms,
    broadcastMs: settings.broadcast_ms,
    unprocessedBytesMax: settings.unprocessed_bytes_max,
    inflightBytesTotal: settings.inflight_bytes_total,
    commitIntervalMs: settings.commit_interval_ms,
    commitRecordsMax: settings.commit_records_max,
    retentionAgeMs: settings.retention_age_s * 1_000,
    retentionBytes: settings.retention_bytes,
    allowFaults: settings.allow_faults,
  };
}

/** Counters since the start. */
export interface HostCounters extends IntakeCounters, SessionCounters {
  connections: number;
  refused_connections: number;
  /** Of whose certificate TLS said that it can't be trusted. */
  untrusted_connections: number;
}

const TICK_MS = 1_000;
const EVENTS_SAVE_MS = 1_000;
/** Events are saved each time, nodes each of so many times. */
const SAVES_PER_REGISTRY_SAVE = 10;
const RETRY_AFTER_MS = 1_000;
const BUSY_MS = 10_000;
/** How often it is looked whether those who are in still count. */
const TRUST_MS = 800;
const log = getLogger(["holdfast", "host"]);

/** See the head of the file. */
export class Host {
  readonly registry: Registry;
  readonly configs: ConfigAuthority;
  readonly faults: Faults;
  readonly store: Store;
  readonly activity = new Activity();
  readonly version: string;
  readonly allowFaults: boolean;
  readonly isInsecure: boolean;
  readonly startedWallMs: number;
  readonly events: EventLog;
  #options: HostOptions;
  #listener: Listener;
  #commits: CommitQueue;
  #ledgers: Ledgers;
  #intake: Intake;
  #admission: Admission;
  #sessionParts: SessionParts;
  #sessionCounters: SessionCounters = { bad_lines: 0, session_errors: 0 };
  #connections = { connections: 0, refused_connections: 0, untrusted_connections: 0 };
  #drivers = new Set<SessionDriver>();
  #gate: Gate<SessionDriver>;
  #strangers = new Strangers();
  #trust: Trust;
  #stop = new AbortController();
  #running: Promise<unknown>;

  private constructor(options: HostOptions, trust: Trust, listener: Listener) {
    const { store, clock } = options;
    assert(
      options.unprocessedBytesMax <= options.inflightBytesTotal,
      `unprocessed_bytes_max is ${options.unprocessedBytesMax}, must be at most inflight_bytes_total, ${options.inflightBytesTotal}`,
    );
    this.#options = options;
    this.#trust = trust;
    this.#listener = listener;
    this.store = store;
    this.version = options.version;
    this.allowFaults = options.allowFaults;
    this.isInsecure = options.isInsecure ?? false;
    this.startedWallMs = clock.wallMs();
    this.registry = new Registry(store, clock, options.nodesMax);
    this.configs = new ConfigAuthority(store);
    this.events = new EventLog(store, clock);
    this.faults = new Faults(clock, options.random);
    if (options.allowFaults) { for (const fault of options.faults) this.faults.add(fault); }
    this.#commits = new CommitQueue({
      store,
      clock,
      intervalMs: options.commitIntervalMs,
      recordsMax: options.commitRecordsMax,
      onCommitted: (ledgers) => this.#committed(ledgers),
      onFailed: (...failed) => this.#commitFailed(...failed),
    });
    this.#ledgers = new Ledgers(
      store,
      options.epochsPerNodeMax,
      (ledger) => this.#commits.isSettled(ledger),
    );
    const { registry, configs, events } = this;
    this.#intake = new Intake({
      clock,
      registry,
      activity: this.activity,
      anomalies: new AnomalyEvents(ALL_NODES),
      events,
      commits: this.#commits,
      heldBytesMax: options.unprocessedBytesMax,
      heldBytesTotalMax: options.inflightBytesTotal,
    });
    this.#admission = new Admission({
      registry,
      ledgers: this.#ledgers,
      intake: this.#intake,
      configs,
      events,
      onHidden: (target, config) => void this.setConfig(target, config).catch(() => {}),
    });
    this.#gate = new Gate({
      connectionsMax: options.connectionsMax,
      newcomersPerAddressMax: options.newcomersPerAddressMax,
      known: () => registry.nodes,
    });
    this.#sessionParts = {
      clock,
      limits: {
        hostId: this.hostId,
        handshakeMs: options.handshakeTimeoutMs,
        heartbeatMs: options.heartbeatMs,
        broadcastMs: options.broadcastMs,
      },
      inflightBytesTotal: options.inflightBytesTotal,
      registry,
      intake: this.#intake,
      events,
      faults: this.faults,
      counters: this.#sessionCounters,
      enroller: options.enroller,
      trust,
      onDistrusted: (driver, reason) => this.#refuseUntrusted(driver, reason),
      admit: (driver, hello, encoding) => this.#admission.admit(driver, hello, encoding),
    };
    const { retentionAgeMs: ageMs, retentionBytes: bytesMax } = options;
    if (ageMs > 0 || bytesMax > 0) {
      store.keepWithin({ ...(ageMs > 0 ? { ageMs } : {}), ...(bytesMax > 0 ? { bytesMax } : {}) });
    }
    this.#running = Promise.all([
      this.#acceptLoop(),
      this.#tickLoop(),
      this.#saveLoop(),
      this.#broadcastLoop(),
      this.#trustLoop(),
    ]);
  }

  /** Listens and serves until `stop`. Rejects with one line where it can't listen. */
  static async start(options: HostOptions): Promise<Host> {
    const trust = await Trust.load(options.store, options.clock);
    return new Host(options, trust, await options.transport.listen(options.listen));
  }

  /** What gives devices their certificates, where this host can. */
  get enroller(): Enroller | undefined {
    return this.#options.enroller;
  }
  /** The address that nodes reach. */
  get address(): string {
    return this.#listener.address;
  }
  get hostId(): string {
    return this.store.state.host_id;
  }
  /** What to say of those who weren't let in lately. */
  get strangers(): string | undefined {
    return this.#strangers.lately(this.#options.clock.monotonicMs());
  }
  get connections(): number {
    return this.#drivers.size;
  }
  /** Ledgers in memory: one for each session, and those that wait for a commit. */
  get ledgersHeld(): number {
    return this.#ledgers.size;
  }
  get commitStats(): Readonly<CommitStats> {
    return this.#commits.stats;
  }
  get counters(): HostCounters {
    return { ...this.#connections, ...this.#intake.counters, ...this.#sessionCounters };
  }
  /** Records received and not durable yet. */
  get waitingRecords(): number {
    return this.#commits.waitingRecords;
  }

  /** Ends all sessions after their last acks, commits what was received, saves, and closes the store. */
  async stop(): Promise<void> {
    this.#listener.close();
    const drivers = [...this.#drivers];
    await Promise.all(
      drivers.map((driver) => driver.finish("shutdown", "the host stops", RETRY_AFTER_MS)),
    );
    this.#stop.abort();
    await Promise.all(drivers.map((driver) => driver.ended));
    await this.#running;
    await this.#commits.flush();
    await this.registry.save();
    await this.events.close();
    await this.store.close();
  }

  /**
   * Sets the configuration of a node, or of all with {@linkcode ALL_NODES}; durable and sent to who is
   * connected when it resolves. A configuration that no node could use is refused with one line.
   */
  async setConfig(
    target: string,
    config: Record<string, unknown>,
  ): Promise<{ ok: true; row: ConfigRow } | { ok: false; error: string }> {
    const checked = checkRuntimeConfig(config);
    if (!checked.ok) return { ok: false, error: problemsText(checked.problems) };
    const bytes = new TextEncoder().encode(JSON.stringify(config)).length;
    if (bytes > CONFIG_BYTES_MAX) {
      const error =
        `a configuration may have at most ${CONFIG_BYTES_MAX} bytes, this one has ${bytes}`;
      return { ok: false, error };
    }
    const row = await this.configs.set(target, config, this.#options.clock.wallMs());
    this.events.add("config_wanted", target, { cfg_version: row.cfg_version });
    for (const [nodeId, driver] of this.#admission.sessions) {
      const desired = this.configs.desired(nodeId);
      if (desired?.cfg_version !== row.cfg_version) continue;
      this.registry.configWanted(nodeId, row.cfg_version);
      driver.pushConfig(desired);
    }
    return { ok: true, row };
  }

  addFault(spec: FaultSpec): ActiveFault {
    log.warn("fault injected: {kind}", { ...spec });
    return this.faults.add(spec);
  }

  /**
   * Forgets a node that is not connected, and with `records` all that is stored of it. Rejects with one line
   * where it is connected or the store fails.
   */
  async forget(nodeId: string, records: boolean): Promise<void> {
    await this.#admission.whileClosed(nodeId, async () => {
      await this.#commits.flush();
      await this.store.forgetNode(nodeId, records);
      this.registry.forget(nodeId);
      this.activity.forget(nodeId);
      this.events.add("forgotten", nodeId, { records });
    });
  }

  /** The nodes as they are now. */
  summaries(): NodeSummary[] {
    return this.registry.nodes.map((node) => this.summaryOf(node));
  }
  summaryOf(node: Node): NodeSummary {
    const { clock } = this.#options;
    const wallMs = clock.wallMs();
    const cfg_version_desired = this.configs.desired(node.node_id)?.cfg_version ?? 0;
    const activity = this.activity.of(node, wallMs, clock.monotonicMs());
    return summarize({ ...node, cfg_version_desired }, activity, wallMs);
  }

  /** Who says nothing makes room for a newer connection. */
  #dismiss(driver: SessionDriver | undefined): void {
    if (driver === undefined) return;
    this.#connections.refused_connections++;
    driver.refuse("busy", "too many connections haven't said hello", BUSY_MS);
  }

  /** Who isn't the node that they say. */
  #refuseUntrusted(driver: SessionDriver, reason: string): void {
    this.noteUntrusted(driver.connection.peer, reason);
    driver.refuse("forbidden", `not let in: ${reason}`);
  }

  /** Somebody was not let in, as their certificate or token doesn't count. */
  noteUntrusted(peer: string, reason: string): void {
    this.#connections.untrusted_connections++;
    this.#strangers.refused(peer, printable(reason), this.#options.clock.monotonicMs());
    log.warn("{peer}: refused: {reason}", { peer, reason: printable(reason) });
  }

  /** Whether the certificate of that serial number counts no more. */
  isRevoked(serial: string): boolean {
    return this.#trust.isRevoked(serial);
  }

  /** Ends the sessions of those who don't count any more, within a second. */
  async #trustLoop(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#stop.signal.aborted) {
      await clock.sleepUntil(clock.monotonicMs() + TRUST_MS, this.#stop.signal);
      await this.#trust.look();
      for (const driver of this.#drivers) {
        if (driver.isClosed || driver.nodeId === undefined) continue;
        const reason = this.#trust.problem(driver);
        if (reason !== undefined) this.#refuseUntrusted(driver, reason);
      }
    }
  }

  async #acceptLoop(): Promise<void> {
    for (;;) {
      const accepted = await this.#listener.accept();
      if (accepted === undefined) return;
      this.#connections.connections++;
      if (this.faults.strikes("refuse") !== undefined) {
        accepted.close();
        continue;
      }
      const connection = this.allowFaults ? this.faults.wrap(accepted) : accepted;
      const driver = new SessionDriver(connection, this.#sessionParts);
      const { clock } = this.#options;
      const refusal = this.#gate.refusal(accepted, this.#drivers.size, clock.monotonicMs());
      if (refusal !== undefined) {
        this.#connections.refused_connections++;
        driver.refuse("busy", refusal, BUSY_MS);
        continue;
      }
      const distrust = this.#trust.refusal(accepted, this.#options.enroller !== undefined);
      if (distrust !== undefined) {
        this.#refuseUntrusted(driver, distrust);
        continue;
      }
      this.#drivers.add(driver);
      this.#dismiss(this.#gate.entered(driver, this.#drivers.size));
      driver.run().then(() => {
        this.#drivers.delete(driver);
        this.#gate.left(driver);
        this.#admission.ended(driver);
      });
    }
  }

  /** Deadlines alone: nothing in here waits for the disk. */
  async #tickLoop(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleepUntil(clock.monotonicMs() + TICK_MS, signal);
      const drops = this.faults.dropsAll();
      for (const driver of this.#drivers) {
        if (drops) driver.close();
        driver.tick(clock.monotonicMs());
      }
      this.registry.tick();
      for (const [nodeId] of this.#admission.sessions) this.#noteClockError(nodeId);
      this.#intake.tick(this.#admission.sessions.size);
      this.events.tick();
    }
  }

  async #saveLoop(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    for (let turn = 1; !signal.aborted; turn++) {
      await clock.sleepUntil(clock.monotonicMs() + EVENTS_SAVE_MS, signal);
      await this.events.save();
      if (turn % SAVES_PER_REGISTRY_SAVE === 0) await this.registry.save();
    }
  }

  async #broadcastLoop(): Promise<void> {
    const { clock, broadcastMs } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleepUntil(clock.monotonicMs() + broadcastMs, signal);
      const authorities = this.#options.authorities?.();
      for (const [nodeId, driver] of this.#admission.sessions) {
        const desired = this.configs.desired(nodeId);
        // One that was set while the node was being let in.
        if (desired !== undefined) driver.pushConfig(desired);
        driver.broadcast(desired?.cfg_version ?? 0, authorities);
      }
    }
  }

  #noteClockError(nodeId: string): void {
    const node = this.registry.get(nodeId);
    if (node === undefined) return;
    const { clock } = this.#options;
    const activity = this.activity.of(node, clock.wallMs(), clock.monotonicMs());
    this.registry.clockError(node, activity.clock_error_ms);
  }

  #committed(ledgers: readonly Ledger[]): void {
    for (const ledger of ledgers) {
      const driver = this.#admission.sessionOf(ledger);
      if (driver?.node === undefined) {
        this.#ledgers.dropIfIdle(ledger);
        continue;
      }
      if (this.registry.committed(driver.node, ledger)) {
        this.events.add("replayed", driver.node.node_id, { high_acked: ledger.highAcked });
      }
      driver.ack();
    }
  }

  #commitFailed(ledgers: readonly Ledger[], reason: string, isOvertaken: boolean): void {
    const code = isOvertaken ? "superseded" : "store_failed";
    for (const ledger of ledgers) {
      const driver = this.#admission.sessionOf(ledger);
      driver?.refuse(code, `store: ${oneLine(reason)}`, RETRY_AFTER_MS);
      if (isOvertaken) this.#ledgers.drop(ledger);
      else this.#ledgers.dropIfIdle(ledger);
    }
  }
}
