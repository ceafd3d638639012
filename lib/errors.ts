/** Errors as people read them. */

/** What was thrown, in one line without a stack. */
export function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}
