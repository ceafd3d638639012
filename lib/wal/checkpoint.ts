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
  reservedBy,
  shortBootId,
  SLOT_BYTES,
  STRIDE_RECORDS,
  STRIDES_MAX,
} from "./format.ts";
import type { MemoryTail } from "./memory_tail.ts";
import type { Positions } from "./positions.ts";
import type { Plan, Reservation } from "./reservation.ts";

/** A checkpoint that lags by that much is written even if nothing is compacted. */
const CHECKPOINT_MS = 60_000;

/** What {@linkcode Checkpoints} works with. */
export interface CheckpointParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly osBootId: string;
  readonly epoch: string;
  readonly positions: Positions;
  readonly reservation: Reservation;
  readonly memory: MemoryTail;
}

/** Writes the checkpoints of one log. One write at a time. */
export class Checkpoints {
  #parts: CheckpointParts;
  #turn: number;
  #acked: number;
  #atMs: number;
  #writing: Promise<unknown> = Promise.resolve();

  /** `last` is the checkpoint that was found. */
  constructor(parts: CheckpointParts, last: Checkpoint | undefined) {
    this.#parts = parts;
    this.#turn = last?.turn ?? 0;
    this.#acked = parts.positions.highAcked;
    this.#atMs = parts.clock.monotonicMs();
  }

  /** Whether the last one lags behind what is acked; where numbers are reserved, those that this takes are enough. */
  isStale(nowMs: number): boolean {
    const { highAcked, reserved } = this.#parts.positions;
    return reserved === undefined && highAcked > this.#acked && nowMs >= this.#atMs + CHECKPOINT_MS;
  }

  /**
   * Writes where the log stands, and that it ended cleanly; durable when it resolves. Resolves to what is reserved
   * then: the highest seq that a start after a power cut would not use again, `undefined` where that follows from
   * what is synced. Throws `DiskError`.
   */
  write(clean: boolean): Promise<number | undefined> {
    const result = this.#writing.then(() => this.#write(clean));
    this.#writing = result.catch(() => {});
    return result;
  }

  /** Writes what is acked into the tail in memory alone, where there is one. */
  async note(): Promise<void> {
    await this.#parts.memory.note(this.#current(false, this.#plan()));
  }

  async #write(clean: boolean): Promise<number | undefined> {
    const { clock, disk, memory, reservation } = this.#parts;
    // The memory first: what the disk names must be there.
    if (!clean) await this.note();
    const plan = this.#plan();
    const checkpoint = this.#current(clean, plan);
    const { highAcked, tail } = checkpoint;
    this.#turn++;
    await writeCheckpoint(disk, checkpoint);
    this.#acked = highAcked;
    this.#atMs = clock.monotonicMs();
    if (tail === 0) return undefined;
    memory.confirm(tail);
    reservation.confirm(plan);
    return reservedBy(checkpoint);
  }

  #plan(): Plan {
    return this.#parts.reservation.plan(this.#parts.positions.settled);
  }

  /** What is to be written next. */
  #current(clean: boolean, plan: Plan): Checkpoint {
    const { epoch, memory, osBootId, positions } = this.#parts;
    const { highAcked, next, settled, synced } = positions;
    assert(!clean || settled === next - 1, "a clean end has all synced or acked");
    const tail = clean ? 0 : memory.id;
    // Without a tail a start takes it for synced: what is only acked may be nowhere on this disk.
    const lastSeq = clean || tail !== 0 ? settled : synced;
    // Where a tail was on, more may have been sent than what is synced tells, and some may be while this is written.
    const isPlain = clean || memory.bytesMax === 0;
    const unsettled = isPlain ? 0 : 1 + Math.ceil((next - 1 - lastSeq) / STRIDE_RECORDS);
    return {
      turn: this.#turn + 1,
      epoch,
      highAcked,
      lastSeq,
      clean,
      osBootId: shortBootId(osBootId),
      tail,
      strides: tail === 0 ? Math.min(unsettled, STRIDES_MAX) : plan.strides,
      unsyncedMax: tail === 0 ? 0 : plan.unsyncedMax,
    };
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
