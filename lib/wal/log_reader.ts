/** Reads stored records of all segments by seq, with a cursor, so that reading on costs nothing. */
import { type Disk, DiskError, type DiskFile } from "../platform/platform.ts";
import { payloadBytes, SegmentReader, type StoredRecord } from "./segment.ts";
import type { SegmentSet, SegmentView } from "./segment_set.ts";

/** How much a read may return. */
export interface ReadLimit {
  readonly records: number;
  readonly bytes: number;
}

/** After so many failed reads in a row what can't be read of a segment is lost; until then it is tried again. */
const FAILURES_MAX = 3;

/** See the head of the file. One read at a time; `segments` may change between and during reads. */
export class LogReader {
  #disk: Disk;
  #segments: SegmentSet;
  #onMissing: (from: number, to: number) => void;
  #cursor:
    | { segment: SegmentView; file: DiskFile; reader: SegmentReader; nextSeq: number }
    | undefined;
  /** The segment that could not be read lately, and how often. */
  #failing: { segment: SegmentView; count: number } | undefined;

  /** `onMissing` hears of seqs that a segment should hold and doesn't. */
  constructor(
    disk: Disk,
    segments: SegmentSet,
    onMissing: (from: number, to: number) => void,
  ) {
    this.#disk = disk;
    this.#segments = segments;
    this.#onMissing = onMissing;
  }

  /**
   * Records from the first segment at or above `from` that yields something; a damaged one may yield
   * nothing. Empty where no segment has anything. Throws `DiskError` where trying again may help: what can't
   * be read at the third try is reported as missing.
   */
  async read(from: number, limit: ReadLimit): Promise<StoredRecord[]> {
    for (;;) {
      const segment = this.#segments.at(from);
      if (segment === undefined) return [];
      const { end } = segment;
      const isTolerant = this.#failing?.segment === segment &&
        this.#failing.count >= FAILURES_MAX;
      try {
        const found = await this.#readSegment(segment, from, limit, isTolerant);
        if (found.length > 0) {
          if (!isTolerant) this.#failing = undefined;
          return found;
        }
      } catch (error) {
        this.close();
        if (!(error instanceof DiskError)) throw error;
        if (!isTolerant) {
          const before = this.#failing?.segment === segment ? this.#failing.count : 0;
          this.#failing = { segment, count: before + 1 };
          throw error;
        }
        // Not even opened: all that is in it.
        this.#onMissing(Math.max(from, segment.base), end);
      }
      from = end + 1;
    }
  }

  /** A segment goes away. */
  forget(segment: SegmentView): void {
    if (this.#cursor?.segment === segment) this.close();
    if (this.#failing?.segment === segment) this.#failing = undefined;
  }

  close(): void {
    this.#cursor?.file.close();
    this.#cursor = undefined;
  }

  async #readSegment(
    segment: SegmentView,
    from: number,
    limit: ReadLimit,
    tolerant: boolean,
  ): Promise<StoredRecord[]> {
    const end = segment.end;
    if (this.#cursor?.segment !== segment || this.#cursor.nextSeq > from) {
      this.close();
      const file = await this.#disk.open(segment.name, false);
      const reader = new SegmentReader(file, segment.base, { tolerant });
      this.#cursor = { segment, file, reader, nextSeq: segment.base };
    }
    const cursor = this.#cursor;
    const found: StoredRecord[] = [];
    let bytes = 0;
    while (found.length < limit.records && bytes < limit.bytes && cursor.nextSeq <= end) {
      const record = cursor.reader.nextAtHand() ?? await cursor.reader.next();
      if (record === undefined || record.seq > end) {
        this.#onMissing(Math.max(cursor.nextSeq, from), end);
        cursor.nextSeq = Infinity;
        break;
      }
      if (record.seq > cursor.nextSeq) this.#onMissing(cursor.nextSeq, record.seq - 1);
      cursor.nextSeq = record.seq + 1;
      if (record.seq < from) continue;
      found.push(record);
      bytes += payloadBytes(record);
    }
    return found;
  }
}
