/** When records were appended, by a handful of marks: at most a sixteenth of the span that matters too early. */

const MARKS_A_SPAN = 16;
const MARKS_MAX = 4 * MARKS_A_SPAN;

/** See the head of the file. Times are monotonic, in ms. */
export class Ages {
  #spanMs: number;
  #marks: { readonly seq: number; readonly atMs: number }[] = [];

  constructor(spanMs: number) {
    this.#spanMs = spanMs;
  }

  /** `seq` was appended now. */
  appended(seq: number, nowMs: number): void {
    const last = this.#marks.at(-1);
    if (last !== undefined && nowMs < last.atMs + this.#spanMs / MARKS_A_SPAN) return;
    this.#marks.push({ seq, atMs: nowMs });
    // Whatever lies between the first and the next then counts as old as the first.
    if (this.#marks.length > MARKS_MAX) this.#marks.splice(1, 1);
  }

  /** When `seq` was appended, or a little before; `-Infinity` for one that came before all that is remembered. */
  of(seq: number): number {
    while (this.#marks.length > 1 && this.#marks[1]!.seq <= seq) this.#marks.shift();
    const [first] = this.#marks;
    return first === undefined || first.seq > seq ? -Infinity : first.atMs;
  }
}
