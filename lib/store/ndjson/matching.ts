/** Which of the rows that are read a query asks for. Pure. */
import { bucketOf } from "../series.ts";
import { type HistoryQuery, isByTime, type RecordQuery, type StoredRow } from "../store.ts";

/** Which of two rows comes first. */
export type Order = (a: StoredRow, b: StoredRow) => number;

/** The order that a query asks for. */
export function orderOf(query: RecordQuery): Order {
  const sign = query.newest_first ? -1 : 1;
  if (!isByTime(query)) return (a, b) => sign * (a.seq - b.seq);
  return (a, b) =>
    sign * ((bucketOf(a.ts_wall_ms) ?? 0) - (bucketOf(b.ts_wall_ms) ?? 0) ||
      (a.epoch < b.epoch ? -1 : a.epoch > b.epoch ? 1 : a.seq - b.seq));
}

/** Whether a row is one that a query asks for. */
export function matches(row: StoredRow, query: RecordQuery, order: Order): boolean {
  const { epoch, cursor } = query;
  return (epoch === undefined || row.epoch === epoch) &&
    row.seq > (query.after_seq ?? 0) && row.seq < (query.before_seq ?? Infinity) &&
    row.ts_wall_ms >= (query.from_wall_ms ?? -Infinity) &&
    row.ts_wall_ms < (query.to_wall_ms ?? Infinity) &&
    (!query.anomalies_only || row.is_anomaly) &&
    (cursor === undefined ||
      order(row, {
          ...row,
          ts_wall_ms: cursor.span_wall_ms,
          epoch: cursor.epoch,
          seq: cursor.seq,
        }) >
        0);
}

/** Sorts, and keeps what the query asks for. */
export function shrink(found: StoredRow[], limit: number, order: Order): void {
  found.sort(order);
  found.length = Math.min(found.length, limit);
}

/** Whether a gap or event is one that a query asks for. */
export function isInHistory(
  query: HistoryQuery,
  { id, node_id }: { id: number; node_id: string },
  wallMs: number,
): boolean {
  return (query.node_id ?? node_id) === node_id &&
    id > (query.after_id ?? -Infinity) && id < (query.before_id ?? Infinity) &&
    wallMs >= (query.from_wall_ms ?? -Infinity) && wallMs < (query.to_wall_ms ?? Infinity);
}

/** Appends, and forgets the oldest now and then. */
export function keepNewest<T>(found: T[], item: T, limit: number): void {
  found.push(item);
  if (found.length > 2 * limit) found.splice(0, limit);
}
