/// <reference lib="deno.worker" />
/**
 * The thread that owns the database: commits wait for the disk, and sessions must not wait with them.
 * Requests come in order and are answered in order, each with its id.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type {
  ConfigRow,
  EventRow,
  RecordQuery,
  StoredEvent,
  StoredGap,
  StoredRow,
  StoreSize,
  StoreState,
} from "./store.ts";
import { SCHEMA, SCHEMA_VERSION } from "./sqlite_schema.ts";

/** Records of one epoch in columns, as that crosses to a thread with few copies. */
export interface PackedBatch {
  readonly node_id: string;
  readonly epoch: string;
  readonly high_acked: number;
  readonly max_seq: number;
  /** JSON of the ranges. */
  readonly ranges: string;
  readonly seqs: Float64Array<ArrayBuffer>;
  readonly wallMs: Float64Array<ArrayBuffer>;
  readonly monoMs: Float64Array<ArrayBuffer>;
  /** Score of each record; -1 where it is no anomaly. */
  readonly scores: Float64Array<ArrayBuffer>;
  /** All payloads in one text, and where each ends. */
  readonly payloads: string;
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly gaps: readonly { from_seq: number; to_seq: number; reason: string }[];
}

/** What can be asked of the thread. */
export interface Requests {
  open(path: string, hostId: string): StoreState;
  commit(batches: readonly PackedBatch[], atWallMs: number): void;
  putNodes(nodes: ReadonlyMap<string, unknown>): void;
  putConfig(config: ConfigRow): void;
  addEvents(events: readonly EventRow[]): void;
  records(query: RecordQuery): StoredRow[];
  gaps(nodeId: string | undefined, limit: number): StoredGap[];
  events(nodeId: string | undefined, limit: number): StoredEvent[];
  size(): StoreSize;
  retain(olderThanWallMs: number | undefined, bytesMax: number | undefined): number;
  close(): void;
}

const EVENTS_MAX = 100_000;
const RETAIN_ROWS = 5_000;

let db: DatabaseSync;
const statements = new Map<string, StatementSync>();

function sql(text: string): StatementSync {
  let statement = statements.get(text);
  if (statement === undefined) statements.set(text, statement = db.prepare(text));
  return statement;
}

function inTransaction(work: () => void): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    work();
    db.exec("COMMIT");
  } catch (error) {
    try {
      db.exec("ROLLBACK");
    } catch {
      // Some failures end the transaction by themselves.
    }
    throw error;
  }
}

const requests: Requests = {
  open(path, hostId) {
    db = new DatabaseSync(path);
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32000;");
    db.exec("PRAGMA wal_autocheckpoint = 4000;");
    const version = Number(db.prepare("PRAGMA user_version").get()!.user_version);
    if (version > SCHEMA_VERSION) {
      throw new Error(`schema version ${version} is newer than this program's ${SCHEMA_VERSION}`);
    }
    if (version === 0) db.exec(`BEGIN; ${SCHEMA} COMMIT;`);
    sql("INSERT INTO host VALUES ('host_id', ?) ON CONFLICT DO NOTHING").run(hostId);
    return {
      host_id: String(sql("SELECT value FROM host WHERE key = 'host_id'").get()!.value),
      epochs: sql("SELECT node_id, epoch, high_acked, max_seq, ranges FROM epochs").all().map((
        row,
      ) => ({
        node_id: String(row.node_id),
        epoch: String(row.epoch),
        high_acked: Number(row.high_acked),
        max_seq: Number(row.max_seq),
        ranges: JSON.parse(String(row.ranges)),
      })),
      nodes: new Map(
        sql("SELECT node_id, known FROM nodes").all()
          .map((row) => [String(row.node_id), JSON.parse(String(row.known))]),
      ),
      configs: sql("SELECT * FROM configs").all().map((row) => ({
        target: String(row.target),
        cfg_version: Number(row.cfg_version),
        config: JSON.parse(String(row.config)),
        at_wall_ms: Number(row.at_wall_ms),
      })),
    };
  },
  commit(batches, atWallMs) {
    const record = sql(
      "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    const gap = sql("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    const epoch = sql(
      "INSERT INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET " +
        "high_acked = excluded.high_acked, max_seq = excluded.max_seq, ranges = excluded.ranges, " +
        "last_wall_ms = excluded.last_wall_ms",
    );
    inTransaction(() => {
      for (const b of batches) {
        let start = 0;
        for (let i = 0; i < b.seqs.length; i++) {
          const score = b.scores[i]!;
          const payload = b.payloads.slice(start, start = b.ends[i]!);
          record.run(
            b.node_id,
            b.epoch,
            b.seqs[i]!,
            b.wallMs[i]!,
            b.monoMs[i]!,
            atWallMs,
            score < 0 ? 0 : 1,
            Math.max(0, score),
            payload,
          );
        }
        for (const { from_seq, to_seq, reason } of b.gaps) {
          gap.run(b.node_id, b.epoch, from_seq, to_seq, reason, atWallMs);
        }
        epoch.run(b.node_id, b.epoch, b.high_acked, b.max_seq, b.ranges, atWallMs, atWallMs);
      }
    });
  },
  putNodes(nodes) {
    const put = sql(
      "INSERT INTO nodes VALUES (?, ?) ON CONFLICT DO UPDATE SET known = excluded.known",
    );
    inTransaction(() => {
      for (const [nodeId, known] of nodes) put.run(nodeId, JSON.stringify(known));
    });
  },
  putConfig(config) {
    sql(
      "INSERT INTO configs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET cfg_version = excluded.cfg_version, config = excluded.config, at_wall_ms = excluded.at_wall_ms",
    ).run(config.target, config.cfg_version, JSON.stringify(config.config), config.at_wall_ms);
  },
  addEvents(events) {
    const add = sql("INSERT INTO events (at_wall_ms, node_id, kind, detail) VALUES (?, ?, ?, ?)");
    inTransaction(() => {
      let last = 0;
      for (const event of events) {
        const { lastInsertRowid } = add.run(
          event.at_wall_ms,
          event.node_id,
          event.kind,
          JSON.stringify(event.detail),
        );
        last = Number(lastInsertRowid);
      }
      sql("DELETE FROM events WHERE id <= ?").run(last - EVENTS_MAX);
    });
  },
  records(query) {
    const epoch = query.epoch ?? newestEpoch(query.node_id);
    if (epoch === undefined) return [];
    const order = query.newest_first ? "DESC" : "ASC";
    const only = query.anomalies_only ? "AND is_anomaly = 1" : "";
    return sql(
      `SELECT * FROM records WHERE node_id = ? AND epoch = ? AND seq > ? ${only} ORDER BY seq ${order} LIMIT ?`,
    ).all(query.node_id, epoch, query.after_seq ?? 0, query.limit).map((row) => ({
      node_id: String(row.node_id),
      epoch: String(row.epoch),
      seq: Number(row.seq),
      ts_wall_ms: Number(row.ts_wall_ms),
      ts_mono_ms: Number(row.ts_mono_ms),
      received_wall_ms: Number(row.received_wall_ms),
      is_anomaly: row.is_anomaly === 1,
      score: Number(row.score),
      payload: String(row.payload),
    }));
  },
  gaps(nodeId, limit) {
    const where = nodeId === undefined ? "" : "WHERE node_id = ?";
    const text =
      `SELECT * FROM gaps ${where} ORDER BY declared_wall_ms DESC, from_seq DESC LIMIT ?`;
    return (nodeId === undefined ? sql(text).all(limit) : sql(text).all(nodeId, limit)).map((
      row,
    ) => ({
      node_id: String(row.node_id),
      epoch: String(row.epoch),
      from_seq: Number(row.from_seq),
      to_seq: Number(row.to_seq),
      reason: String(row.reason),
      declared_wall_ms: Number(row.declared_wall_ms),
    }));
  },
  events(nodeId, limit) {
    const where = nodeId === undefined ? "" : "WHERE node_id = ?";
    const text = `SELECT * FROM events ${where} ORDER BY id DESC LIMIT ?`;
    return (nodeId === undefined ? sql(text).all(limit) : sql(text).all(nodeId, limit)).map((
      row,
    ) => ({
      id: Number(row.id),
      at_wall_ms: Number(row.at_wall_ms),
      node_id: String(row.node_id),
      kind: String(row.kind),
      detail: JSON.parse(String(row.detail)),
    }));
  },
  size() {
    const pages = Number(sql("PRAGMA page_count").get()!.page_count);
    const free = Number(sql("PRAGMA freelist_count").get()!.freelist_count);
    const bytes = (pages - free) * Number(sql("PRAGMA page_size").get()!.page_size);
    const span = sql("SELECT MIN(rowid) AS low, MAX(rowid) AS high FROM records").get()!;
    return { bytes, records: span.high === null ? 0 : Number(span.high) - Number(span.low) + 1 };
  },
  retain(olderThanWallMs, bytesMax) {
    const old = olderThanWallMs === undefined ? 0 : sql(
      "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY rowid LIMIT ?) AND received_wall_ms < ?",
    ).run(RETAIN_ROWS, olderThanWallMs).changes;
    const large = bytesMax !== undefined && this.size().bytes > bytesMax
      ? sql("DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY rowid LIMIT ?)")
        .run(RETAIN_ROWS).changes
      : 0;
    return Number(old) + Number(large);
  },
  close() {
    statements.clear();
    db.exec("PRAGMA optimize");
    db.close();
  },
};

function newestEpoch(nodeId: string): string | undefined {
  const row = sql("SELECT epoch FROM epochs WHERE node_id = ? ORDER BY last_wall_ms DESC LIMIT 1")
    .get(nodeId);
  return row === undefined ? undefined : String(row.epoch);
}

/** One request. */
export interface Request {
  readonly id: number;
  readonly method: keyof Requests;
  readonly args: readonly unknown[];
}

/** Its answer. */
export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string; readonly corrupt: boolean };

/** SQLite's texts for a file that is damaged or no database; not every call of the driver gives a code. */
const CORRUPT = /file is not a database|database disk image is malformed/;

self.onmessage = (event: MessageEvent<Request>) => {
  const { id, method, args } = event.data;
  try {
    const result = (requests[method] as (...args: readonly unknown[]) => unknown).apply(requests, [
      ...args,
    ]);
    self.postMessage({ id, result } satisfies Answer);
  } catch (error) {
    const { message } = error as Error;
    const corrupt = CORRUPT.test(message);
    self.postMessage({ id, error: message.split("\n")[0]!, corrupt } satisfies Answer);
  }
};
