/** What is asked of the database, as functions of it. Callers have rolled up before a query by time. */
import { CFG_VERSION_MAX, SEQ_JUMP_MAX, SEQ_MAX } from "../../limits.ts";
import {
  addRows,
  Columns,
  finite,
  planSeries,
  ROLLUP_MS,
  seriesColumns,
  type SeriesPlan,
} from "../series.ts";
import type { Database } from "../../platform/sqlite.ts";
import {
  type ConfigRow,
  type EpochState,
  type HistoryQuery,
  isByTime,
  knownNodes,
  type RecordQuery,
  type SeriesColumns,
  type SeriesQuery,
  type StoredEvent,
  type StoredGap,
  type StoredMetric,
  type StoredRow,
  type StoreSize,
  type StoreState,
} from "../store.ts";

/** Records of a window that are read one by one for a chart; more are taken from the rollups. */
const RAW_RECORDS_MAX = 20_000;
const SPANS_AT_ONCE = 256;

type Row = Record<string, unknown>;

/** What JSON says, or `undefined` where it is damaged: rows of our own database are not trusted either. */
function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return undefined;
  }
}

function isSeq(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= SEQ_MAX + SEQ_JUMP_MAX;
}

/** The host's name, and what it keeps of nodes and configurations; rows that say nothing are left out. */
export function readState(db: Database): StoreState {
  const configs: ConfigRow[] = [];
  for (
    const row of db.sql(
      "SELECT target, CAST(cfg_version AS REAL) AS version, config, at_wall_ms FROM configs",
    ).all()
  ) {
    const config = parsed(row.config);
    const cfg_version = Number(row.version);
    if (typeof config !== "object" || config === null || Array.isArray(config)) continue;
    if (!(cfg_version >= 1 && cfg_version <= CFG_VERSION_MAX)) continue;
    configs.push({
      target: String(row.target),
      cfg_version,
      config: config as ConfigRow["config"],
      at_wall_ms: Number(row.at_wall_ms),
    });
  }
  return {
    host_id: String(db.sql("SELECT value FROM host WHERE key = 'host_id'").get()!.value),
    nodes: knownNodes([
      // What of a node is stored makes it known, also where the host ended before it could say more.
      ...db.sql("SELECT DISTINCT node_id FROM epochs").all()
        .map((row) => [String(row.node_id), undefined] as const),
      ...db.sql("SELECT node_id, known FROM nodes").all()
        .map((row) => [String(row.node_id), parsed(row.known)] as const),
    ]),
    configs,
  };
}

/**
 * What is known of an epoch. Numbers that can't be are as if nothing were known: records that come again are
 * then found to be there already by their key.
 */
export function readEpoch(db: Database, nodeId: string, epoch: string): EpochState | undefined {
  const row = db.sql(
    "SELECT CAST(high_acked AS REAL) AS high, CAST(max_seq AS REAL) AS max, ranges FROM epochs WHERE node_id = ? AND epoch = ?",
  ).get(nodeId, epoch);
  if (row === undefined) return undefined;
  const high_acked = Number(row.high), max_seq = Number(row.max);
  if (!isSeq(high_acked) || !isSeq(max_seq) || max_seq < high_acked) return undefined;
  const found = parsed(row.ranges);
  const ranges: (readonly [number, number])[] = [];
  for (const range of Array.isArray(found) ? found : []) {
    const [from, to] = Array.isArray(range) ? range : [];
    if (isSeq(from) && isSeq(to) && from <= to && to <= max_seq) ranges.push([from, to]);
  }
  return { node_id: nodeId, epoch, high_acked, max_seq, ranges };
}

/** Size of the database on the disk. */
export function readSize(db: Database): Pick<StoreSize, "bytes" | "records"> {
  const bytes = db.pragma("page_count") * db.pragma("page_size");
  const { low } = db.sql("SELECT MIN(rowid) AS low FROM records").get()!;
  const { high } = db.sql("SELECT MAX(rowid) AS high FROM records").get()!;
  return { bytes, records: high === null ? 0 : Number(high) - Number(low) + 1 };
}

/** See {@linkcode RecordQuery}. */
export function readRecords(db: Database, query: RecordQuery): StoredRow[] {
  return isByTime(query) ? recordsByTime(db, query) : recordsByNumber(db, query);
}

function recordsByNumber(db: Database, query: RecordQuery): StoredRow[] {
  const epoch = query.epoch ?? newestEpoch(db, query.node_id);
  if (epoch === undefined) return [];
  const where = new Where().and("node_id = ?", query.node_id).and("epoch = ?", epoch)
    .and("seq > ?", query.after_seq).and("seq < ?", query.before_seq);
  if (query.anomalies_only) where.and("is_anomaly = 1");
  const order = query.newest_first ? "DESC" : "ASC";
  const index = query.anomalies_only ? "INDEXED BY records_anomalies_by_seq" : "";
  return db.sql(`SELECT * FROM records ${index} ${where.text} ORDER BY seq ${order} LIMIT ?`)
    .all(...where.values, query.limit).map(storedRow);
}

function recordsByTime(db: Database, query: RecordQuery): StoredRow[] {
  const found: StoredRow[] = [];
  const { cursor, newest_first, limit } = query;
  const order = newest_first ? "DESC" : "ASC";
  for (const span of spansOf(db, query)) {
    const isResumed = cursor?.span_wall_ms === span.bucket && cursor.epoch === span.epoch;
    const where = new Where().and("node_id = ?", query.node_id).and("epoch = ?", span.epoch)
      .and("seq >= ?", span.from_seq).and("seq <= ?", span.to_seq)
      .and("ts_wall_ms >= ?", Math.max(span.bucket, query.from_wall_ms ?? 0))
      .and("ts_wall_ms < ?", Math.min(span.bucket + ROLLUP_MS.fine, query.to_wall_ms ?? Infinity))
      .and(`seq ${newest_first ? "<" : ">"} ?`, isResumed ? cursor.seq : undefined);
    if (query.anomalies_only) where.and("is_anomaly = ?", 1);
    const rows = db.sql(`SELECT * FROM records ${where.text} ORDER BY seq ${order} LIMIT ?`)
      .all(...where.values, limit - found.length);
    found.push(...rows.map(storedRow));
    if (found.length >= limit) break;
  }
  return found;
}

interface SpanRow {
  readonly bucket: number;
  readonly epoch: string;
  readonly from_seq: number;
  readonly to_seq: number;
  readonly records: number;
}

/** The spans in which records of the window may lie, in the order asked for. */
function* spansOf(
  db: Database,
  query: Omit<RecordQuery, "limit">,
): Generator<SpanRow> {
  const { newest_first, cursor } = query;
  const order = newest_first ? "DESC" : "ASC";
  let at: SpanRow | undefined;
  for (;;) {
    const where = new Where().and("node_id = ?", query.node_id)
      .and(
        "bucket > ?",
        query.from_wall_ms === undefined ? undefined : query.from_wall_ms - ROLLUP_MS.fine,
      )
      .and("bucket < ?", query.to_wall_ms)
      .and("epoch = ?", query.epoch);
    if (query.anomalies_only) where.and("anomalies > ?", 0);
    const start = at ?? (cursor && { bucket: cursor.span_wall_ms, epoch: cursor.epoch });
    if (start !== undefined) {
      const compare = (newest_first ? "<" : ">") + (at === undefined ? "=" : "");
      where.and(`(bucket, epoch) ${compare} (?, ?)`, start.bucket, start.epoch);
    }
    const rows = db.sql(
      `SELECT bucket, epoch, from_seq, to_seq, records FROM spans ${where.text} ORDER BY bucket ${order}, epoch ${order} LIMIT ?`,
    ).all(...where.values, SPANS_AT_ONCE);
    for (const row of rows) {
      at = {
        bucket: Number(row.bucket),
        epoch: String(row.epoch),
        from_seq: Number(row.from_seq),
        to_seq: Number(row.to_seq),
        records: Number(row.records),
      };
      yield at;
    }
    if (rows.length < SPANS_AT_ONCE) return;
  }
}

/** See {@linkcode SeriesQuery}. */
export function readSeries(db: Database, query: SeriesQuery, complete: boolean): SeriesColumns {
  const few = db.sql(
    "SELECT SUM(records) AS n FROM (SELECT records FROM spans WHERE node_id = ? AND bucket > ? AND bucket < ? LIMIT ?)",
  ).get(
    query.node_id,
    query.from_wall_ms - ROLLUP_MS.fine,
    query.to_wall_ms,
    RAW_RECORDS_MAX,
  )!;
  const plan = planSeries(query, Number(few.n ?? 0) < RAW_RECORDS_MAX);
  if (plan.level === "raw") {
    const columns = new Columns(plan, query.to_wall_ms);
    const { node_id, from_wall_ms, to_wall_ms } = query;
    const rows = recordsByTime(db, { node_id, from_wall_ms, to_wall_ms, limit: RAW_RECORDS_MAX });
    addRows(columns, query, rows);
    return columns.result(complete);
  }
  return rolledUp(db, query, plan, complete);
}

function rolledUp(
  db: Database,
  query: SeriesQuery,
  plan: SeriesPlan,
  complete: boolean,
): SeriesColumns {
  const { level, step_ms, from_ms } = plan;
  const series = db.sql("SELECT id FROM series WHERE node_id = ? AND metric = ?")
    .get(query.node_id, query.metric);
  const rows = series === undefined ? [] : db.sql(
    `SELECT bucket / ? * ? AS t, CAST(SUM(n) AS REAL) AS n, SUM(sum) AS sum, MIN(min) AS min, MAX(max) AS max, SUM(anomalies) AS anomalies ` +
      `FROM rollup_${level} WHERE series = ? AND bucket >= ? AND bucket < ? GROUP BY t ORDER BY t`,
  ).all(
    BigInt(step_ms),
    BigInt(step_ms),
    Number(series.id),
    from_ms,
    query.to_wall_ms,
  );
  const sums = rows.map(({ t, n, sum, min, max, anomalies }) =>
    [Number(t), {
      n: Number(n),
      sum: finite(Number(sum ?? 0)),
      min: Number(min),
      max: Number(max),
      anomalies: Number(anomalies),
    }] as const
  );
  return seriesColumns(plan, query.to_wall_ms, sums, complete);
}

/** The metrics of a node by name. */
export function readMetrics(db: Database, nodeId: string): StoredMetric[] {
  const end = (id: unknown, of: "MIN" | "MAX") =>
    Number(
      db.sql(`SELECT ${of}(bucket) AS at FROM rollup_fine WHERE series = ?`).get(Number(id))!.at,
    );
  return db.sql("SELECT id, metric FROM series WHERE node_id = ? ORDER BY metric").all(nodeId)
    .map(({ id, metric }) => ({
      name: String(metric),
      first_ms: end(id, "MIN"),
      last_ms: end(id, "MAX"),
    }))
    // One of whom retention left nothing.
    .filter(({ last_ms }) => last_ms > 0);
}

/** See {@linkcode HistoryQuery}. */
export function readGaps(db: Database, query: HistoryQuery): StoredGap[] {
  const where = history(query, "rowid", "declared_wall_ms");
  const before = db.sql(
    "SELECT ts_wall_ms FROM records WHERE node_id = ? AND epoch = ? AND seq < ? ORDER BY seq DESC LIMIT 1",
  );
  const after = db.sql(
    "SELECT ts_wall_ms FROM records WHERE node_id = ? AND epoch = ? AND seq > ? ORDER BY seq LIMIT 1",
  );
  return db.sql(`SELECT rowid AS id, * FROM gaps ${where.text} ORDER BY rowid DESC LIMIT ?`)
    .all(...where.values, query.limit).map((row) => {
      const node_id = String(row.node_id);
      const epoch = String(row.epoch);
      const from_seq = Number(row.from_seq);
      const to_seq = Number(row.to_seq);
      const wallMs = (found: Row | undefined) =>
        found === undefined ? undefined : Number(found.ts_wall_ms);
      return {
        id: Number(row.id),
        node_id,
        epoch,
        from_seq,
        to_seq,
        reason: String(row.reason),
        declared_wall_ms: Number(row.declared_wall_ms),
        from_wall_ms: wallMs(before.get(node_id, epoch, from_seq)),
        to_wall_ms: wallMs(after.get(node_id, epoch, to_seq)),
      };
    });
}

/** See {@linkcode HistoryQuery}. */
export function readEvents(db: Database, query: HistoryQuery): StoredEvent[] {
  const where = history(query, "id", "at_wall_ms");
  if (query.kind !== undefined) {
    where.and(
      "(kind = ? OR substr(kind, 1, ?) = ?)",
      query.kind,
      query.kind.length + 1,
      `${query.kind}_`,
    );
  }
  return db.sql(`SELECT * FROM events ${where.text} ORDER BY id DESC LIMIT ?`)
    .all(...where.values, query.limit).map((row) => ({
      id: Number(row.id),
      at_wall_ms: Number(row.at_wall_ms),
      node_id: String(row.node_id),
      kind: String(row.kind),
      detail: (parsed(row.detail) ?? {}) as StoredEvent["detail"],
    }));
}

/** The conditions of a query and their values, in the same order. */
class Where {
  values: (string | number)[] = [];
  #conditions: string[] = [];

  /** Adds a condition with its values, unless one of them is `undefined`. */
  and(condition: string, ...values: (string | number | undefined)[]): this {
    if (values.includes(undefined)) return this;
    this.#conditions.push(condition);
    this.values.push(...values as (string | number)[]);
    return this;
  }

  get text(): string {
    return this.#conditions.length === 0 ? "" : `WHERE ${this.#conditions.join(" AND ")}`;
  }
}

function history(query: HistoryQuery, id: string, time: string): Where {
  return new Where().and("node_id = ?", query.node_id)
    .and(`${id} > ?`, query.after_id).and(`${id} < ?`, query.before_id)
    .and(`${time} >= ?`, query.from_wall_ms).and(`${time} < ?`, query.to_wall_ms);
}

function newestEpoch(db: Database, nodeId: string): string | undefined {
  const row = db.sql(
    "SELECT epoch FROM epochs WHERE node_id = ? ORDER BY last_wall_ms DESC LIMIT 1",
  )
    .get(nodeId);
  return row === undefined ? undefined : String(row.epoch);
}

function storedRow(row: Row): StoredRow {
  return {
    node_id: String(row.node_id),
    epoch: String(row.epoch),
    seq: Number(row.seq),
    ts_wall_ms: Number(row.ts_wall_ms),
    ts_mono_ms: Number(row.ts_mono_ms),
    received_wall_ms: Number(row.received_wall_ms),
    is_anomaly: row.is_anomaly === 1,
    score: Number(row.score),
    payload: String(row.payload),
  };
}
