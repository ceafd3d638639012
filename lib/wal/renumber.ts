/** Gives records new numbers, where the host holds others under theirs. */
import { assert } from "../assert.ts";
import { SEQ_JUMP_MAX } from "../limits.ts";
import type { ReadLimit } from "./log_reader.ts";
import type { Positions } from "./positions.ts";
import type { StoredRecord } from "./segment.ts";

const BATCH_RECORDS = 256;

/** What {@linkcode moveAbove} works with. */
export interface Renumbered {
  readonly positions: Positions;
  readonly batchBytes: number;
  readonly read: (from: number, limit: ReadLimit) => Promise<StoredRecord[]>;
  readonly append: (payload: Uint8Array) => void;
  /** Numbers were skipped: that must be on record before the next is used. */
  readonly skipped: () => void;
  /** Resolves once a burst of appends has room. */
  readonly roomMade: () => Promise<void>;
}

/**
 * Appends those records of this run that are at or below `maxSeq` once more, above it, and declares the old
 * numbers. `maxSeq` is at most `SEQ_JUMP_MAX` above the last.
 */
export async function moveAbove(maxSeq: number, parts: Renumbered): Promise<void> {
  const { positions, batchBytes, read, append, skipped, roomMade } = parts;
  const from = positions.runFirst;
  const last = positions.next - 1;
  assert(maxSeq <= last + SEQ_JUMP_MAX, `renumber above ${maxSeq}, the last is ${last}`);
  const through = Math.min(last, maxSeq);
  if (maxSeq > last) {
    positions.skipTo(maxSeq);
    skipped();
  }
  const first = positions.next;
  for (let next = from; next <= through;) {
    await roomMade();
    const records = await read(next, { records: BATCH_RECORDS, bytes: batchBytes });
    if (records.length === 0 || records[0]!.seq > through) break;
    for (const { seq, payload } of records) {
      if (seq > through) break;
      append(payload);
      next = seq + 1;
    }
  }
  positions.startRunAt(first);
  positions.lose(from, maxSeq, "unsynced");
}
