/** What the log does with its files: durable when it says so, counted to the byte, open for as long as needed. */
import { assert, assertEquals } from "@std/assert";
import type { DiskFile } from "../../lib/platform/platform.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel } from "../sim/kernel.ts";
import { append, lost, openLog, range, readSeqs, running, segments } from "./logs.ts";

/** Files that complain when they are used after they were closed, and are counted while they are open. */
function guarded(disk: SimDisk): { readonly open: () => number; readonly misused: string[] } {
  let open = 0;
  const misused: string[] = [];
  const guard = (file: DiskFile): DiskFile => {
    let isClosed = false;
    open++;
    return new Proxy(file, {
      get: (target, name) => {
        if (name === "close") {
          return () => {
            if (!isClosed) open--;
            isClosed = true;
          };
        }
        if (isClosed) misused.push(String(name));
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };
  const create = disk.create.bind(disk), openFile = disk.open.bind(disk);
  disk.create = (name) => guard(create(name));
  disk.open = async (name, writable) => guard(await openFile(name, writable));
  return { open: () => open, misused };
}

Deno.test("what is synced survives a power cut, whichever segments it is in", async () => {
  for (let seed = 0; seed < 12; seed++) {
    const disk = new SimDisk();
    const wal = await openLog(disk);
    for (const count of [30, 25]) {
      append(wal, count);
      assert(await wal.sync());
    }
    append(wal, 20);
    const again = await openLog(disk.afterPowerCut(seededRandom(seed)), { boot: "boot-2" });
    const seqs = await readSeqs(again);
    assertEquals(seqs.filter((seq) => seq <= 55), range(1, 55), `seed ${seed}`);
    assertEquals(lost(again).filter(([from]) => from <= 55), []);
  }
});

Deno.test("no file is used after it was closed, and none stays open without need, also while the disk fails", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const files = guarded(disk);
  const wal = await openLog(disk, { kernel });
  const stop = running(wal);
  for (let round = 0; round < 30; round++) {
    append(wal, 20);
    await readSeqs(wal);
    if (round % 7 === 3) disk.faults.syncFails = true;
    if (round % 7 === 5) disk.faults.writeFails = true;
    await kernel.runUntil(kernel.nowMs + 700);
    Object.assign(disk.faults, { syncFails: false, writeFails: false });
    await kernel.runUntil(kernel.nowMs + 40_000);
    assert(wal.writable, wal.lastError);
    wal.ack(wal.nextSeq - 5);
    await kernel.runUntil(kernel.nowMs + 2_000);
    assertEquals(files.misused, []);
    // The one that is written to, and one that is read.
    assert(files.open() <= 2, `${files.open()} are open in round ${round}`);
  }
  stop();
  await wal.close();
  assertEquals([files.open(), files.misused], [0, []]);
});

Deno.test("the bytes of the log are those of its files: after a full disk's short write, a torn end, a restart", async () => {
  const disk = new SimDisk();
  const wal = await openLog(disk);
  append(wal, 20);
  disk.faults.capacity = disk.bytes + 15;
  append(wal, 1);
  assertEquals([wal.writable, wal.bytes], [false, disk.bytes]);
  disk.faults.capacity = Infinity;
  const copy = disk.afterKill();
  const again = await openLog(copy);
  assertEquals([again.bytes, lost(again)[0]?.[0]], [copy.bytes, 21]);
  await again.close();
  assertEquals(again.bytes, copy.bytes);
});

Deno.test("the log never takes a byte more than it may, wherever a record or a new segment meets the limit", async () => {
  // Short ones that may become a shape, and such as are kept as they are.
  for (const length of [9, 60]) {
    for (let bytesMax = 2_000; bytesMax < 2_400; bytesMax += 4) {
      const disk = new SimDisk();
      const wal = await openLog(disk, { bytesMax });
      for (let i = 0; i < 80; i++) {
        wal.append(new Uint8Array(length).fill(100));
        assert(disk.bytes <= bytesMax, `${disk.bytes} of ${bytesMax}`);
      }
    }
  }
});

Deno.test("nothing is added to a segment whose header is damaged", async () => {
  const disk = new SimDisk();
  const first = await openLog(disk);
  append(first, 3);
  await first.close();
  const copy = disk.afterKill();
  const [name] = segments(copy);
  copy.damage(name!, "flip", 8 * 20);
  const size = copy.lengthNow(name!);
  const wal = await openLog(copy);
  append(wal, 2);
  assertEquals([copy.lengthNow(name!), segments(copy).length], [size, 2]);
  assertEquals(await readSeqs(wal), range(1, 5));
});

Deno.test("what the host acked and lost again is kept, though it could have gone", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel });
  append(wal, 40);
  wal.ack(35);
  wal.rewind(5);
  const stop = running(wal);
  await kernel.runUntil(5_000);
  assertEquals([await readSeqs(wal), lost(wal)], [range(6, 40), []]);
  stop();
});

Deno.test("files that can't be removed take from the limit: the directory never outgrows it", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, bytesMax: 4_000 });
  const stop = running(wal);
  disk.remove = () => Promise.reject(new Error("not permitted"));
  for (let i = 0; i < 200; i++) {
    append(wal, 1);
    await kernel.runUntil(kernel.nowMs + 100);
    assert(disk.bytes <= 4_000, `${disk.bytes} bytes`);
  }
  stop();
});

Deno.test("records that are evicted are counted once each, and the first one that is left may be in memory", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, ringRecords: 40, bytesMax: 1_500, segmentBytes: 200 });
  const stop = running(wal);
  for (let i = 0; i < 200; i++) {
    append(wal, 1);
    await kernel.runUntil(kernel.nowMs + 100);
  }
  const [first] = await readSeqs(wal);
  assertEquals([wal.firstSeq, lost(wal)], [first, [[1, first! - 1, "evicted"]]]);
  assertEquals([wal.stats.evicted_records, wal.lostRecords], [first! - 1, first! - 1]);
  stop();
});

Deno.test("a disk that failed for long is tried again a second after its next failure", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel });
  const stop = running(wal);
  disk.faults.writeFails = true;
  append(wal, 1);
  await kernel.runUntil(20_000);
  disk.faults.writeFails = false;
  await kernel.runUntil(60_000);
  assertEquals(wal.writable, true);
  disk.faults.writeFails = true;
  append(wal, 1);
  disk.faults.writeFails = false;
  await kernel.runUntil(61_500);
  assertEquals(wal.writable, true);
  stop();
});
