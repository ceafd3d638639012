/** Looks into a directory without changing it: also one of a dead node, or of one that runs beside. */
import type { Disk } from "../platform/platform.ts";
import type { LostRange } from "./gaps.ts";
import { type FoundSegment, recover } from "./recovery.ts";
import { SegmentReader, type StoredRecord } from "./segment.ts";

/** What `wal ls` shows. */
export interface WalListing {
  readonly epoch: string | undefined;
  readonly high_acked: number;
  readonly last_seq: number;
  readonly bytes: number;
  readonly segments: readonly FoundSegment[];
  readonly gaps: readonly LostRange[];
  readonly foreign: readonly string[];
}

/** Lists what a directory holds; reads little more than headers. Rejects with `DiskError`. */
export async function listWal(disk: Disk): Promise<WalListing> {
  const { epoch, highAcked, lastSeq, bytes, segments, gaps, foreign } = await recover(disk);
  return {
    epoch,
    high_acked: highAcked,
    last_seq: lastSeq,
    bytes,
    segments,
    gaps: gaps.list,
    foreign,
  };
}

/** Each record that can be read, in the order of the segments. Rejects with `DiskError`. */
export async function* readWal(disk: Disk): AsyncGenerator<StoredRecord & { epoch: string }> {
  const { epoch, segments } = await recover(disk);
  if (epoch === undefined) return;
  for (const segment of segments) {
    if (segment.end < segment.base) continue;
    const file = await disk.open(segment.name, false);
    try {
      const reader = new SegmentReader(file, segment.base, {
        maxSeq: segment.end,
        tolerant: true,
      });
      for (let record = await reader.next(); record; record = await reader.next()) {
        yield { ...record, epoch };
      }
    } finally {
      file.close();
    }
  }
}

/** What `wal verify` shows. */
export interface WalReport extends WalListing {
  readonly records: number;
  /** Ranges that a segment should hold and that can't be read, acked or not. */
  readonly damaged: readonly { from_seq: number; to_seq: number; segment: string }[];
}

/** Reads every record and names what is damaged. Rejects with `DiskError`. */
export async function verifyWal(disk: Disk): Promise<WalReport> {
  const listing = await listWal(disk);
  const damaged: { from_seq: number; to_seq: number; segment: string }[] = [];
  let records = 0;
  for (const segment of listing.segments) {
    const file = await disk.open(segment.name, false);
    try {
      const reader = new SegmentReader(file, segment.base, {
        maxSeq: segment.end,
        tolerant: true,
      });
      let next = segment.base;
      const missing = (to: number) => {
        if (to >= next) damaged.push({ from_seq: next, to_seq: to, segment: segment.name });
      };
      for (let record = await reader.next(); record; record = await reader.next()) {
        missing(record.seq - 1);
        next = record.seq + 1;
        records++;
      }
      missing(segment.end);
    } finally {
      file.close();
    }
  }
  return { ...listing, records, damaged };
}
