/** Answers that are lists, as JSON, as JSON lines and as CSV (RFC 4180, one header line). Pure. */

/** Text of a media type that is sent. */
export const MEDIA_TYPES = {
  json: "application/json; charset=utf-8",
  ndjson: "application/x-ndjson; charset=utf-8",
  csv: "text/csv; charset=utf-8; header=present",
} as const;

/** A format of {@linkcode MEDIA_TYPES}. */
export type Format = keyof typeof MEDIA_TYPES;

/** What a spreadsheet would take for a formula. */
const FORMULA = /^[=+\-@\t\r]/;

/**
 * One value as CSV: texts with separators are quoted, objects are JSON, nothing is empty. A text that a
 * spreadsheet would run as a formula gets an apostrophe in front: names come from devices.
 */
function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  const plain = typeof value === "object" ? JSON.stringify(value) : String(value);
  const text = typeof value === "string" && FORMULA.test(plain) ? `'${plain}` : plain;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One line of CSV with its line end. */
export function csvLine(values: readonly unknown[]): string {
  return values.map(cell).join(",") + "\r\n";
}

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
