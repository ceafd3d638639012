/** Errors and foreign texts as people read them. */

/** Control characters, and those that turn the direction of writing or break lines. */
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g;

/** A text that may come from anywhere, made harmless for a log line or a terminal; at most `max` characters. */
export function printable(text: string, max = 4_000): string {
  const clean = text.replace(UNPRINTABLE, " ");
  return clean.length <= max ? clean : `${clean.slice(0, max)}…`;
}

/** What was thrown, in one line without a stack. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return printable(text.split("\n")[0]!);
}
