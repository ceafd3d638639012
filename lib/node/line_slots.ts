/**
 * A file of two places for one line each, written in turn and in place, so that a power cut in the middle of a
 * write leaves the other one, and a write costs the flash one block. A line says by itself whether it is whole.
 */
import { type Disk, DiskError } from "../platform/platform.ts";

/** Bytes for each of the two lines: a block of the file system. */
export const SLOT_BYTES = 4_096;

const encoder = new TextEncoder();

/** See the head of the file. */
export class LineSlots {
  #disk: Disk;
  #name: string;

  constructor(disk: Disk, name: string) {
    this.#disk = disk;
    this.#name = name;
  }

  /** Both lines, as far as they can be read; what stands in their place may be anything. */
  async read(): Promise<string[]> {
    try {
      const file = await this.#disk.open(this.#name, false);
      try {
        const bytes = new Uint8Array(2 * SLOT_BYTES);
        const length = await file.readAt(0, bytes);
        return [0, SLOT_BYTES].map((start) =>
          new TextDecoder().decode(bytes.subarray(start, Math.min(start + SLOT_BYTES, length)))
            .split("\n")[0]!
        );
      } finally {
        file.close();
      }
    } catch (error) {
      if (error instanceof DiskError) return [];
      throw error;
    }
  }

  /**
   * Writes a line that ends with a newline, of {@linkcode SLOT_BYTES} at most, into the place of that turn; durable
   * when it resolves. Throws `DiskError`; the other place is untouched then.
   */
  async write(turn: number, line: string): Promise<void> {
    let file, isNew = false;
    try {
      file = await this.#disk.open(this.#name, true);
    } catch (error) {
      if (!(error instanceof DiskError) || error.kind !== "gone") throw error;
      file = this.#disk.create(this.#name);
      isNew = true;
    }
    try {
      while (file.size < 2 * SLOT_BYTES) {
        // Block by block: what is written at once the kernel may go on to treat as one, and write whole.
        const missing = SLOT_BYTES - file.size % SLOT_BYTES;
        if (file.append(new Uint8Array(missing)) < missing) throw notWhole();
      }
      const bytes = encoder.encode(line);
      if (file.writeAt((turn % 2) * SLOT_BYTES, bytes) < bytes.length) throw notWhole();
      await file.sync();
    } finally {
      file.close();
    }
    if (isNew) await this.#disk.syncDir();
  }
}

function notWhole(): DiskError {
  return new DiskError("full", "not all could be written");
}
