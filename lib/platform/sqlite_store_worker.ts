/// <reference lib="deno.worker" />
/**
 * The thread that owns the database: commits wait for the disk, and sessions must not wait with them.
 * Requests come in order and are answered in order, each with its id.
 */
import { Database } from "./sqlite_db.ts";
import {
  readEvents,
  readGaps,
  readMetrics,
  readRecords,
  readSeries,
  readSize,
  readState,
} from "./sqlite_queries.ts";
import { type DeletedRecord, RollUp } from "./sqlite_rollup.ts";
import type {
  ConfigRow,
  EventRow,
  HistoryQuery,
  RecordQuery,
  SeriesColumns,
  SeriesQuery,
  StoredEvent,
  StoredGap,
  StoredMetric,
  StoredRow,
  StoreSize,
  StoreState,
} from "./store.ts";

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
  gaps(query: HistoryQuery): StoredGap[];
  events(query: HistoryQuery): StoredEvent[];
  metrics(nodeId: string): StoredMetric[];
  series(query: SeriesQuery, complete: boolean): SeriesColumns;
  size(): StoreSize;
  /** Sums up some more records; false once all are, and that is on disk. */
  rollUp(): boolean;
  retain(olderThanWallMs: number | undefined, bytesMax: number | undefined): number;
  close(): void;
}

const EVENTS_MAX = 100_000;
const RETAIN_ROWS = 5_000;
/** Records that are summed up at once: commits wait that long at most, some milliseconds. */
const ROLLUP_ROWS = 1_000;
/** Share of its time that the thread spends on summing up by itself. */
const ROLLUP_SHARE = 0.2;
const ROLLUP_IDLE_MS = 1_000;
/** What was summed up is written that often at least. */
const ROLLUP_FLUSH_MS = 15_000;

let db: Database;
let rollUp: RollUp;
let timer: ReturnType<typeof setTimeout> | undefined;
let flushedMs = 0;

/** Sums up in the background, as the records come. */
function rollUpSome(): void {
  const start = performance.now();
  let more = false;
  try {
    more = rollUp.read(ROLLUP_ROWS);
    if (start - flushedMs > ROLLUP_FLUSH_MS) {
      rollUp.flush();
      flushedMs = start;
    }
  } catch {
    // The disk fails; commits tell of it. Another try follows.
  }
  const took = performance.now() - start;
  timer = setTimeout(rollUpSome, more ? took * (1 / ROLLUP_SHARE - 1) : ROLLUP_IDLE_MS);
}

const requests: Requests = {
  open(path, hostId) {
    db = new Database(path);
    db.sql("INSERT INTO host VALUES ('host_id', ?) ON CONFLICT DO NOTHING").run(hostId);
    rollUp = new RollUp(db);
    timer = setTimeout(rollUpSome, ROLLUP_IDLE_MS);
    return readState(db);
  },
  commit(batches, atWallMs) {
    const record = db.sql(
      "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    const gap = db.sql("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    const epoch = db.sql(
      "INSERT INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET " +
        "high_acked = excluded.high_acked, max_seq = excluded.max_seq, ranges = excluded.ranges, " +
        "last_wall_ms = excluded.last_wall_ms",
    );
    db.inTransaction(() => {
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
    const put = db.sql(
      "INSERT INTO nodes VALUES (?, ?) ON CONFLICT DO UPDATE SET known = excluded.known",
    );
    db.inTransaction(() => {
      for (const [nodeId, known] of nodes) put.run(nodeId, JSON.stringify(known));
    });
  },
  putConfig(config) {
    db.sql(
      "INSERT INTO configs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET cfg_version = excluded.cfg_version, config = excluded.config, at_wall_ms = excluded.at_wall_ms",
    ).run(config.target, config.cfg_version, JSON.stringify(config.config), config.at_wall_ms);
  },
  addEvents(events) {
    const add = db.sql(
      "INSERT INTO events (at_wall_ms, node_id, kind, detail) VALUES (?, ?, ?, ?)",
    );
    db.inTransaction(() => {
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
      db.sql("DELETE FROM events WHERE id <= ?").run(last - EVENTS_MAX);
    });
  },
  records: (query) => readRecords(db, query),
  gaps: (query) => readGaps(db, query),
  events: (query) => readEvents(db, query),
  metrics: (nodeId) => readMetrics(db, nodeId),
  series: (query, complete) => readSeries(db, query, complete),
  size: () => readSize(db),
  rollUp() {
    if (rollUp.read(ROLLUP_ROWS)) return true;
    rollUp.flush();
    return false;
  },
  retain(olderThanWallMs, bytesMax) {
    const isLarge = bytesMax !== undefined && readSize(db).bytes > bytesMax;
    if (!isLarge && olderThanWallMs === undefined) return 0;
    rollUp.flush();
    let deleted: DeletedRecord[] = [];
    let isEmpty = false;
    db.inTransaction(() => {
      deleted = db.sql(
        "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY rowid LIMIT ?) " +
          "AND received_wall_ms < ? RETURNING rowid, node_id, epoch, ts_wall_ms, is_anomaly",
      ).all(RETAIN_ROWS, isLarge ? 1e300 : olderThanWallMs!) as unknown as DeletedRecord[];
      isEmpty = deleted.length > 0 &&
        db.sql("SELECT 1 FROM records LIMIT 1").get() === undefined;
      rollUp.forget(deleted, isEmpty);
    });
    if (isEmpty) rollUp.restart();
    return deleted.length;
  },
  close() {
    clearTimeout(timer);
    rollUp.flush();
    db.close();
  },
};

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
