/** The newest items by seq, in memory of a fixed number of places. Knows nothing of what it keeps. */

/** Items of consecutive or jumping seqs; adding one beyond the capacity drops the oldest. */
export class Ring<T> {
  readonly capacity: number;
  #items: (T | undefined)[];
  #seqs: Float64Array;
  #start = 0;
  #count = 0;

  /** `capacity` is a number of items, 1 or more. */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#items = new Array(capacity).fill(undefined);
    this.#seqs = new Float64Array(capacity);
  }

  get count(): number {
    return this.#count;
  }
  /** Seq of the item that the next one drops; `undefined` where there is room. */
  get droppedNext(): number | undefined {
    return this.#count === this.capacity ? this.firstSeq : undefined;
  }
  /** Seq of the oldest item; `undefined` when empty. */
  get firstSeq(): number | undefined {
    return this.#count === 0 ? undefined : this.#seqs[this.#start];
  }

  /** Adds an item with a seq above all others; returns the seq of the item that it drops, if any. */
  push(seq: number, item: T): number | undefined {
    const place = (this.#start + this.#count) % this.capacity;
    const dropped = this.#count === this.capacity ? this.#seqs[this.#start] : undefined;
    this.#items[place] = item;
    this.#seqs[place] = seq;
    if (dropped === undefined) this.#count++;
    else this.#start = (this.#start + 1) % this.capacity;
    return dropped;
  }

  /** The item of `seq`. */
  get(seq: number): T | undefined {
    const index = this.#indexFrom(seq);
    if (index === this.#count) return undefined;
    const place = (this.#start + index) % this.capacity;
    return this.#seqs[place] === seq ? this.#items[place] : undefined;
  }

  /** Items of seqs from `from` on, ascending. */
  *from(from: number): Generator<[seq: number, item: T]> {
    for (let index = this.#indexFrom(from); index < this.#count; index++) {
      const place = (this.#start + index) % this.capacity;
      yield [this.#seqs[place]!, this.#items[place]!];
    }
  }

  /** The first item at or above `from`. */
  first(from: number): [seq: number, item: T] | undefined {
    return this.from(from).next().value ?? undefined;
  }

  /** Index of the first item at or above `seq`; seqs ascend, so a binary search finds it. */
  #indexFrom(seq: number): number {
    let low = 0, high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#seqs[(this.#start + middle) % this.capacity]! < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
