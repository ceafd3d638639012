/** The real {@linkcode Disk}: one directory, through Deno's files. */
import { dirname } from "node:path";
import { type Disk, DiskError, type DiskErrorKind, type DiskFile } from "./platform.ts";

const KINDS: Record<string, DiskErrorKind> = {
  ENOSPC: "full",
  EDQUOT: "full",
  ENOENT: "gone",
  EEXIST: "exists",
  EROFS: "readonly",
  EACCES: "readonly",
  EPERM: "readonly",
};

function diskError(operation: string, path: string, error: unknown): DiskError {
  const { code, message } = error as { code?: string; message: string };
  const cause = /\(os error \d+\)/.test(message) ? message.replace(/: \w+ '.*'$/, "") : message;
  return new DiskError(KINDS[code ?? ""] ?? "io", `cannot ${operation} ${path}: ${cause}`, {
    cause: error,
  });
}

/**
 * Makes a directory, with its parents, where it isn't there; one that was made survives a power cut, as far
 * as its parent may be opened. Rejects with what Deno says.
 */
export async function makeDirectory(path: string): Promise<void> {
  const parent = dirname(path);
  try {
    await Deno.mkdir(path);
  } catch (error) {
    // A read-only file system refuses even where the directory is there; reading may still work.
    if ((await Deno.stat(path).catch(() => undefined))?.isDirectory) return;
    if (!(error instanceof Deno.errors.NotFound) || parent === path) throw error;
    await makeDirectory(parent);
    return await makeDirectory(path);
  }
  try {
    await syncDirectory(parent);
  } catch {
    // The directory is there and can be used; who may not open its parent can't do more for it.
  }
}

async function syncDirectory(path: string): Promise<void> {
  using directory = await Deno.open(path);
  await directory.sync();
}

/** Opens a directory, which is made if it isn't there (with its parents). Rejects with `DiskError`. */
export async function openDisk(path: string): Promise<Disk> {
  try {
    await makeDirectory(path);
  } catch (error) {
    throw diskError("make the directory", path, error);
  }
  return new DenoDisk(path);
}

/** As {@linkcode openDisk}, but a directory that can't be used yet is tried again at each operation. */
export function openDiskLate(path: string): Disk {
  let opened: Disk | undefined;
  const get = async () => opened ??= await openDisk(path);
  return {
    list: async () => await (await get()).list(),
    sizeOf: async (name) => await (await get()).sizeOf(name),
    open: async (name, writable) => await (await get()).open(name, writable),
    create(name) {
      if (opened !== undefined) return opened.create(name);
      throw new DiskError("gone", `cannot create ${path}/${name}: the directory can't be used`);
    },
    rename: async (from, to) => await (await get()).rename(from, to),
    remove: async (name) => await (await get()).remove(name),
    syncDir: async () => await (await get()).syncDir(),
    freeBytes: async () => await opened?.freeBytes(),
  };
}

/** Name of the log's directory in a node's data directory. */
export const WAL_DIRECTORY = "wal";

/** Opens the log's directory for looking into it: `path`, or the one in it. Rejects with one line. */
export async function openDiskForReading(path: string): Promise<Disk> {
  for (const directory of [`${path}/${WAL_DIRECTORY}`, path]) {
    const found = await Deno.stat(directory).catch(() => undefined);
    if (found?.isDirectory) return new DenoDisk(directory);
  }
  throw new Error(`there is no directory ${path}`);
}

/** A directory that is there; files that are made in it get `mode`. */
export function diskAt(path: string, mode: number): Disk {
  return new DenoDisk(path, mode);
}

class DenoDisk implements Disk {
  #path: string;
  #mode: number;

  constructor(path: string, mode = 0o640) {
    this.#path = path;
    this.#mode = mode;
  }

  async list(): Promise<string[]> {
    const names: string[] = [];
    try {
      for await (const entry of Deno.readDir(this.#path)) if (entry.isFile) names.push(entry.name);
    } catch (error) {
      throw diskError("list", this.#path, error);
    }
    return names.sort();
  }

  async sizeOf(name: string): Promise<number> {
    try {
      return (await Deno.stat(this.#join(name))).size;
    } catch (error) {
      throw diskError("look at", this.#join(name), error);
    }
  }

  async open(name: string, writable: boolean): Promise<DiskFile> {
    const path = this.#join(name);
    try {
      const file = await Deno.open(path, { read: true, write: writable });
      return new DenoFile(path, file, file.seekSync(0, Deno.SeekMode.End));
    } catch (error) {
      throw diskError("open", path, error);
    }
  }

  create(name: string): DiskFile {
    const path = this.#join(name);
    try {
      const file = Deno.openSync(path, {
        read: true,
        write: true,
        createNew: true,
        mode: this.#mode,
      });
      return new DenoFile(path, file, 0);
    } catch (error) {
      throw diskError("create", path, error);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    try {
      await Deno.rename(this.#join(from), this.#join(to));
    } catch (error) {
      throw diskError("rename", this.#join(from), error);
    }
  }

  async remove(name: string): Promise<void> {
    try {
      await Deno.remove(this.#join(name));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw diskError("remove", this.#join(name), error);
    }
  }

  async syncDir(): Promise<void> {
    try {
      await syncDirectory(this.#path);
    } catch (error) {
      throw diskError("sync the directory", this.#path, error);
    }
  }

  async freeBytes(): Promise<number | undefined> {
    try {
      const { statfs } = await import("node:fs/promises");
      const found = await statfs(this.#path);
      return found.bavail * found.bsize;
    } catch {
      return undefined;
    }
  }

  #join(name: string): string {
    return `${this.#path}/${name}`;
  }
}

/**
 * Each operation seeks first; reads are asynchronous in two steps, so whoever reads beside a writer opens the
 * file anew.
 */
class DenoFile implements DiskFile {
  #path: string;
  #file: Deno.FsFile;
  size: number;
  #closed = false;
  /** Operations under way on the descriptor; it is closed after the last. */
  #busy = 0;

  constructor(path: string, file: Deno.FsFile, size: number) {
    this.#path = path;
    this.#file = file;
    this.size = size;
  }

  append(bytes: Uint8Array): number {
    return this.writeAt(this.size, bytes);
  }

  writeAt(offset: number, bytes: Uint8Array): number {
    try {
      this.#file.seekSync(offset, Deno.SeekMode.Start);
      const written = this.#file.writeSync(bytes);
      this.size = Math.max(this.size, offset + written);
      return written;
    } catch (error) {
      throw diskError("write", this.#path, error);
    }
  }

  async readAt(offset: number, into: Uint8Array): Promise<number> {
    try {
      return await this.#run(async () => {
        await this.#file.seek(offset, Deno.SeekMode.Start);
        return await this.#file.read(into) ?? 0;
      });
    } catch (error) {
      throw diskError("read", this.#path, error);
    }
  }

  async sync(): Promise<void> {
    try {
      await this.#run(() => this.#file.syncData());
    } catch (error) {
      throw diskError("sync", this.#path, error);
    }
  }

  async truncate(size: number): Promise<void> {
    try {
      await this.#run(() => this.#file.truncate(size));
      this.size = size;
    } catch (error) {
      throw diskError("truncate", this.#path, error);
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#busy === 0) this.#closeNow();
  }

  async #run<T>(operation: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await operation();
    } finally {
      this.#busy--;
      if (this.#closed && this.#busy === 0) this.#closeNow();
    }
  }

  #closeNow(): void {
    try {
      this.#file.close();
    } catch {
      // Closed already, or the error came at the sync that counts.
    }
  }
}

/** A lock that dies with its process. */
export interface DirectoryLock {
  release(): void;
}

/** How long an executable made with Deno before 2.7 waits for a lock that is taken. */
const OLD_LOCK_MS = 300;

/** Takes the lock file in a directory; `undefined` if another process has it. Throws `DiskError`. */
export async function lockDirectory(path: string): Promise<DirectoryLock | undefined> {
  const lockPath = `${path}/lock`;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(lockPath, { read: true, write: true, create: true });
  } catch (error) {
    throw diskError("open", lockPath, error);
  }
  const held = "tryLock" in file
    ? await (file as unknown as { tryLock(exclusive: boolean): Promise<boolean> }).tryLock(true)
    : await lockInTime(file);
  if (held) return { release: () => file.close() };
  if ("tryLock" in file) file.close();
  return undefined;
}

/** Before 2.7 a lock can only be waited for; a wait that is given up ends with the process. */
async function lockInTime(file: Deno.FsFile): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), OLD_LOCK_MS);
  });
  const held = await Promise.race([file.lock(true).then(() => true), late]);
  clearTimeout(timer);
  return held;
}
