/**
 * A directory in memory that fails as real ones do. What was written and not synced survives a power cut in
 * any combination of sectors, directory entries included; a killed process leaves everything.
 */
import { type Disk, DiskError, type DiskFile, type Random } from "../../lib/platform/platform.ts";

/** The unit that a medium writes whole. */
export const SECTOR_BYTES = 512;

/** What one write replaced: enough to take it back. */
interface Undo {
  readonly size: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A file's contents, with what no sync covers yet as a list of undo steps. */
class Inode {
  #buffer: Uint8Array;
  #size: number;
  #undo: Undo[] = [];
  /** Writes since the file was made, and how many of them are durable. */
  #writes = 0;
  #durableWrites = 0;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#buffer = bytes;
    this.#size = bytes.length;
  }

  get size(): number {
    return this.#size;
  }
  get writes(): number {
    return this.#writes;
  }
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = Math.max(this.#size, offset + bytes.length);
    this.#note(offset, Math.min(this.#size, offset + bytes.length));
    if (end > this.#buffer.length) {
      const buffer = new Uint8Array(2 * end);
      buffer.set(this.bytes);
      this.#buffer = buffer;
    }
    this.#buffer.set(bytes, offset);
    this.#size = end;
  }

  truncate(size: number): void {
    this.#note(size, this.#size);
    this.#size = size;
  }

  #note(from: number, to: number): void {
    this.#writes++;
    this.#undo.push({ size: this.#size, offset: from, bytes: this.#buffer.slice(from, to) });
  }

  /** A sync that began when `writes` were made has ended. */
  synced(writes: number): void {
    if (writes <= this.#durableWrites) return;
    this.#undo.splice(0, writes - this.#durableWrites);
    this.#durableWrites = writes;
  }

  /** Each content that the file had since the last sync, the durable one first. */
  versions(): Uint8Array[] {
    let content = this.bytes.slice();
    const versions = [content];
    for (const { size, offset, bytes } of this.#undo.toReversed()) {
      const before = new Uint8Array(size);
      before.set(content.subarray(0, size));
      before.set(bytes, offset);
      versions.push(content = before);
    }
    return versions.toReversed();
  }
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
  /** Files that can't be read: all of it, or only from byte `from` to `to`. */
  unreadable: Map<string, { readonly from: number; readonly to: number }>;
  /** A sync waits for this. */
  slow: (() => Promise<void>) | undefined;
}

/** Which lengths a file that was being appended to may have after a power cut. */
export type Lengths = "any" | "of writes";

/** See the head of the file. */
export class SimDisk implements Disk {
  #entries = new Map<string, Inode>();
  #durableEntries = new Map<string, Inode>();
  #dead = false;
  #dirSyncs = 0;
  #durableTurn = 0;
  readonly faults: DiskFaults = {
    capacity: Infinity,
    syncFails: false,
    writeFails: false,
    readFails: false,
    unreadable: new Map(),
    slow: undefined,
  };
  /** Called before each operation that changes something: a hook for crashes at exactly there. */
  onChange: ((what: string, name?: string) => void) | undefined;
  /** Counts operations that change something. */
  changes = 0;

  get bytes(): number {
    let bytes = 0;
    for (const { size } of this.#entries.values()) bytes += size;
    return bytes;
  }

  /** The names of all files, in order. */
  get namesNow(): string[] {
    return [...this.#entries.keys()].sort();
  }

  list(): Promise<string[]> {
    if (this.faults.readFails) return Promise.reject(new DiskError("io", "list fails"));
    return this.answer(this.namesNow);
  }

  sizeOf(name: string): Promise<number> {
    const inode = this.#entries.get(name);
    if (inode === undefined) return Promise.reject(new DiskError("gone", `no ${name}`));
    return this.answer(inode.size);
  }

  open(name: string, _writable: boolean): Promise<DiskFile> {
    const inode = this.#entries.get(name);
    if (this.faults.readFails) return Promise.reject(new DiskError("io", `open ${name} fails`));
    if (inode === undefined) return Promise.reject(new DiskError("gone", `no ${name}`));
    const bad = this.faults.unreadable.get(name);
    if (bad?.from === 0 && bad.to === Infinity) {
      return Promise.reject(new DiskError("io", `open ${name}: input/output error`));
    }
    return this.answer(new SimFile(this, inode, name));
  }

  create(name: string): DiskFile {
    this.change("create", name);
    if (this.#entries.has(name)) throw new DiskError("exists", `${name} exists`);
    if (this.faults.writeFails) throw new DiskError("io", `create ${name} fails`);
    const inode = new Inode();
    if (!this.#dead) this.#entries.set(name, inode);
    return new SimFile(this, inode, name);
  }

  rename(from: string, to: string): Promise<void> {
    this.change("rename", from);
    const inode = this.#entries.get(from);
    if (inode === undefined) return Promise.reject(new DiskError("gone", `no ${from}`));
    if (this.faults.writeFails) return Promise.reject(new DiskError("io", "rename fails"));
    if (!this.#dead) {
      this.#entries.delete(from);
      this.#entries.set(to, inode);
    }
    return this.answer(undefined);
  }

  remove(name: string): Promise<void> {
    this.change("remove", name);
    if (this.faults.writeFails) return Promise.reject(new DiskError("io", `remove ${name} fails`));
    if (!this.#dead) this.#entries.delete(name);
    return this.answer(undefined);
  }

  async syncDir(): Promise<void> {
    this.change("syncDir");
    const entries = new Map(this.#entries);
    const turn = ++this.#dirSyncs;
    await this.faults.slow?.();
    if (this.faults.syncFails) throw new DiskError("io", "syncDir fails");
    if (!this.#dead && turn > this.#durableTurn) {
      this.#durableEntries = entries;
      this.#durableTurn = turn;
    }
    return this.answer(undefined);
  }

  freeBytes(): Promise<number | undefined> {
    return this.answer(this.faults.capacity === Infinity ? undefined : this.room);
  }

  /** Whether what is written may not come to rest. */
  get refusesWrites(): boolean {
    const { capacity, syncFails, writeFails } = this.faults;
    return capacity < Infinity || syncFails || writeFails;
  }

  get room(): number {
    return Math.max(0, this.faults.capacity - this.bytes);
  }
  /** The machine is gone: whatever still runs changes nothing and gets no answers. */
  get isDead(): boolean {
    return this.#dead;
  }

  change(what: string, name?: string): void {
    this.changes++;
    if (!this.#dead) this.onChange?.(what, name);
  }

  answer<T>(value: T): Promise<T> {
    return this.#dead ? new Promise(() => {}) : Promise.resolve(value);
  }

  /** The directory after the process was killed: as it was left. This one is dead from here on. */
  afterKill(): SimDisk {
    const disk = new SimDisk();
    this.#dead = true;
    for (const [name, inode] of this.#entries) disk.#entries.set(name, inode);
    for (const [name, inode] of this.#durableEntries) disk.#durableEntries.set(name, inode);
    return disk;
  }

  /**
   * The directory after a power cut: of what was not synced, `random` decides piece by piece. This one is
   * dead from here on, but can be asked again.
   */
  afterPowerCut(random: Random, lengths: Lengths = "any"): SimDisk {
    const disk = new SimDisk();
    this.#dead = true;
    const names = new Set([...this.#entries.keys(), ...this.#durableEntries.keys()]);
    for (const name of [...names].sort()) {
      const before = this.#durableEntries.get(name);
      const after = this.#entries.get(name);
      const inode = before === after || random.below(2) === 0 ? after : before;
      if (inode === undefined) continue;
      const survivor = new Inode(survivors(inode, random, lengths));
      disk.#entries.set(name, survivor);
      disk.#durableEntries.set(name, survivor);
    }
    return disk;
  }

  /** Damages a file: flips a bit, cuts it, or removes it. */
  damage(name: string, how: "flip" | "cut" | "remove", at: number): void {
    const inode = this.#entries.get(name);
    if (inode === undefined) return;
    this.#entries.delete(name);
    this.#durableEntries.delete(name);
    if (how === "remove") return;
    const bytes = how === "cut" ? inode.bytes.slice(0, at) : inode.bytes.slice();
    if (how === "flip") bytes[at >> 3]! ^= 1 << (at & 7);
    const damaged = new Inode(bytes);
    this.#entries.set(name, damaged);
    this.#durableEntries.set(name, damaged);
  }

  /** What of a file would be there for certain after a power cut; nothing where its name wouldn't. */
  durableBytes(name: string): Uint8Array {
    return this.#durableEntries.get(name)?.versions()[0] ?? new Uint8Array(0);
  }

  /** Length of a file; 0 where it isn't there. */
  lengthNow(name: string): number {
    return this.#entries.get(name)?.size ?? 0;
  }

  /** An independent copy, everything durable. */
  clone(): SimDisk {
    const disk = new SimDisk();
    for (const [name, { bytes }] of this.#entries) {
      const inode = new Inode(bytes.slice());
      disk.#entries.set(name, inode);
      disk.#durableEntries.set(name, inode);
    }
    return disk;
  }
}

/** Each sector that changed since the last sync is as one of the writes left it; so is the length. */
function survivors(inode: Inode, random: Random, lengths: Lengths): Uint8Array {
  const versions = inode.versions();
  const durable = versions[0]!;
  const last = versions.at(-1)!;
  if (versions.length === 1) return last;
  const sizes = [...new Set(versions.map(({ length }) => length))];
  const low = Math.min(...sizes), high = Math.max(...sizes);
  const length = lengths === "any"
    ? low + random.below(high - low + 1)
    : sizes[random.below(sizes.length)]!;
  const result = new Uint8Array(length);
  for (let at = 0; at < length; at += SECTOR_BYTES) {
    const end = Math.min(at + SECTOR_BYTES, length);
    const differs = !sameBytes(durable, last, at, end);
    const source = differs && random.below(2) === 1 ? durable : last;
    result.set(source.subarray(at, end), at);
  }
  return result;
}

function sameBytes(a: Uint8Array, b: Uint8Array, from: number, to: number): boolean {
  if (Math.min(a.length, to) !== Math.min(b.length, to)) return false;
  for (let at = from; at < to; at++) if (a[at] !== b[at]) return false;
  return true;
}

class SimFile implements DiskFile {
  #disk: SimDisk;
  #inode: Inode;
  #name: string;

  constructor(disk: SimDisk, inode: Inode, name: string) {
    this.#disk = disk;
    this.#inode = inode;
    this.#name = name;
  }

  get size(): number {
    return this.#inode.size;
  }

  append(bytes: Uint8Array): number {
    return this.writeAt(this.size, bytes);
  }

  writeAt(offset: number, bytes: Uint8Array): number {
    const disk = this.#disk;
    disk.change("write");
    if (disk.isDead) return bytes.length;
    if (disk.faults.writeFails) throw new DiskError("io", "write fails");
    const growth = Math.max(0, offset + bytes.length - this.size);
    let count = bytes.length;
    if (disk.faults.capacity !== Infinity) {
      const room = disk.room;
      if (growth > 0 && room === 0) throw new DiskError("full", "no space left");
      count -= Math.max(0, growth - room);
    }
    this.#inode.write(offset, bytes.subarray(0, count));
    return count;
  }

  readAt(offset: number, into: Uint8Array): Promise<number> {
    if (this.#disk.faults.readFails) return Promise.reject(new DiskError("io", "read fails"));
    const bad = this.#disk.faults.unreadable.get(this.#name);
    if (bad !== undefined && offset < bad.to && offset + into.length > bad.from) {
      return Promise.reject(new DiskError("io", `read ${this.#name}: input/output error`));
    }
    const part = this.#inode.bytes.subarray(offset, offset + into.length);
    into.set(part);
    return this.#disk.answer(part.length);
  }

  async sync(): Promise<void> {
    const disk = this.#disk;
    disk.change("sync");
    const { writes } = this.#inode;
    await disk.faults.slow?.();
    if (disk.faults.syncFails) throw new DiskError("io", "sync fails");
    if (!disk.isDead) this.#inode.synced(writes);
    return disk.answer(undefined);
  }

  truncate(size: number): Promise<void> {
    this.#disk.change("truncate");
    if (!this.#disk.isDead) this.#inode.truncate(size);
    return this.#disk.answer(undefined);
  }

  close(): void {}
}
