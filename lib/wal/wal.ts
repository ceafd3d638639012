/**
 * The log: every record goes to the ring in memory and to the tail in memory-backed storage, or where there is none
 * to the newest segment on disk, and is kept until the host has it. What the host doesn't ack within the sync
 * interval goes from the ring to the disk. Appending never fails and never waits; what the disk doesn't take stays
 * in the ring and is written again when the disk recovers.
 *
 * ```
 *  firstSeq … high_acked … synced … written … nextSeq
 *  └ compacted whole segments at a time ┘└ synced ┘└ in page cache ┘└ in ring and tail; in the ring only, while the disk fails
 * ```
 * Invariants: seqs ascend within an epoch and none names two records that left the node; nothing above
 * `sendableThrough` may be sent; each seq between `high_acked` and `nextSeq` is readable or in `gaps`, not both;
 * what is neither in the ring nor acked is on disk.
 */
import { getLogger } from "@logtape/logtape";
import { assert } from "../assert.ts";
import { Wakeup } from "../platform/wakeup.ts";
import { Ages } from "./ages.ts";
import { Checkpoints } from "./checkpoint.ts";
import { Compaction } from "./compaction.ts";
import { SLOT_BYTES, syncedBy } from "./format.ts";
import { GapList, type LostRange } from "./gaps.ts";
import type { ReadLimit } from "./log_reader.ts";
import { MemoryTail } from "./memory_tail.ts";
import { ackedIn, findLog, type Found, takeUp } from "./opening.ts";
import { newWalStats, type WalOptions } from "./options.ts";
import { Positions } from "./positions.ts";
import { Reading } from "./reading.ts";
import { newEpoch } from "./recovery.ts";
import { moveAbove } from "./renumber.ts";
import { Reservation } from "./reservation.ts";
import { Ring } from "./ring.ts";
import type { StoredRecord } from "./segment.ts";
import { SegmentSet } from "./segment_set.ts";
import { Writing } from "./writing.ts";

export type { LostRange } from "./gaps.ts";
export type { WalOptions, WalStats } from "./options.ts";
export type { StoredRecord } from "./segment.ts";

const SEGMENT_BYTES_MAX = 4 * 1024 * 1024;
const ROOM_POLL_MS = 5;
const log = getLogger(["holdfast", "wal"]);

/** Where the end of the log is kept. */
export interface TailStatus {
  /** Records go to memory-backed storage first. */
  readonly in_memory: boolean;
  /** Bytes that they take there. */
  readonly bytes: number;
  /** Why it is not used although it should be. */
  readonly error: string | undefined;
}

/** See the head of the file. */
export class Wal {
  readonly epoch: string;
  readonly stats = newWalStats();
  #options: WalOptions;
  #bytesMax: number;
  #ring: Ring<Uint8Array>;
  #positions: Positions;
  #segments: SegmentSet;
  #writing: Writing;
  #memory: MemoryTail;
  #reservation: Reservation;
  #ages: Ages;
  #reading: Reading;
  #checkpoints: Checkpoints;
  #compaction: Compaction;
  /** Something was appended that is to be synced at once. */
  #isSyncWanted = false;
  /** The checkpoint on disk names a tail that is off. */
  #isCheckpointWanted = false;
  #wakeup = new Wakeup();
  #closed = false;

  private constructor(options: WalOptions, found: Found | undefined) {
    assert(options.bytesMax > 0, `bytesMax is ${options.bytesMax}, must be above 0`);
    assert(options.syncIntervalMs > 0, `syncIntervalMs is ${options.syncIntervalMs}`);
    const { clock, disk, random, osBootId, syncIntervalMs } = options;
    const segments = found?.log.segments ?? [], checkpoint = found?.log.checkpoint;
    const epoch = this.epoch = found?.log.epoch ?? newEpoch(random.bytes(8));
    this.#options = options;
    this.#bytesMax = options.bytesMax;
    const ring = this.#ring = new Ring<Uint8Array>(options.ringRecords);
    const positions = this.#positions = new Positions({
      last: Math.max(found?.log.lastSeq ?? 0, found?.tail?.lastSeq ?? 0),
      highAcked: ackedIn(found),
      // What a killed process left may be in the page cache only.
      synced: syncedBy(checkpoint),
      gaps: found?.log.gaps ?? new GapList(),
    });
    this.#segments = new SegmentSet(
      segments,
      2 * SLOT_BYTES + (found?.log.bytes ?? 0) -
        segments.reduce((sum, { bytes }) => sum + bytes, 0),
      (segment) => this.#reading.forget(segment),
    );
    this.#reading = new Reading(disk, this.#segments, ring, positions, this.stats);
    this.#memory = new MemoryTail(
      {
        disk: options.sync === "always" ? undefined : options.memory,
        clock,
        random,
        bytesMax: () => this.#shareOfBytes,
        roomBytes: () => this.#bytesMax - this.bytes,
        onFailed: () => {
          this.#writing.spill();
          this.#isCheckpointWanted = true;
          this.#wakeup.wake();
        },
      },
      epoch,
      found?.tail,
    );
    this.#reservation = new Reservation(clock, positions, syncIntervalMs);
    this.#ages = new Ages(syncIntervalMs);
    this.#checkpoints = new Checkpoints({
      disk,
      clock,
      osBootId,
      epoch,
      positions,
      reservation: this.#reservation,
      memory: this.#memory,
    }, checkpoint);
    this.#compaction = new Compaction({
      disk,
      clock,
      segments: this.#segments,
      positions,
      stats: this.stats,
      // Room for the tail and one more segment is kept free, so that appending never meets the limit.
      bytesMax: () => this.#bytesMax - this.#memory.bytesMax - this.#segmentBytes,
      inMemoryFrom: () => ring.firstSeq ?? Infinity,
    });
    this.#writing = new Writing({
      options,
      epoch,
      lastTurn: found?.log.lastTurn ?? 0,
      segments: this.#segments,
      positions,
      ring,
      stats: this.stats,
      compaction: this.#compaction,
      segmentBytes: () => this.#segmentBytes,
      bytesMax: () => this.#bytesMax - this.#memory.bytes,
      tidy: () => this.#tidy(),
      checkpoint: () => this.#checkpointOrFail(false),
      wake: () => this.#wakeup.wake(),
    });
  }

  /**
   * Opens the log in a directory, whatever state it is in. Never rejects for what a disk holds or refuses:
   * a directory that can't be read or written leaves the log in memory, with `writable` false, until the
   * disk recovers.
   */
  static async open(options: WalOptions): Promise<Wal> {
    let found: Found;
    try {
      found = await findLog(options);
    } catch (error) {
      const wal = new Wal(options, undefined);
      wal.#writing.unread(error);
      return wal;
    }
    const wal = new Wal(options, found);
    await takeUp(found, {
      options,
      positions: wal.#positions,
      writing: wal.#writing,
      memory: wal.#memory,
      compaction: wal.#compaction,
      remember: (seq, payload) => wal.#remember(seq, payload),
      checkpoint: () => wal.#checkpointOrFail(false),
    });
    return wal;
  }

  /** Oldest seq that can still be read; `nextSeq` where there is none. */
  get firstSeq(): number {
    const { next } = this.#positions;
    return Math.min(this.#segments.firstSeq ?? next, this.#ring.firstSeq ?? next);
  }
  get nextSeq(): number {
    return this.#positions.next;
  }
  get highAcked(): number {
    return this.#positions.highAcked;
  }
  get syncedSeq(): number {
    return this.#positions.synced;
  }
  /** First seq that this run gave out. */
  get runFirstSeq(): number {
    return this.#positions.runFirst;
  }
  /** Highest seq that may be sent: beyond it a power cut could give its number to another record. */
  get sendableThrough(): number {
    return this.#positions.sendableThrough;
  }
  /** Records appended and not acked, gaps included. */
  get backlog(): number {
    return this.nextSeq - 1 - this.highAcked;
  }
  /** Lost ranges above `highAcked`, ascending. */
  get gaps(): readonly LostRange[] {
    return this.#positions.gaps;
  }
  get lostRecords(): number {
    return this.#positions.lostRecords;
  }
  /** Bytes of all files in the directory, and of the tail in memory. */
  get bytes(): number {
    return this.#segments.bytes + this.#memory.bytes;
  }
  get bytesMax(): number {
    return this.#bytesMax;
  }
  /** Whether the disk takes records at present. */
  get writable(): boolean {
    return !this.#writing.failure.isPresent;
  }
  get lastError(): string | undefined {
    return this.#writing.failure.text;
  }
  /** Where records go first: to memory-backed storage, or to the disk; why not to memory, if they should. */
  get tail(): TailStatus {
    const { isOn, bytes, lastError } = this.#memory;
    return { in_memory: isOn, bytes, error: lastError };
  }
  get ringRecords(): number {
    return this.#ring.capacity;
  }

  /** Changes the limit at run time; a lower one evicts. */
  setLimits(limits: { bytesMax: number }): void {
    this.#bytesMax = limits.bytesMax;
    this.#wakeup.wake();
  }

  /**
   * Takes a record and returns its seq. Never throws and never waits. On return it survives the end of the
   * process if `writable` or in memory-backed storage, and a power cut once `syncedSeq` has reached it.
   * `payload` must not be changed afterwards.
   */
  append(payload: Uint8Array): number {
    const seq = this.#positions.take();
    this.#remember(seq, payload);
    this.#ages.appended(seq, this.#options.clock.monotonicMs());
    this.stats.appended_records++;
    const bytes = this.#memory.append(seq, payload);
    if (bytes > 0) {
      this.stats.appended_bytes += bytes;
      if (this.#reservation.isDue || this.#reservation.isUnsyncedFull) this.#wakeup.wake();
    } else {
      const before = this.stats.written_bytes;
      this.#writing.spill();
      this.stats.appended_bytes += this.stats.written_bytes - before;
      // It was as full as it may be: what is synced leaves it.
      if (this.#memory.isOn) this.#wantSync();
    }
    if (this.#options.sync === "always") this.#wantSync();
    return seq;
  }

  /** The payload of a record that is still in the ring. */
  recent(seq: number): Uint8Array | undefined {
    return this.#ring.get(seq);
  }

  /** The host has everything up to `highAcked`; lower values change nothing. Constant work. */
  ack(highAcked: number): void {
    if (!this.#positions.ack(highAcked)) return;
    if (this.#compaction.isDue || this.#isTailRemovalDue) this.#wakeup.wake();
  }

  /** The host has less than it once acked: what is still kept counts as backlog, the rest is a gap. */
  rewind(highAcked: number): void {
    const before = this.#positions.highAcked;
    if (highAcked >= before) return;
    const lostThrough = Math.min(this.firstSeq - 1, before);
    log.warn(
      "host has all only up to seq {high_acked}, {lost} once acked records are gone here too",
      { high_acked: highAcked, lost: Math.max(0, lostThrough - highAcked) },
    );
    this.#positions.rewind(highAcked);
    this.#positions.lose(highAcked + 1, lostThrough, "compacted");
    // What was acked in time may be in the ring alone: it must reach the disk now.
    if (this.#memory.bytesMax > 0) this.#positions.unsettle(highAcked);
    this.#wantSync();
    this.#reading.restart();
  }

  /** Syncs, compacts, evicts and recovers from failures until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const stop = () => this.#wakeup.wake();
    signal.addEventListener("abort", stop);
    let syncAtMs = this.#nextSyncMs();
    while (!signal.aborted) {
      if (!this.#hasWork) await this.#wakeup.wait(clock, this.#nextDueMs(syncAtMs));
      if (signal.aborted) break;
      const now = clock.monotonicMs();
      await this.#tidy();
      if (this.#writing.failure.isRetryDue) await this.#writing.recover();
      await this.#tendMemory();
      // Acks put it off: the oldest record that is not settled counts, not the one that was.
      if (this.#memory.isOn) syncAtMs = Math.max(syncAtMs, this.#nextSyncMs());
      if (now < syncAtMs && !this.#isSyncWanted) continue;
      // Before the sync: what is appended while it runs needs another one.
      this.#isSyncWanted = false;
      await this.sync();
      syncAtMs = this.#nextSyncMs();
      if (this.#checkpoints.isStale(now)) await this.#checkpointOrFail(false);
    }
    signal.removeEventListener("abort", stop);
  }

  /** Makes everything appended so far durable, unless the host has it; false if the disk fails. */
  sync(): Promise<boolean> {
    return this.#writing.sync();
  }

  /**
   * Consecutive records from the first one at or above `fromSeq` that exists, at most `records` and about
   * `bytes` of payload, at least one if there is one. Ends early where the source changes. Damage that it
   * meets becomes a gap. Calls may overlap; they run one after the other.
   */
  read(fromSeq: number, limit: ReadLimit): Promise<StoredRecord[]> {
    return this.#reading.read(fromSeq, limit);
  }

  /**
   * The host holds other records under seqs of this run, up to `maxSeq`: gives those of ours that collide
   * new numbers above it and declares the old ones. They are found again in seq order, not in time order.
   */
  async renumber(maxSeq: number): Promise<void> {
    const { clock } = this.#options;
    if (maxSeq >= this.#positions.next) this.#writing.jump("renumbered");
    await moveAbove(maxSeq, {
      positions: this.#positions,
      batchBytes: this.#segmentBytes / 2,
      read: (from, limit) => this.read(from, limit),
      append: (payload) => {
        this.append(payload);
        this.stats.renumbered_records++;
      },
      skipped: () => this.#writing.openOrFail(),
      roomMade: async () => {
        while (this.#compaction.isTooBig && this.writable && !this.#closed) {
          this.#wakeup.wake();
          await clock.sleepUntil(clock.monotonicMs() + ROOM_POLL_MS);
        }
      },
    });
  }

  /** Syncs, notes the clean end, and closes the files. Never rejects; the log must not be used afterwards. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const synced = await this.sync();
    const clean = synced && !this.#writing.failure.isPresent;
    if (await this.#checkpointOrFail(clean) && clean) await this.#memory.clear();
    await this.#reading.close();
    this.#writing.abandon();
    this.#memory.abandon();
  }

  /** The share of the limit that a segment takes, and the tail in memory. */
  get #shareOfBytes(): number {
    return Math.floor(this.#bytesMax / 16);
  }
  get #segmentBytes(): number {
    const { segmentBytes } = this.#options;
    return segmentBytes ?? Math.min(SEGMENT_BYTES_MAX, this.#shareOfBytes);
  }

  /** Puts a record into the ring; what it drops is lost unless the disk or the host has it. */
  #remember(seq: number, payload: Uint8Array): void {
    const oldest = this.#ring.droppedNext;
    const { written, highAcked } = this.#positions;
    if (oldest !== undefined && oldest > Math.max(written, highAcked)) this.#writing.spill();
    const dropped = this.#ring.push(seq, payload);
    if (dropped !== undefined) this.#leftRing(dropped);
  }

  #leftRing(seq: number): void {
    const segment = this.#segments.at(seq);
    if (segment !== undefined && segment.base <= seq) return;
    const isEvicted = seq <= this.#positions.written && this.writable;
    if (this.#positions.lose(seq, seq, isEvicted ? "evicted" : "unwritten") && isEvicted) {
      this.stats.evicted_records++;
    }
  }

  #wantSync(): void {
    this.#isSyncWanted = true;
    this.#wakeup.wake();
  }

  get #isTailRemovalDue(): boolean {
    return this.#memory.isRemovalDue(this.#positions.settled);
  }

  get #hasWork(): boolean {
    if (!this.writable) return false;
    return this.#compaction.isRemovalDue || this.#compaction.isDue || this.#compaction.isTooBig ||
      this.#isSyncWanted || this.#isCheckpointWanted || this.#isTailRemovalDue ||
      this.#memory.isOn && (this.#reservation.isDue || this.#reservation.isUnsyncedFull);
  }

  /** Compacts what is acked and evicts what the limit doesn't allow. */
  async #tidy(): Promise<void> {
    // The checkpoint first: with an older one, compacted segments would look lost after a crash.
    if (this.#compaction.isDue && !await this.#checkpointOrFail(false)) return;
    this.#compaction.compact();
    this.#compaction.evict();
    await this.#compaction.removeDoomed();
  }

  /** Reserves numbers, lets go of what the tail needn't hold any more, and tries a place that failed again. */
  async #tendMemory(): Promise<void> {
    await this.#memory.check();
    if (this.#isTailRemovalDue) {
      await this.#checkpoints.note();
      await this.#memory.removeThrough(this.#positions.settled);
    }
    if (!this.writable) return;
    if (this.#memory.isOn && this.#reservation.isUnsyncedFull) this.#isSyncWanted = true;
    if (this.#options.clock.monotonicMs() >= this.#memory.retryAtMs) {
      await this.#memory.prepare();
      if (this.#memory.id !== 0) this.#isCheckpointWanted = true;
    }
    const isDue = this.#memory.isOn && this.#reservation.isDue;
    if (!isDue && !this.#isCheckpointWanted) return;
    this.#isCheckpointWanted = false;
    await this.#checkpointOrFail(false);
  }

  /** When the next sync is due: where there is a tail in memory, for the oldest record that nobody else has. */
  #nextSyncMs(): number {
    const { clock, syncIntervalMs } = this.#options;
    const { next, unsyncedFrom } = this.#positions;
    const now = clock.monotonicMs();
    const isWaiting = this.writable && this.#memory.isOn && unsyncedFrom < next;
    return (isWaiting ? Math.min(now, this.#ages.of(unsyncedFrom)) : now) + syncIntervalMs;
  }

  #nextDueMs(syncAtMs: number): number {
    const { failure } = this.#writing;
    const otherMs = failure.isPresent ? failure.retryAtMs : this.#compaction.removeAtMs;
    return Math.min(syncAtMs, otherMs, this.writable ? this.#memory.retryAtMs : Infinity);
  }

  async #checkpointOrFail(clean: boolean): Promise<boolean> {
    try {
      const reserved = await this.#checkpoints.write(clean);
      if (this.writable) this.#positions.reserve(reserved);
      return true;
    } catch (error) {
      this.#writing.fail("checkpoint can't be written", error);
      return false;
    }
  }
}
