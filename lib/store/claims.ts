/**
 * Claims of epochs for a store that one writer owns: in its memory, as no claim outlives the process that holds it,
 * and a lock lets one process in. Nothing is claimed after a start, so that all of before has to be claimed anew.
 * Pure.
 */

/** Epochs whose claim is remembered; one that was claimed longer ago has to be claimed anew. */
const CLAIMS_MAX = 100_000;
/** Claims that fit between two starts, for each millisecond that lies between them. */
const CLAIMS_PER_MS = 1_024;

/** What a claim is of, and what it was given. */
interface Claimed {
  readonly node_id: string;
  readonly epoch: string;
  readonly fence: number;
}

/** See the head of the file. */
export class Claims {
  #last: number;
  #latest = new Map<string, number>();

  /** `wallMs` is the present: fences go on above those of earlier lives, as far as the clock does. */
  constructor(wallMs: number) {
    this.#last = Math.max(0, Math.floor(wallMs)) * CLAIMS_PER_MS;
  }

  /** Claims an epoch: its fence, above all that were given. */
  take(nodeId: string, epoch: string): number {
    const key = `${nodeId} ${epoch}`;
    this.#latest.delete(key);
    this.#latest.set(key, ++this.#last);
    if (this.#latest.size > CLAIMS_MAX) {
      const [oldest] = this.#latest.keys();
      this.#latest.delete(oldest!);
    }
    return this.#last;
  }

  /** Places in `claimed` whose fence is not the latest of its epoch. */
  overtaken(claimed: readonly Claimed[]): number[] {
    return claimed.flatMap(({ node_id, epoch, fence }, index) =>
      this.#latest.get(`${node_id} ${epoch}`) === fence ? [] : [index]
    );
  }
}
