/** When segments go: acked, evicted, removed; what is synced meanwhile, and what is counted. */
import { assert, assertEquals } from "@std/assert";
import { DiskError } from "../../lib/platform/platform.ts";
import { parseSegmentName } from "../../lib/wal/format.ts";
import { Failure } from "../../lib/wal/failure.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";
import { append, lost, openLog, range, readSeqs, running, segments } from "./logs.ts";

Deno.test("what the host has leaves the disk at once, segment by segment, and not before the host has all of it", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel });
  const stop = running(wal);
  append(wal, 40);
  const bases = () => segments(disk).map((name) => parseSegmentName(name)!.base);
  const [, second, third] = bases();
  const count = bases().length;
  await kernel.runUntil(100);
  wal.ack(second! - 2);
  await kernel.runUntil(110);
  assertEquals(bases()[0], 1);
  wal.ack(second! - 1);
  await kernel.runUntil(120);
  assertEquals([bases()[0], wal.firstSeq], [second, second]);
  wal.ack(third! - 1);
  await kernel.runUntil(130);
  assertEquals([bases()[0], wal.stats.compacted_segments], [third, 2]);
  wal.ack(40);
  await kernel.runUntil(140);
  assertEquals(bases().length, 1, "the newest stays");
  assertEquals([wal.stats.compacted_segments, lost(wal)], [count - 1, []]);
  assertEquals([wal.bytes, wal.backlog], [disk.bytes, 0]);
  stop();
});

Deno.test("a host that lost its data gets back what is still here: what was let go of is compacted, the rest is read", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel });
  const stop = running(wal);
  append(wal, 40);
  wal.ack(30);
  await kernel.runUntil(100);
  const first = wal.firstSeq;
  assert(first > 15 && first <= 30, `${first}`);
  assertEquals((await readSeqs(wal))[0], 31);
  wal.rewind(5);
  assertEquals([wal.highAcked, wal.backlog], [5, 35]);
  assertEquals(lost(wal), [[6, first - 1, "compacted"]]);
  assertEquals(await readSeqs(wal), range(first, 40));
  assertEquals(wal.lostRecords, 0);
  await kernel.runUntil(5_000);
  assertEquals(await readSeqs(wal), range(first, 40), "nothing goes before it is acked again");
  stop();
});

Deno.test("a lower limit evicts as soon as it is set, down to it, and a higher one lets the log grow again", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel });
  const stop = running(wal);
  append(wal, 200);
  await kernel.runUntil(100);
  const before = wal.bytes;
  wal.setLimits({ bytesMax: 3_000 });
  assertEquals(wal.bytesMax, 3_000);
  await kernel.runUntil(110);
  assert(wal.bytes <= 3_000 && wal.bytes > 2_000, `${wal.bytes} of ${before}`);
  const [[from, to, reason]] = lost(wal) as [[number, number, string]];
  assertEquals([from, reason, wal.stats.evicted_records, wal.lostRecords], [1, "evicted", to, to]);
  assertEquals(await readSeqs(wal), range(to + 1, 200));
  wal.setLimits({ bytesMax: 1 << 20 });
  append(wal, 200);
  await kernel.runUntil(200);
  assertEquals([lost(wal), disk.bytes > 3_000], [[[1, to, "evicted"]], true]);
  stop();
});

Deno.test("of an evicted segment only what the host lacks is lost", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel });
  append(wal, 200);
  wal.ack(3);
  const stop = running(wal);
  wal.setLimits({ bytesMax: 3_000 });
  await kernel.runUntil(10);
  const [[from, to]] = lost(wal) as [[number, number, string]];
  assertEquals([from, wal.stats.evicted_records], [4, to - 3]);
  stop();
});

Deno.test("a segment that can't be removed is tried again after half a minute, and counts in the bytes until then", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel });
  append(wal, 40);
  const stop = running(wal);
  const remove = disk.remove.bind(disk);
  let tries = 0;
  disk.remove = () => {
    tries++;
    return Promise.reject(new DiskError("io", "not permitted"));
  };
  wal.ack(40);
  await kernel.runUntil(29_000);
  assertEquals([tries, wal.bytes], [1, disk.bytes]);
  disk.remove = remove;
  assert(segments(disk).length > 1);
  await kernel.runUntil(31_000);
  assertEquals([segments(disk).length, wal.bytes], [1, disk.bytes]);
  append(wal, 40);
  wal.ack(80);
  await kernel.runUntil(31_100);
  assertEquals(segments(disk).length, 1, "the next one is removed at once again");
  stop();
});

Deno.test("what is appended while a slow disk syncs doesn't count as synced by that", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, segmentBytes: 100_000 });
  append(wal, 5);
  disk.faults.slow = () => new Promise((resolve) => kernel.at(kernel.nowMs + 100, () => resolve()));
  const done = wal.sync();
  await kernel.runUntil(50);
  append(wal, 5);
  await kernel.runUntil(1_000);
  assertEquals([await done, wal.syncedSeq, wal.stats.syncs], [true, 5, 1]);
  const again = wal.sync();
  await kernel.runUntil(2_000);
  assertEquals([await again, wal.syncedSeq], [true, 10]);
});

Deno.test("the log is synced once each interval while records come, and not at all while none do", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, syncIntervalMs: 500 });
  const stop = running(wal);
  for (let i = 0; i < 100; i++) {
    append(wal, 1);
    wal.ack(wal.nextSeq - 1);
    await kernel.runUntil(kernel.nowMs + 100);
  }
  assert(wal.stats.syncs >= 18 && wal.stats.syncs <= 21, `${wal.stats.syncs} in ten seconds`);
  await kernel.runUntil(kernel.nowMs + 1_000);
  const { syncs } = wal.stats;
  await kernel.runUntil(kernel.nowMs + 60_000);
  assertEquals(wal.stats.syncs, syncs);
  stop();
});

Deno.test("failures are counted and told, and nothing is left of them once the disk works", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, ringRecords: 50 });
  append(wal, 3);
  disk.faults.syncFails = true;
  assertEquals(await wal.sync(), false);
  assertEquals([wal.writable, wal.lastError], [false, "sync failed: sync fails"]);
  disk.faults.syncFails = false;
  const stop = running(wal);
  await kernel.runUntil(1_500);
  assertEquals([wal.writable, wal.lastError, wal.syncedSeq], [true, undefined, 3]);
  disk.faults.writeFails = true;
  append(wal, 3);
  assertEquals(wal.lastError, "record can't be written: write fails");
  const { sync_failures, write_failures, appended_records } = wal.stats;
  assertEquals([sync_failures, write_failures, appended_records], [1, 1, 6]);
  disk.faults.writeFails = false;
  await kernel.runUntil(10_000);
  assertEquals([wal.writable, await readSeqs(wal), lost(wal)], [true, range(1, 6), []]);
  stop();
});

Deno.test("what the host has meanwhile is not written again when the disk works again", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, ringRecords: 50, segmentBytes: 2_000 });
  append(wal, 10);
  await wal.sync();
  disk.faults.writeFails = true;
  append(wal, 10);
  wal.ack(15);
  disk.faults.writeFails = false;
  const stop = running(wal);
  await kernel.runUntil(2_000);
  const bases = segments(disk).map((name) => parseSegmentName(name)!.base);
  assertEquals([bases.at(-1), await readSeqs(wal), lost(wal)], [16, range(16, 20), []]);
  assertEquals(wal.syncedSeq, 20);
  stop();
});

Deno.test("what a failed sync may have lost counts as synced only once it was written again, or the host has it", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, segmentBytes: 100_000 });
  append(wal, 5);
  await wal.sync();
  append(wal, 25);
  disk.faults.syncFails = true;
  await wal.sync();
  disk.faults.syncFails = false;
  const stop = running(wal);
  await kernel.runUntil(3_000);
  assertEquals([wal.writable, wal.syncedSeq], [true, 5], "memory had 27 to 30 only");
  wal.ack(26);
  append(wal, 1);
  await kernel.runUntil(5_000);
  assertEquals(wal.syncedSeq, 31);
  stop();
});

Deno.test("what was written again is read from where it stands now", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, ringRecords: 30, segmentBytes: 100_000 });
  append(wal, 5);
  await wal.sync();
  append(wal, 25);
  disk.faults.syncFails = true;
  await wal.sync();
  disk.faults.syncFails = false;
  const stop = running(wal);
  await kernel.runUntil(3_000);
  append(wal, 30);
  const [old] = segments(disk);
  // What a failed sync left may be anything.
  disk.damage(old!, "flip", 8 * (disk.lengthNow(old!) - 200));
  assertEquals([await readSeqs(wal), lost(wal)], [range(1, 60), []]);
  stop();
});

Deno.test("retries come a second after a failure, then ever later up to half a minute, and anew after a success", () => {
  const kernel = new Kernel();
  const failure = new Failure(new MachineClock(kernel, 0));
  assertEquals([failure.isPresent, failure.retryAtMs], [false, Infinity]);
  const next = () => {
    failure.note("writing failed", new Error("why\nat line"));
    return failure.retryAtMs;
  };
  const waits = Array.from({ length: 7 }, () => {
    const wait = next();
    failure.retrying();
    return wait;
  });
  assertEquals(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assertEquals(failure.text, "writing failed: why");
  failure.clear();
  assertEquals([failure.isPresent, failure.text, failure.retryAtMs], [false, undefined, Infinity]);
  assertEquals(next(), 30_000, "it works, but not for certain yet");
  failure.clear();
  failure.forget();
  assertEquals(next(), 1_000);
});

Deno.test("records that got new numbers are counted, only those of this run, and only where they collide", async () => {
  let disk = new SimDisk();
  const first = await openLog(disk);
  append(first, 5);
  await first.close();
  disk = disk.afterKill();
  const wal = await openLog(disk);
  append(wal, 7);
  await wal.renumber(9);
  assertEquals([wal.runFirstSeq, wal.nextSeq, wal.stats.renumbered_records], [13, 17, 4]);
  assertEquals(lost(wal), [[6, 9, "unsynced"]]);
  const all = await wal.read(1, { records: 5, bytes: 10_000 });
  assertEquals(all.map(({ seq }) => seq), range(1, 5));
  const found = await readSeqs(wal);
  assertEquals(found, [...range(1, 5), ...range(10, 16)]);
  const texts: string[] = [];
  for (let seq = 10; seq <= 16; seq++) {
    const [record] = await wal.read(seq, { records: 1, bytes: 1 });
    texts.push(new TextDecoder().decode(record!.payload));
  }
  assertEquals(texts, [10, 11, 12, 6, 7, 8, 9].map((n) => `record ${n}`));
});

Deno.test("whatever number the host has others up to, each record of this run is there once", async () => {
  for (let maxSeq = 6; maxSeq <= 14; maxSeq++) {
    const disk = new SimDisk();
    const first = await openLog(disk);
    append(first, 5);
    await first.close();
    const wal = await openLog(disk.afterKill());
    append(wal, 7);
    await wal.renumber(maxSeq);
    const moved = Math.min(12, maxSeq) - 5;
    assertEquals(wal.stats.renumbered_records, moved, `up to ${maxSeq}`);
    const above = Math.max(12, maxSeq);
    assertEquals(await readSeqs(wal), [
      ...range(1, 5),
      ...range(maxSeq + 1, 12),
      ...range(above + 1, above + moved),
    ]);
  }
});

Deno.test("new numbers for many records make room in a small log first: the disk is never taken for a full one", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, bytesMax: 40_000, segmentBytes: 2_500 });
  const stop = running(wal);
  for (let i = 0; i < 160; i++) {
    wal.append(new Uint8Array(200).fill(100 + i % 100));
    await kernel.runUntil(kernel.nowMs + 100);
  }
  let isDone = false;
  wal.renumber(1_000).then(() => isDone = true);
  for (let i = 0; i < 100 && !isDone; i++) {
    await kernel.runUntil(kernel.nowMs + 10);
    assertEquals([wal.writable, wal.lastError], [true, undefined]);
    assert(disk.bytes <= 40_000);
  }
  assertEquals([isDone, wal.nextSeq], [true, 1_161]);
  stop();
});

Deno.test("what the host had and lost, and nothing here has any more, is compacted; what it never had is a loss", async () => {
  const disk = new SimDisk();
  const wal = await openLog(disk);
  append(wal, 10);
  await wal.sync();
  disk.faults.writeFails = true;
  for (let seq = 11; seq <= 15; seq++) {
    append(wal, 1);
    wal.ack(seq);
  }
  append(wal, 5);
  wal.rewind(5);
  assertEquals(await readSeqs(wal), [...range(6, 10), ...range(17, 20)]);
  assertEquals(lost(wal), [[11, 15, "compacted"], [16, 16, "unwritten"]]);
});

Deno.test("a read gives at most so many records, about so many bytes, and at least one", async () => {
  for (const ringRecords of [4, 100]) {
    const wal = await openLog(new SimDisk(), { ringRecords, segmentBytes: 10_000 });
    append(wal, 60);
    const read = async (from: number, records: number, bytes: number) =>
      (await wal.read(from, { records, bytes })).map(({ seq }) => seq);
    assertEquals(await read(1, 3, 10_000), [1, 2, 3]);
    assertEquals(await read(1, 100, 1), [1]);
    const some = await read(10, 100, 270);
    assertEquals(some, range(10, 9 + some.length));
    assert(some.length >= 10 && some.length <= 30, `${some.length} records of 9 bytes each`);
    assertEquals(await read(61, 10, 100), []);
    wal.ack(20);
    assertEquals(await read(5, 2, 100), [21, 22], "what is acked is not read again");
  }
});
