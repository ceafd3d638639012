/** What is synced stays, and what is said to be synced is. */
import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const encoder = new TextEncoder();

function open(
  disk: SimDisk,
  kernel: Kernel,
  { osBootId = "boot-1", segmentBytes = 300 } = {},
): Promise<Wal> {
  return Wal.open({
    disk,
    clock: new MachineClock(kernel, 0),
    random: seededRandom(1),
    osBootId,
    ringRecords: 50,
    bytesMax: 1 << 20,
    segmentBytes,
    sync: "interval",
    syncIntervalMs: 1_000,
  });
}

function append(wal: Wal, count: number): void {
  for (let i = 0; i < count; i++) wal.append(encoder.encode(`record ${wal.nextSeq}`));
}

Deno.test("after a failed sync, what it may have lost is written again and synced", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await open(disk, kernel);
  append(wal, 5);
  await wal.sync();
  append(wal, 10);
  disk.faults.syncFails = true;
  await wal.sync();
  disk.faults.syncFails = false;
  const stop = new AbortController();
  wal.run(stop.signal);
  await kernel.runUntil(5_000);
  stop.abort();
  assertEquals([wal.writable, wal.syncedSeq], [true, 15]);
});

Deno.test("what a killed process left is synced whole before it counts as synced", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    let disk = new SimDisk();
    const kernel = new Kernel();
    let wal = await open(disk, kernel);
    append(wal, 4);
    await wal.close();
    wal = await open(disk, kernel);
    append(wal, 30);
    disk = disk.afterKill();
    const { syncedSeq } = await open(disk, kernel);
    assertEquals(syncedSeq, 34);
    disk = disk.afterPowerCut(seededRandom(seed));
    wal = await open(disk, kernel, { osBootId: "boot-2" });
    const seqs: number[] = [];
    while (seqs.length < syncedSeq) {
      const found = await wal.read(seqs.length + 1, { records: 100, bytes: 1 << 20 });
      if (found.length === 0) break;
      for (const { seq } of found) seqs.push(seq);
    }
    assertEquals(seqs, Array.from({ length: syncedSeq }, (_, i) => i + 1));
  }
});

Deno.test("a checkpoint is written about once a minute while acks come each second", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await open(disk, kernel, { segmentBytes: 100_000 });
  const stop = new AbortController();
  wal.run(stop.signal);
  let writes = 0;
  const openFile = disk.open.bind(disk);
  disk.open = (name, writable) => {
    if (name === "checkpoint" && writable) writes++;
    return openFile(name, writable);
  };
  for (let second = 0; second < 180; second++) {
    wal.ack(wal.append(encoder.encode("record")));
    await kernel.runUntil(kernel.nowMs + 1_000);
  }
  stop.abort();
  assert(writes >= 2 && writes <= 5, `${writes} checkpoints in 3 minutes`);
});

Deno.test("a host that has lost all while a sync is under way: what it had acked is written and synced after it", async () => {
  const disk = new SimDisk(), memory = new SimDisk(), kernel = new Kernel();
  const wal = await Wal.open({
    ...{ disk, memory, clock: new MachineClock(kernel, 0), random: seededRandom(1) },
    ...{ osBootId: "boot-1", ringRecords: 50, bytesMax: 1 << 20, segmentBytes: 300 },
    ...{ sync: "interval", syncIntervalMs: 1_000 },
  });
  append(wal, 20);
  wal.ack(10);
  const slow = Promise.withResolvers<void>();
  disk.faults.slow = () => slow.promise;
  const synced = wal.sync();
  for (let i = 0; i < 20; i++) await Promise.resolve();
  wal.rewind(0);
  slow.resolve();
  assertEquals([await synced, wal.syncedSeq], [true, 20]);
  const again = await Wal.open({
    ...{ disk: disk.afterPowerCut(seededRandom(2)), clock: new MachineClock(kernel, 0) },
    ...{ random: seededRandom(1), osBootId: "boot-2", ringRecords: 50, bytesMax: 1 << 20 },
    ...{ segmentBytes: 300, sync: "interval", syncIntervalMs: 1_000 },
  });
  const kept = await again.read(1, { records: 50, bytes: 100_000 });
  assertEquals(kept[0]?.seq, 1);
});
