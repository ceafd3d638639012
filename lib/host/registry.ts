/**
 * What the host knows of each node, connected or not; survives a restart through the store. Nobody else
 * changes a `NodeInfo`: what happens is told here, and read back from here.
 */
import { CLOCK_OFF_MS, LOST_LATELY_MS, WAL_NEARLY_FULL, walFill } from "../fleet/concerns.ts";
import { newNodeInfo, type NodeInfo, restoreNodeInfo } from "../fleet/node_info.ts";
import type { ConfigApplied, Heartbeat, Hello } from "../protocol/message.ts";
import type { Clock } from "../platform/platform.ts";
import type { Store } from "../store/store.ts";
import { ClockOffset } from "./clock_offset.ts";
import type { Ledger } from "./ledger.ts";

/** A node as all but the registry see it. */
export type Node = Readonly<NodeInfo>;

/** How many takeovers within TAKEOVER_MS mean that two nodes have one id. */
const TAKEOVERS_MAX = 3;
const TAKEOVER_MS = 300_000;
/** Weight of the past in the rate, per second. */
const RATE_DECAY = 0.8;
/** Fewer records than that were just on their way when a session ended: sending them again is no replay. */
const REPLAY_RECORDS_MIN = 20;
const REASONS_MAX = 16;

/** What the registry keeps beside what it shows. */
interface Entry {
  info: NodeInfo;
  /** A node is remembered once something of it is stored: anybody can say hello. */
  isRegistered: boolean;
  clock: ClockOffset;
  takeovers: number[];
  rateBase: number;
  /** Below it the node replays. */
  replayUntil: number;
}

/** See the head of the file. */
export class Registry {
  #entries = new Map<string, Entry>();
  #changed = new Set<string>();
  #registered = 0;
  #replaying = 0;
  #store: Store;
  #clock: Clock;
  #nodesMax: number;

  constructor(store: Store, clock: Clock, nodesMax: number) {
    this.#store = store;
    this.#clock = clock;
    this.#nodesMax = nodesMax;
    for (const [nodeId, known] of store.state.nodes) {
      const info = restoreNodeInfo(nodeId, known, clock.wallMs());
      this.#entries.set(nodeId, newEntry(info, true));
      this.#registered++;
    }
  }

  /** All nodes by name. */
  get nodes(): Node[] {
    return [...this.#entries.values()].map(({ info }) => info)
      .sort((a, b) => a.node_id < b.node_id ? -1 : 1);
  }
  get(nodeId: string): Node | undefined {
    return this.#entries.get(nodeId)?.info;
  }
  /** Nodes that send what they kept while they were away. */
  get replaying(): number {
    return this.#replaying;
  }

  /** Remembers a node from here on; false where there are as many as may be. */
  register(node: Node): boolean {
    const entry = this.#entries.get(node.node_id);
    if (entry === undefined || entry.isRegistered) return true;
    if (this.#registered >= this.#nodesMax) return false;
    entry.isRegistered = true;
    this.#registered++;
    this.#changed.add(node.node_id);
    return true;
  }

  /** A node connected. `configVersion` is what it should have. */
  connected(
    hello: Hello,
    { peer, encoding, highAcked, configVersion }: {
      peer: string;
      encoding: string;
      highAcked: number;
      configVersion: number;
    },
  ): Node {
    const now = this.#clock.wallMs();
    const { node_id } = hello;
    let entry = this.#entries.get(node_id);
    if (entry === undefined) {
      this.#entries.set(node_id, entry = newEntry(newNodeInfo(node_id, now), false));
    }
    const { info } = entry;
    if (info.boot_id !== hello.boot_id) entry.clock = new ClockOffset();
    const backlog = Math.max(0, hello.next_seq - 1 - highAcked);
    Object.assign(info, {
      connected: true,
      stopped: false,
      peer,
      epoch: hello.epoch,
      boot_id: hello.boot_id,
      version: hello.version,
      encoding,
      last_seen_wall_ms: now,
      connected_wall_ms: now,
      high_acked: highAcked,
      next_seq: hello.next_seq,
      backlog,
      rate: 0,
    });
    entry.replayUntil = hello.next_seq;
    entry.rateBase = info.records;
    this.#setReplaying(info, backlog >= REPLAY_RECORDS_MIN);
    this.#setApplied(info, hello.cfg_version);
    this.configWanted(node_id, configVersion);
    this.#observeClock(entry, hello.ts_mono_ms);
    this.#changed.add(node_id);
    return info;
  }

  disconnected(node: Node): void {
    const entry = this.#entries.get(node.node_id);
    if (entry === undefined) return;
    this.#setReplaying(entry.info, false);
    Object.assign(entry.info, {
      connected: false,
      rate: 0,
      last_seen_wall_ms: this.#clock.wallMs(),
    });
    if (entry.isRegistered) this.#changed.add(node.node_id);
    else this.#entries.delete(node.node_id);
  }

  /** A newer connection took over; true if that happens so often that two nodes must have one id. */
  tookOver(nodeId: string): boolean {
    const entry = this.#entries.get(nodeId);
    if (entry === undefined) return false;
    const now = this.#clock.monotonicMs();
    const times = [...entry.takeovers.filter((time) => now - time < TAKEOVER_MS), now];
    entry.takeovers = times.slice(-2 * TAKEOVERS_MAX);
    const isDuplicate = times.length >= TAKEOVERS_MAX;
    entry.info.takeovers = times.length;
    this.#setDuplicate(entry.info, isDuplicate);
    return isDuplicate;
  }

  /** A node showed that it lives. */
  heartbeat(node: Node, heartbeat: Heartbeat): void {
    const entry = this.#entries.get(node.node_id);
    if (entry === undefined) return;
    const { info } = entry;
    const now = this.#clock.wallMs();
    setSince(info, "degraded_since_wall_ms", heartbeat.degraded, now);
    Object.assign(info, {
      last_seen_wall_ms: now,
      next_seq: heartbeat.next_seq,
      wal_bytes: heartbeat.wal_bytes,
      wal_bytes_max: heartbeat.wal_bytes_max,
      degraded: heartbeat.degraded,
      missed_ticks: heartbeat.missed_ticks,
      stopped: heartbeat.final === true,
    });
    setSince(info, "wal_full_since_wall_ms", (walFill(info) ?? 0) >= WAL_NEARLY_FULL, now);
    this.#setApplied(info, heartbeat.cfg_version);
    this.#observeClock(entry, heartbeat.ts_mono_ms);
    this.#changed.add(node.node_id);
  }

  /** A new record came in; how its device's wall clock compares, where that can be told. */
  received(node: Node, what: { isAnomaly: boolean; clockJumped: boolean }, count = 1): void {
    const info = this.#info(node);
    if (info === undefined) return;
    info.records += count;
    if (what.isAnomaly) info.anomalies += count;
    if (what.clockJumped) info.clock_jumps = (info.clock_jumps ?? 0) + count;
  }

  /** Records came again. */
  repeated(node: Node, count = 1): void {
    const info = this.#info(node);
    if (info !== undefined) info.duplicates += count;
  }

  /** Records are lost for good. */
  lost(node: Node, records: number, reason: string): void {
    const info = this.#info(node);
    if (info === undefined) return;
    const now = this.#clock.wallMs();
    info.gap_records += records;
    const before = info.lost_lately;
    const lately = before !== undefined && now - before.last_wall_ms < LOST_LATELY_MS
      ? before
      : { records: 0, since_wall_ms: now, last_wall_ms: now, reasons: [] };
    const reasons = lately.reasons.includes(reason)
      ? lately.reasons
      : [...lately.reasons, reason].slice(-REASONS_MAX);
    info.lost_lately = {
      ...lately,
      records: lately.records + records,
      last_wall_ms: now,
      reasons,
    };
  }

  anomalyOpened(node: Node): void {
    const info = this.#info(node);
    if (info !== undefined) info.anomaly_events = (info.anomaly_events ?? 0) + 1;
  }

  /** What is durable has moved on; whether the node has just caught up with what it kept. */
  committed(node: Node, ledger: Ledger): boolean {
    const entry = this.#entries.get(node.node_id);
    if (entry === undefined) return false;
    const { info } = entry;
    info.high_acked = ledger.highAcked;
    info.next_seq = Math.max(info.next_seq, ledger.maxSeq + 1);
    info.backlog = Math.max(0, info.next_seq - 1 - ledger.highAcked);
    info.last_seen_wall_ms = this.#clock.wallMs();
    this.#changed.add(node.node_id);
    if (!info.replaying || ledger.highAcked < entry.replayUntil - 1) return false;
    this.#setReplaying(info, false);
    return true;
  }

  /** What a node said of a configuration. */
  configApplied(node: Node, { ok, cfg_version_applied, error }: ConfigApplied): void {
    const info = this.#info(node);
    if (info === undefined) return;
    this.#setApplied(info, cfg_version_applied);
    if (ok) {
      delete info.config_error;
      delete info.config_error_since_wall_ms;
    } else {
      info.config_error = error ?? "refused without a reason";
      info.config_error_since_wall_ms = this.#clock.wallMs();
    }
    this.#changed.add(node.node_id);
  }

  /** The version of the configuration that a node should have. */
  configWanted(nodeId: string, version: number): void {
    const info = this.#entries.get(nodeId)?.info;
    if (info === undefined) return;
    info.cfg_version_desired = version;
    this.#setPending(info);
  }

  /** To be called once a second: moves the rates on and forgets old takeovers. */
  tick(): void {
    const now = this.#clock.monotonicMs();
    for (const entry of this.#entries.values()) {
      const { info } = entry;
      info.rate = RATE_DECAY * info.rate + (1 - RATE_DECAY) * (info.records - entry.rateBase);
      entry.rateBase = info.records;
      const isOver = now - (entry.takeovers.at(-1) ?? -Infinity) > TAKEOVER_MS;
      if (info.duplicate_id && isOver) this.#setDuplicate(info, false);
    }
  }

  /** Notes how far a device's wall clock is off, so that it is known since when. */
  clockError(node: Node, errorMs: number | undefined): void {
    const info = this.#info(node);
    if (info === undefined) return;
    const isOff = errorMs !== undefined && Math.abs(errorMs) > CLOCK_OFF_MS;
    setSince(info, "clock_off_since_wall_ms", isOff, this.#clock.wallMs());
  }

  /** Forgets a node that is not connected. */
  forget(nodeId: string): void {
    const entry = this.#entries.get(nodeId);
    if (entry === undefined) return;
    this.#entries.delete(nodeId);
    this.#changed.delete(nodeId);
    if (entry.isRegistered) this.#registered--;
  }

  /** Writes what changed. Never rejects: what fails is written at the next call. */
  async save(): Promise<void> {
    const ids = [...this.#changed].filter((id) => this.#entries.get(id)?.isRegistered);
    if (ids.length === 0) return;
    // What changes while the store writes is written at the next call.
    this.#changed.clear();
    try {
      const copies = ids.map((id) => [id, { ...this.#entries.get(id)!.info }] as const);
      await this.#store.putNodes(new Map(copies));
    } catch {
      for (const id of ids) if (this.#entries.has(id)) this.#changed.add(id);
    }
  }

  #info(node: Node): NodeInfo | undefined {
    return this.#entries.get(node.node_id)?.info;
  }

  #setReplaying(info: NodeInfo, replaying: boolean): void {
    if (info.replaying !== replaying) this.#replaying += replaying ? 1 : -1;
    info.replaying = replaying;
  }

  #setDuplicate(info: NodeInfo, isDuplicate: boolean): void {
    info.duplicate_id = isDuplicate;
    setSince(info, "duplicate_since_wall_ms", isDuplicate, this.#clock.wallMs());
  }

  #setApplied(info: NodeInfo, version: number): void {
    info.cfg_version_applied = version;
    this.#setPending(info);
  }

  #setPending(info: NodeInfo): void {
    const isPending = info.cfg_version_desired > info.cfg_version_applied;
    setSince(info, "config_pending_since_wall_ms", isPending, this.#clock.wallMs());
  }

  #observeClock({ info, clock }: Entry, monoMs: number): void {
    const { offsetMs, errorMs } = clock.observe(
      monoMs,
      this.#clock.wallMs(),
      this.#clock.monotonicMs(),
    );
    info.clock_offset_ms = offsetMs;
    info.clock_offset_error_ms = errorMs;
  }
}

function newEntry(info: NodeInfo, isRegistered: boolean): Entry {
  const clock = new ClockOffset();
  return { info, isRegistered, clock, takeovers: [], rateBase: info.records, replayUntil: 0 };
}

type SinceName = {
  [K in keyof NodeInfo]-?: K extends `${string}_since_wall_ms` ? K : never;
}[keyof NodeInfo];

/** Notes since when something holds: since before if it held then. */
function setSince(info: NodeInfo, name: SinceName, holds: boolean, now: number): void {
  if (!holds) delete info[name];
  else info[name] ??= now;
}
