/**
 * Where the host makes records durable. A contract only; `sqlite_store.ts` and `ndjson_store.ts` hold the
 * real ones, the simulator has its own.
 */

/** What is known of one epoch of a node: all up to `high_acked` and in `ranges` is durable or a gap. */
export interface EpochState {
  readonly node_id: string;
  readonly epoch: string;
  readonly high_acked: number;
  /** Inclusive, ascending, disjoint, all above `high_acked + 1`. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Highest seq that was ever accounted for. */
  readonly max_seq: number;
}

/** A record to store. */
export interface RecordRow {
  readonly seq: number;
  readonly ts_wall_ms: number;
  readonly ts_mono_ms: number;
  readonly is_anomaly: boolean;
  readonly score: number;
  /** The record's JSON as it was received. */
  readonly payload: string;
}

/** A lost range to store. */
export interface GapRow {
  readonly from_seq: number;
  readonly to_seq: number;
  readonly reason: string;
}

/** What one commit adds to one epoch, and the epoch's state after it. */
export interface EpochBatch {
  readonly state: EpochState;
  readonly records: readonly RecordRow[];
  readonly gaps: readonly GapRow[];
}

/** Something that happened to a node. */
export interface EventRow {
  readonly at_wall_ms: number;
  readonly node_id: string;
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A stored event. */
export interface StoredEvent extends EventRow {
  readonly id: number;
}

/** A configuration that the host wants `target` (a node_id, or `*` for all) to have. */
export interface ConfigRow {
  readonly target: string;
  readonly cfg_version: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly at_wall_ms: number;
}

/** All that the host needs to go on after a restart. */
export interface StoreState {
  readonly host_id: string;
  readonly epochs: readonly EpochState[];
  /** By node_id: what the registry wanted to be remembered. */
  readonly nodes: ReadonlyMap<string, unknown>;
  readonly configs: readonly ConfigRow[];
}

/** A record as it is given back. */
export interface StoredRow extends RecordRow {
  readonly node_id: string;
  readonly epoch: string;
  readonly received_wall_ms: number;
}

/** A lost range as it is given back. */
export interface StoredGap extends GapRow {
  readonly node_id: string;
  readonly epoch: string;
  readonly declared_wall_ms: number;
}

/** Which records to give back. */
export interface RecordQuery {
  readonly node_id: string;
  /** The newest epoch of the node unless given. */
  readonly epoch?: string;
  /** Only seqs above it. */
  readonly after_seq?: number;
  readonly anomalies_only?: boolean;
  /** From the newest backwards, instead of ascending. */
  readonly newest_first?: boolean;
  readonly limit: number;
}

/** Size of the store, for status and metrics. */
export interface StoreSize {
  readonly bytes: number;
  readonly records: number;
}

/** See the head of the file. Calls may overlap; they take effect in the order made. */
export interface Store {
  /** What was durable when the store was opened. */
  readonly state: StoreState;
  /**
   * Stores everything or nothing; durable when it resolves. A record or gap that is there already stays as
   * it is. Rejects when the disk fails; the caller may then try the same again.
   */
  commit(batches: readonly EpochBatch[], atWallMs: number): Promise<void>;
  /** Remembers what the registry knows of nodes; durable soon. */
  putNodes(nodes: ReadonlyMap<string, unknown>): Promise<void>;
  /** Stores a configuration; durable when it resolves. */
  putConfig(config: ConfigRow): Promise<void>;
  /** Stores events; durable soon. The oldest beyond 100,000 are dropped. */
  addEvents(events: readonly EventRow[]): Promise<void>;
  records(query: RecordQuery): Promise<StoredRow[]>;
  /** Newest first. */
  gaps(nodeId: string | undefined, limit: number): Promise<StoredGap[]>;
  /** Newest first. */
  events(nodeId: string | undefined, limit: number): Promise<StoredEvent[]>;
  size(): Promise<StoreSize>;
  /**
   * Deletes records received before `olderThanWallMs`, and the oldest while the store is larger than
   * `bytesMax`; at most a few thousand a call. Returns how many went. What was acked stays acked.
   */
  retain(limits: { olderThanWallMs?: number; bytesMax?: number }): Promise<number>;
  close(): Promise<void>;
}
