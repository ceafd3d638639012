/**
 * A directory in memory that fails as real ones do. What was written and not synced survives a power cut in
 * any combination of sectors, directory entries included; a killed process leaves everything.
 */
import { type Disk, DiskError, type DiskFile, type Random } from "../../lib/platform/platform.ts";

const SECTOR = 512;

interface Inode {
  bytes: Uint8Array;
  durable: Uint8Array;
}

/** Faults that can be switched on. */
export interface DiskFaults {
  /** Bytes that may be in the directory before writes fail. */
  capacity: number;
  /** Every sync fails. */
  syncFails: boolean;
  /** Every write fails. */
  writeFails: boolean;
  /** Every read fails. */
  readFails: boolean;
}

/** See the head of the file. */
export class SimDisk implements Disk {
  #entries = new Map<string, Inode>();
  #durableEntries = new Map<string, Inode>();
  readonly faults: DiskFaults = {
    capacity: Infinity,
    syncFails: false,
    writeFails: false,
    readFails: false,
  };
  /** Called before each operation that changes something: a hook for crashes at exactly there. */
  onChange: (() => void) | undefined;
  /** Counts operations that change something. */
  changes = 0;

  get bytes(): number {
    let bytes = 0;
    for (const { bytes: content } of this.#entries.values()) bytes += content.length;
    return bytes;
  }

  list(): Promise<string[]> {
    if (this.faults.readFails) return Promise.reject(new DiskError("io", "list fails"));
    return Promise.resolve([...this.#entries.keys()].sort());
  }

  open(name: string, _writable: boolean): Promise<DiskFile> {
    const inode = this.#entries.get(name);
    if (this.faults.readFails) return Promise.reject(new DiskError("io", `open ${name} fails`));
    if (inode === undefined) return Promise.reject(new DiskError("gone", `no ${name}`));
    return Promise.resolve(new SimFile(this, inode));
  }

  create(name: string): DiskFile {
    this.change();
    if (this.#entries.has(name)) throw new DiskError("exists", `${name} exists`);
    if (this.faults.writeFails) throw new DiskError("io", `create ${name} fails`);
    const inode = { bytes: new Uint8Array(0), durable: new Uint8Array(0) };
    this.#entries.set(name, inode);
    return new SimFile(this, inode);
  }

  rename(from: string, to: string): Promise<void> {
    this.change();
    const inode = this.#entries.get(from);
    if (inode === undefined) return Promise.reject(new DiskError("gone", `no ${from}`));
    this.#entries.delete(from);
    this.#entries.set(to, inode);
    return Promise.resolve();
  }

  remove(name: string): Promise<void> {
    this.change();
    if (this.faults.writeFails) return Promise.reject(new DiskError("io", `remove ${name} fails`));
    this.#entries.delete(name);
    return Promise.resolve();
  }

  syncDir(): Promise<void> {
    this.change();
    if (this.faults.syncFails) return Promise.reject(new DiskError("io", "syncDir fails"));
    this.#durableEntries = new Map(this.#entries);
    return Promise.resolve();
  }

  freeBytes(): Promise<number | undefined> {
    return Promise.resolve(this.faults.capacity === Infinity ? undefined : this.room);
  }

  get room(): number {
    return Math.max(0, this.faults.capacity - this.bytes);
  }

  change(): void {
    this.changes++;
    this.onChange?.();
  }

  /** The directory after the process was killed: as it was left. */
  afterKill(): SimDisk {
    const disk = new SimDisk();
    for (const [name, inode] of this.#entries) disk.#entries.set(name, inode);
    for (const [name, inode] of this.#durableEntries) disk.#durableEntries.set(name, inode);
    return disk;
  }

  /** The directory after a power cut: of what was not synced, `random` decides piece by piece. */
  afterPowerCut(random: Random): SimDisk {
    const disk = new SimDisk();
    const names = new Set([...this.#entries.keys(), ...this.#durableEntries.keys()]);
    for (const name of [...names].sort()) {
      const before = this.#durableEntries.get(name);
      const after = this.#entries.get(name);
      const inode = before === after || random.below(2) === 0 ? after : before;
      if (inode === undefined) continue;
      const bytes = survivors(inode, random);
      const survivor = { bytes, durable: bytes };
      disk.#entries.set(name, survivor);
      disk.#durableEntries.set(name, survivor);
    }
    return disk;
  }

  /** Damages a file: flips a bit, cuts it, or removes it. */
  damage(name: string, how: "flip" | "cut" | "remove", at: number): void {
    const inode = this.#entries.get(name);
    if (inode === undefined) return;
    if (how === "remove") {
      this.#entries.delete(name);
      this.#durableEntries.delete(name);
      return;
    }
    if (how === "cut") inode.bytes = inode.bytes.slice(0, at);
    else {
      inode.bytes = inode.bytes.slice();
      inode.bytes[at >> 3]! ^= 1 << (at & 7);
    }
    inode.durable = inode.bytes;
  }

  /** Length of a file. */
  sizeOf(name: string): number {
    return this.#entries.get(name)?.bytes.length ?? 0;
  }

  /** An independent copy, everything durable. */
  clone(): SimDisk {
    const disk = new SimDisk();
    for (const [name, { bytes }] of this.#entries) {
      const inode = { bytes: bytes.slice(), durable: bytes.slice() };
      disk.#entries.set(name, inode);
      disk.#durableEntries.set(name, inode);
    }
    return disk;
  }
}

/** Sectors that changed since the last sync are old or new, one by one; the length lies between. */
function survivors({ bytes, durable }: Inode, random: Random): Uint8Array {
  if (bytes === durable) return bytes;
  const shorter = Math.min(bytes.length, durable.length);
  const longer = Math.max(bytes.length, durable.length);
  const length = longer === shorter ? longer : shorter + random.below(longer - shorter + 1);
  const result = new Uint8Array(length);
  for (let at = 0; at < length; at += SECTOR) {
    const source = random.below(2) === 0 ? bytes : durable;
    result.set(source.subarray(at, Math.min(at + SECTOR, length)), at);
  }
  return result;
}

class SimFile implements DiskFile {
  #disk: SimDisk;
  #inode: Inode;

  constructor(disk: SimDisk, inode: Inode) {
    this.#disk = disk;
    this.#inode = inode;
  }

  get size(): number {
    return this.#inode.bytes.length;
  }

  append(bytes: Uint8Array): number {
    return this.writeAt(this.size, bytes);
  }

  writeAt(offset: number, bytes: Uint8Array): number {
    this.#disk.change();
    if (this.#disk.faults.writeFails) throw new DiskError("io", "write fails");
    const growth = Math.max(0, offset + bytes.length - this.size);
    const room = this.#disk.room;
    if (growth > 0 && room === 0) throw new DiskError("full", "no space left");
    const count = bytes.length - Math.max(0, growth - room);
    const next = new Uint8Array(Math.max(this.size, offset + count));
    next.set(this.#inode.bytes);
    next.set(bytes.subarray(0, count), offset);
    this.#inode.bytes = next;
    return count;
  }

  readAt(offset: number, into: Uint8Array): Promise<number> {
    if (this.#disk.faults.readFails) return Promise.reject(new DiskError("io", "read fails"));
    const part = this.#inode.bytes.subarray(offset, offset + into.length);
    into.set(part);
    return Promise.resolve(part.length);
  }

  sync(): Promise<void> {
    this.#disk.change();
    if (this.#disk.faults.syncFails) return Promise.reject(new DiskError("io", "sync fails"));
    this.#inode.durable = this.#inode.bytes;
    return Promise.resolve();
  }

  truncate(size: number): Promise<void> {
    this.#disk.change();
    this.#inode.bytes = this.#inode.bytes.slice(0, size);
    return Promise.resolve();
  }

  close(): void {}
}
