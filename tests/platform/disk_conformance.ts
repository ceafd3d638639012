/** What every kind of disk must do; each promise is a function of an empty directory. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Disk,
  DiskError,
  type DiskErrorKind,
  type DiskFile,
} from "../../lib/platform/platform.ts";

const encoder = new TextEncoder(), decoder = new TextDecoder();

function bytes(text: string): Uint8Array {
  return encoder.encode(text);
}

async function readAll(file: DiskFile): Promise<string> {
  const into = new Uint8Array(file.size);
  return decoder.decode(into.subarray(0, await file.readAt(0, into)));
}

function isDiskError(error: unknown, kind: DiskErrorKind): void {
  assert(error instanceof DiskError, String(error));
  assertEquals(error.kind, kind);
  assert(!error.message.includes("\n"), error.message);
}

/** The promises by name. */
export const PROMISES: Readonly<Record<string, (disk: Disk) => Promise<void>>> = {
  async "lists its files by name, in order"(disk) {
    for (const name of ["b", "a", "B", "10", "9"]) disk.create(name).close();
    assertEquals(await disk.list(), ["10", "9", "B", "a", "b"]);
  },

  async "appends in the order of calls and gives it back, also through a second handle"(disk) {
    const file = disk.create("log");
    assertEquals(file.size, 0);
    assertEquals(file.append(bytes("one ")), 4);
    assertEquals(file.append(bytes("two")), 3);
    assertEquals(file.size, 7);
    const other = await disk.open("log", false);
    assertEquals([other.size, await readAll(other)], [7, "one two"]);
    file.append(bytes(" three"));
    const into = new Uint8Array(20);
    assertEquals(await other.readAt(4, into), 9, "what came later is there for an older handle");
    assertEquals(await other.readAt(13, into), 0, "the end");
    assertEquals(await other.readAt(99, into), 0, "behind the end");
    file.close();
    other.close();
  },

  async "goes on at the end of a file that is opened again"(disk) {
    const first = disk.create("log");
    first.append(bytes("one"));
    first.close();
    const again = await disk.open("log", true);
    again.append(bytes(" two"));
    assertEquals([again.size, await readAll(again)], [7, "one two"]);
    again.close();
  },

  async "overwrites in place without a change of length, and beyond the end with one"(disk) {
    const file = disk.create("slots");
    file.append(bytes("aaaabbbb"));
    assertEquals(file.writeAt(2, bytes("XX")), 2);
    assertEquals([file.size, await readAll(file)], [8, "aaXXbbbb"]);
    file.writeAt(6, bytes("YYYY"));
    assertEquals([file.size, await readAll(file)], [10, "aaXXbbYYYY"]);
    file.close();
  },

  async "cuts a file, and appends where it was cut"(disk) {
    const file = disk.create("log");
    file.append(bytes("one two three"));
    await file.truncate(3);
    assertEquals(file.size, 3);
    file.append(bytes("!"));
    await file.sync();
    assertEquals(await readAll(file), "one!");
    file.close();
  },

  async "refuses a name that is taken, and one that isn't there"(disk) {
    disk.create("a").close();
    isDiskError(assertThrows(() => disk.create("a")), "exists");
    isDiskError(await assertRejects(() => disk.open("b", false)), "gone");
    isDiskError(await assertRejects(() => disk.sizeOf("b")), "gone");
    isDiskError(await assertRejects(() => disk.rename("b", "c")), "gone");
    assertEquals(await disk.list(), ["a"]);
  },

  async "says how long a file is without opening it"(disk) {
    const file = disk.create("log");
    file.append(bytes("four"));
    assertEquals(await disk.sizeOf("log"), 4);
    file.close();
  },

  async "renames over another file; a handle follows its file"(disk) {
    const old = disk.create("config");
    old.append(bytes("old"));
    old.close();
    const next = disk.create("config.new");
    next.append(bytes("new"));
    await disk.rename("config.new", "config");
    next.append(bytes("er"));
    await disk.syncDir();
    assertEquals(await disk.list(), ["config"]);
    const found = await disk.open("config", false);
    assertEquals(await readAll(found), "newer");
    for (const file of [next, found]) file.close();
  },

  async "removes a file, also while it is open, and says nothing where there is none"(disk) {
    const file = disk.create("log");
    file.append(bytes("still here"));
    await disk.remove("log");
    await disk.remove("log");
    assertEquals(await disk.list(), []);
    assertEquals(await readAll(file), "still here");
    const anew = disk.create("log");
    assertEquals(anew.size, 0);
    for (const each of [file, anew]) each.close();
  },

  async "ends a sync and a read that are under way when its file is closed"(disk) {
    const file = disk.create("log");
    file.append(bytes("synced"));
    const into = new Uint8Array(6);
    const under_way = Promise.all([file.sync(), file.readAt(0, into)]);
    file.close();
    file.close();
    assertEquals((await under_way)[1], 6);
  },
};
