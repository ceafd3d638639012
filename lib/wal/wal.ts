/**
 * The log: every record goes to the ring in memory and to the newest segment on disk, and is kept until the
 * host has it. Appending never fails and never waits; what the disk doesn't take stays in the ring and is
 * written again when the disk recovers.
 *
 * ```
 *  firstSeq … high_acked … syncedSeq … writtenSeq … nextSeq
 *  └ compacted whole segments at a time ┘└ synced ┘└ in page cache ┘└ in the ring only, while the disk fails
 * ```
 * Invariants: seqs ascend within an epoch and none names two records that left the node; nothing above
 * `sendableThrough` may be sent; each seq between `high_acked` and `nextSeq` is readable or in `gaps`.
 */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import { RESERVE_RECORDS } from "../limits.ts";
import { writeCheckpoint } from "./checkpoint.ts";
import {
  type JumpReason,
  RECORD_OVERHEAD_BYTES,
  SEGMENT_HEADER_BYTES,
  segmentName,
  shortBootId,
  SLOT_BYTES,
} from "./format.ts";
import { GapList, type LostRange } from "./gaps.ts";
import { type FoundSegment, newEpoch, recover, type Recovered } from "./recovery.ts";
import { Ring } from "./ring.ts";
import { LogReader, type ReadLimit } from "./log_reader.ts";
import { SegmentWriter, type StoredRecord } from "./segment.ts";
import { Unsynced } from "./unsynced.ts";

import type { WalOptions, WalStats } from "./options.ts";

export type { LostRange } from "./gaps.ts";
export type { WalOptions, WalStats } from "./options.ts";
export type { StoredRecord } from "./segment.ts";

/** Time between two attempts to write again after the disk failed; doubles up to the longest. */
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;
/** A checkpoint that lags by that much is written even if nothing is compacted. */
const CHECKPOINT_MS = 60_000;
const SEGMENT_BYTES_MAX = 4 * 1024 * 1024;
const RENUMBER_BATCH = 256, ROOM_POLL_MS = 5;
const log = getLogger(["holdfast", "wal"]);

/** See the head of the file. */
export class Wal {
  readonly epoch: string;
  readonly stats: WalStats = {
    appended_records: 0,
    written_bytes: 0,
    syncs: 0,
    sync_failures: 0,
    write_failures: 0,
    evicted_records: 0,
    compacted_segments: 0,
    corrupt_records: 0,
    renumbered_records: 0,
  };
  #o: WalOptions;
  #bytesMax: number;
  #ring: Ring<Uint8Array>;
  #gaps: GapList;
  readonly #segments: FoundSegment[];
  #writer: SegmentWriter | undefined;
  #turn: number;
  #nextSeq: number;
  #runFirstSeq: number;
  #highAcked: number;
  /** The highest that `#highAcked` ever was. */
  #everAcked: number;
  #writtenSeq: number;
  #syncedSeq: number;
  /** Bytes of files in the directory that are not live segments. */
  #otherBytes: number;
  #checkpointTurn: number;
  #checkpointAcked: number;
  #checkpointAtMs: number;
  /** Why the next segment's base may lie above the seq before it. */
  #jump: { reason: JumpReason; prev: number } | undefined;
  readonly #unsynced = new Unsynced();
  /** Retired segments that are still to be removed. */
  #doomed: { name: string; bytes: number }[] = [];
  #failure: string | undefined;
  #retryAtMs = 0;
  #retryMs = RETRY_MS;
  #reader: LogReader;
  #reading: Promise<unknown> = Promise.resolve();
  #syncing: Promise<boolean> | undefined;
  #woken: AbortController | undefined;
  #closed = false;
  /** What the directory holds is not known. */
  #isUnread: boolean;

  private constructor(options: WalOptions, found: Recovered | undefined, failure?: string) {
    const now = options.clock.monotonicMs();
    this.#o = options;
    this.#bytesMax = options.bytesMax;
    this.#ring = new Ring(options.ringRecords);
    this.epoch = found?.epoch ?? newEpoch(options.random.bytes(8));
    const last = found?.lastSeq ?? 0;
    this.#gaps = found?.gaps ?? new GapList();
    this.#segments = found?.segments ?? [];
    this.#reader = new LogReader(
      options.disk,
      this.#segments,
      (from, to) => this.#missing(from, to),
    );
    this.#turn = found?.lastTurn ?? 0;
    this.#highAcked = this.#everAcked = found?.highAcked ?? 0;
    this.#nextSeq = last + 1;
    this.#runFirstSeq = last + 1;
    this.#writtenSeq = last;
    // What a killed process left may be in the page cache only.
    this.#syncedSeq = Math.min(last, found?.checkpoint?.lastSeq ?? 0);
    const segmentBytes = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
    this.#otherBytes = Math.max((found?.bytes ?? 0) - segmentBytes, 2 * SLOT_BYTES);
    this.#checkpointTurn = found?.checkpoint?.turn ?? 0;
    this.#checkpointAcked = this.#highAcked;
    this.#checkpointAtMs = now;
    this.#failure = failure;
    this.#isUnread = failure !== undefined;
    this.#retryAtMs = now + RETRY_MS;
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
      log.error("log can't be read, going on in memory: {reason}", { reason: oneLine(error) });
      return new Wal(options, undefined, oneLine(error));
    }
    const wal = new Wal(options, found);
    await wal.#resume(found);
    return wal;
  }

  /** Takes up the numbering where it is safe, and makes the directory ready for this run. */
  async #resume(found: Recovered): Promise<void> {
    const { disk, osBootId } = this.#o;
    const lastFound = this.#nextSeq - 1;
    for (const name of found.foreign) log.warn("{name} is not part of this log", { name });
    if (found.epoch !== undefined) {
      const { checkpoint } = found;
      const sameBoot = checkpoint?.osBootId === shortBootId(osBootId);
      // A killed process leaves whole records: a torn one means that the medium lost something.
      const isUncertain = checkpoint?.clean !== true && !sameBoot;
      if (isUncertain || found.tornBytes > 0) this.#skipReserve();
    }
    try {
      if (found.epoch !== undefined) await this.#resumeTail(found);
      this.#syncedSeq = lastFound;
      // The limit may be lower than it was.
      this.#evict();
      await this.#removeDoomed();
      // Before the checkpoint: that names this boot, and what was skipped must be on record by then.
      if (this.#writer === undefined) this.#startSegment();
      await this.#writeCheckpoint(false);
      await disk.syncDir();
    } catch (error) {
      this.#fail("log can't be written", error);
    }
  }

  /** After a power cut: what was sent and never synced must not be numbered again. */
  #skipReserve(): void {
    const prev = this.#nextSeq - 1;
    this.#nextSeq += RESERVE_RECORDS;
    this.#runFirstSeq = this.#nextSeq;
    this.#writtenSeq = this.#nextSeq - 1;
    this.#gaps.add(prev + 1, this.#nextSeq - 1, "unsynced");
    this.#jump = { reason: "unsynced", prev };
  }

  /** Cuts a torn tail, makes what a killed process left in the page cache durable, goes on in that file. */
  async #resumeTail({ tailEnd, checkpoint }: Recovered): Promise<void> {
    const { disk } = this.#o;
    const synced = checkpoint?.lastSeq ?? 0;
    for (const segment of this.#segments) {
      const isLast = segment === this.#segments.at(-1);
      if (segment.end <= synced && !isLast) continue;
      const file = await disk.open(segment.name, true);
      try {
        if (isLast && file.size > Math.max(tailEnd, SEGMENT_HEADER_BYTES)) {
          log.warn("cut {bytes} torn bytes off {name}", {
            bytes: file.size - tailEnd,
            name: segment.name,
          });
          await file.truncate(tailEnd);
        }
        await file.sync();
        segment.bytes = file.size;
        const reusable = isLast && this.#jump === undefined && !segment.headerDamaged &&
          segment.end === this.#nextSeq - 1 && segment.bytes < this.#segmentBytes;
        if (reusable) {
          this.#writer = new SegmentWriter(file);
          return;
        }
      } finally {
        if (this.#writer?.file !== file) file.close();
      }
    }
  }

  /** Oldest seq that can still be read; `nextSeq` where there is none. */
  get firstSeq(): number {
    const onDisk = this.#segments.find((segment) => segment.end >= segment.base)?.base;
    return Math.min(onDisk ?? this.#nextSeq, this.#ring.firstSeq ?? this.#nextSeq);
  }
  get nextSeq(): number {
    return this.#nextSeq;
  }
  get highAcked(): number {
    return this.#highAcked;
  }
  get syncedSeq(): number {
    return this.#syncedSeq;
  }
  /** First seq that this run gave out. */
  get runFirstSeq(): number {
    return this.#runFirstSeq;
  }
  /** Highest seq that may be sent: beyond it a power cut could give its number to another record. */
  get sendableThrough(): number {
    const safe = Math.max(this.#syncedSeq, this.#highAcked) + RESERVE_RECORDS;
    return Math.min(this.#nextSeq - 1, safe);
  }
  /** Records appended and not acked, gaps included. */
  get backlog(): number {
    return this.#nextSeq - 1 - this.#highAcked;
  }
  /** Lost ranges above `highAcked`, ascending. */
  get gaps(): readonly LostRange[] {
    return this.#gaps.list;
  }
  /** Bytes of all files in the directory. */
  get bytes(): number {
    return this.#keptBytes + this.#doomed.reduce((sum, { bytes }) => sum + bytes, 0);
  }
  get #keptBytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, this.#otherBytes);
  }
  get bytesMax(): number {
    return this.#bytesMax;
  }
  /** Whether the disk takes records at present. */
  get writable(): boolean {
    return this.#failure === undefined;
  }
  /** Why the disk doesn't, in one line. */
  get lastError(): string | undefined {
    return this.#failure;
  }
  get ringRecords(): number {
    return this.#ring.capacity;
  }

  /** Changes the limit at run time; a lower one evicts. */
  setLimits(limits: { bytesMax: number }): void {
    this.#bytesMax = limits.bytesMax;
    this.#wake();
  }

  /**
   * Takes a record and returns its seq. Never throws and never waits. On return it survives the end of the
   * process if `writable`, and a power cut once `syncedSeq` has reached it. `payload` must not be changed
   * afterwards.
   */
  append(payload: Uint8Array): number {
    const seq = this.#nextSeq++;
    const dropped = this.#ring.push(seq, payload);
    this.stats.appended_records++;
    if (dropped !== undefined && dropped > this.#writtenSeq && dropped > this.#highAcked) {
      this.#gaps.add(dropped, dropped, "unwritten");
    }
    if (this.#failure === undefined) {
      try {
        this.#write(seq, payload);
      } catch (error) {
        this.stats.write_failures++;
        this.#fail("record can't be written", error);
      }
    }
    if (this.#o.sync === "always") this.#wake();
    return seq;
  }

  /** The payload of a record that is still in the ring. */
  recent(seq: number): Uint8Array | undefined {
    return this.#ring.get(seq);
  }

  /** The host has everything up to `highAcked`; lower values change nothing. Constant work. */
  ack(highAcked: number): void {
    if (highAcked <= this.#highAcked) return;
    this.#highAcked = Math.min(highAcked, this.#nextSeq - 1);
    this.#everAcked = Math.max(this.#everAcked, this.#highAcked);
    this.#gaps.trim(this.#highAcked);
    if (this.#segments.length > 1 && this.#segments[0]!.end <= this.#highAcked) this.#wake();
  }

  /** The host has less than it once acked: what is still kept counts as backlog, the rest is a gap. */
  rewind(highAcked: number): void {
    if (highAcked >= this.#highAcked) return;
    log.warn(
      "host has all only up to seq {high_acked}, {lost} once acked records are gone here too",
      {
        high_acked: highAcked,
        lost: Math.max(0, this.firstSeq - 1 - highAcked),
      },
    );
    this.#gaps.add(highAcked + 1, Math.min(this.firstSeq - 1, this.#highAcked), "compacted");
    this.#highAcked = highAcked;
    this.#reader.close();
  }

  /** Syncs, compacts, evicts and recovers from failures until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#o;
    const stop = () => this.#wake();
    signal.addEventListener("abort", stop);
    let syncAtMs = clock.monotonicMs() + this.#o.syncIntervalMs;
    while (!signal.aborted) {
      const dueMs = this.#failure === undefined ? syncAtMs : Math.min(syncAtMs, this.#retryAtMs);
      this.#woken = new AbortController();
      if (!this.#hasWork()) await clock.sleepUntil(dueMs, this.#woken.signal);
      this.#woken = undefined;
      if (signal.aborted) break;
      const now = clock.monotonicMs();
      await this.#tidy();
      if (this.#failure !== undefined && now >= this.#retryAtMs) await this.#recoverWriting();
      if (now >= syncAtMs || this.#o.sync === "always") {
        syncAtMs = now + this.#o.syncIntervalMs;
        await this.sync();
        const stale = this.#highAcked > this.#checkpointAcked;
        if (stale && now >= this.#checkpointAtMs + CHECKPOINT_MS) {
          await this.#checkpointOrFail(false);
        }
      }
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
    const result = this.#reading.then(async () => {
      const from = Math.max(fromSeq, this.#highAcked + 1);
      const found = await this.#readNow(from, limit);
      const first = found[0]?.seq;
      if (first !== undefined && first > from) this.#declareHole(from, first - 1);
      return found;
    });
    this.#reading = result.catch(() => {});
    return result;
  }

  /**
   * The host holds other records under seqs of this run, up to `maxSeq`: gives those of ours that collide
   * new numbers above it and declares the old ones. They are found again in seq order, not in time order.
   */
  async renumber(maxSeq: number): Promise<void> {
    const from = this.#runFirstSeq;
    const through = Math.min(this.#nextSeq - 1, maxSeq);
    const prev = this.#nextSeq - 1;
    if (maxSeq >= this.#nextSeq) {
      this.#nextSeq = maxSeq + 1;
      if (this.#failure === undefined) this.#writtenSeq = maxSeq;
      this.#jump = { reason: "renumbered", prev };
      this.#sealWriter();
    }
    const first = this.#nextSeq;
    for (let next = from; next <= through;) {
      await this.#roomMade();
      const records = await this.read(next, {
        records: RENUMBER_BATCH,
        bytes: this.#segmentBytes / 2,
      });
      if (records.length === 0 || records[0]!.seq > through) break;
      for (const { seq, payload } of records) {
        if (seq > through) break;
        this.append(payload);
        this.stats.renumbered_records++;
        next = seq + 1;
      }
    }
    this.#runFirstSeq = first;
    this.#gaps.add(Math.max(from, this.#highAcked + 1), maxSeq, "unsynced");
  }

  /** Syncs, notes the clean end, and closes the files. Never rejects; the log must not be used afterwards. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const clean = await this.sync();
    await this.#checkpointOrFail(clean && this.#failure === undefined);
    await this.#reading;
    this.#reader.close();
    this.#sealWriter();
    this.#unsynced.close();
  }

  get #segmentBytes(): number {
    return this.#o.segmentBytes ?? Math.min(SEGMENT_BYTES_MAX, Math.floor(this.#bytesMax / 16));
  }

  /** Resolves once `run` has evicted what a burst of appends needs. */
  async #roomMade(): Promise<void> {
    const { clock } = this.#o;
    while (this.#isTooBig && this.#failure === undefined && !this.#closed) {
      this.#wake();
      await clock.sleepUntil(clock.monotonicMs() + ROOM_POLL_MS);
    }
  }

  #wake(): void {
    this.#woken?.abort();
  }

  #write(seq: number, payload: Uint8Array): void {
    if (this.#writer !== undefined && this.#writer.bytes >= this.#segmentBytes) this.#sealWriter();
    const need = payload.length + RECORD_OVERHEAD_BYTES;
    this.#checkRoom(need + (this.#writer === undefined ? SEGMENT_HEADER_BYTES : 0));
    if (this.#writer === undefined) this.#startSegment(seq);
    const segment = this.#segments.at(-1)!;
    this.#unsynced.wrote(this.#writer!.file);
    try {
      this.#writer!.append(seq, payload);
    } finally {
      // A full disk takes a part.
      segment.bytes = this.#writer!.bytes;
    }
    segment.end = seq;
    this.#writtenSeq = seq;
    this.stats.written_bytes += need;
  }

  #checkRoom(bytes: number): void {
    if (this.bytes + bytes <= this.#bytesMax) return;
    this.#wake();
    throw new Error("the log has reached wal_bytes_max");
  }

  #startSegment(base: number = this.#nextSeq): void {
    this.#checkRoom(SEGMENT_HEADER_BYTES);
    const { prev, reason } = this.#jump ?? { prev: base - 1, reason: "none" as const };
    const name = segmentName(base, ++this.#turn);
    const file = this.#o.disk.create(name);
    this.#unsynced.entriesChanged();
    this.#unsynced.wrote(file);
    this.#segments.push({
      name,
      turn: this.#turn,
      base,
      prev,
      reason,
      end: base - 1,
      bytes: SEGMENT_HEADER_BYTES,
      headerDamaged: false,
    });
    this.#writer = SegmentWriter.start(file, { epoch: this.epoch, base, prev, reason });
    this.#jump = undefined;
  }

  #sealWriter(): void {
    const file = this.#writer?.file;
    this.#writer = undefined;
    if (file !== undefined && !this.#unsynced.has(file)) file.close();
  }

  #fail(what: string, error: unknown): void {
    const reason = oneLine(error);
    if (this.#failure === undefined) {
      log.error("{what}, going on in memory: {reason}", { what, reason });
    }
    this.#failure = `${what}: ${reason}`;
    this.#retryAtMs = this.#o.clock.monotonicMs() + this.#retryMs;
    this.#sealWriter();
  }

  async #syncNow(): Promise<boolean> {
    if (this.#failure !== undefined) return false;
    const target = this.#writtenSeq;
    if (this.#unsynced.isEmpty) return true;
    try {
      await this.#unsynced.sync(this.#o.disk, () => this.#writer?.file);
    } catch (error) {
      this.stats.sync_failures++;
      this.#unsynced.entriesChanged();
      this.#fail("sync failed", error);
      return false;
    }
    this.stats.syncs++;
    if (this.#failure !== undefined) return false;
    this.#syncedSeq = Math.max(this.#syncedSeq, target);
    return true;
  }

  /** Starts a new segment and writes again what only the ring holds for certain. */
  async #recoverWriting(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing;
    if (this.#isUnread && !await this.#isEmptyNow()) return;
    this.#unsynced.close();
    this.#sealWriter();
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX);
    // Copies of earlier attempts would fill the log; the newest stays until a newer one is whole.
    for (const segment of this.#segments.slice(0, -1)) {
      if (segment.end < segment.base && segment.reason === "none") this.#retire(segment);
    }
    const needed = Math.max(this.#syncedSeq, this.#highAcked) + 1;
    const first = this.#ring.first(needed)?.[0] ?? this.#nextSeq;
    const isJump = first > this.#writtenSeq + 1 && this.#jump === undefined;
    if (isJump) this.#jump = { reason: "unwritten", prev: this.#writtenSeq };
    const jump = this.#jump;
    const count = this.#segments.length;
    try {
      this.#startSegment(first);
      for (const segment of this.#segments.slice(0, count)) {
        segment.end = Math.min(segment.end, first - 1);
      }
      // Appends that come meanwhile go to the ring only, and so are written here in their turn.
      for (let next = this.#ring.first(first); next; next = this.#ring.first(next[0] + 1)) {
        if (this.#isTooBig) await this.#tidy();
        this.#write(next[0], next[1]);
      }
      this.#failure = undefined;
      if (await this.#syncNow()) {
        await this.#checkpointOrFail(false);
        this.#retryMs = RETRY_MS;
        log.info("disk takes records again, from seq {first}", { first });
      }
    } catch (error) {
      this.#jump ??= jump;
      this.#fail("disk still fails", error);
    }
  }

  /**
   * A directory that could not be read at the start may hold another log, as one that is mounted late:
   * writing beside it would mix two epochs. It is used after the next start.
   */
  async #isEmptyNow(): Promise<boolean> {
    try {
      const { segments } = await recover(this.#o.disk);
      if (segments.length > 0) throw new Error("it holds an older log: restart the node to use it");
      this.#isUnread = false;
    } catch (error) {
      this.#fail("log can't be used", error);
    }
    return !this.#isUnread;
  }

  #hasWork(): boolean {
    if (this.#failure !== undefined) return false;
    return this.#doomed.length > 0 || this.#oldestToCompact !== undefined || this.#isTooBig;
  }

  get #oldestToCompact(): FoundSegment | undefined {
    const oldest = this.#segments[0];
    if (oldest === undefined || this.#segments.length < 2) return undefined;
    return oldest.end <= this.#highAcked ? oldest : undefined;
  }

  /** Room for one more segment is kept free, so that appending never meets the limit. */
  get #isTooBig(): boolean {
    return this.#segments.length > 1 && this.#keptBytes > this.#bytesMax - this.#segmentBytes;
  }

  /** Compacts what is acked and evicts what the limit doesn't allow. */
  async #tidy(): Promise<void> {
    const compacts = this.#oldestToCompact !== undefined;
    // The checkpoint first: with an older one, compacted segments would look lost after a crash.
    if (compacts && !await this.#checkpointOrFail(false)) return;
    for (let oldest = this.#oldestToCompact; oldest; oldest = this.#oldestToCompact) {
      this.#retire(oldest);
      this.stats.compacted_segments++;
    }
    this.#evict();
    await this.#removeDoomed();
  }

  #evict(): void {
    while (this.#isTooBig) {
      const oldest = this.#segments[0]!;
      const from = Math.max(oldest.base, this.#highAcked + 1);
      if (oldest.end >= from) {
        this.#gaps.add(from, oldest.end, "evicted");
        this.stats.evicted_records += oldest.end - from + 1;
        log.warn("log is full: evicted seq {from} to {to}", { from, to: oldest.end });
      }
      this.#retire(oldest);
    }
  }

  async #removeDoomed(): Promise<void> {
    while (this.#doomed.length > 0) {
      try {
        await this.#o.disk.remove(this.#doomed[0]!.name);
        this.#doomed.shift();
      } catch (error) {
        return this.#fail("segment can't be removed", error);
      }
    }
  }

  #retire(segment: FoundSegment): void {
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    this.#doomed.push({ name: segment.name, bytes: segment.bytes });
    this.#reader.forget(segment);
  }

  async #checkpointOrFail(clean: boolean): Promise<boolean> {
    try {
      await this.#writeCheckpoint(clean);
      return true;
    } catch (error) {
      this.#fail("checkpoint can't be written", error);
      return false;
    }
  }

  async #writeCheckpoint(clean: boolean): Promise<void> {
    const highAcked = this.#highAcked;
    await writeCheckpoint(this.#o.disk, {
      turn: ++this.#checkpointTurn,
      epoch: this.epoch,
      highAcked,
      lastSeq: clean ? this.#nextSeq - 1 : this.#syncedSeq,
      clean,
      osBootId: shortBootId(this.#o.osBootId),
    });
    this.#checkpointAcked = highAcked;
    this.#checkpointAtMs = this.#o.clock.monotonicMs();
  }

  async #readNow(
    fromSeq: number,
    limit: ReadLimit,
  ): Promise<StoredRecord[]> {
    const found: StoredRecord[] = [];
    let bytes = 0;
    let from = fromSeq;
    for (const [seq, payload] of this.#ring.get(from) ? this.#ring.from(from) : []) {
      if (seq !== from || found.length >= limit.records || bytes >= limit.bytes) return found;
      found.push({ seq, payload });
      bytes += payload.length;
      from++;
    }
    if (found.length > 0) return found;
    try {
      const stored = await this.#reader.read(from, limit);
      if (stored.length > 0) return stored;
    } catch (error) {
      log.error("log can't be read: {reason}", { reason: oneLine(error) });
      return [];
    }
    const next = this.#ring.first(from);
    return next === undefined ? [] : [{ seq: next[0], payload: next[1] }];
  }

  /**
   * Nothing holds these. What was acked once was rightly let go of, also without a trace on disk, as while
   * writing failed; the rest should be there.
   */
  #declareHole(from: number, to: number): void {
    const acked = Math.min(to, this.#everAcked);
    if (from <= acked) this.#gaps.add(from, acked, "compacted");
    this.#missing(Math.max(from, acked + 1), to);
  }

  /** A segment should hold these and doesn't. */
  #missing(from: number, to: number): void {
    const lost = Math.max(from, this.#highAcked + 1);
    if (lost > to || !this.#gaps.add(lost, to, "corrupt")) return;
    this.stats.corrupt_records += to - lost + 1;
    log.error("log is damaged: seq {from} to {to} can't be read", { from: lost, to });
  }
}
