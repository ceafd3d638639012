/**
 * The checkpoint: a file of two slots that are written in turn, so that a power cut in the middle of a write
 * leaves the other one. It is a convenience: the log opens without it.
 */
import { type Disk, DiskError, type DiskFile } from "../platform/platform.ts";
import { type Checkpoint, CHECKPOINT_NAME, decodeSlot, encodeSlot, SLOT_BYTES } from "./format.ts";

/** What the newer valid slot says, or `undefined` where there is none. Throws only `DiskError`. */
export async function readCheckpoint(disk: Disk): Promise<Checkpoint | undefined> {
  let file: DiskFile;
  try {
    file = await disk.open(CHECKPOINT_NAME, false);
  } catch (error) {
    if (error instanceof DiskError && error.kind === "gone") return undefined;
    throw error;
  }
  try {
    const slots: Checkpoint[] = [];
    for (let index = 0; index < 2; index++) {
      const bytes = new Uint8Array(SLOT_BYTES);
      const count = await file.readAt(index * SLOT_BYTES, bytes);
      const slot = decodeSlot(bytes.subarray(0, count));
      if (slot !== undefined) slots.push(slot);
    }
    return slots.sort((a, b) => b.turn - a.turn)[0];
  } finally {
    file.close();
  }
}

/**
 * Writes the next slot and makes it durable. Throws `DiskError`; the other slot is then untouched. The slot
 * is chosen by the turn, so that two writes never hit the same one in a row.
 */
export async function writeCheckpoint(disk: Disk, checkpoint: Checkpoint): Promise<void> {
  let file: DiskFile;
  let isNew = false;
  try {
    file = await disk.open(CHECKPOINT_NAME, true);
  } catch (error) {
    if (!(error instanceof DiskError && error.kind === "gone")) throw error;
    file = disk.create(CHECKPOINT_NAME);
    isNew = true;
  }
  try {
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
