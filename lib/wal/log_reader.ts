/** Reads stored records of all segments by seq, with a cursor, so that reading on costs nothing. */
import type { Disk, DiskFile } from "../platform/platform.ts";
import type { FoundSegment } from "./recovery.ts";
import { SegmentReader, type StoredRecord } from "./segment.ts";

/** How much a read may return. */
export interface ReadLimit {
  readonly records: number;
  readonly bytes: number;
}

/** See the head of the file. One read at a time; `segments` may change between and during reads. */
export class LogReader {
  #disk: Disk;
  #segments: readonly FoundSegment[];
  #onMissing: (from: number, to: number) => void;
  #cursor:
    | { segment: FoundSegment; file: DiskFile; reader: SegmentReader; nextSeq: number }
    | undefined;

  /** `onMissing` hears of seqs that a segment should hold and doesn't. */
  constructor(
    disk: Disk,
    segments: readonly FoundSegment[],
    onMissing: (from: number, to: number) => void,
  ) {
    this.#disk = disk;
    this.#segments = segments;
    this.#onMissing = onMissing;
  }

  /**
   * Records from the first segment at or above `from` that yields something; a damaged one may yield
   * nothing. Empty where no segment has anything. Throws `DiskError`.
   */
  async read(from: number, limit: ReadLimit): Promise<StoredRecord[]> {
    for (;;) {
      const segment = this.#segmentAt(from);
      if (segment === undefined) return [];
      const { end } = segment;
      try {
        const found = await this.#readSegment(segment, from, limit);
        if (found.length > 0) return found;
      } catch (error) {
        this.close();
        throw error;
      }
      from = end + 1;
    }
  }

  /** A segment goes away. */
  forget(segment: FoundSegment): void {
    if (this.#cursor?.segment === segment) this.close();
  }

  close(): void {
    this.#cursor?.file.close();
    this.#cursor = undefined;
  }

  /** The segment that holds `seq` or, where none does, the one with the next higher seq. */
  #segmentAt(seq: number): FoundSegment | undefined {
    let best: FoundSegment | undefined;
    for (const segment of this.#segments) {
      if (segment.end < seq || segment.end < segment.base) continue;
      if (best === undefined || segment.base < best.base) best = segment;
    }
    return best;
  }

  async #readSegment(
    segment: FoundSegment,
    from: number,
    limit: ReadLimit,
  ): Promise<StoredRecord[]> {
    const end = segment.end;
    if (this.#cursor?.segment !== segment || this.#cursor.nextSeq > from) {
      this.close();
      const file = await this.#disk.open(segment.name, false);
      const reader = new SegmentReader(file, segment.base);
      this.#cursor = { segment, file, reader, nextSeq: segment.base };
    }
    const cursor = this.#cursor;
    const found: StoredRecord[] = [];
    let bytes = 0;
    while (found.length < limit.records && bytes < limit.bytes && cursor.nextSeq <= end) {
      const record = await cursor.reader.next();
      if (record === undefined || record.seq > end) {
        this.#onMissing(Math.max(cursor.nextSeq, from), end);
        cursor.nextSeq = Infinity;
        break;
      }
      if (record.seq > cursor.nextSeq) this.#onMissing(cursor.nextSeq, record.seq - 1);
      cursor.nextSeq = record.seq + 1;
      if (record.seq < from) continue;
      found.push(record);
      bytes += record.payload.length;
    }
    return found;
  }
}
