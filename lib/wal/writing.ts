/**
 * From memory to the disk: writes to the newest segment what the ring holds and the disk needs, syncs it, and
 * when the disk fails, writes again what only the ring holds for certain.
 */
import { getLogger } from "@logtape/logtape";
import type { Disk } from "../platform/platform.ts";
import type { Compaction } from "./compaction.ts";
import { Failure } from "./failure.ts";
import { type JumpReason, SEGMENT_HEADER_BYTES, syncedBy } from "./format.ts";
import type { WalOptions, WalStats } from "./options.ts";
import type { Positions } from "./positions.ts";
import { demandNoLog, type Recovered } from "./recovery.ts";
import type { Ring } from "./ring.ts";
import type { SegmentSet } from "./segment_set.ts";
import { Tail } from "./tail.ts";

/** Acked records that are written all the same where they fill a hole so small: a new segment costs more. */
const FILL_RECORDS_MAX = 32;
const log = getLogger(["holdfast", "wal"]);

/** What {@linkcode Writing} works with. */
export interface WritingParts {
  readonly options: WalOptions;
  readonly epoch: string;
  readonly lastTurn: number;
  readonly segments: SegmentSet;
  readonly positions: Positions;
  readonly ring: Ring<Uint8Array>;
  readonly stats: WalStats;
  readonly compaction: Compaction;
  /** Size at which a segment ends. */
  readonly segmentBytes: () => number;
  /** Most bytes of the directory. */
  readonly bytesMax: () => number;
  /** Compacts and evicts now. */
  readonly tidy: () => Promise<void>;
  /** Writes a checkpoint; false if that fails. */
  readonly checkpoint: () => Promise<boolean>;
  /** There is something to do before the next sync is due. */
  readonly wake: () => void;
}

/** See the head of the file. */
export class Writing {
  readonly failure: Failure;
  #parts: WritingParts;
  #disk: Disk;
  #tail: Tail;
  /** Why the next segment's base may lie above all that the log held before it. */
  #jumpReason: JumpReason | undefined;
  /** How many records those numbers can have been at most; 0: not known. */
  #jumpMost = 0;
  #syncing: Promise<boolean> | undefined;
  /** What the directory holds is not known. */
  #isUnread = false;

  constructor(parts: WritingParts) {
    const { options, epoch, segments, lastTurn, segmentBytes } = parts;
    this.#parts = parts;
    this.#disk = options.disk;
    this.#tail = new Tail(options.disk, epoch, segments, lastTurn, segmentBytes);
    this.failure = new Failure(options.clock);
  }

  /** The directory could not be read. */
  unread(error: unknown): void {
    this.#isUnread = true;
    this.failure.note("log can't be read", error);
  }

  /** Takes up the directory as it was found; goes on in its newest segment where it can. Throws `DiskError`. */
  async resume({ checkpoint, tailEnd, tailShapes }: Recovered): Promise<void> {
    await this.#tail.resume({
      syncedSeq: syncedBy(checkpoint),
      tailEnd,
      shapes: tailShapes,
      bytesMax: this.#parts.segmentBytes(),
    });
  }

  /** The next seq is where it is because numbers were skipped for that reason; `most` were records, 0: not known. */
  jump(reason: JumpReason, most = 0): void {
    this.#tail.seal();
    this.#jumpReason = reason;
    this.#jumpMost = most;
  }

  /** Makes sure that the open segment can take the next record, so that what was skipped is on record. */
  open(): void {
    const { next } = this.#parts.positions;
    if (this.#tail.nextSeq === next) return;
    this.#tail.seal();
    this.#startSegment(next);
  }

  /** As {@linkcode open}, where the disk works. */
  openOrFail(): void {
    if (this.failure.isPresent) return;
    try {
      this.open();
    } catch (error) {
      this.fail("segment can't be started", error);
    }
  }

  /** Appends a record to the newest segment. Throws `DiskError`, and where the limit leaves no room. */
  write(seq: number, payload: Uint8Array): void {
    const { positions, compaction, segmentBytes, stats } = this.#parts;
    const isOpen = this.#tail.nextSeq === seq && this.#tail.bytes < segmentBytes();
    if (!isOpen) this.#tail.seal();
    this.#checkRoom(this.#tail.room(payload));
    if (!isOpen) this.#startSegment(seq);
    stats.written_bytes += this.#tail.append(seq, payload);
    positions.wrote(seq);
    // What is kept free would not last until the next sync where records are large.
    if (compaction.isTooBig) this.#parts.wake();
  }

  /**
   * Writes what neither the disk nor the host has, `most` records of it: on return it survives the end of the
   * process. Never throws.
   */
  spill(most = Infinity): void {
    const { positions, ring, stats } = this.#parts;
    if (this.failure.isPresent) return;
    const first = this.#firstToSpill();
    try {
      if (first !== undefined) {
        let left = most;
        for (let item = ring.first(first); item && left-- > 0; item = ring.first(item[0] + 1)) {
          this.write(item[0], item[1]);
        }
      }
      positions.wrote(positions.highAcked);
    } catch (error) {
      stats.write_failures++;
      this.fail("record can't be written", error);
    }
  }

  /** The first record that is to be written; `undefined` where none is. */
  #firstToSpill(): number | undefined {
    const { positions, ring } = this.#parts;
    const first = ring.first(Math.max(positions.written, positions.highAcked) + 1)?.[0];
    const open = this.#tail.nextSeq;
    if (first === undefined || open === undefined || open >= first) return first;
    return first - open <= FILL_RECORDS_MAX && ring.get(open) !== undefined ? open : first;
  }

  /** The disk failed: nothing more is written to what is open. */
  fail(what: string, error: unknown): void {
    this.failure.note(what, error);
    // What was reserved would soon hold up what is sent.
    this.#parts.positions.reserve(undefined);
    this.#tail.seal();
  }

  /** Makes durable what neither the host nor the disk has; false if the disk fails. One at a time. */
  async sync(): Promise<boolean> {
    while (this.#syncing !== undefined) await this.#syncing;
    this.#syncing = this.#syncNow();
    try {
      return await this.#syncing;
    } finally {
      this.#syncing = undefined;
    }
  }

  async #syncNow(): Promise<boolean> {
    const { positions, stats, compaction, tidy } = this.#parts;
    if (this.failure.isPresent) return false;
    const first = this.#firstToSpill();
    // What acked records leave out looks lost unless the checkpoint says that they are acked.
    const isJump = first !== undefined && first !== this.#tail.nextSeq;
    if (isJump && !await this.#parts.checkpoint()) return false;
    while (this.#firstToSpill() !== undefined && !this.failure.isPresent) {
      // All at once would meet the limit before anything is evicted for it.
      if (compaction.isTooBig) await tidy();
      this.spill(1);
    }
    if (this.failure.isPresent) return false;
    // Numbers that nothing holds now are acked, lost, or were never used.
    const target = positions.next - 1;
    positions.wrote(target);
    if (this.#tail.isSynced) {
      positions.syncedTo(target);
      return true;
    }
    try {
      await this.#tail.sync();
    } catch (error) {
      stats.sync_failures++;
      this.fail("sync failed", error);
      return false;
    }
    stats.syncs++;
    if (this.failure.isPresent) return false;
    // A host may have lost all meanwhile: what it had acked has to be written and synced, too.
    if (positions.written < target) return await this.#syncNow();
    positions.syncedTo(target);
    return true;
  }

  /** Starts a new segment and writes again what only the ring holds for certain. Never rejects. */
  async recover(): Promise<void> {
    const { positions, ring, segments, compaction } = this.#parts;
    while (this.#syncing !== undefined) await this.#syncing;
    try {
      // Writing beside another log, as one that was mounted late, would mix two epochs.
      if (this.#isUnread) await demandNoLog(this.#disk);
      this.#isUnread = false;
    } catch (error) {
      return this.fail("log can't be used", error);
    }
    this.#tail.abandon();
    this.failure.retrying();
    // Copies of earlier attempts would fill the log; the newest stays until a newer one is whole.
    for (const segment of segments.all.slice(0, -1)) {
      if (segment.end < segment.base && segment.reason === "none") segments.retire(segment);
    }
    const first = ring.first(positions.settled + 1)?.[0] ?? positions.next;
    this.#jumpReason ??= "unwritten";
    try {
      this.#startSegment(first);
      positions.rewriteFrom(first);
      // Appends that come meanwhile go to the ring only, and so are written here in their turn.
      for (let item = ring.first(first); item; item = ring.first(item[0] + 1)) {
        if (compaction.isTooBig) await this.#parts.tidy();
        this.write(item[0], item[1]);
      }
      this.failure.clear();
      if (await this.#syncNow()) {
        await this.#parts.checkpoint();
        this.failure.forget();
        log.info("disk takes records again, from seq {first}", { first });
      }
    } catch (error) {
      this.fail("disk still fails", error);
    }
  }

  /** Gives up on what is not durable and closes the files. */
  abandon(): void {
    this.#tail.abandon();
  }

  #checkRoom(bytes: number): void {
    const { segments, bytesMax, wake } = this.#parts;
    if (segments.bytes + bytes <= bytesMax()) return;
    wake();
    throw new Error("the log has reached wal_bytes_max");
  }

  /** Starts a segment; its header says why what lies between it and all that the log holds was never written. */
  #startSegment(base: number): void {
    const { segments, positions } = this.#parts;
    this.#checkRoom(SEGMENT_HEADER_BYTES);
    const prev = segments.lastBefore(base) ?? base - 1;
    const isAcked = base - 1 <= positions.everAcked;
    const reason = prev === base - 1 ? "none" : isAcked ? "acked" : this.#jumpReason ?? "none";
    this.#tail.start(base, { prev, reason, most: reason === "unsynced" ? this.#jumpMost : 0 });
    segments.cutBefore(base);
    this.#jumpReason = undefined;
  }
}
