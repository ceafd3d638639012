/**
 * A set of seqs kept as sorted, disjoint, inclusive ranges: what the host holds above `high_acked`, what the
 * node has sent. Memory and work grow with the number of ranges, not of seqs.
 */
import { assert } from "../assert.ts";

/** `[from, to]`, both inclusive. */
export type Range = [from: number, to: number];

/** A set of seqs; see the head of the file. */
export class RangeSet {
  #ranges: Range[];
  /** Changes whenever the set does. */
  changes = 0;

  /** `ranges` may overlap and be in any order. */
  constructor(ranges: Iterable<readonly [number, number]> = []) {
    this.#ranges = [];
    for (const [from, to] of ranges) this.add(from, to);
  }

  /** An independent copy. */
  copy(): RangeSet {
    const copy = new RangeSet();
    copy.#ranges = this.#ranges.map(([from, to]) => [from, to]);
    copy.changes = this.changes;
    return copy;
  }

  /** The ranges, ascending. A view: valid until the next change. */
  get ranges(): readonly Range[] {
    return this.#ranges;
  }

  /** The number of seqs in the set. */
  get size(): number {
    let size = 0;
    for (const [from, to] of this.#ranges) size += to - from + 1;
    return size;
  }

  /** The highest seq in the set, 0 where it is empty. */
  get max(): number {
    return this.#ranges.at(-1)?.[1] ?? 0;
  }

  /** Index of the first range that ends at or after `seq`. */
  #find(seq: number): number {
    let low = 0, high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]![1] < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether `seq` is in the set. */
  has(seq: number): boolean {
    const range = this.#ranges[this.#find(seq)];
    return range !== undefined && range[0] <= seq;
  }

  /** Whether all of `from` to `to` is in the set. */
  covers(from: number, to: number): boolean {
    const range = this.#ranges[this.#find(from)];
    return range !== undefined && range[0] <= from && range[1] >= to;
  }

  /** Adds `from` to `to`; touching ranges become one. */
  add(from: number, to: number = from): void {
    assert(from <= to, `a range goes from ${from} to ${to}`);
    this.changes++;
    const start = this.#find(from - 1);
    let end = start;
    let low = from, high = to;
    while (end < this.#ranges.length && this.#ranges[end]![0] <= to + 1) {
      low = Math.min(low, this.#ranges[end]![0]);
      high = Math.max(high, this.#ranges[end]![1]);
      end++;
    }
    if (end - start === 1) {
      const range = this.#ranges[start]!;
      range[0] = low;
      range[1] = high;
    } else this.#ranges.splice(start, end - start, [low, high]);
  }

  /** Takes `from` to `to` out. */
  remove(from: number, to: number): void {
    this.changes++;
    const start = this.#find(from);
    let end = start;
    const rest: Range[] = [];
    while (end < this.#ranges.length && this.#ranges[end]![0] <= to) {
      const [low, high] = this.#ranges[end]!;
      if (low < from) rest.push([low, from - 1]);
      if (high > to) rest.push([to + 1, high]);
      end++;
    }
    this.#ranges.splice(start, end - start, ...rest);
  }

  /** The lowest part of `from` to `to` that is not in the set. */
  firstMissing(from: number, to: number): Range | undefined {
    for (let i = this.#find(from); i < this.#ranges.length && from <= to; i++) {
      const [low, high] = this.#ranges[i]!;
      if (low > from) return [from, Math.min(to, low - 1)];
      from = high + 1;
    }
    return from <= to ? [from, to] : undefined;
  }

  /** The parts of `from` to `to` that are not in the set, ascending. */
  missing(from: number, to: number): Range[] {
    const holes: Range[] = [];
    let next = from;
    for (let i = this.#find(from); i < this.#ranges.length && next <= to; i++) {
      const [low, high] = this.#ranges[i]!;
      if (low > to) break;
      if (low > next) holes.push([next, low - 1]);
      next = high + 1;
    }
    if (next <= to) holes.push([next, to]);
    return holes;
  }

  /**
   * Removes the range that begins at or below `high + 1` and returns where the contiguous run from `high`
   * ends: how `high_acked` moves on.
   */
  takeContiguous(high: number): number {
    let taken = 0;
    for (const [low, top] of this.#ranges) {
      if (low > high + 1) break;
      high = Math.max(high, top);
      taken++;
    }
    if (taken === 0) return high;
    this.changes++;
    this.#ranges.splice(0, taken);
    return high;
  }
}
