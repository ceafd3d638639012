/**
 * Reads records wherever they are: in memory or in a segment. What should be there and isn't becomes a gap on
 * the way; a segment that can't be read is tried a few times, then what is in it is lost and reading goes on
 * behind it.
 */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import type { Disk } from "../platform/platform.ts";
import { LogReader, type ReadLimit } from "./log_reader.ts";
import type { WalStats } from "./options.ts";
import type { Positions } from "./positions.ts";
import type { Ring } from "./ring.ts";
import type { StoredRecord } from "./segment.ts";
import type { SegmentSet, SegmentView } from "./segment_set.ts";

const log = getLogger(["holdfast", "wal"]);

/** See the head of the file. Reads run one after the other. */
export class Reading {
  #ring: Ring<Uint8Array>;
  #positions: Positions;
  #stats: WalStats;
  #reader: LogReader;
  #order: Promise<unknown> = Promise.resolve();
  #isFailing = false;

  constructor(
    disk: Disk,
    segments: SegmentSet,
    ring: Ring<Uint8Array>,
    positions: Positions,
    stats: WalStats,
  ) {
    this.#ring = ring;
    this.#positions = positions;
    this.#stats = stats;
    this.#reader = new LogReader(disk, segments, (from, to) => this.#declareCorrupt(from, to));
  }

  /** See `Wal.read`. Never rejects for what the disk does: then there is nothing just now. */
  read(fromSeq: number, limit: ReadLimit): Promise<StoredRecord[]> {
    const result = this.#order.then(async () => {
      const kept = this.#positions.keptFrom(Math.max(fromSeq, this.#positions.highAcked + 1));
      const found = await this.#readNow(kept.first, limit);
      const first = found[0]?.seq;
      if (first === undefined) return found;
      const { before } = this.#positions.keptFrom(first);
      if (first > kept.first) this.#declareHole(kept.first, Math.min(first, kept.before) - 1);
      // What is declared lost stays lost, also where a copy turns up.
      return found.filter(({ seq }) => seq < before);
    });
    this.#order = result.catch(() => {});
    return result;
  }

  /** A segment goes away. */
  forget(segment: SegmentView): void {
    this.#reader.forget(segment);
  }

  /** Reading begins anew, further back. */
  restart(): void {
    this.#reader.close();
  }

  /** Closes the files once reads that are under way are over. */
  async close(): Promise<void> {
    await this.#order;
    this.#reader.close();
  }

  async #readNow(from: number, limit: ReadLimit): Promise<StoredRecord[]> {
    const inMemory = this.#readRing(from, limit);
    if (inMemory.length > 0) return inMemory;
    try {
      const stored = await this.#reader.read(from, limit);
      this.#isFailing = false;
      // What lies between two segments of the disk may be in memory.
      const between = this.#ring.first(from)?.[0] ?? Infinity;
      const first = stored[0]?.seq;
      if (first !== undefined && between < first) return this.#readRing(between, limit);
      if (first !== undefined) return stored;
    } catch (error) {
      if (!this.#isFailing) log.error("log can't be read: {reason}", { reason: oneLine(error) });
      this.#isFailing = true;
      return [];
    }
    const next = this.#ring.first(from);
    return next === undefined ? [] : [{ seq: next[0], payload: next[1] }];
  }

  #readRing(from: number, limit: ReadLimit): StoredRecord[] {
    const found: StoredRecord[] = [];
    let bytes = 0;
    for (const [seq, payload] of this.#ring.get(from) ? this.#ring.from(from) : []) {
      const isNext = seq === from + found.length;
      if (!isNext || found.length >= limit.records || bytes >= limit.bytes) break;
      found.push({ seq, payload });
      bytes += payload.length;
    }
    return found;
  }

  /**
   * Nothing holds these. What was acked once was rightly let go of, also without a trace on disk, as while
   * writing failed; the rest should be there.
   */
  #declareHole(from: number, to: number): void {
    const acked = Math.min(to, this.#positions.everAcked);
    if (from <= acked) this.#positions.lose(from, acked, "compacted");
    this.#declareCorrupt(Math.max(from, acked + 1), to);
  }

  /** A segment should hold these and doesn't; memory may still have some of them. */
  #declareCorrupt(from: number, to: number): void {
    const end = Math.min(to, (this.#ring.firstSeq ?? Infinity) - 1);
    const first = Math.max(from, this.#positions.highAcked + 1);
    if (!this.#positions.lose(first, end, "corrupt")) return;
    this.#stats.corrupt_records += end - first + 1;
    log.error("log is damaged: seq {from} to {to} can't be read", { from: first, to: end });
  }
}
