/**
 * Opens a log: what its directory and its tail in memory hold between them, which numbers may have been given out
 * of which nothing is left, and where this run goes on.
 */
import { getLogger } from "@logtape/logtape";
import { RESERVE_RECORDS } from "../limits.ts";
import type { Compaction } from "./compaction.ts";
import { reservedBy, shortBootId } from "./format.ts";
import { findTail, type FoundTail, type MemoryTail } from "./memory_tail.ts";
import type { WalOptions } from "./options.ts";
import type { Positions } from "./positions.ts";
import { recover, type Recovered } from "./recovery.ts";
import type { Writing } from "./writing.ts";

const log = getLogger(["holdfast", "wal"]);

/** What a directory held, and the tail that goes with it. */
export interface Found {
  readonly log: Recovered;
  readonly tail: FoundTail | undefined;
}

/** Reads both places without changing them. Throws `DiskError` where the log's directory can't be listed. */
export async function findLog({ disk, memory, osBootId }: WalOptions): Promise<Found> {
  const log = await recover(disk);
  const { epoch, checkpoint, segments, highAcked } = log;
  if (epoch === undefined || memory === undefined) return { log, tail: undefined };
  const above = heldThrough(segments, highAcked);
  return { log, tail: await findTail(memory, { epoch, checkpoint, osBootId, above }) };
}

/** What the host has by either checkpoint. */
export function ackedIn(found: Found | undefined): number {
  return Math.max(found?.log.highAcked ?? 0, found?.tail?.checkpoint.highAcked ?? 0);
}

/** Up to there the host or the disk has all that was not lost. What can't be read doesn't count. */
function heldThrough(segments: Recovered["segments"], highAcked: number): number {
  return segments.reduce(
    (last, { base, end, unreadable }) => Math.max(last, unreadable ? base - 1 : end),
    highAcked,
  );
}

/** What {@linkcode takeUp} works with. */
export interface OpeningParts {
  readonly options: WalOptions;
  readonly positions: Positions;
  readonly writing: Writing;
  readonly memory: MemoryTail;
  readonly compaction: Compaction;
  /** Puts a record into the ring. */
  readonly remember: (seq: number, payload: Uint8Array) => void;
  /** Writes a checkpoint; false if that fails. */
  readonly checkpoint: () => Promise<boolean>;
}

/** Takes up the numbering where it is safe, and makes both places ready for this run. Never rejects. */
export async function takeUp(found: Found, parts: OpeningParts): Promise<void> {
  const { options, positions, writing, memory, compaction, checkpoint } = parts;
  const { epoch, foreign, segments } = found.log;
  for (const name of foreign) log.warn("{name} is not part of this log", { name });
  for (const { name, unreadable } of segments) {
    if (!unreadable) continue;
    log.error("{name} can't be read: it is set aside until the next start", { name });
  }
  try {
    if (epoch !== undefined) await writing.resume(found.log);
    // What only the tail or the host knows of is not on the disk.
    positions.syncedTo(Math.min(positions.next - 1, found.log.lastSeq));
  } catch (error) {
    writing.fail("log can't be written", error);
  }
  if (found.tail !== undefined) takeOver(segments, found.tail, parts);
  if (epoch !== undefined && isUncertain(found, options)) skipReserve(found.log, parts);
  if (writing.failure.isPresent) return;
  try {
    // The limit may be lower than it was.
    compaction.evict();
    await compaction.removeDoomed();
    // Before the checkpoint: that names this boot, and what was skipped must be on record by then.
    writing.open();
    await memory.prepare();
    if (await checkpoint()) await options.disk.syncDir();
  } catch (error) {
    writing.fail("log can't be written", error);
  }
}

/** What a killed process left in memory goes to the disk: it is synced as soon as the log runs. */
function takeOver(
  segments: Recovered["segments"],
  { records }: FoundTail,
  { positions, writing, remember }: OpeningParts,
): void {
  if (records.length === 0) return;
  let last = heldThrough(segments, positions.highAcked);
  positions.unsettle(last);
  for (const { seq, payload } of records) {
    // Nothing took them: the disk failed, and the tail was as full as it may be.
    if (seq > last + 1) positions.lose(last + 1, seq - 1, "unwritten");
    remember(seq, payload);
    last = seq;
  }
  writing.spill();
  log.info("{records} records were in memory only when the last run ended", {
    records: records.length,
  });
}

/** Whether numbers may have been given out of which nothing is left. */
function isUncertain({ log, tail }: Found, { osBootId }: WalOptions): boolean {
  const { checkpoint, tornBytes } = log;
  // A killed process leaves whole records: a torn one means that the medium lost something.
  if (tornBytes > 0) return true;
  if (checkpoint?.clean === true) return false;
  const isTailLost = checkpoint !== undefined && checkpoint.tail !== 0 && tail === undefined;
  return checkpoint?.osBootId !== shortBootId(osBootId) || isTailLost;
}

/** After a power cut: what was sent and never synced must not be numbered again. */
function skipReserve({ checkpoint }: Recovered, { positions, writing }: OpeningParts): void {
  const prev = positions.next - 1;
  const reserved = checkpoint === undefined ? 0 : reservedBy(checkpoint);
  const last = Math.max(prev + RESERVE_RECORDS, reserved);
  positions.skipTo(last);
  const most = checkpoint?.unsyncedMax ?? 0;
  positions.lose(prev + 1, last, "unsynced", most === 0 ? undefined : most);
  writing.jump("unsynced", most);
}
