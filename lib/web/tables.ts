/** Answers that are lists, as JSON, as JSON lines and as CSV. Pure. */
import { csvLine } from "../csv.ts";

/** Text of a media type that is sent. */
export const MEDIA_TYPES = {
  json: "application/json; charset=utf-8",
  ndjson: "application/x-ndjson; charset=utf-8",
  csv: "text/csv; charset=utf-8; header=present",
} as const;

/** A format of {@linkcode MEDIA_TYPES}. */
export type Format = keyof typeof MEDIA_TYPES;

/** A list in one of the formats; `columns` are those of CSV, in this order. */
export function listText(
  format: Format,
  columns: readonly string[],
  rows: readonly Readonly<Record<string, unknown>>[],
): string {
  if (format === "json") return JSON.stringify(rows);
  if (format === "ndjson") return rows.map((row) => JSON.stringify(row) + "\n").join("");
  return csvLine(columns) + rows.map((row) => csvLine(columns.map((name) => row[name]))).join("");
}
