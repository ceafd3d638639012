/**
 * The segments of the log in order of creation, and the bytes that they take. The only place that changes the
 * set or a segment in it; whoever reads holds a view.
 */
import { assert } from "../assert.ts";
import { type FoundSegment } from "./recovery.ts";

/** A segment as those see it who don't own it. */
export type SegmentView = Readonly<FoundSegment>;

/** See the head of the file. */
export class SegmentSet {
  readonly #segments: FoundSegment[];
  /** Retired segments that are still to be removed. */
  #doomed: { readonly name: string; readonly bytes: number }[] = [];
  /** Bytes of files in the directory that are not segments of the log. */
  #otherBytes: number;
  #keptBytes: number;
  #onRetired: (segment: SegmentView) => void;

  /** `onRetired` hears of each segment that leaves the set. */
  constructor(
    segments: readonly FoundSegment[],
    otherBytes: number,
    onRetired: (segment: SegmentView) => void,
  ) {
    this.#segments = [...segments];
    this.#otherBytes = otherBytes;
    this.#onRetired = onRetired;
    this.#keptBytes = this.#segments.reduce((sum, { bytes }) => sum + bytes, otherBytes);
  }

  /** The segments, oldest first; a view. */
  get all(): readonly SegmentView[] {
    return this.#segments;
  }
  get count(): number {
    return this.#segments.length;
  }
  get oldest(): SegmentView | undefined {
    return this.#segments[0];
  }
  get newest(): SegmentView | undefined {
    return this.#segments.at(-1);
  }
  /** Bytes of all files in the directory. */
  get bytes(): number {
    return this.#keptBytes + this.#doomed.reduce((sum, { bytes }) => sum + bytes, 0);
  }
  /** The same without what is about to be removed. */
  get keptBytes(): number {
    return this.#keptBytes;
  }
  /** First seq that a segment holds; `undefined` where none holds any. */
  get firstSeq(): number | undefined {
    let first: number | undefined;
    for (const { base, end } of this.#segments) {
      if (end >= base && (first === undefined || base < first)) first = base;
    }
    return first;
  }
  /** Highest seq that a segment holds; 0 where none holds any. */
  get lastSeq(): number {
    return this.#segments.reduce(
      (last, { base, end }) => end >= base ? Math.max(last, end) : last,
      0,
    );
  }
  get doomed(): readonly { readonly name: string; readonly bytes: number }[] {
    return this.#doomed;
  }

  /** The segment that holds `seq` or, where none does, the one with the next higher seq. */
  at(seq: number): SegmentView | undefined {
    let best: FoundSegment | undefined;
    for (const segment of this.#segments) {
      if (segment.end < seq || segment.end < segment.base) continue;
      if (best === undefined || segment.base < best.base) best = segment;
    }
    return best;
  }

  /** The last seq below `base` that a segment holds or skipped; `undefined` where all begin at or above `base`. */
  lastBefore(base: number): number | undefined {
    let last: number | undefined;
    for (const segment of this.#segments) {
      if (segment.base > base) continue;
      last = Math.max(last ?? 0, Math.min(segment.end, base - 1));
    }
    return last;
  }

  /** A new segment was started. */
  add(segment: FoundSegment): void {
    const newest = this.#segments.at(-1);
    assert(newest === undefined || segment.turn > newest.turn, `turn ${segment.turn} is not new`);
    this.#segments.push(segment);
    this.#keptBytes += segment.bytes;
  }

  /** The newest segment has that many bytes now. */
  setBytes(segment: SegmentView, bytes: number): void {
    const own = this.#own(segment);
    this.#keptBytes += bytes - own.bytes;
    own.bytes = bytes;
  }

  /** The newest segment holds `seq` now, its last. */
  extend(seq: number): void {
    const newest = this.#segments.at(-1)!;
    assert(seq > newest.end, `seq ${seq} behind ${newest.end}`);
    newest.end = seq;
  }

  /** Seqs from `from` on are written again: the segments before the newest don't hold them any more. */
  cutBefore(from: number): void {
    for (const segment of this.#segments.slice(0, -1)) {
      segment.end = Math.min(segment.end, from - 1);
    }
  }

  /** A segment leaves the log; its file is to be removed. */
  retire(segment: SegmentView): void {
    const index = this.#segments.indexOf(this.#own(segment));
    this.#segments.splice(index, 1);
    this.#keptBytes -= segment.bytes;
    this.#doomed.push({ name: segment.name, bytes: segment.bytes });
    this.#onRetired(segment);
  }

  /** The file of a retired segment is gone. */
  removed(name: string): void {
    this.#doomed = this.#doomed.filter((doomed) => doomed.name !== name);
  }

  #own(segment: SegmentView): FoundSegment {
    const own = this.#segments.find((one) => one === segment);
    assert(own !== undefined, `${segment.name} is not in the set`);
    return own;
  }
}
