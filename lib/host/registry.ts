/** What the host knows of each node, connected or not. Survives a restart through the store. */
import type { Store } from "../platform/store.ts";
import type { Heartbeat, Hello } from "../protocol/message.ts";

/** One node as status, pages and API show it. Times by the host's clock unless the name says otherwise. */
export interface NodeInfo {
  node_id: string;
  connected: boolean;
  peer: string;
  epoch: string;
  boot_id: string;
  version: string;
  encoding: string;
  first_seen_wall_ms: number;
  last_seen_wall_ms: number;
  connected_wall_ms: number;
  high_acked: number;
  next_seq: number;
  /** Records that the node has and the host has not, as far as the host knows. */
  backlog: number;
  replaying: boolean;
  degraded: boolean;
  wal_bytes: number;
  wal_bytes_max: number;
  missed_ticks: number;
  cfg_version_desired: number;
  cfg_version_applied: number;
  config_error: string | undefined;
  /** Host's wall clock minus the node's monotonic clock, the smallest seen in `boot_id`. */
  clock_offset_ms: number | undefined;
  records: number;
  duplicates: number;
  gap_records: number;
  anomalies: number;
  /** Records that tell of a jump of the device's wall clock. */
  clock_jumps?: number;
  /** Anomaly events that opened, in all. */
  anomaly_events?: number;
  /** Records a second over the last seconds. */
  rate: number;
  /** Times that a newer connection of the same id took over in the last minutes. */
  takeovers: number;
  duplicate_id: boolean;
  /** Set when the node said that it stops. */
  stopped: boolean;
}

/** How many takeovers within TAKEOVER_MS mean that two nodes have one id. */
const TAKEOVERS_MAX = 3;
const TAKEOVER_MS = 300_000;
/** Weight of the past in the rate, per second. */
const RATE_DECAY = 0.8;

/** See the head of the file. */
export class Registry {
  #nodes = new Map<string, NodeInfo>();
  #changed = new Set<string>();
  #takeovers = new Map<string, number[]>();
  #rateBase = new Map<string, number>();
  #store: Store;
  #nodesMax: number;

  constructor(store: Store, nodesMax: number) {
    this.#store = store;
    this.#nodesMax = nodesMax;
    for (const [nodeId, known] of store.state.nodes) {
      this.#nodes.set(nodeId, { ...(known as NodeInfo), connected: false, rate: 0 });
    }
    for (const state of store.state.epochs) {
      const node = this.#nodes.get(state.node_id);
      if (node?.epoch === state.epoch) node.high_acked = state.high_acked;
    }
  }

  /** All nodes by name. */
  get nodes(): NodeInfo[] {
    return [...this.#nodes.values()].sort((a, b) => a.node_id < b.node_id ? -1 : 1);
  }
  get(nodeId: string): NodeInfo | undefined {
    return this.#nodes.get(nodeId);
  }
  /** Whether a node of this name may come in. */
  hasRoomFor(nodeId: string): boolean {
    return this.#nodes.has(nodeId) || this.#nodes.size < this.#nodesMax;
  }

  /** A node connected. */
  connected(
    hello: Hello,
    peer: string,
    encoding: string,
    highAcked: number,
    now: number,
  ): NodeInfo {
    const known = this.#nodes.get(hello.node_id);
    const node: NodeInfo = {
      records: 0,
      duplicates: 0,
      gap_records: 0,
      anomalies: 0,
      first_seen_wall_ms: now,
      wal_bytes: 0,
      wal_bytes_max: 0,
      missed_ticks: 0,
      degraded: false,
      takeovers: 0,
      duplicate_id: false,
      cfg_version_desired: 0,
      config_error: undefined,
      ...known,
      node_id: hello.node_id,
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
      backlog: Math.max(0, hello.next_seq - 1 - highAcked),
      replaying: false,
      cfg_version_applied: hello.cfg_version,
      clock_offset_ms: known?.boot_id === hello.boot_id ? known.clock_offset_ms : undefined,
      rate: 0,
    };
    this.#nodes.set(hello.node_id, node);
    this.noteClock(node, hello.ts_mono_ms, now);
    this.changed(node);
    return node;
  }

  /** A newer connection took over; true if that happens so often that two nodes must have one id. */
  tookOver(nodeId: string, now: number): boolean {
    const times = (this.#takeovers.get(nodeId) ?? []).filter((time) => now - time < TAKEOVER_MS);
    times.push(now);
    this.#takeovers.set(nodeId, times.slice(-2 * TAKEOVERS_MAX));
    const node = this.#nodes.get(nodeId);
    const isDuplicate = times.length >= TAKEOVERS_MAX;
    if (node !== undefined) {
      node.takeovers = times.length;
      node.duplicate_id = isDuplicate;
    }
    return isDuplicate;
  }

  /** A node showed that it lives. */
  heartbeat(node: NodeInfo, heartbeat: Heartbeat, now: number): void {
    node.last_seen_wall_ms = now;
    node.next_seq = heartbeat.next_seq;
    node.wal_bytes = heartbeat.wal_bytes;
    node.wal_bytes_max = heartbeat.wal_bytes_max;
    node.degraded = heartbeat.degraded;
    node.missed_ticks = heartbeat.missed_ticks;
    node.cfg_version_applied = heartbeat.cfg_version;
    node.stopped = heartbeat.final === true;
    this.noteClock(node, heartbeat.ts_mono_ms, now);
    this.changed(node);
  }

  /** The smallest difference is the one that travelled fastest, so the nearest to the truth. */
  noteClock(node: NodeInfo, monoMs: number, now: number): void {
    node.clock_offset_ms = Math.min(node.clock_offset_ms ?? Infinity, now - monoMs);
  }

  disconnected(node: NodeInfo, now: number): void {
    node.connected = false;
    node.replaying = false;
    node.rate = 0;
    node.last_seen_wall_ms = now;
    this.changed(node);
  }

  /** To be called once a second: moves the rates on and forgets old takeovers. */
  tick(now: number): void {
    for (const node of this.#nodes.values()) {
      const base = this.#rateBase.get(node.node_id) ?? node.records;
      this.#rateBase.set(node.node_id, node.records);
      node.rate = RATE_DECAY * node.rate + (1 - RATE_DECAY) * (node.records - base);
      if (!node.duplicate_id) continue;
      const last = this.#takeovers.get(node.node_id)?.at(-1) ?? 0;
      if (now - last > TAKEOVER_MS) node.duplicate_id = false;
    }
  }

  /** `node` is to be written at the next `save`. */
  changed(node: NodeInfo): void {
    this.#changed.add(node.node_id);
  }

  /** Writes what changed. Never rejects: what fails is written at the next call. */
  async save(): Promise<void> {
    if (this.#changed.size === 0) return;
    const ids = [...this.#changed];
    this.#changed.clear();
    try {
      await this.#store.putNodes(new Map(ids.map((id) => [id, this.#nodes.get(id)])));
    } catch {
      for (const id of ids) this.#changed.add(id);
    }
  }
}
