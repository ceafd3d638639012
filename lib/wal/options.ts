/** What a log is opened with, and what it counts. */
import type { Clock, Disk, Random } from "../platform/platform.ts";

/** See `Wal.open`. */
export interface WalOptions {
  readonly disk: Disk;
  /**
   * A directory of this log alone in memory-backed storage, for its tail: what the host acks in time then never
   * goes to `disk`. Of no use where `sync` is `always`.
   */
  readonly memory?: Disk | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Identity of this run of the operating system: tells a killed process from a power cut. */
  readonly osBootId: string;
  readonly ringRecords: number;
  /** Most bytes in the directory. */
  readonly bytesMax: number;
  /** Size at which a segment ends; 1/16 of `bytesMax`, at most 4 MiB, unless given. */
  readonly segmentBytes?: number;
  readonly sync: "always" | "interval";
  readonly syncIntervalMs: number;
}

/** Counters since the log was opened. */
export interface WalStats {
  appended_records: number;
  /** Bytes of records as they stand in the log, whether in memory or on the disk. */
  appended_bytes: number;
  /** Bytes of records handed to the disk. */
  written_bytes: number;
  syncs: number;
  sync_failures: number;
  write_failures: number;
  evicted_records: number;
  compacted_segments: number;
  corrupt_records: number;
  renumbered_records: number;
}

/** Nothing counted yet. */
export function newWalStats(): WalStats {
  return {
    appended_records: 0,
    appended_bytes: 0,
    written_bytes: 0,
    syncs: 0,
    sync_failures: 0,
    write_failures: 0,
    evicted_records: 0,
    compacted_segments: 0,
    corrupt_records: 0,
    renumbered_records: 0,
  };
}
