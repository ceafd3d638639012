/** What counts as durable after a sync: what was there before it, and nothing that came during it. */
import { assertEquals } from "@std/assert";
import { Unsynced } from "../../lib/wal/unsynced.ts";
import type { Disk, DiskFile } from "../../lib/platform/platform.ts";

/** A file whose syncs end when the test says so. */
class SlowFile {
  size = 10;
  closed = false;
  #ends: (() => void)[] = [];
  sync(): Promise<void> {
    return new Promise((resolve) => this.#ends.push(resolve));
  }
  close(): void {
    this.closed = true;
  }
  async end(): Promise<void> {
    for (const end of this.#ends.splice(0)) end();
    for (let turn = 0; turn < 4; turn++) await Promise.resolve();
  }
}
const disk = { syncDir: () => Promise.resolve() } as unknown as Disk;
const asFile = (file: SlowFile) => file as unknown as DiskFile;

Deno.test("what is appended while a sync is under way is not durable, also where the file is not written to any more", async () => {
  for (const isRotated of [false, true]) {
    const unsynced = new Unsynced(), file = new SlowFile(), next = new SlowFile();
    let live = file;
    unsynced.wrote(asFile(file));
    const syncing = unsynced.sync(disk, () => asFile(live));
    file.size = 20;
    if (isRotated) {
      live = next;
      unsynced.wrote(asFile(next));
    }
    await file.end();
    await syncing;
    assertEquals([unsynced.has(asFile(file)), file.closed], [true, false], `rotated: ${isRotated}`);
    assertEquals(unsynced.has(asFile(next)), isRotated);
    const again = unsynced.sync(disk, () => asFile(live));
    await file.end();
    await next.end();
    await again;
    assertEquals([unsynced.isEmpty, file.closed, next.closed], [true, isRotated, false]);
  }
});

Deno.test("a sync that fails makes nothing durable", async () => {
  const unsynced = new Unsynced(), file = new SlowFile();
  file.sync = () => Promise.reject(new Error("EIO"));
  unsynced.wrote(asFile(file));
  const failed = await unsynced.sync(disk, () => asFile(file)).then(() => false, () => true);
  assertEquals([failed, unsynced.has(asFile(file))], [true, true]);
});
