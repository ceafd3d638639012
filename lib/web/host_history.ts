/** The host's stored data over HTTP: records, series, gaps and events, in pages or as a stream. */
import type { Context } from "hono";
import { recordCells, recordHead, recordText } from "../store/record_text.ts";
import { bucketOf } from "../store/series.ts";
import type {
  HistoryQuery,
  RecordCursor,
  RecordQuery,
  Store,
  StoredGap,
  StoredRow,
} from "../store/store.ts";
import type { ROUTES } from "./host_routes.ts";
import { BadRequest, type Values } from "./params.ts";
import { type Format, listText, MEDIA_TYPES } from "./tables.ts";

type RecordParams = Values<typeof ROUTES["records"]["params"]>;
type SeriesParams = Values<typeof ROUTES["series"]["params"]>;
type HistoryParams = Values<typeof ROUTES["events"]["params"]>;

const JSON_RECORDS_MAX = 1_000;
const JSON_RECORDS_DEFAULT = 100;
const STREAM_RECORDS_MAX = 1_000_000;
/** Records that are read from the store at once. */
const PAGE_RECORDS = 1_000;
const GAP_COLUMNS = [
  "id",
  "node_id",
  "epoch",
  "from_seq",
  "to_seq",
  "reason",
  "declared_wall_ms",
  "from_wall_ms",
  "to_wall_ms",
];
const EVENT_COLUMNS = ["id", "at_wall_ms", "node_id", "kind", "detail"];
const AUDIT_COLUMNS = [
  "id",
  "at_wall_ms",
  "who",
  "role",
  "address",
  "action",
  "target",
  "before",
  "after",
] as const;
const SERIES_COLUMNS = ["t", "min", "mean", "max", "n", "anomalies"];

const encoder = new TextEncoder();

function parseCursor(text: string): RecordCursor {
  const match = /^(\d{1,16})\.([0-9a-f]{16})\.(\d{1,16})$/.exec(text);
  if (match === null) throw new BadRequest("cursor: expected one from the header `link` of a page");
  return { span_wall_ms: Number(match[1]), epoch: match[2]!, seq: Number(match[3]) };
}

/** What a request asks of the store. Throws {@linkcode BadRequest} where it mixes time and numbers. */
function recordQuery(nodeId: string, p: RecordParams, limit: number): RecordQuery {
  const isByTime = p.from !== undefined || p.to !== undefined || p.cursor !== undefined;
  const isByNumber = p.after_seq !== undefined || p.before_seq !== undefined;
  if (isByTime && isByNumber) {
    throw new BadRequest(
      "after_seq and before_seq don't go with from, to and cursor: leave one out",
    );
  }
  return {
    node_id: nodeId,
    ...(p.epoch === undefined ? {} : { epoch: p.epoch }),
    ...(p.after_seq === undefined ? {} : { after_seq: p.after_seq }),
    ...(p.before_seq === undefined ? {} : { before_seq: p.before_seq }),
    ...(isByTime ? { from_wall_ms: p.from ?? 0 } : {}),
    ...(p.to === undefined ? {} : { to_wall_ms: p.to }),
    ...(p.cursor === undefined ? {} : { cursor: parseCursor(p.cursor) }),
    anomalies_only: p.anomalies,
    newest_first: p.order === "newest",
    limit,
  };
}

/** The query of the page behind `last`. */
function queryAfter(query: RecordQuery, last: StoredRow): RecordQuery {
  const { epoch, seq } = last;
  if (query.from_wall_ms !== undefined) {
    const span_wall_ms = bucketOf(last.ts_wall_ms) ?? 0;
    return { ...query, cursor: { span_wall_ms, epoch, seq } };
  }
  return { ...query, epoch, ...(query.newest_first ? { before_seq: seq } : { after_seq: seq }) };
}

/** The address of the page behind `last`. */
function nextLink(c: Context, query: RecordQuery, last: StoredRow): string {
  const next = queryAfter(query, last);
  const url = new URL(c.req.url);
  const set = (name: string, value: unknown) =>
    value !== undefined && url.searchParams.set(name, String(value));
  // A relative start would move on from page to page.
  if (query.from_wall_ms !== undefined) set("from", query.from_wall_ms);
  set("to", query.to_wall_ms);
  if (next.cursor !== undefined) {
    set("cursor", `${next.cursor.span_wall_ms}.${next.cursor.epoch}.${next.cursor.seq}`);
  } else {
    set("epoch", next.epoch);
    set("after_seq", next.after_seq);
    set("before_seq", next.before_seq);
  }
  return `<${url.pathname}${url.search}>; rel="next"`;
}

/** Answers a request for records. */
export async function answerRecords(
  c: Context,
  store: Store,
  nodeId: string,
  p: RecordParams,
): Promise<Response> {
  const format = p.format as Format;
  if (format !== "json") return await streamRecords(store, nodeId, p, format);
  const limit = p.limit ?? JSON_RECORDS_DEFAULT;
  if (limit > JSON_RECORDS_MAX) {
    throw new BadRequest(
      `limit: at most ${JSON_RECORDS_MAX} as JSON; follow the header link, or use format=ndjson`,
    );
  }
  const query = recordQuery(nodeId, p, limit);
  const rows = await store.records(query);
  const isFull = rows.length === limit;
  return c.body(`[${rows.map(recordText).join(",")}]`, 200, {
    "content-type": MEDIA_TYPES.json,
    ...(isFull ? { link: nextLink(c, query, rows.at(-1)!) } : {}),
  });
}

/** Reads a page only when the client has taken the one before. */
async function streamRecords(
  store: Store,
  nodeId: string,
  p: RecordParams,
  format: Format,
): Promise<Response> {
  let left = p.limit ?? STREAM_RECORDS_MAX;
  let query = recordQuery(nodeId, p, PAGE_RECORDS);
  const metrics = format === "csv" ? (await store.metrics(nodeId)).map(({ name }) => name) : [];
  let head = format === "csv" ? recordHead(metrics) : "";
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const limit = Math.min(left, PAGE_RECORDS);
        const rows = await store.records({ ...query, limit });
        const lines = rows.map((row) =>
          format === "csv" ? recordCells(row, metrics) : recordText(row) + "\n"
        );
        if (head !== "" || lines.length > 0) {
          controller.enqueue(encoder.encode(head + lines.join("")));
        }
        head = "";
        left -= rows.length;
        if (left === 0 || rows.length < limit) return controller.close();
        query = queryAfter(query, rows.at(-1)!);
      } catch (error) {
        // The status is sent already: a cut answer is what tells the client.
        controller.error(error);
      }
    },
  }, { highWaterMark: 0 });
  return new Response(body, { headers: { "content-type": MEDIA_TYPES[format] } });
}

/** Answers a request for a chart's columns; `nowMs` is the host's wall clock. */
export async function answerSeries(
  c: Context,
  store: Store,
  nodeId: string,
  p: SeriesParams,
  nowMs: number,
): Promise<Response> {
  const to_wall_ms = p.to ?? nowMs;
  if (to_wall_ms <= p.from) throw new BadRequest("to: expected a time after from");
  const columns = await store.series({
    node_id: nodeId,
    metric: p.metric,
    from_wall_ms: p.from,
    to_wall_ms,
    points: p.points,
  });
  if (p.format === "json") return c.json({ metric: p.metric, ...columns });
  const rows = columns.t.map((t, i) => ({
    t,
    min: columns.min[i],
    mean: columns.mean[i],
    max: columns.max[i],
    n: columns.n[i],
    anomalies: columns.anomalies[i],
  }));
  return list(c, p.format as Format, SERIES_COLUMNS, rows);
}

function historyQuery(nodeId: string | undefined, p: Omit<HistoryParams, "kind">): HistoryQuery {
  return {
    ...(nodeId === undefined ? {} : { node_id: nodeId }),
    ...(p.from === undefined ? {} : { from_wall_ms: p.from }),
    ...(p.to === undefined ? {} : { to_wall_ms: p.to }),
    ...(p.after_id === undefined ? {} : { after_id: p.after_id }),
    ...(p.before_id === undefined ? {} : { before_id: p.before_id }),
    limit: p.limit,
  };
}

/** Answers a request for gaps, of one node or of all. */
export async function answerGaps(
  c: Context,
  store: Store,
  nodeId: string | undefined,
  p: Omit<HistoryParams, "kind">,
): Promise<Response> {
  const found: StoredGap[] = await store.gaps(historyQuery(nodeId, p));
  return list(c, p.format as Format, GAP_COLUMNS, found.map((gap) => ({ ...gap })), p.limit);
}

/** Answers a request for events, of one node or of all. */
export async function answerEvents(
  c: Context,
  store: Store,
  nodeId: string | undefined,
  p: HistoryParams,
): Promise<Response> {
  const found = await store.events({
    ...historyQuery(nodeId, p),
    ...(p.kind === undefined ? {} : { kind: p.kind }),
  });
  return list(c, p.format as Format, EVENT_COLUMNS, found.map((event) => ({ ...event })), p.limit);
}

/** Answers a request for the audit trail. */
export async function answerAudit(
  c: Context,
  store: Store,
  p: Omit<HistoryParams, "kind">,
): Promise<Response> {
  const { node_id: _, ...query } = historyQuery(undefined, p);
  const found = await store.audit(query);
  return list(c, p.format as Format, AUDIT_COLUMNS, found.map((row) => ({ ...row })), p.limit);
}

/** A list; where it is as long as it may be, with the address of the next page. */
function list(
  c: Context,
  format: Format,
  columns: readonly string[],
  rows: readonly Record<string, unknown>[],
  limit = Infinity,
): Response {
  const url = new URL(c.req.url);
  if (rows.length === limit) url.searchParams.set("before_id", String(rows.at(-1)!.id));
  return c.body(listText(format, columns, rows), 200, {
    "content-type": MEDIA_TYPES[format],
    ...(rows.length === limit ? { link: `<${url.pathname}${url.search}>; rel="next"` } : {}),
  });
}
