/**
 * What the host holds of one epoch of a node. Two views: `durable` is what the store has committed, and the
 * only one that acks speak of; `seen` adds what has been received and waits for its commit, so that nothing
 * is stored twice. Pure.
 */
import { HELD_RANGES_MAX } from "../limits.ts";
import type { EpochState, GapRow, RecordRow } from "../platform/store.ts";
import { type Range, RangeSet } from "../protocol/ranges.ts";

/** Contiguous part and ranges above it. */
class Held {
  high: number;
  above: RangeSet;
  max: number;

  constructor(high: number, ranges: Iterable<readonly [number, number]>, max: number) {
    this.high = high;
    this.above = new RangeSet(ranges);
    this.max = max;
  }

  has(seq: number): boolean {
    return seq <= this.high || this.above.has(seq);
  }

  add(from: number, to: number): void {
    this.max = Math.max(this.max, to);
    if (from <= this.high + 1) this.high = Math.max(this.high, to);
    else this.above.add(from, to);
    this.high = this.above.takeContiguous(this.high);
  }

  copy(): Held {
    return new Held(this.high, this.above.ranges, this.max);
  }
}

/** See the head of the file. */
export class Ledger {
  readonly nodeId: string;
  readonly epoch: string;
  #durable: Held;
  #seen: Held;
  #records: RecordRow[] = [];
  #gaps: GapRow[] = [];

  constructor(state: EpochState) {
    this.nodeId = state.node_id;
    this.epoch = state.epoch;
    this.#durable = new Held(state.high_acked, state.ranges, state.max_seq);
    this.#seen = this.#durable.copy();
  }

  get highAcked(): number {
    return this.#durable.high;
  }
  /** Durable ranges above `highAcked`, the lowest `count` of them. */
  ranges(count: number): Range[] {
    return this.#durable.above.ranges.slice(0, count).map(([from, to]) => [from, to]);
  }
  get maxSeq(): number {
    return this.#durable.max;
  }
  /** Records and gaps that wait for a commit. */
  get pending(): number {
    return this.#records.length + this.#gaps.length;
  }

  /** Takes a record in for the next commit; false if it is a duplicate. */
  offer(row: RecordRow): boolean {
    if (this.#seen.has(row.seq)) return false;
    this.#seen.add(row.seq, row.seq);
    this.#records.push(row);
    return true;
  }

  /** Takes a gap in for the next commit; returns the parts that are really lost. */
  offerGap(gap: GapRow): GapRow[] {
    const from = Math.max(gap.from_seq, this.#seen.high + 1);
    const lost = this.#seen.above.missing(from, gap.to_seq)
      .filter(([low, high]) => low <= high)
      .map(([from_seq, to_seq]) => ({ from_seq, to_seq, reason: gap.reason }));
    for (const part of lost) {
      this.#seen.add(part.from_seq, part.to_seq);
      this.#gaps.push(part);
    }
    return lost;
  }

  /** Whether a peer makes us keep more separate ranges than we allow. */
  get isTooScattered(): boolean {
    return this.#seen.above.ranges.length > HELD_RANGES_MAX;
  }

  /** What is to be committed now, and the state after it; nothing waits any more. */
  take(): { state: EpochState; records: RecordRow[]; gaps: GapRow[] } {
    const records = this.#records, gaps = this.#gaps;
    this.#records = [];
    this.#gaps = [];
    return {
      state: {
        node_id: this.nodeId,
        epoch: this.epoch,
        high_acked: this.#seen.high,
        ranges: this.#seen.above.ranges.map(([from, to]) => [from, to] as const),
        max_seq: this.#seen.max,
      },
      records,
      gaps,
    };
  }

  /** The store has committed `state`. */
  committed(state: EpochState): void {
    this.#durable = new Held(state.high_acked, state.ranges, state.max_seq);
  }

  /** The store has failed: whatever is not durable was never received. */
  rollBack(): void {
    this.#records = [];
    this.#gaps = [];
    this.#seen = this.#durable.copy();
  }
}
