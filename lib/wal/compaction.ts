/** Lets segments go: those that the host has, those that the limit doesn't allow, and then their files. */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import type { Clock, Disk } from "../platform/platform.ts";
import type { WalStats } from "./options.ts";
import type { Positions } from "./positions.ts";
import type { SegmentSet, SegmentView } from "./segment_set.ts";

/** A file that could not be removed is tried again after that. */
const RETRY_MS = 30_000;
const log = getLogger(["holdfast", "wal"]);

/** What {@linkcode Compaction} works on. */
export interface CompactionParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly segments: SegmentSet;
  readonly positions: Positions;
  readonly stats: WalStats;
  /** Bytes above which segments are evicted. */
  readonly bytesMax: () => number;
  /** First seq that is also in memory; what is there is not lost with a segment. */
  readonly inMemoryFrom: () => number;
}

/** See the head of the file. */
export class Compaction {
  #parts: CompactionParts;
  /** When the removal of a file that could not be removed is tried again. */
  #retryAtMs = -Infinity;

  constructor(parts: CompactionParts) {
    this.#parts = parts;
  }

  /** Whether a segment can be let go because the host has all of it. Constant work. */
  get isDue(): boolean {
    return this.#oldestAcked !== undefined;
  }
  /** Whether the segments take more than they may. */
  get isTooBig(): boolean {
    const { segments, bytesMax } = this.#parts;
    return segments.count > 1 && segments.keptBytes > bytesMax();
  }
  /** When files are to be removed; `Infinity` where there are none. */
  get removeAtMs(): number {
    return this.#parts.segments.doomed.length === 0 ? Infinity : this.#retryAtMs;
  }
  get isRemovalDue(): boolean {
    return this.#parts.clock.monotonicMs() >= this.removeAtMs;
  }

  get #oldestAcked(): SegmentView | undefined {
    const { segments, positions } = this.#parts;
    const { oldest, count } = segments;
    if (oldest === undefined || count < 2) return undefined;
    return oldest.end <= positions.highAcked ? oldest : undefined;
  }

  /** Lets go what the host has; the checkpoint must say so already. */
  compact(): void {
    const { segments, stats } = this.#parts;
    for (let oldest = this.#oldestAcked; oldest; oldest = this.#oldestAcked) {
      segments.retire(oldest);
      stats.compacted_segments++;
    }
  }

  /** What is still in memory is not lost by it: it is declared when it leaves memory, if it must be. */
  evict(): void {
    const { segments, positions, stats, inMemoryFrom } = this.#parts;
    while (this.isTooBig) {
      const oldest = segments.oldest!;
      const from = Math.max(oldest.base, positions.highAcked + 1);
      const to = Math.min(oldest.end, inMemoryFrom() - 1);
      if (to >= from) {
        positions.lose(from, to, "evicted");
        stats.evicted_records += to - from + 1;
        log.warn("log is full: evicted seq {from} to {to}", { from, to });
      }
      segments.retire(oldest);
    }
  }

  /** Removes files. One that can't be removed stays in the count of bytes, and is tried again later. */
  async removeDoomed(): Promise<void> {
    if (!this.isRemovalDue) return;
    const { clock, disk, segments } = this.#parts;
    for (const { name } of segments.doomed) {
      try {
        await disk.remove(name);
        segments.removed(name);
      } catch (error) {
        const isNews = this.#retryAtMs === -Infinity;
        this.#retryAtMs = clock.monotonicMs() + RETRY_MS;
        if (isNews) {
          log.error("{name} can't be removed: {reason}", { name, reason: oneLine(error) });
        }
        return;
      }
    }
    this.#retryAtMs = -Infinity;
  }
}
