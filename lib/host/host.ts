/** The host as a whole: sessions, ledgers, group commit, registry, configurations, faults, retention. */
import { getLogger } from "@logtape/logtape";
import type { HostSettings } from "../config/host_settings.ts";
import { checkRuntimeConfig, problemsText } from "../config/runtime.ts";
import type { Clock, Listener, Random, Transport } from "../platform/platform.ts";
import type { ConfigRow, EventRow, Store } from "../platform/store.ts";
import type { Credit, Encoding, Hello } from "../protocol/message.ts";
import type { TelemetryRecord } from "../protocol/record.ts";
import { Activity, type NodeActivity } from "./activity.ts";
import { AnomalyEvents, type HostEvent } from "./anomaly_events.ts";
import { CommitQueue, type CommitStats } from "./commit_queue.ts";
import { ALL_NODES, ConfigAuthority } from "./config_authority.ts";
import { creditFor } from "./credit.ts";
import { type ActiveFault, Faults, type FaultSpec } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { type NodeInfo, Registry } from "./registry.ts";
import type { SessionEffect } from "./session.ts";
import { type Admission, SessionDriver, type SessionHost } from "./session_driver.ts";

/** See the settings of the same names for meanings and ranges. */
export interface HostOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly listen: string;
  readonly version: string;
  readonly connectionsMax: number;
  readonly nodesMax: number;
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
}

/** The part of the options that settings decide. */
export function limitsOf(settings: HostSettings): Omit<
  HostOptions,
  "store" | "clock" | "random" | "transport" | "version" | "faults"
> {
  return {
    listen: settings.listen,
    connectionsMax: settings.connections_max,
    nodesMax: settings.nodes_max,
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

/** A node as pages and API show it. */
export type NodeSummary = NodeInfo & NodeActivity;

/** Counters since the start. */
export interface HostCounters {
  connections: number;
  refused_connections: number;
  records: number;
  duplicates: number;
  bad_lines: number;
  gap_records: number;
  retained_away_records: number;
}

const TICK_MS = 1_000;
const SAVE_TICKS = 10;
const RETRY_AFTER_MS = 1_000;
const EVENTS_WAITING_MAX = 10_000;
/** Fewer records than that were just on their way when a session ended: sending them again is no replay. */
const REPLAY_RECORDS_MIN = 20;
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
  readonly counters: HostCounters = {
    connections: 0,
    refused_connections: 0,
    records: 0,
    duplicates: 0,
    bad_lines: 0,
    gap_records: 0,
    retained_away_records: 0,
  };
  #o: HostOptions;
  #listener: Listener;
  #commits: CommitQueue;
  #ledgers = new Map<string, Ledger>();
  #drivers = new Set<SessionDriver>();
  /** The session that speaks for a node; a newer one takes its place. */
  #current = new Map<string, SessionDriver>();
  #byLedger = new Map<Ledger, SessionDriver>();
  #events: EventRow[] = [];
  #anomalies = new AnomalyEvents(ALL_NODES);
  #stop = new AbortController();
  #running: Promise<unknown>;
  readonly startedWallMs: number;

  private constructor(options: HostOptions, listener: Listener) {
    this.#o = options;
    this.#listener = listener;
    this.store = options.store;
    this.version = options.version;
    this.allowFaults = options.allowFaults;
    this.startedWallMs = options.clock.wallMs();
    this.registry = new Registry(options.store, options.nodesMax);
    this.configs = new ConfigAuthority(options.store);
    this.faults = new Faults(options.clock, options.random);
    if (options.allowFaults) { for (const fault of options.faults) this.faults.add(fault); }
    for (const state of options.store.state.epochs) {
      this.#ledgers.set(key(state.node_id, state.epoch), new Ledger(state));
    }
    this.#commits = new CommitQueue({
      store: options.store,
      clock: options.clock,
      intervalMs: options.commitIntervalMs,
      recordsMax: options.commitRecordsMax,
      onCommitted: (ledgers) => this.#committed(ledgers),
      onFailed: (ledgers, reason) => this.#commitFailed(ledgers, reason),
    });
    this.#running = Promise.all([this.#acceptLoop(), this.#tickLoop(), this.#broadcastLoop()]);
  }

  /** Listens and serves until `stop`. Rejects with one line where it can't listen. */
  static async start(options: HostOptions): Promise<Host> {
    return new Host(options, await options.transport.listen(options.listen));
  }

  /** The address that nodes reach. */
  get address(): string {
    return this.#listener.address;
  }
  get hostId(): string {
    return this.store.state.host_id;
  }
  get connections(): number {
    return this.#drivers.size;
  }
  get commitStats(): Readonly<CommitStats> {
    return this.#commits.stats;
  }
  /** Records received and not durable yet. */
  get waitingRecords(): number {
    return this.#commits.waiting;
  }

  /** Ends all sessions, commits what was received, saves, and closes the store. */
  async stop(): Promise<void> {
    this.#listener.close();
    for (const driver of this.#drivers) driver.refuse("shutdown", "the host stops", RETRY_AFTER_MS);
    this.#stop.abort();
    await Promise.all([...this.#drivers].map((driver) => driver.ended));
    await this.#running;
    await this.#commits.flush();
    await this.registry.save();
    await this.#saveEvents();
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
    const row = await this.configs.set(target, config, this.#o.clock.wallMs());
    this.event("config_wanted", target, { cfg_version: row.cfg_version });
    for (const [nodeId, driver] of this.#current) {
      const desired = this.configs.desired(nodeId);
      if (desired?.cfg_version !== row.cfg_version) continue;
      driver.pushConfig(desired);
    }
    return { ok: true, row };
  }

  addFault(spec: FaultSpec): ActiveFault {
    log.warn("fault injected: {kind}", { ...spec });
    return this.faults.add(spec);
  }

  /** Notes that something happened; written soon. */
  event(kind: string, nodeId: string, detail: Record<string, unknown>): void {
    if (this.#events.length >= EVENTS_WAITING_MAX) this.#events.shift();
    this.#events.push({ at_wall_ms: this.#o.clock.wallMs(), node_id: nodeId, kind, detail });
    const text = Object.entries(detail)
      .filter(([, value]) => typeof value !== "object" || isNames(value))
      .map(([name, value]) => `${name}=${value}`).join(" ");
    log.info("{node_id}: {kind} {text}", { node_id: nodeId, kind, text, ...detail });
  }

  /** The nodes as they are now. */
  summaries(): NodeSummary[] {
    return this.registry.nodes.map((node) => this.summaryOf(node));
  }
  summaryOf(node: NodeInfo): NodeSummary {
    const { clock } = this.#o;
    return {
      ...node,
      cfg_version_desired: this.configs.desired(node.node_id)?.cfg_version ?? 0,
      ...this.activity.of(node, clock.wallMs(), clock.monotonicMs()),
    };
  }

  #received(node: NodeInfo, record: TelemetryRecord, line: string): void {
    const { clock } = this.#o;
    this.activity.record(record, line);
    const jump = Number(record.diagnostics.clock_jump_ms ?? 0);
    if (jump !== 0) node.clock_jumps = (node.clock_jumps ?? 0) + 1;
    if (record.anomaly.events === undefined) return;
    const events = this.#anomalies.take(node, record, clock.wallMs());
    for (const { kind } of events) {
      if (kind !== "anomaly_open") continue;
      node.anomaly_events = (node.anomaly_events ?? 0) + 1;
      this.activity.anomalyOpened(node.node_id, clock.monotonicMs());
    }
    this.#noteAll(events);
  }

  #noteAll(events: readonly HostEvent[]): void {
    for (const { kind, nodeId, detail } of events) this.event(kind, nodeId, detail);
  }

  async #acceptLoop(): Promise<void> {
    for (;;) {
      const accepted = await this.#listener.accept();
      if (accepted === undefined) return;
      this.counters.connections++;
      if (this.faults.strikes("refuse") !== undefined) {
        accepted.close();
        continue;
      }
      const connection = this.allowFaults ? this.faults.wrap(accepted) : accepted;
      const driver = new SessionDriver(connection, this.#sessionHost);
      if (this.#drivers.size >= this.#o.connectionsMax) {
        this.counters.refused_connections++;
        driver.refuse("busy", "the host has as many connections as it allows", 10_000);
        continue;
      }
      this.#drivers.add(driver);
      driver.run().then(() => this.#ended(driver));
    }
  }

  async #tickLoop(): Promise<void> {
    const { clock } = this.#o;
    const { signal } = this.#stop;
    for (let tick = 1; !signal.aborted; tick++) {
      await clock.sleepUntil(clock.monotonicMs() + TICK_MS, signal);
      const drops = this.faults.dropsAll();
      for (const driver of this.#drivers) {
        if (drops) driver.close();
        driver.tick(clock.monotonicMs());
      }
      this.registry.tick(clock.wallMs());
      this.#noteAll(this.#anomalies.tick(clock.wallMs(), this.#current.size));
      await this.#saveEvents();
      if (tick % SAVE_TICKS === 0) {
        await this.registry.save();
        await this.#retain();
      }
    }
  }

  async #broadcastLoop(): Promise<void> {
    const { clock, broadcastMs } = this.#o;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleepUntil(clock.monotonicMs() + broadcastMs, signal);
      for (const [nodeId, driver] of this.#current) {
        const desired = this.configs.desired(nodeId);
        // One that was set while the node was being let in.
        if (desired !== undefined) driver.pushConfig(desired);
        driver.broadcast(desired?.cfg_version ?? 0);
      }
    }
  }

  async #retain(): Promise<void> {
    const { retentionAgeMs, retentionBytes, clock } = this.#o;
    if (retentionAgeMs === 0 && retentionBytes === 0) return;
    try {
      this.counters.retained_away_records += await this.store.retain({
        ...(retentionAgeMs > 0 ? { olderThanWallMs: clock.wallMs() - retentionAgeMs } : {}),
        ...(retentionBytes > 0 ? { bytesMax: retentionBytes } : {}),
      });
    } catch (error) {
      log.error("old records can't be deleted: {reason}", { reason: String(error) });
    }
  }

  async #saveEvents(): Promise<void> {
    if (this.#events.length === 0) return;
    const events = this.#events;
    this.#events = [];
    try {
      await this.store.addEvents(events);
    } catch {
      this.#events = [...events, ...this.#events].slice(-EVENTS_WAITING_MAX);
    }
  }

  #ended(driver: SessionDriver): void {
    this.#drivers.delete(driver);
    const { node, ledger } = driver;
    if (ledger !== undefined && this.#byLedger.get(ledger) === driver) {
      this.#byLedger.delete(ledger);
    }
    if (node === undefined || this.#current.get(node.node_id) !== driver) return;
    this.#current.delete(node.node_id);
    this.registry.disconnected(node, this.#o.clock.wallMs());
    this.event("disconnected", node.node_id, { high_acked: node.high_acked });
  }

  #committed(ledgers: readonly Ledger[]): void {
    for (const ledger of ledgers) {
      const driver = this.#byLedger.get(ledger);
      if (driver?.node === undefined) continue;
      driver.processed();
      const { node } = driver;
      node.high_acked = ledger.highAcked;
      node.next_seq = Math.max(node.next_seq, ledger.maxSeq + 1);
      node.backlog = Math.max(0, node.next_seq - 1 - ledger.highAcked);
      node.last_seen_wall_ms = this.#o.clock.wallMs();
      if (node.replaying && ledger.highAcked >= driver.replayUntil - 1) {
        node.replaying = false;
        this.event("replayed", node.node_id, { high_acked: ledger.highAcked });
      }
      driver.ack();
    }
  }

  #commitFailed(ledgers: readonly Ledger[], reason: string): void {
    for (const ledger of ledgers) {
      this.#byLedger.get(ledger)?.refuse("store_failed", `store: ${reason}`, RETRY_AFTER_MS);
    }
  }

  #credit(): Credit {
    let replaying = 0;
    for (const driver of this.#current.values()) if (driver.node?.replaying) replaying++;
    return creditFor(this.#o.inflightBytesTotal, replaying);
  }

  async #admit(driver: SessionDriver, hello: Hello, encoding: Encoding): Promise<Admission> {
    const { node_id, epoch } = hello;
    const { clock } = this.#o;
    if (!this.registry.hasRoomFor(node_id)) {
      const message = "the host knows as many nodes as it allows";
      return { ok: false, code: "busy", message, retryAfterMs: 60_000 };
    }
    const older = this.#current.get(node_id);
    this.#current.set(node_id, driver);
    if (older !== undefined) {
      older.refuse("superseded", "a newer connection of this node_id took over", 5_000);
      await older.ended;
      const isDuplicate = this.registry.tookOver(node_id, clock.wallMs());
      this.event(isDuplicate ? "duplicate_id" : "superseded", node_id, {
        by: driver.connection.peer,
        from: older.connection.peer,
      });
    }
    const id = key(node_id, epoch);
    let ledger = this.#ledgers.get(id);
    if (ledger === undefined) {
      ledger = new Ledger({ node_id, epoch, high_acked: 0, ranges: [], max_seq: 0 });
      this.#ledgers.set(id, ledger);
      const known = this.registry.get(node_id);
      if (known !== undefined) this.event("new_epoch", node_id, { epoch, before: known.epoch });
    }
    await this.#commits.settled(ledger);
    if (this.#current.get(node_id) !== driver) {
      return { ok: false, code: "superseded", message: "a newer connection took over" };
    }
    const { peer } = driver.connection;
    const before = this.registry.get(node_id)?.boot_id;
    const now = clock.wallMs();
    const node = this.registry.connected(hello, peer, encoding, ledger.highAcked, now);
    this.#byLedger.set(ledger, driver);
    node.replaying = node.backlog >= REPLAY_RECORDS_MIN;
    const hidden = this.configs.noteVersion(node_id, hello.cfg_version);
    if (hidden !== undefined) {
      this.event("config_ahead", node_id, { cfg_version: hello.cfg_version });
      this.setConfig(hidden.target, { ...hidden.config }).catch(() => {});
    }
    this.event(
      before === hello.boot_id || before === undefined ? "connected" : "restarted",
      node_id,
      {
        peer,
        version: hello.version,
        encoding,
        backlog: node.backlog,
      },
    );
    const desired = this.configs.desired(node_id);
    node.cfg_version_desired = desired?.cfg_version ?? 0;
    const config = desired !== undefined && desired.cfg_version > hello.cfg_version
      ? desired
      : undefined;
    return { ok: true, ledger, node, config };
  }

  #noteEffect(driver: SessionDriver, effect: SessionEffect): void {
    const { node } = driver;
    if (node === undefined) return;
    const now = this.#o.clock.wallMs();
    if (effect.kind === "heartbeat") {
      this.registry.heartbeat(node, effect.heartbeat, now);
      if (effect.heartbeat.final) {
        this.event("final_heartbeat", node.node_id, {
          next_seq: effect.heartbeat.next_seq,
          backlog: effect.heartbeat.backlog,
        });
      }
    } else if (effect.kind === "config_applied") {
      const { ok, cfg_version, cfg_version_applied, error } = effect.applied;
      node.cfg_version_applied = cfg_version_applied;
      node.config_error = ok ? undefined : error ?? "refused without a reason";
      this.registry.changed(node);
      this.event(ok ? "config_applied" : "config_refused", node.node_id, {
        cfg_version,
        cfg_version_applied,
        ...(error === undefined ? {} : { error }),
      });
    }
  }

  #sessionHost: SessionHost = ((): SessionHost => {
    // deno-lint-ignore no-this-alias
    const host = this;
    return {
      get clock() {
        return host.#o.clock;
      },
      get hostId() {
        return host.hostId;
      },
      get limits() {
        return {
          handshakeMs: host.#o.handshakeTimeoutMs,
          heartbeatMs: host.#o.heartbeatMs,
          broadcastMs: host.#o.broadcastMs,
          unprocessedBytesMax: host.#o.unprocessedBytesMax,
        };
      },
      admit: (driver, hello, encoding) => this.#admit(driver, hello, encoding),
      added: (ledger, records) => this.#commits.added(ledger, records),
      settled: (ledger) => this.#commits.settled(ledger),
      creditFor: () => this.#credit(),
      isStalled: () => this.faults.isStalled,
      duplicates: () => this.faults.strikes("duplicate") !== undefined,
      event: (kind, nodeId, detail) => this.event(kind, nodeId, detail),
      note: (what, node) => this.#note(what, node),
      received: (node, record, line) => this.#received(node, record, line),
      noteEffect: (driver, effect) => this.#noteEffect(driver, effect),
    };
  })();

  #note(what: "record" | "duplicate" | "bad_line", node: NodeInfo | undefined): void {
    if (what === "bad_line") this.counters.bad_lines++;
    else if (what === "duplicate") {
      this.counters.duplicates++;
      if (node !== undefined) node.duplicates++;
    } else {
      this.counters.records++;
      if (node !== undefined) node.records++;
    }
  }
}

export { ALL_NODES };

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}

function key(nodeId: string, epoch: string): string {
  return `${nodeId} ${epoch}`;
}
