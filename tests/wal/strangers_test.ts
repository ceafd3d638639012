/** A directory in which something is, or is gone, that another log, a person or a copy left or took. */
import { assertEquals } from "@std/assert";
import { parseSegmentName, segmentName } from "../../lib/wal/format.ts";
import { SimDisk } from "../sim/disk.ts";
import { append, lost, openLog, range, readSeqs, segments } from "./logs.ts";

/** A log that was closed with so many records. */
async function closed(
  records: number,
  seed = 1,
  acked = 0,
): Promise<{ disk: SimDisk; epoch: string }> {
  const disk = new SimDisk();
  const wal = await openLog(disk, { seed });
  append(wal, records);
  wal.ack(acked);
  await wal.close();
  return { disk: disk.afterKill(), epoch: wal.epoch };
}

/** Puts a file of one directory into another. */
async function copyFile(from: SimDisk, to: SimDisk, name: string, as = name): Promise<void> {
  const file = await from.open(name, false);
  const bytes = new Uint8Array(file.size);
  await file.readAt(0, bytes);
  if (to.namesNow.includes(as)) to.damage(as, "remove", 0);
  to.create(as).append(bytes);
}

Deno.test("a checkpoint of another log says nothing: all counts as not acked, and as after a power cut", async () => {
  const mine = await closed(20, 1, 15), other = await closed(90, 2, 80);
  await copyFile(other.disk, mine.disk, "checkpoint");
  const wal = await openLog(mine.disk);
  assertEquals([wal.epoch, wal.highAcked, wal.nextSeq], [mine.epoch, 0, 277]);
  assertEquals([await readSeqs(wal), lost(wal)], [range(1, 20), [[21, 276, "unsynced"]]]);
});

Deno.test("a segment under the name of another is not read and not touched", async () => {
  const { disk, epoch } = await closed(30);
  const [first, second] = segments(disk);
  const { turn } = parseSegmentName(segments(disk).at(-1)!)!;
  const name = segmentName(500, turn + 1);
  await copyFile(disk, disk, second!, name);
  const size = disk.lengthNow(name);
  const wal = await openLog(disk);
  append(wal, 1);
  assertEquals([wal.epoch, wal.nextSeq, await readSeqs(wal)], [epoch, 32, range(1, 31)]);
  assertEquals([disk.lengthNow(name), segments(disk).includes(first!)], [size, true]);
});

Deno.test("a segment of another log that has the name of our next one doesn't keep us from writing", async () => {
  const { disk } = await closed(18);
  const other = await closed(40, 2);
  const names = segments(other.disk).filter((name) => !segments(disk).includes(name));
  for (const name of names) await copyFile(other.disk, disk, name);
  const wal = await openLog(disk);
  append(wal, 10);
  assertEquals([wal.writable, wal.lastError], [true, undefined]);
  assertEquals(await readSeqs(wal), range(1, 28));
});

Deno.test("what is gone and was acked is no gap", async () => {
  for (const acked of [0, 36]) {
    const { disk } = await closed(40, 1, acked);
    const kept = segments(disk).filter((name) => parseSegmentName(name)!.base < 20);
    for (const name of segments(disk)) if (!kept.includes(name)) disk.damage(name, "remove", 0);
    const wal = await openLog(disk);
    const [[from, to, reason]] = lost(wal) as [[number, number, string]];
    const seqs = await readSeqs(wal);
    assertEquals([from, to, reason], [acked === 0 ? seqs.at(-1)! + 1 : 37, 40, "corrupt"]);
    assertEquals([wal.nextSeq, lost(wal).length], [41, 1]);
  }
});

Deno.test("a first segment that is gone is as one that was evicted, one in the middle is corrupt", async () => {
  const { disk } = await closed(40);
  const [first, second, third, fourth] = segments(disk).map((name) => parseSegmentName(name)!.base);
  const names = segments(disk);
  disk.damage(names[0]!, "remove", 0);
  disk.damage(names[2]!, "remove", 0);
  const wal = await openLog(disk);
  assertEquals(lost(wal), [[first!, second! - 1, "evicted"], [third!, fourth! - 1, "corrupt"]]);
  assertEquals(await readSeqs(wal), [...range(second!, third! - 1), ...range(fourth!, 40)]);
});

Deno.test("of a damaged segment what memory still has is not lost, and each lost record is counted once", async () => {
  const disk = new SimDisk();
  const wal = await openLog(disk);
  append(wal, 8);
  await wal.sync();
  const [name] = segments(disk);
  // A record of 28 bytes and a piece of what follows are left.
  disk.damage(name!, "cut", 36 + 28 + 5);
  assertEquals(await readSeqs(wal), [1, ...range(5, 8)]);
  assertEquals([lost(wal), wal.stats.corrupt_records, wal.lostRecords], [
    [[2, 4, "corrupt"]],
    3,
    3,
  ]);
  await readSeqs(wal);
  assertEquals(wal.stats.corrupt_records, 3);
});

Deno.test("a segment is given up at its fourth try in a row, and neither other segments nor earlier troubles count", async () => {
  const { disk } = await closed(40);
  const wal = await openLog(disk);
  const [first, second] = segments(disk);
  const base = parseSegmentName(second!)!.base;
  const tries = async (from: number, name: string, count: number) => {
    disk.faults.unreadable.set(name, { from: 0, to: Infinity });
    for (let i = 0; i < count; i++) {
      assertEquals(await wal.read(from, { records: 1, bytes: 1 }), [], `${name} ${i}`);
    }
    disk.faults.unreadable.clear();
  };
  await tries(1, first!, 2);
  await tries(base, second!, 3);
  for (let round = 0; round < 3; round++) {
    assertEquals((await wal.read(base, { records: 1, bytes: 1 }))[0]?.seq, base);
    await tries(1, first!, 3);
    assertEquals((await wal.read(1, { records: 1, bytes: 1 }))[0]?.seq, 1);
  }
  assertEquals([await readSeqs(wal), lost(wal)], [range(1, 40), []]);
});
