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

const FIELD = /(?:^|,)(?:\s*"((?:[^"]|"")*)"\s*|([^,]*))/g;

/** The fields of one line, without their quotes. A field doesn't go on over the end of a line. */
export function csvFields(line: string): string[] {
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  // An empty first field has no comma before it.
  const fields = [...(text.startsWith(",") ? `"",${text.slice(1)}` : text).matchAll(FIELD)];
  return fields.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!.trim());
}
