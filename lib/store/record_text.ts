/** Stored records as texts: JSON lines and CSV. Pure. */
import { csvLine } from "../csv.ts";
import type { StoredRow } from "./store.ts";

/** Columns of CSV before those of the metrics. */
const RECORD_COLUMNS = [
  "received_wall_ms",
  "node_id",
  "epoch",
  "seq",
  "ts_wall_ms",
  "ts_mono_ms",
  "is_anomaly",
  "score",
  "degraded",
  "cfg_version",
] as const;
/** A record's JSON with the time of its arrival. */
export function recordText({ payload, received_wall_ms }: StoredRow): string {
  const end = payload.lastIndexOf("}");
  return `${payload.slice(0, end)},"received_wall_ms":${received_wall_ms}}`;
}

/** The head of a CSV of records, with a column for each of `metrics`. */
export function recordHead(metrics: readonly string[]): string {
  return csvLine([...RECORD_COLUMNS, ...metrics]);
}

/** A line of it. Throws where the record's JSON is damaged. */
export function recordCells(row: StoredRow, metrics: readonly string[]): string {
  const record = JSON.parse(row.payload);
  return csvLine([
    row.received_wall_ms,
    row.node_id,
    row.epoch,
    row.seq,
    row.ts_wall_ms,
    row.ts_mono_ms,
    row.is_anomaly ? 1 : 0,
    row.score,
    record.degraded ? 1 : 0,
    record.cfg_version,
    // A metric may be named as what every object has.
    ...metrics.map((name) => Object.hasOwn(record.metrics, name) ? record.metrics[name] : ""),
  ]);
}
