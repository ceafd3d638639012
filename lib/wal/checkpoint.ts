/**
 * The checkpoint: a file of two slots that are written in turn, so that a power cut in the middle of a write
 * leaves the other one. It is a convenience: the log opens without it.
 */
import { assert } from "../assert.ts";
import { type Clock, type Disk, DiskError, type DiskFile } from "../platform/platform.ts";
import {
  type Checkpoint,
  CHECKPOINT_NAME,
  decodeSlot,
  encodeSlot,
  shortBootId,
  SLOT_BYTES,
} from "./format.ts";
import type { Positions } from "./positions.ts";

/** A checkpoint that lags by that much is written even if nothing is compacted. */
const CHECKPOINT_MS = 60_000;

/** Writes the checkpoints of one log. One write at a time. */
export class Checkpoints {
  #options: { readonly disk: Disk; readonly clock: Clock; readonly osBootId: string };
  #epoch: string;
  #positions: Positions;
  #turn: number;
  #acked: number;
  #atMs: number;
  #writing: Promise<unknown> = Promise.resolve();

  /** `last` is the checkpoint that was found. */
  constructor(
    options: { readonly disk: Disk; readonly clock: Clock; readonly osBootId: string },
    epoch: string,
    positions: Positions,
    last: Checkpoint | undefined,
  ) {
    this.#options = options;
    this.#epoch = epoch;
    this.#positions = positions;
    this.#turn = last?.turn ?? 0;
    this.#acked = positions.highAcked;
    this.#atMs = options.clock.monotonicMs();
  }

  /** Whether the last one lags behind what is acked. */
  isStale(nowMs: number): boolean {
    return this.#positions.highAcked > this.#acked && nowMs >= this.#atMs + CHECKPOINT_MS;
  }

  /** Writes where the log stands, and that it ended cleanly; durable when it resolves. Throws `DiskError`. */
  write(clean: boolean): Promise<void> {
    const result = this.#writing.then(() => this.#write(clean));
    this.#writing = result.catch(() => {});
    return result;
  }

  async #write(clean: boolean): Promise<void> {
    const { highAcked, next, synced } = this.#positions;
    const { clock, disk, osBootId } = this.#options;
    assert(!clean || synced === next - 1 || highAcked === next - 1, "a clean end has all synced");
    await writeCheckpoint(disk, {
      turn: ++this.#turn,
      epoch: this.#epoch,
      highAcked,
      lastSeq: clean ? next - 1 : synced,
      clean,
      osBootId: shortBootId(osBootId),
    });
    this.#acked = highAcked;
    this.#atMs = clock.monotonicMs();
  }
}

/** What the newer valid slot says, or `undefined` where there is none or none can be read. */
export async function readCheckpoint(disk: Disk): Promise<Checkpoint | undefined> {
  let file: DiskFile | undefined;
  try {
    file = await disk.open(CHECKPOINT_NAME, false);
    const slots: Checkpoint[] = [];
    for (let index = 0; index < 2; index++) {
      const bytes = new Uint8Array(SLOT_BYTES);
      const count = await file.readAt(index * SLOT_BYTES, bytes);
      const slot = decodeSlot(bytes.subarray(0, count));
      if (slot !== undefined) slots.push(slot);
    }
    return slots.sort((a, b) => b.turn - a.turn)[0];
  } catch (error) {
    if (error instanceof DiskError) return undefined;
    throw error;
  } finally {
    file?.close();
  }
}

/**
 * Writes the next slot and makes it durable. Throws `DiskError`; the other slot is then untouched. The slot
 * is chosen by the turn, so that two writes never hit the same one in a row.
 */
export async function writeCheckpoint(disk: Disk, checkpoint: Checkpoint): Promise<void> {
  const { file, isNew } = await openForWriting(disk);
  try {
    if (file.size > 2 * SLOT_BYTES) await file.truncate(2 * SLOT_BYTES);
    if (file.size < 2 * SLOT_BYTES) file.append(new Uint8Array(2 * SLOT_BYTES - file.size));
    const written = file.writeAt((checkpoint.turn % 2) * SLOT_BYTES, encodeSlot(checkpoint));
    if (written < SLOT_BYTES) {
      throw new DiskError("full", "checkpoint could not be written whole: is the disk full?");
    }
    await file.sync();
    if (isNew) await disk.syncDir();
  } finally {
    file.close();
  }
}

/**
 * One that can't be opened is removed: it says nothing that the segments don't. What is no file and stands in the
 * way is moved aside.
 */
async function openForWriting(disk: Disk): Promise<{ file: DiskFile; isNew: boolean }> {
  try {
    return { file: await disk.open(CHECKPOINT_NAME, true), isNew: false };
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    if (error.kind !== "gone") {
      await disk.remove(CHECKPOINT_NAME).catch(() =>
        disk.rename(CHECKPOINT_NAME, `${CHECKPOINT_NAME}.unusable`)
      );
    }
  }
  return { file: disk.create(CHECKPOINT_NAME), isNew: true };
}
