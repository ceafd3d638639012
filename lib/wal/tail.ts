/**
 * The end of the log: the segment that is written to, and what no sync covers yet. It alone starts segments,
 * appends to them and syncs.
 */
import { getLogger } from "@logtape/logtape";
import { assert } from "../assert.ts";
import type { Disk } from "../platform/platform.ts";
import { type JumpReason, SEGMENT_HEADER_BYTES, segmentName } from "./format.ts";
import { roomFor, SegmentWriter } from "./segment.ts";
import type { SegmentSet, SegmentView } from "./segment_set.ts";
import { Unsynced } from "./unsynced.ts";

const log = getLogger(["holdfast", "wal"]);

/** Why a segment's first seq may lie above the last that the log held before it. */
export interface Jump {
  readonly reason: JumpReason;
  /** Last seq before it. */
  readonly prev: number;
  /** See `SegmentHeader.most`. */
  readonly most: number;
}

/** See the head of the file. */
export class Tail {
  #disk: Disk;
  #epoch: string;
  #segments: SegmentSet;
  #turn: number;
  #writer: SegmentWriter | undefined;
  #unsynced = new Unsynced();
  #textMax: () => number;

  /** `lastTurn` is the highest turn in any file's name; `segmentBytes` says how large a segment becomes. */
  constructor(
    disk: Disk,
    epoch: string,
    segments: SegmentSet,
    lastTurn: number,
    segmentBytes: () => number,
  ) {
    // A record, its shape twice and a copy of another must fit into what is kept free: a segment.
    this.#textMax = () => segmentBytes() / 8;
    this.#disk = disk;
    this.#epoch = epoch;
    this.#segments = segments;
    this.#turn = lastTurn;
  }

  /** The seq that the open segment can take next; `undefined` without one. */
  get nextSeq(): number | undefined {
    return this.#writer === undefined ? undefined : this.#segments.newest!.end + 1;
  }
  /** Bytes in the open segment; 0 without one. */
  get bytes(): number {
    return this.#writer?.bytes ?? 0;
  }
  /** Whether all that was written is synced. */
  get isSynced(): boolean {
    return this.#unsynced.isEmpty;
  }

  /**
   * Cuts what is torn behind `tailEnd` of the newest segment, makes durable what a killed process left in the
   * page cache (above `syncedSeq`), and goes on in the newest segment, in which `shapes` are noted, where it has
   * less than `bytesMax`. Segments that can't be read are left alone. Throws `DiskError`.
   */
  async resume({ syncedSeq, tailEnd, shapes, bytesMax }: {
    readonly syncedSeq: number;
    readonly tailEnd: number;
    readonly shapes: readonly string[] | undefined;
    readonly bytesMax: number;
  }): Promise<void> {
    assert(this.#writer === undefined, "one segment is open at a time");
    for (const segment of this.#segments.all) {
      const isLast = segment === this.#segments.newest;
      if (segment.unreadable || (segment.end <= syncedSeq && !isLast)) continue;
      const file = await this.#disk.open(segment.name, true);
      try {
        if (isLast && file.size > Math.max(tailEnd, SEGMENT_HEADER_BYTES)) {
          const { name } = segment;
          log.warn("cut {bytes} torn bytes off {name}", { bytes: file.size - tailEnd, name });
          await file.truncate(tailEnd);
        }
        await file.sync();
        this.#segments.setBytes(segment, file.size);
        const isWhole = shapes !== undefined && !segment.headerDamaged;
        if (isLast && isWhole && file.size < bytesMax) {
          this.#writer = new SegmentWriter(file, this.#textMax(), shapes);
        }
      } finally {
        if (this.#writer?.file !== file) file.close();
      }
    }
  }

  /** Starts a segment whose first record will be `base`. Throws `DiskError`. */
  start(base: number, { prev, reason, most }: Jump): void {
    assert(this.#writer === undefined, "one segment is open at a time");
    assert(prev < base, `a segment of ${base} on stands behind ${prev}`);
    const name = segmentName(base, ++this.#turn);
    const file = this.#disk.create(name);
    this.#unsynced.entriesChanged();
    this.#unsynced.wrote(file);
    this.#segments.add({
      name,
      turn: this.#turn,
      base,
      prev,
      reason,
      most,
      end: base - 1,
      bytes: SEGMENT_HEADER_BYTES,
      headerDamaged: false,
      unreadable: false,
    });
    const writer = new SegmentWriter(file, this.#textMax());
    writer.start({ epoch: this.#epoch, base, prev, reason, most });
    this.#writer = writer;
  }

  /** The most bytes that a record with such a payload can take, a segment that it starts included. */
  room(payload: Uint8Array): number {
    return this.#writer?.room(payload) ?? SEGMENT_HEADER_BYTES + roomFor(payload);
  }

  /** Appends a record to the open segment; returns its bytes. Throws `DiskError`. */
  append(seq: number, payload: Uint8Array): number {
    const writer = this.#writer;
    assert(writer !== undefined, "a segment is open");
    const segment = this.#segments.newest as SegmentView;
    this.#unsynced.wrote(writer.file);
    let bytes: number;
    try {
      bytes = writer.append(seq, payload);
    } finally {
      // A full disk takes a part.
      this.#segments.setBytes(segment, writer.bytes);
    }
    this.#segments.extend(seq);
    return bytes;
  }

  /** The open segment gets no more records. */
  seal(): void {
    const file = this.#writer?.file;
    this.#writer = undefined;
    if (file !== undefined && !this.#unsynced.has(file)) file.close();
  }

  /**
   * Makes durable all that was written before the call. Throws `DiskError`: then nothing is known of what was
   * not durable before.
   */
  async sync(): Promise<void> {
    try {
      await this.#unsynced.sync(this.#disk, () => this.#writer?.file);
    } catch (error) {
      this.#unsynced.entriesChanged();
      throw error;
    }
  }

  /** Seals, and gives up on what is not durable. */
  abandon(): void {
    this.#unsynced.close();
    this.seal();
  }
}
