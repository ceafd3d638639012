/** Walks every sequence of choices: a source of "randomness" for code that is to be tried in all ways. */
import type { Random } from "../../lib/platform/platform.ts";

/** Use it as a `Random`, then call `next` and do the same again, until it says that all ways were tried. */
export class Choices implements Random {
  #path: { value: number; of: number }[] = [];
  #at = 0;

  below(n: number): number {
    const known = this.#path[this.#at++];
    if (known !== undefined) return known.value;
    this.#path.push({ value: 0, of: n });
    return 0;
  }

  bytes(count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(count);
  }

  /** Moves on to the next way; false when there is none left. */
  next(): boolean {
    this.#at = 0;
    for (let last = this.#path.at(-1); last !== undefined; last = this.#path.at(-1)) {
      if (last.value + 1 < last.of) {
        last.value++;
        return true;
      }
      this.#path.pop();
    }
    return false;
  }
}
