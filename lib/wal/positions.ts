/**
 * Where the log stands, and what of it is lost. The one place that moves a position; each move is checked
 * against the order that all of them keep:
 *
 * ```
 *  highAcked ≤ nextSeq - 1      synced ≤ written ≤ nextSeq - 1      highAcked ≤ everAcked
 * ```
 */
import { assert } from "../assert.ts";
import { RESERVE_RECORDS, SEQ_JUMP_MAX, SEQ_MAX } from "../limits.ts";
import { GapList, type LossReason, type LostRange } from "./gaps.ts";

/** See the head of the file. */
export class Positions {
  #next: number;
  #runFirst: number;
  #highAcked: number;
  #everAcked: number;
  #written: number;
  #synced: number;
  #syncedLast = 0;
  #reserved: number | undefined;
  /** Up to there a segment whose sync failed may hold records that nothing else does. */
  #doubtedThrough = 0;
  #gaps: GapList;
  #lostRecords = 0;

  /** As recovered: `last` was given out last, all up to `synced` was synced. */
  constructor(found: { last: number; highAcked: number; synced: number; gaps: GapList }) {
    this.#next = found.last + 1;
    this.#runFirst = this.#next;
    this.#highAcked = this.#everAcked = found.highAcked;
    this.#written = found.last;
    this.#synced = Math.min(found.last, found.synced);
    this.#gaps = found.gaps;
    this.#gaps.trim(found.highAcked);
    this.#check();
  }

  /** The seq that the next record gets. */
  get next(): number {
    return this.#next;
  }
  /** First seq that this run gave out. */
  get runFirst(): number {
    return this.#runFirst;
  }
  get highAcked(): number {
    return this.#highAcked;
  }
  /** The highest that `highAcked` ever was. */
  get everAcked(): number {
    return this.#everAcked;
  }
  /** Highest seq that the disk took, or needn't take any more. */
  get written(): number {
    return this.#written;
  }
  /** Highest seq up to which all that the log holds is synced. */
  get synced(): number {
    return this.#synced;
  }
  /** Highest seq up to which nothing depends on memory any more: it is synced, acked or lost. */
  get settled(): number {
    return Math.max(this.#synced, this.#highAcked);
  }
  /** The first seq that neither the host has nor any sync covers; what is in doubt counts as covered. */
  get unsyncedFrom(): number {
    return Math.max(this.settled, this.#syncedLast) + 1;
  }
  /** Up to there the disk says that numbers may have been given out; `undefined` where what is synced says so. */
  get reserved(): number | undefined {
    return this.#reserved;
  }
  /** Lost ranges above `highAcked`, ascending. */
  get gaps(): readonly LostRange[] {
    return this.#gaps.list;
  }
  /** Records that this run found to be lost: evicted, never written, or damaged. */
  get lostRecords(): number {
    return this.#lostRecords;
  }
  /** The first seq at or above `from` that is not lost, and the first lost one behind it. */
  keptFrom(from: number): { first: number; before: number } {
    let first = from;
    for (const { from_seq, to_seq } of this.#gaps.list) {
      if (to_seq < first) continue;
      if (from_seq > first) return { first, before: from_seq };
      first = to_seq + 1;
    }
    return { first, before: Infinity };
  }
  /** Highest seq that may be sent: beyond it a power cut could give its number to another record. */
  get sendableThrough(): number {
    return Math.min(this.#next - 1, this.#reserved ?? this.settled + RESERVE_RECORDS);
  }

  /** See {@linkcode reserved}. */
  reserve(through: number | undefined): void {
    this.#reserved = through;
  }

  /** Gives out a seq. */
  take(): number {
    assert(this.#next <= SEQ_MAX + SEQ_JUMP_MAX, `seq ${this.#next} is above all bounds`);
    return this.#next++;
  }

  /** The disk took `seq`, or the host has it. */
  wrote(seq: number): void {
    assert(seq < this.#next, `${seq} was written before it was given out`);
    this.#written = Math.max(this.#written, seq);
  }

  /**
   * What was written is synced, up to `seq`. While records are in doubt that the host doesn't have, that says
   * nothing of all up to there.
   */
  syncedTo(seq: number): void {
    assert(seq <= this.#written, `synced ${seq}, written ${this.#written}`);
    this.#syncedLast = seq;
    if (this.#highAcked >= this.#doubtedThrough) this.#synced = Math.max(this.#synced, seq);
  }

  /** After a failed sync all from `first` on is written again; what lies below and is not synced is in doubt. */
  rewriteFrom(first: number): void {
    const isDoubted = first - 1 > Math.max(this.#synced, this.#highAcked);
    if (isDoubted) this.#doubtedThrough = Math.max(this.#doubtedThrough, first - 1);
  }

  /** The host has everything up to `seq`; false if that is nothing new. */
  ack(seq: number): boolean {
    if (seq <= this.#highAcked) return false;
    this.#highAcked = Math.min(seq, this.#next - 1);
    this.#everAcked = Math.max(this.#everAcked, this.#highAcked);
    this.#gaps.trim(this.#highAcked);
    this.#check();
    return true;
  }

  /** The host has less than it once acked. */
  rewind(seq: number): void {
    assert(seq >= 0 && seq < this.#highAcked, `rewind from ${this.#highAcked} to ${seq}`);
    this.#highAcked = seq;
  }

  /** Of what counted as synced or written above `seq` the disk holds nothing: the host had it, and has no more. */
  unsettle(seq: number): void {
    assert(seq >= this.#highAcked, `unsettle above ${seq}, acked ${this.#highAcked}`);
    this.#synced = Math.min(this.#synced, seq);
    this.#syncedLast = Math.min(this.#syncedLast, seq);
    this.#written = Math.min(this.#written, seq);
  }

  /** Numbers up to `last` are not given out any more: numbering goes on above. This run's first is there. */
  skipTo(last: number): void {
    assert(last >= this.#next - 1 && last <= SEQ_MAX + SEQ_JUMP_MAX, `skip to ${last}`);
    this.#next = last + 1;
    this.#runFirst = this.#next;
    this.#written = last;
    this.#check();
  }

  /** This run's records below `seq` have got new numbers. */
  startRunAt(seq: number): void {
    assert(seq >= this.#runFirst && seq <= this.#next, `the run starts at ${seq}`);
    this.#runFirst = seq;
  }

  /** `from` to `to` are lost for good, as far as they are not acked, `most` records if that is known; true if that is news. */
  lose(from: number, to: number, reason: LossReason, most?: number): boolean {
    const first = Math.max(from, this.#highAcked + 1);
    if (first > to) return false;
    const before = this.#gaps.records;
    const isNews = this.#gaps.add(first, to, reason, most);
    // Numbers that were skipped, or that another host has, are no records that this device lost.
    if (reason !== "unsynced" && reason !== "compacted") {
      this.#lostRecords += this.#gaps.records - before;
    }
    return isNews;
  }

  #check(): void {
    assert(this.#highAcked < this.#next, `acked ${this.#highAcked}, next is ${this.#next}`);
    assert(this.#highAcked <= this.#everAcked, "everAcked is the highest");
    assert(
      this.#synced <= this.#written && this.#written < this.#next,
      `synced ${this.#synced}, written ${this.#written}, next ${this.#next}`,
    );
  }
}
