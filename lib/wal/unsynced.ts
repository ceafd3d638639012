/** What no sync covers yet: files with appends, and entries of the directory. */
import type { Disk, DiskFile } from "../platform/platform.ts";

/** See the head of the file. Owns the files that it holds, but for the one that is still written to. */
export class Unsynced {
  #files = new Set<DiskFile>();
  #entries = false;

  get isEmpty(): boolean {
    return this.#files.size === 0 && !this.#entries;
  }

  has(file: DiskFile): boolean {
    return this.#files.has(file);
  }

  /** Something was appended to `file`. */
  wrote(file: DiskFile): void {
    this.#files.add(file);
  }

  /** A file was created, or a sync of the directory failed. */
  entriesChanged(): void {
    this.#entries = true;
  }

  /**
   * Makes durable all that was written before the call; closes what is durable and not `live` any more.
   * Throws `DiskError`: then nothing is known of what was not durable before.
   */
  async sync(disk: Disk, live: () => DiskFile | undefined): Promise<void> {
    const sizes = new Map<DiskFile, number>();
    for (const file of [...this.#files]) {
      sizes.set(file, file.size);
      await file.sync();
    }
    if (this.#entries) {
      this.#entries = false;
      await disk.syncDir();
    }
    for (const [file, syncedSize] of sizes) {
      // A slow disk: more was appended while the sync, or that of another file, was under way.
      if (file.size > syncedSize) continue;
      this.#files.delete(file);
      if (file !== live()) file.close();
    }
  }

  /** Gives up on what is not durable. */
  close(): void {
    for (const file of this.#files) file.close();
    this.#files.clear();
  }
}
