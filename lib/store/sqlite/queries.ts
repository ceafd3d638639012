/** What is asked of the database, as functions of it. Callers have rolled up before a query by time. */
import { CFG_VERSION_MAX, SEQ_JUMP_MAX, SEQ_MAX } from "../../limits.ts";
import {
  Columns,
  finite,
  planSeries,
  ROLLUP_MS,
  seriesColumns,
  type SeriesPlan,
} from "../series.ts";
import type { Database } from "../../platform/sqlite.ts";
import type { BlockRow } from "./block.ts";
import { type Block, blocksOf, rowsOf } from "./block_tables.ts";
import { addRecords } from "./raw_series.ts";
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
  type StoreState,
} from "../store.ts";

/** Records of a window that are read one by one for a chart; more are taken from the rollups. */
const RAW_RECORDS_MAX = 20_000;
const SPANS_AT_ONCE = 256;

/** What JSON says, or `undefined` where it is damaged: rows of our own database are not trusted either. */
/** What JSON of our own says; `undefined` where it is damaged. */
export function parsed(text: unknown): unknown {
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

/** Bytes of the database on the disk. */
export function readBytes(db: Database): number {
  return db.pragma("page_count") * db.pragma("page_size");
}

/** See {@linkcode RecordQuery}. */
export function readRecords(db: Database, query: RecordQuery): StoredRow[] {
  return isByTime(query) ? recordsByTime(db, query) : recordsByNumber(db, query);
}

function recordsByNumber(db: Database, query: RecordQuery): StoredRow[] {
  const { node_id, anomalies_only, newest_first, limit } = query;
  const epoch = query.epoch ?? newestEpoch(db, node_id);
  if (epoch === undefined) return [];
  const from = (query.after_seq ?? -1) + 1;
  const to = (query.before_seq ?? Number.MAX_SAFE_INTEGER) - 1;
  const found: StoredRow[] = [];
  for (const block of blocksOf(db, { node_id, epoch, from, to, anomalies_only, newest_first })) {
    take(found, block, rowsOf(block), { ...query, from, to });
    if (found.length >= limit) break;
  }
  return found;
}

/** Adds those rows of a block that were asked for to what was found, up to the limit. */
function take(
  found: StoredRow[],
  { node_id, epoch }: Block,
  rows: readonly BlockRow[],
  query: Pick<RecordQuery, "anomalies_only" | "newest_first" | "limit"> & {
    readonly from: number;
    readonly to: number;
    readonly fromMs?: number;
    readonly toMs?: number;
  },
): void {
  const { from, to, fromMs = -Infinity, toMs = Infinity, limit } = query;
  for (const row of query.newest_first ? rows.toReversed() : rows) {
    if (found.length >= limit) return;
    if (row.seq < from || row.seq > to) continue;
    if (query.anomalies_only && !row.is_anomaly) continue;
    if (row.ts_wall_ms < fromMs || row.ts_wall_ms >= toMs) continue;
    found.push({ ...row, node_id, epoch });
  }
}

function recordsByTime(db: Database, query: RecordQuery): StoredRow[] {
  const found: StoredRow[] = [];
  const { node_id, anomalies_only, cursor, newest_first, limit } = query;
  // Spans that follow each other lie in one block, mostly.
  let known: { readonly block: Block; readonly rows: readonly BlockRow[] } | undefined;
  for (const span of spansOf(db, query)) {
    const { epoch } = span;
    const isResumed = cursor?.span_wall_ms === span.bucket && cursor.epoch === epoch;
    const from = isResumed && !newest_first
      ? Math.max(span.from_seq, cursor.seq + 1)
      : span.from_seq;
    const to = isResumed && newest_first ? Math.min(span.to_seq, cursor.seq - 1) : span.to_seq;
    const wanted = { ...query, from, to, ...timesOf(span, query) };
    for (const block of blocksOf(db, { node_id, epoch, from, to, anomalies_only, newest_first })) {
      const isKnown = known?.block.id === block.id && known.block.to_seq === block.to_seq;
      if (!isKnown) known = { block, rows: rowsOf(block) };
      take(found, block, known!.rows, wanted);
      if (found.length >= limit) return found;
    }
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

/** The times of a span that lie in the window. */
function timesOf(
  { bucket }: SpanRow,
  { from_wall_ms = 0, to_wall_ms = Infinity }: Pick<RecordQuery, "from_wall_ms" | "to_wall_ms">,
): { fromMs: number; toMs: number } {
  return {
    fromMs: Math.max(bucket, from_wall_ms),
    toMs: Math.min(bucket + ROLLUP_MS.fine, to_wall_ms),
  };
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
    const spans = spansOf(db, { node_id, from_wall_ms, to_wall_ms });
    addRecords(
      db,
      query,
      [...spans].map((span) => ({ ...span, ...timesOf(span, query) })),
      columns,
    );
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

/** The metrics of a node by name; without those of which retention left nothing. */
export function readMetrics(db: Database, nodeId: string): StoredMetric[] {
  // Both ends of the primary key; together they would be a scan.
  const ends = db.sql(
    "SELECT (SELECT MIN(bucket) FROM rollup_fine WHERE series = s.id) AS first, " +
      "(SELECT MAX(bucket) FROM rollup_fine WHERE series = s.id) AS last FROM series s WHERE id = ?",
  );
  return db.sql("SELECT id, metric FROM series WHERE node_id = ? ORDER BY metric").all(nodeId)
    .flatMap(({ id, metric }) => {
      const { first, last } = ends.get(Number(id))!;
      if (last === null) return [];
      return [{ name: String(metric), first_ms: Number(first), last_ms: Number(last) }];
    });
}

/** See {@linkcode HistoryQuery}. */
export function readGaps(db: Database, query: HistoryQuery): StoredGap[] {
  const where = history(query, "rowid", "declared_wall_ms");
  return db.sql(`SELECT rowid AS id, * FROM gaps ${where.text} ORDER BY rowid DESC LIMIT ?`)
    .all(...where.values, query.limit).map((row) => {
      const node_id = String(row.node_id);
      const epoch = String(row.epoch);
      const from_seq = Number(row.from_seq);
      const to_seq = Number(row.to_seq);
      const of = { node_id, epoch, limit: 1 };
      return {
        id: Number(row.id),
        node_id,
        epoch,
        from_seq,
        to_seq,
        reason: String(row.reason),
        declared_wall_ms: Number(row.declared_wall_ms),
        from_wall_ms: wallMsBeside(db, { ...of, before_seq: from_seq, newest_first: true }),
        to_wall_ms: wallMsBeside(db, { ...of, after_seq: to_seq }),
      };
    });
}

/** When the record was made that the query finds; mostly a block says it that begins or ends there. */
function wallMsBeside(db: Database, query: RecordQuery & { readonly epoch: string }) {
  const { node_id, epoch, after_seq = -1, before_seq = Infinity, newest_first } = query;
  const from = after_seq + 1, to = Math.min(Number.MAX_SAFE_INTEGER, before_seq - 1);
  for (const block of blocksOf(db, { node_id, epoch, from, to, newest_first })) {
    if (newest_first && block.to_seq <= to) return block.last_wall_ms;
    if (!newest_first && block.from_seq >= from) return block.first_wall_ms;
    return recordsByNumber(db, query)[0]?.ts_wall_ms;
  }
  return undefined;
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
export class Where {
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

/** The conditions of a query for a table with numbered rows and a time. */
export function history(query: HistoryQuery, id: string, time: string): Where {
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
