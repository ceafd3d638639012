/** What a log knows again after it was closed, killed, or lost power; and what it finds that isn't its own. */
import { assert, assertEquals } from "@std/assert";
import { parseSegmentName } from "../../lib/wal/format.ts";
import type { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel } from "../sim/kernel.ts";
import { append, lost, openLog, range, readAll, readSeqs, running, segments } from "./logs.ts";

const POWER = { boot: "boot-2" };

Deno.test("after each kind of end the log knows what is acked, synced, sendable, and where this run begins", async () => {
  const cases: [name: string, end: (wal: Wal) => Promise<void>, boot: string, next: number][] = [
    ["closed", (wal) => wal.close(), "boot-1", 21],
    ["closed, machine restarted", (wal) => wal.close(), "boot-2", 21],
    ["killed", () => Promise.resolve(), "boot-1", 21],
    ["power cut", async (wal) => void await wal.sync(), "boot-2", 277],
  ];
  for (const [name, end, boot, next] of cases) {
    const disk = new SimDisk();
    const first = await openLog(disk);
    append(first, 20);
    await end(first);
    const wal = await openLog(disk.afterKill(), { boot });
    assertEquals([wal.nextSeq, wal.runFirstSeq, wal.syncedSeq], [next, next, 20], name);
    assertEquals([wal.sendableThrough, wal.firstSeq, wal.writable], [next - 1, 1, true], name);
    assertEquals([wal.backlog, wal.epoch], [next - 1, first.epoch], name);
    assertEquals(await readSeqs(wal), range(1, 20));
  }
});

Deno.test("what was acked is known again as of the last checkpoint, also when runs are short and many", async () => {
  let disk = new SimDisk();
  const kernel = new Kernel();
  let wal = await openLog(disk, { kernel });
  for (let run = 1; run <= 6; run++) {
    const stop = running(wal);
    // The first run writes many checkpoints, the later ones few.
    for (let i = 0; i < (run === 1 ? 9 : 2); i++) {
      append(wal, 20);
      wal.ack(wal.nextSeq - 1);
      await kernel.runUntil(kernel.nowMs + 2_000);
    }
    stop();
    const acked = wal.highAcked;
    disk = disk.afterKill();
    wal = await openLog(disk, { kernel });
    assertEquals([wal.highAcked, wal.gaps, await readSeqs(wal)], [acked, [], []], `run ${run}`);
  }
});

Deno.test("numbers that a power cut skipped stay declared over restarts, and are never used", async () => {
  let disk = new SimDisk();
  const first = await openLog(disk);
  append(first, 20);
  await first.sync();
  const second = await openLog(disk = disk.afterKill(), POWER);
  append(second, 3);
  await second.sync();
  const third = await openLog(disk = disk.afterKill(), POWER);
  assertEquals([third.nextSeq, lost(third)], [280, [[21, 276, "unsynced"]]]);
  assertEquals(await readSeqs(third), [...range(1, 20), ...range(277, 279)]);
  const fourth = await openLog(disk.afterKill(), { boot: "boot-3" });
  assertEquals([fourth.nextSeq, lost(fourth)], [
    280 + 256,
    [[21, 276, "unsynced"], [280, 535, "unsynced"]],
  ]);
});

Deno.test("a start after a power cut that is itself killed before any record repeats no number", async () => {
  let disk = new SimDisk();
  const first = await openLog(disk);
  append(first, 20);
  await first.sync();
  for (let run = 0; run < 3; run++) {
    const wal = await openLog(disk = disk.afterKill(), POWER);
    assertEquals([wal.nextSeq, lost(wal)], [277, [[21, 276, "unsynced"]]], `start ${run}`);
  }
});

Deno.test("a torn end makes a killed process count as a power cut", async () => {
  const disk = new SimDisk();
  append(await openLog(disk, { segmentBytes: 100_000 }), 20);
  const copy = disk.afterKill();
  const [name] = segments(copy);
  copy.damage(name!, "cut", copy.lengthNow(name!) - 3);
  const wal = await openLog(copy);
  assertEquals([wal.nextSeq, lost(wal)], [20 + 256, [[20, 275, "unsynced"]]]);
  append(wal, 1);
  await wal.close();
  const again = await openLog(copy.afterKill());
  assertEquals(await readSeqs(again), [...range(1, 19), 276]);
  assertEquals(lost(again), [[20, 275, "unsynced"]]);
});

Deno.test("synced segments that are gone are corrupt, and their numbers are not used again", async () => {
  const disk = new SimDisk();
  const first = await openLog(disk);
  append(first, 40);
  await first.close();
  const names = segments(disk);
  const newest = parseSegmentName(names.at(-1)!)!.base;
  const copy = disk.afterKill();
  copy.damage(names.at(-1)!, "remove", 0);
  const wal = await openLog(copy);
  assertEquals([wal.nextSeq, lost(wal)], [41, [[newest, 40, "corrupt"]]]);
  assertEquals(await readSeqs(wal), range(1, newest - 1));
});

Deno.test("reasons of gaps are the same after a restart: evicted, unwritten, renumbered", async () => {
  const evicting = new SimDisk(), kernel = new Kernel();
  const full = await openLog(evicting, { kernel, bytesMax: 2_000, segmentBytes: 200 });
  const stop = running(full);
  for (let i = 0; i < 100; i++) {
    append(full, 1);
    await kernel.runUntil(kernel.nowMs + 100);
  }
  stop();
  const evicted = lost(full);
  assertEquals([evicted.length, evicted[0]![0], evicted[0]![2]], [1, 1, "evicted"]);
  const more = { bytesMax: 2_000, segmentBytes: 200 };
  assertEquals(lost(await openLog(evicting.afterKill(), more)), evicted);

  const renumbering = new SimDisk();
  const moved = await openLog(renumbering);
  append(moved, 5);
  await moved.renumber(300);
  assertEquals(lost(moved), [[1, 300, "unsynced"]]);
  const after = await openLog(renumbering.afterKill());
  assertEquals([after.nextSeq, lost(after)], [306, [[6, 300, "unsynced"]]]);
});

Deno.test("a disk that fails after a power cut: what it didn't take is unwritten, what was skipped unsynced", async () => {
  let disk = new SimDisk();
  const kernel = new Kernel();
  append(await openLog(disk, { kernel }), 5);
  disk = disk.afterKill();
  const wal = await openLog(disk, { kernel, ...POWER });
  assertEquals(wal.nextSeq, 262);
  append(wal, 2);
  await wal.sync();
  disk.faults.writeFails = true;
  append(wal, 10);
  disk.faults.writeFails = false;
  const stop = running(wal);
  await kernel.runUntil(5_000);
  stop();
  const gaps: [number, number, string][] = [[6, 261, "unsynced"], [264, 269, "unwritten"]];
  assertEquals([wal.writable, lost(wal)], [true, gaps]);
  assertEquals(lost(await openLog(disk.afterKill(), POWER)), gaps);
});

Deno.test("while syncs fail at the start, what a killed process left doesn't count as synced", async () => {
  const disk = new SimDisk();
  const first = await openLog(disk);
  append(first, 4);
  await first.close();
  append(await openLog(disk), 300);
  const copy = disk.afterKill();
  copy.faults.syncFails = true;
  const wal = await openLog(copy);
  assertEquals([wal.nextSeq, wal.syncedSeq, wal.sendableThrough], [305, 4, 260]);
});

Deno.test("a lower limit at the next start evicts the oldest, and is kept from then on", async () => {
  const disk = new SimDisk();
  const first = await openLog(disk);
  append(first, 200);
  await first.close();
  const copy = disk.afterKill();
  const wal = await openLog(copy, { bytesMax: 2_000 });
  assert(copy.bytes <= 2_000, `${copy.bytes} bytes`);
  assertEquals(wal.bytes, copy.bytes);
  const seqs = await readSeqs(wal);
  assertEquals(lost(wal), [[1, seqs[0]! - 1, "evicted"]]);
  assertEquals([wal.stats.evicted_records, wal.lostRecords], [seqs[0]! - 1, seqs[0]! - 1]);
});

Deno.test("segments of another epoch are left alone, counted, and no turn of theirs is used again", async () => {
  const other = new SimDisk();
  const foreign = await openLog(other, { seed: 2 });
  append(foreign, 100);
  await foreign.close();
  for (const hasCheckpoint of [true, false]) {
    const disk = new SimDisk();
    const first = await openLog(disk);
    append(first, 20);
    await first.close();
    // What is there without a checkpoint is judged by the newest segment: it must be ours.
    const strangers = segments(other).slice(hasCheckpoint ? -2 : 0, hasCheckpoint ? undefined : 1);
    for (const name of strangers) {
      const from = await other.open(name, false);
      const bytes = new Uint8Array(from.size);
      await from.readAt(0, bytes);
      const { base, turn } = parseSegmentName(name)!;
      if (segments(disk).includes(name)) disk.damage(name, "remove", 0);
      disk.create(name).append(bytes);
      assert(base >= 1 && turn >= 1);
    }
    if (!hasCheckpoint) disk.damage("checkpoint", "remove", 0);
    const wal = await openLog(disk.afterKill());
    const copy = disk.namesNow;
    assertEquals(wal.epoch, first.epoch);
    append(wal, 60);
    const texts = await readAll(wal);
    for (const [seq, text] of texts) assertEquals(text, `record ${seq}`);
    assertEquals(wal.writable, true);
    for (const name of strangers) assert(copy.includes(name));
  }
});

Deno.test("what a failed sync made the log write again is read once after a restart, from the later copy", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, ringRecords: 50, segmentBytes: 2_000 });
  append(wal, 5);
  await wal.sync();
  append(wal, 25);
  disk.faults.syncFails = true;
  await wal.sync();
  append(wal, 5);
  disk.faults.syncFails = false;
  const stop = running(wal);
  await kernel.runUntil(5_000);
  stop();
  assertEquals([wal.writable, wal.syncedSeq, await readSeqs(wal)], [true, 35, range(1, 35)]);
  const [old, ...copies] = segments(disk);
  assertEquals(copies.map((name) => parseSegmentName(name)!.base), [6]);
  // What a failed sync left may be anything.
  disk.damage(old!, "flip", 8 * (disk.lengthNow(old!) - 200));
  const again = await openLog(disk.afterKill(), { segmentBytes: 2_000 });
  assertEquals([await readSeqs(again), lost(again), again.nextSeq], [range(1, 35), [], 36]);
});
