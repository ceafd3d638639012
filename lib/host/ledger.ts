/**
 * What the host holds of one epoch of a node. Two views: `durable` is what the store has committed, and the
 * only one that acks speak of; `seen` adds what has been received and waits for its commit, so that nothing
 * is stored twice. Durable is always a part of seen. Pure.
 */
import { assert } from "../assert.ts";
import { HELD_RANGES_MAX, SEQ_JUMP_MAX } from "../limits.ts";
import type { ClaimedBatch, EpochState, GapRow, RecordRow } from "../store/store.ts";
import { type Range, RangeSet } from "../protocol/ranges.ts";

/** Contiguous part and ranges above it. */
class Held {
  high: number;
  above: RangeSet;
  max: number;

  constructor(high: number, above: RangeSet, max: number) {
    this.high = high;
    this.above = above;
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
    return new Held(this.high, this.above.copy(), this.max);
  }
}

/** Bytes that a record takes beside its own while it waits for its commit. */
const RECORD_OVERHEAD_BYTES = 128;

/** See the head of the file. */
export class Ledger {
  readonly nodeId: string;
  readonly epoch: string;
  readonly #fence: number;
  #durable: Held;
  #seen: Held;
  #records: RecordRow[] = [];
  #gaps: GapRow[] = [];
  #waitingBytes = 0;
  /** What the store is committing: its state after it, and its bytes. */
  #committing: { held: Held; bytes: number } | undefined;
  /** Changes of the ranges that the store has. */
  #storedChanges: number;

  /** `fence` is that of the claim that gave `state`; no store takes 0. */
  constructor(state: EpochState, fence = 0) {
    this.#fence = fence;
    this.nodeId = state.node_id;
    this.epoch = state.epoch;
    this.#durable = new Held(state.high_acked, new RangeSet(state.ranges), state.max_seq);
    this.#durable.high = this.#durable.above.takeContiguous(this.#durable.high);
    this.#storedChanges = this.#durable.above.changes;
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
  /** Whether something waits for a commit to start. */
  get isDirty(): boolean {
    return this.#records.length + this.#gaps.length > 0;
  }
  /** Records that wait for a commit to start. */
  get waitingRecords(): number {
    return this.#records.length;
  }
  /** Memory that waiting records take, those in a commit included. */
  get heldBytes(): number {
    return this.#waitingBytes + (this.#committing?.bytes ?? 0);
  }

  /** Whether `seq` lies further above all that was seen than a peer may jump. */
  isTooFar(seq: number): boolean {
    return seq > this.#seen.max + SEQ_JUMP_MAX;
  }

  /** Takes a record of so many bytes in for the next commit; false if it is a duplicate. */
  offer(row: RecordRow, bytes = row.payload.length): boolean {
    const { seq } = row;
    assert(seq >= 1 && !this.isTooFar(seq), `seq ${seq} is offered`);
    if (this.#seen.has(seq)) return false;
    this.#seen.add(seq, seq);
    this.#records.push(row);
    this.#waitingBytes += bytes + RECORD_OVERHEAD_BYTES;
    return true;
  }

  /** Takes a gap in for the next commit; returns the parts that are really lost. */
  offerGap(gap: GapRow): GapRow[] {
    assert(gap.from_seq <= gap.to_seq && !this.isTooFar(gap.to_seq), `gap to ${gap.to_seq}`);
    const from = Math.max(gap.from_seq, this.#seen.high + 1);
    const lost = this.#seen.above.missing(from, gap.to_seq)
      .filter(([low, high]) => low <= high)
      .map(([from_seq, to_seq]) => ({ from_seq, to_seq, reason: gap.reason }));
    for (const part of lost) {
      this.#seen.add(part.from_seq, part.to_seq);
      this.#gaps.push(part);
      this.#waitingBytes += RECORD_OVERHEAD_BYTES;
    }
    return lost;
  }

  /** Whether a peer makes us keep more separate ranges than we allow. */
  get isTooScattered(): boolean {
    return this.#seen.above.ranges.length > HELD_RANGES_MAX;
  }

  /** What is to be committed now; nothing waits any more. One commit at a time. */
  beginCommit(): ClaimedBatch {
    assert(this.#committing === undefined, "a ledger is in one commit at a time");
    const records = this.#records, gaps = this.#gaps;
    this.#records = [];
    this.#gaps = [];
    const held = this.#seen.copy();
    this.#committing = { held, bytes: this.#waitingBytes };
    this.#waitingBytes = 0;
    return {
      state: {
        node_id: this.nodeId,
        epoch: this.epoch,
        high_acked: held.high,
        ranges: held.above.ranges,
        max_seq: held.max,
      },
      fence: this.#fence,
      rangesChanged: held.above.changes !== this.#storedChanges,
      records,
      gaps,
    };
  }

  /** The store has committed what was given last. */
  committed(): void {
    const { held } = this.#committing!;
    assert(held.high >= this.#durable.high, `high_acked ${this.#durable.high} became ${held.high}`);
    assert(held.high <= this.#seen.high, "durable is a part of seen");
    this.#durable = held;
    this.#storedChanges = held.above.changes;
    this.#committing = undefined;
  }

  /** The store has failed: whatever is not durable was never received. */
  rollBack(): void {
    this.#records = [];
    this.#gaps = [];
    this.#waitingBytes = 0;
    this.#committing = undefined;
    this.#seen = this.#durable.copy();
  }
}
