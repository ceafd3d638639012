/**
 * The log: every record goes to the ring in memory and to the newest segment on disk, and is kept until the
 * host has it. Appending never fails and never waits; what the disk doesn't take stays in the ring and is
 * written again when the disk recovers.
 *
 * ```
 *  firstSeq … high_acked … synced … written … nextSeq
 *  └ compacted whole segments at a time ┘└ synced ┘└ in page cache ┘└ in the ring only, while the disk fails
 * ```
 * Invariants: seqs ascend within an epoch and none names two records that left the node; nothing above
 * `sendableThrough` may be sent; each seq between `high_acked` and `nextSeq` is readable or in `gaps`, not both.
 */
import { getLogger } from "@logtape/logtape";
import { assert } from "../assert.ts";
import { RESERVE_RECORDS } from "../limits.ts";
import { Wakeup } from "../platform/wakeup.ts";
import { Checkpoints } from "./checkpoint.ts";
import { Compaction } from "./compaction.ts";
import { type JumpReason, SEGMENT_HEADER_BYTES, shortBootId, SLOT_BYTES } from "./format.ts";
import { Failure } from "./failure.ts";
import { GapList, type LostRange } from "./gaps.ts";
import type { ReadLimit } from "./log_reader.ts";
import { newWalStats, type WalOptions } from "./options.ts";
import { Positions } from "./positions.ts";
import { Reading } from "./reading.ts";
import { demandNoLog, newEpoch, recover, type Recovered } from "./recovery.ts";
import { moveAbove } from "./renumber.ts";
import { Ring } from "./ring.ts";
import type { StoredRecord } from "./segment.ts";
import { SegmentSet } from "./segment_set.ts";
import { Tail } from "./tail.ts";

export type { LostRange } from "./gaps.ts";
export type { WalOptions, WalStats } from "./options.ts";
export type { StoredRecord } from "./segment.ts";

const SEGMENT_BYTES_MAX = 4 * 1024 * 1024;
const ROOM_POLL_MS = 5;
const log = getLogger(["holdfast", "wal"]);

/** See the head of the file. */
export class Wal {
  readonly epoch: string;
  readonly stats = newWalStats();
  #options: WalOptions;
  #bytesMax: number;
  #ring: Ring<Uint8Array>;
  #positions: Positions;
  #segments: SegmentSet;
  #tail: Tail;
  #reading: Reading;
  #checkpoints: Checkpoints;
  #compaction: Compaction;
  /** Why the next segment's base may lie above all that the log held before it. */
  #jumpReason: JumpReason | undefined;
  readonly #failure: Failure;
  #syncing: Promise<boolean> | undefined;
  /** Something was appended that is to be synced at once. */
  #isSyncWanted = false;
  #wakeup = new Wakeup();
  #closed = false;
  /** What the directory holds is not known. */
  #isUnread: boolean;

  private constructor(options: WalOptions, found: Recovered | undefined, failure?: unknown) {
    assert(options.bytesMax > 0, `bytesMax is ${options.bytesMax}, must be above 0`);
    assert(options.syncIntervalMs > 0, `syncIntervalMs is ${options.syncIntervalMs}`);
    this.#options = options;
    this.#bytesMax = options.bytesMax;
    this.#ring = new Ring(options.ringRecords);
    this.epoch = found?.epoch ?? newEpoch(options.random.bytes(8));
    this.#positions = new Positions({
      last: found?.lastSeq ?? 0,
      highAcked: found?.highAcked ?? 0,
      // What a killed process left may be in the page cache only.
      synced: found?.checkpoint?.lastSeq ?? 0,
      gaps: found?.gaps ?? new GapList(),
    });
    const segmentBytes = (found?.segments ?? []).reduce((sum, { bytes }) => sum + bytes, 0);
    this.#segments = new SegmentSet(
      found?.segments ?? [],
      2 * SLOT_BYTES + (found?.bytes ?? 0) - segmentBytes,
      (segment) => this.#reading.forget(segment),
    );
    this.#reading = new Reading(
      options.disk,
      this.#segments,
      this.#ring,
      this.#positions,
      this.stats,
    );
    this.#tail = new Tail(
      options.disk,
      this.epoch,
      this.#segments,
      found?.lastTurn ?? 0,
      () => this.#segmentBytes,
    );
    this.#checkpoints = new Checkpoints(options, this.epoch, this.#positions, found?.checkpoint);
    this.#compaction = new Compaction({
      disk: options.disk,
      clock: options.clock,
      segments: this.#segments,
      positions: this.#positions,
      stats: this.stats,
      // Room for one more segment is kept free, so that appending never meets the limit.
      bytesMax: () => this.#bytesMax - this.#segmentBytes,
      inMemoryFrom: () => this.#ring.firstSeq ?? Infinity,
    });
    this.#failure = new Failure(options.clock);
    this.#isUnread = failure !== undefined;
    if (failure !== undefined) this.#failure.note("log can't be read", failure);
  }

  /**
   * Opens the log in a directory, whatever state it is in. Never rejects for what a disk holds or refuses:
   * a directory that can't be read or written leaves the log in memory, with `writable` false, until the
   * disk recovers.
   */
  static async open(options: WalOptions): Promise<Wal> {
    let found: Recovered | undefined;
    try {
      found = await recover(options.disk);
    } catch (error) {
      return new Wal(options, undefined, error);
    }
    const wal = new Wal(options, found);
    await wal.#resume(found);
    return wal;
  }

  /** Takes up the numbering where it is safe, and makes the directory ready for this run. */
  async #resume(found: Recovered): Promise<void> {
    const { disk, osBootId } = this.#options;
    const lastFound = this.#positions.next - 1;
    for (const name of found.foreign) log.warn("{name} is not part of this log", { name });
    for (const { name, unreadable } of found.segments) {
      if (unreadable) {
        log.error("{name} can't be read: it is set aside until the next start", { name });
      }
    }
    if (found.epoch !== undefined) {
      const { checkpoint } = found;
      const sameBoot = checkpoint?.osBootId === shortBootId(osBootId);
      // A killed process leaves whole records: a torn one means that the medium lost something.
      const isUncertain = checkpoint?.clean !== true && !sameBoot;
      if (isUncertain || found.tornBytes > 0) this.#skipReserve();
    }
    try {
      if (found.epoch !== undefined) {
        await this.#tail.resume({
          syncedSeq: found.checkpoint?.lastSeq ?? 0,
          tailEnd: found.tailEnd,
          shapes: found.tailShapes,
          // The next record must be the next of the segment, and there must be room for it.
          nextSeq: this.#jumpReason === undefined ? this.#positions.next : undefined,
          bytesMax: this.#segmentBytes,
        });
      }
      this.#positions.syncedTo(lastFound);
      // The limit may be lower than it was.
      this.#compaction.evict();
      await this.#compaction.removeDoomed();
      // Before the checkpoint: that names this boot, and what was skipped must be on record by then.
      if (!this.#tail.isOpen) this.#startSegment(this.#positions.next);
      await this.#checkpoints.write(false);
      await disk.syncDir();
    } catch (error) {
      this.#fail("log can't be written", error);
    }
  }

  /** After a power cut: what was sent and never synced must not be numbered again. */
  #skipReserve(): void {
    const prev = this.#positions.next - 1;
    this.#positions.skipTo(prev + RESERVE_RECORDS);
    this.#positions.lose(prev + 1, prev + RESERVE_RECORDS, "unsynced");
    this.#jumpReason = "unsynced";
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
  /** Bytes of all files in the directory. */
  get bytes(): number {
    return this.#segments.bytes;
  }
  get bytesMax(): number {
    return this.#bytesMax;
  }
  /** Whether the disk takes records at present. */
  get writable(): boolean {
    return !this.#failure.isPresent;
  }
  get lastError(): string | undefined {
    return this.#failure.text;
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
   * process if `writable`, and a power cut once `syncedSeq` has reached it. `payload` must not be changed
   * afterwards.
   */
  append(payload: Uint8Array): number {
    const seq = this.#positions.take();
    const dropped = this.#ring.push(seq, payload);
    this.stats.appended_records++;
    if (dropped !== undefined) this.#leftRing(dropped);
    if (!this.#failure.isPresent) {
      try {
        this.#write(seq, payload);
      } catch (error) {
        this.stats.write_failures++;
        this.#fail("record can't be written", error);
      }
    }
    if (this.#options.sync === "always") {
      this.#isSyncWanted = true;
      this.#wakeup.wake();
    }
    return seq;
  }

  /** The payload of a record that is still in the ring. */
  recent(seq: number): Uint8Array | undefined {
    return this.#ring.get(seq);
  }

  /** The host has everything up to `highAcked`; lower values change nothing. Constant work. */
  ack(highAcked: number): void {
    if (this.#positions.ack(highAcked) && this.#compaction.isDue) this.#wakeup.wake();
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
    this.#reading.restart();
  }

  /** Syncs, compacts, evicts and recovers from failures until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const stop = () => this.#wakeup.wake();
    signal.addEventListener("abort", stop);
    let syncAtMs = clock.monotonicMs() + this.#options.syncIntervalMs;
    while (!signal.aborted) {
      if (!this.#hasWork()) await this.#wakeup.wait(clock, this.#nextDueMs(syncAtMs));
      if (signal.aborted) break;
      const now = clock.monotonicMs();
      await this.#tidy();
      if (this.#failure.isRetryDue) await this.#recoverWriting();
      if (now < syncAtMs && !this.#isSyncWanted) continue;
      syncAtMs = now + this.#options.syncIntervalMs;
      // Before the sync: what is appended while it runs needs another one.
      this.#isSyncWanted = false;
      await this.sync();
      if (this.#checkpoints.isStale(now)) await this.#checkpointOrFail(false);
    }
    signal.removeEventListener("abort", stop);
  }

  /** Makes everything appended so far durable; false if the disk fails. */
  async sync(): Promise<boolean> {
    while (this.#syncing !== undefined) await this.#syncing;
    this.#syncing = this.#syncNow();
    try {
      return await this.#syncing;
    } finally {
      this.#syncing = undefined;
    }
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
    if (maxSeq >= this.#positions.next) {
      this.#tail.seal();
      this.#jumpReason = "renumbered";
    }
    await moveAbove(maxSeq, {
      positions: this.#positions,
      batchBytes: this.#segmentBytes / 2,
      read: (from, limit) => this.read(from, limit),
      append: (payload) => {
        this.append(payload);
        this.stats.renumbered_records++;
      },
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
    const clean = await this.sync();
    await this.#checkpointOrFail(clean && !this.#failure.isPresent);
    await this.#reading.close();
    this.#tail.abandon();
  }

  get #segmentBytes(): number {
    const { segmentBytes } = this.#options;
    return segmentBytes ?? Math.min(SEGMENT_BYTES_MAX, Math.floor(this.#bytesMax / 16));
  }

  /** A record has fallen out of the ring: unless the disk or the host has it, it is lost. */
  #leftRing(seq: number): void {
    const segment = this.#segments.at(seq);
    if (segment !== undefined && segment.base <= seq) return;
    const isEvicted = seq <= this.#positions.written && !this.#failure.isPresent;
    if (this.#positions.lose(seq, seq, isEvicted ? "evicted" : "unwritten") && isEvicted) {
      this.stats.evicted_records++;
    }
  }

  #write(seq: number, payload: Uint8Array): void {
    if (this.#tail.isOpen && this.#tail.bytes >= this.#segmentBytes) this.#tail.seal();
    this.#checkRoom(this.#tail.room(payload));
    if (!this.#tail.isOpen) this.#startSegment(seq);
    this.stats.written_bytes += this.#tail.append(seq, payload);
    this.#positions.wrote(seq);
    // What is kept free would not last until the next sync where records are large.
    if (this.#compaction.isTooBig) this.#wakeup.wake();
  }

  #checkRoom(bytes: number): void {
    if (this.bytes + bytes <= this.#bytesMax) return;
    this.#wakeup.wake();
    throw new Error("the log has reached wal_bytes_max");
  }

  /** Starts a segment; its header says why what lies between it and all that the log holds was never written. */
  #startSegment(base: number): void {
    this.#checkRoom(SEGMENT_HEADER_BYTES);
    const held = Math.max(...this.#segments.all.map(({ end }) => end));
    const prev = this.#segments.count === 0 ? base - 1 : Math.min(base - 1, held);
    const reason = prev < base - 1 ? this.#jumpReason ?? "none" : "none";
    this.#tail.start(base, { prev, reason });
    this.#jumpReason = undefined;
  }

  #fail(what: string, error: unknown): void {
    this.#failure.note(what, error);
    this.#tail.seal();
  }

  async #syncNow(): Promise<boolean> {
    if (this.#failure.isPresent) return false;
    const target = this.#positions.written;
    if (this.#tail.isSynced) return true;
    try {
      await this.#tail.sync();
    } catch (error) {
      this.stats.sync_failures++;
      this.#fail("sync failed", error);
      return false;
    }
    this.stats.syncs++;
    if (this.#failure.isPresent) return false;
    this.#positions.syncedTo(target);
    return true;
  }

  /** Starts a new segment and writes again what only the ring holds for certain. */
  async #recoverWriting(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing;
    try {
      // Writing beside another log, as one that was mounted late, would mix two epochs.
      if (this.#isUnread) await demandNoLog(this.#options.disk);
      this.#isUnread = false;
    } catch (error) {
      return this.#fail("log can't be used", error);
    }
    this.#tail.abandon();
    this.#failure.retrying();
    // Copies of earlier attempts would fill the log; the newest stays until a newer one is whole.
    for (const segment of this.#segments.all.slice(0, -1)) {
      if (segment.end < segment.base && segment.reason === "none") this.#segments.retire(segment);
    }
    const { synced, highAcked, next } = this.#positions;
    const first = this.#ring.first(Math.max(synced, highAcked) + 1)?.[0] ?? next;
    this.#jumpReason ??= "unwritten";
    try {
      this.#startSegment(first);
      this.#segments.cutBefore(first);
      this.#positions.rewriteFrom(first);
      // Appends that come meanwhile go to the ring only, and so are written here in their turn.
      for (let item = this.#ring.first(first); item; item = this.#ring.first(item[0] + 1)) {
        if (this.#compaction.isTooBig) await this.#tidy();
        this.#write(item[0], item[1]);
      }
      this.#failure.clear();
      if (await this.#syncNow()) {
        await this.#checkpointOrFail(false);
        this.#failure.forget();
        log.info("disk takes records again, from seq {first}", { first });
      }
    } catch (error) {
      this.#fail("disk still fails", error);
    }
  }

  #hasWork(): boolean {
    if (this.#failure.isPresent) return false;
    return this.#compaction.isRemovalDue || this.#compaction.isDue || this.#compaction.isTooBig ||
      this.#isSyncWanted;
  }

  /** Compacts what is acked and evicts what the limit doesn't allow. */
  async #tidy(): Promise<void> {
    // The checkpoint first: with an older one, compacted segments would look lost after a crash.
    if (this.#compaction.isDue && !await this.#checkpointOrFail(false)) return;
    this.#compaction.compact();
    this.#compaction.evict();
    await this.#compaction.removeDoomed();
  }

  #nextDueMs(syncAtMs: number): number {
    const { isPresent, retryAtMs } = this.#failure;
    return Math.min(syncAtMs, isPresent ? retryAtMs : this.#compaction.removeAtMs);
  }

  async #checkpointOrFail(clean: boolean): Promise<boolean> {
    try {
      await this.#checkpoints.write(clean);
      return true;
    } catch (error) {
      this.#fail("checkpoint can't be written", error);
      return false;
    }
  }
}
