/** CSV as RFC 4180 has it. Pure. */

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
