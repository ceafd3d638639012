/** What a checkpoint promises: what it says is durable, the newest one counts, and it is written no more than needed. */
import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { crc32 } from "node:zlib";
import { readCheckpoint } from "../../lib/wal/checkpoint.ts";
import { decodeSlot, encodeSlot } from "../../lib/wal/format.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel } from "../sim/kernel.ts";
import { append, lost, openLog, range, readSeqs, running } from "./logs.ts";

Deno.test("what was let go of because the host has it is known to be acked after a power cut", async () => {
  for (let seed = 0; seed < 16; seed++) {
    const disk = new SimDisk(), kernel = new Kernel();
    const wal = await openLog(disk, { kernel });
    append(wal, 40);
    await wal.sync();
    const stop = running(wal);
    wal.ack(36);
    await kernel.runUntil(100);
    assert(wal.stats.compacted_segments > 0);
    stop();
    const again = await openLog(disk.afterPowerCut(seededRandom(seed)), { boot: "boot-2" });
    assertEquals(again.highAcked, 36, `seed ${seed}`);
    assertEquals([await readSeqs(again), lost(again)], [range(37, 40), [[41, 296, "unsynced"]]]);
  }
});

Deno.test("a checkpoint names as synced what is: what a power cut takes besides is unsynced, not corrupt", async () => {
  for (let seed = 0; seed < 16; seed++) {
    const disk = new SimDisk(), kernel = new Kernel();
    const wal = await openLog(disk, { kernel });
    append(wal, 30);
    await wal.sync();
    append(wal, 5);
    const stop = running(wal);
    wal.ack(20);
    await kernel.runUntil(100);
    stop();
    const again = await openLog(disk.afterPowerCut(seededRandom(seed)), { boot: "boot-2" });
    const gaps = lost(again);
    assertEquals([...new Set(gaps.map(([, , reason]) => reason))], ["unsynced"], `seed ${seed}`);
    assert(gaps.every(([from]) => from > 30));
    assertEquals((await readSeqs(again)).slice(0, 10), range(21, 30));
  }
});

Deno.test("the newest checkpoint counts after any number of them, and after a start that was killed at once", async () => {
  for (let count = 0; count < 5; count++) {
    const kernel = new Kernel();
    let disk = new SimDisk();
    const wal = await openLog(disk, { kernel });
    const stop = running(wal);
    for (let i = 0; i < count; i++) {
      append(wal, 20);
      wal.ack(wal.nextSeq - 1);
      await kernel.runUntil(kernel.nowMs + 2_000);
    }
    stop();
    const turn = (await readCheckpoint(disk))!.turn;
    for (let start = 1; start <= 3; start++) {
      disk = disk.afterKill();
      const again = await openLog(disk, { kernel });
      assertEquals(again.highAcked, 20 * count, `start ${start} after ${count}`);
      const { clean, epoch, ...found } = (await readCheckpoint(disk))!;
      assertEquals([clean, epoch, found.turn], [false, wal.epoch, turn + start]);
      assertEquals([found.highAcked, found.lastSeq], [20 * count, 20 * count]);
    }
  }
});

Deno.test("a closed log says so, with its last seq, and an open one takes that back", async () => {
  const disk = new SimDisk();
  const wal = await openLog(disk);
  append(wal, 7);
  wal.ack(3);
  await wal.close();
  const { clean, lastSeq, highAcked } = (await readCheckpoint(disk))!;
  assertEquals([clean, lastSeq, highAcked], [true, 7, 3]);
  const copy = disk.afterKill();
  await openLog(copy);
  assertEquals((await readCheckpoint(copy))!.clean, false);
  const failing = new SimDisk();
  const other = await openLog(failing);
  append(other, 7);
  failing.faults.syncFails = true;
  await other.close();
  failing.faults.syncFails = false;
  assertEquals((await readCheckpoint(failing))!.clean, false);
});

Deno.test("a checkpoint that lags is written after a minute, once, and none while nothing is acked", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, segmentBytes: 100_000 });
  const stop = running(wal);
  const turn = async () => (await readCheckpoint(disk))!.turn;
  const first = await turn();
  append(wal, 5);
  await kernel.runUntil(100_000);
  assertEquals(await turn(), first);
  wal.ack(5);
  await kernel.runUntil(102_000);
  assertEquals([await turn(), (await readCheckpoint(disk))!.highAcked], [first + 1, 5]);
  await kernel.runUntil(600_000);
  assertEquals(await turn(), first + 1);
  append(wal, 1);
  wal.ack(6);
  await kernel.runUntil(602_000);
  assertEquals(await turn(), first + 2);
  stop();
});

Deno.test("a checkpoint of version 1 is read: nothing is reserved, no tail goes with it, and its boot is known again", () => {
  const osBootId = "0123456789abcdef0123";
  const checkpoint = {
    turn: 7,
    epoch: "00112233445566ff",
    highAcked: 2 ** 40 + 1,
    lastSeq: 2 ** 40 + 9,
    clean: false,
    osBootId: osBootId.slice(0, 16),
    strides: 3,
    tail: 0xfedcba98,
    unsyncedMax: 50,
  };
  const slot = encodeSlot(checkpoint);
  assertEquals(decodeSlot(slot), checkpoint);
  slot[4] = 1;
  slot.fill(0, 6, 8).fill(0, 12, 16);
  slot.set(new TextEncoder().encode(osBootId), 40);
  new DataView(slot.buffer).setUint32(60, crc32(slot.subarray(0, 60)), true);
  assertEquals(decodeSlot(slot), { ...checkpoint, strides: 0, tail: 0, unsyncedMax: 0 });
  slot[20]! ^= 1;
  assertEquals(decodeSlot(slot), undefined);
});

for (const place of ["with a tail in memory", "without one"]) {
  Deno.test(`what was only acked is not taken for synced at the next start, ${place}`, async () => {
    const disk = new SimDisk(), kernel = new Kernel();
    const memory = place === "without one" ? undefined : new SimDisk();
    const wal = await openLog(disk, { kernel, ...(memory && { memory }) });
    append(wal, 5);
    await wal.sync();
    const stop = running(wal);
    disk.faults.syncFails = true;
    for (let seq = 6; seq <= 30; seq++) {
      append(wal, 1);
      wal.ack(seq - 1);
      await kernel.runUntil(kernel.nowMs + 1_000);
    }
    stop();
    const killed = disk.afterKill();
    killed.faults.syncFails = true;
    const again = await openLog(killed, { ...(memory && { memory: memory.afterKill() }) });
    assertEquals(again.highAcked, 29);
    assert(again.syncedSeq <= 5, `${again.syncedSeq} counts as synced`);
  });
}
