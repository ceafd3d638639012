/**
 * The tail in memory: what the host acks in time never reaches the disk, a kill loses nothing, a power cut at most
 * what was appended within the interval, and no number names two records.
 */
import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { readCheckpoint } from "../../lib/wal/checkpoint.ts";
import { reservedBy } from "../../lib/wal/format.ts";
import type { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel } from "../sim/kernel.ts";
import {
  append,
  type LogOptions,
  lost,
  openLog,
  range,
  readAll,
  readSeqs,
  running,
  segments,
} from "./logs.ts";

/** A log with a tail in memory; what survives which end of it. */
class Device {
  kernel = new Kernel();
  disk = new SimDisk();
  memory = new SimDisk();
  boot = 1;
  #stop: () => void = () => {};

  async start(more: LogOptions = {}): Promise<Wal> {
    const { kernel, disk, memory } = this;
    const wal = await openLog(disk, {
      ...{ kernel, memory, boot: `boot-${this.boot}`, ringRecords: 500, segmentBytes: 2_000 },
      ...more,
    });
    this.#stop = running(wal);
    return wal;
  }

  run(ms: number): Promise<void> {
    return this.kernel.runUntil(this.kernel.nowMs + ms);
  }

  /** Appends a record each 100 ms; the host acks it so much later, or never. */
  async sample(wal: Wal, count: number, ackAfterMs = Infinity): Promise<void> {
    for (let i = 0; i < count; i++) {
      append(wal, 1);
      const seq = wal.nextSeq - 1;
      if (ackAfterMs < Infinity) this.kernel.at(this.kernel.nowMs + ackAfterMs, () => wal.ack(seq));
      await this.run(100);
    }
  }

  kill(): void {
    this.#stop();
    this.disk = this.disk.afterKill();
    this.memory = this.memory.afterKill();
  }

  cutPower(seed: number): void {
    this.#stop();
    this.boot++;
    this.disk = this.disk.afterPowerCut(seededRandom(seed));
    this.memory = new SimDisk();
  }

  async close(wal: Wal): Promise<void> {
    this.#stop();
    await wal.close();
    this.disk = this.disk.afterKill();
    this.memory = this.memory.afterKill();
  }
}

function texts(from: number, to: number): [number, string][] {
  return range(from, to).map((seq) => [seq, `record ${seq}`]);
}

Deno.test("what the host acks within the interval never reaches the disk, however long that goes on", async () => {
  const device = new Device();
  const wal = await device.start();
  assertEquals(wal.tail, { in_memory: true, bytes: 0, error: undefined });
  const changes = device.disk.changes;
  await device.sample(wal, 1_000, 500);
  assertEquals([wal.stats.written_bytes, wal.stats.syncs], [0, 0]);
  assertEquals(device.disk.changes - changes, 0);
  assert(wal.highAcked >= 995);
  assert(wal.stats.appended_bytes > 1_000 * 20, `${wal.stats.appended_bytes}`);
  // Hours of it: a checkpoint of a stride of numbers now and then, and no more.
  for (let i = 0; i < 40; i++) {
    append(wal, 200);
    wal.ack(wal.nextSeq - 1);
    await device.run(20_000);
  }
  assertEquals([wal.stats.written_bytes, wal.stats.syncs], [0, 0]);
  assert(device.memory.bytes < 70_000, `${device.memory.bytes} bytes of memory`);
});

Deno.test("what the host doesn't ack within the interval is on disk by then, synced", async () => {
  const device = new Device();
  const wal = await device.start();
  await device.sample(wal, 50, 300);
  for (let i = 0; i < 60; i++) {
    append(wal, 1);
    await device.run(100);
    assert(wal.nextSeq - 1 - Math.max(wal.syncedSeq, wal.highAcked) <= 11);
  }
  assertEquals(wal.highAcked, 50);
  const { syncedSeq } = wal;
  device.cutPower(1);
  const again = await device.start();
  assertEquals((await readAll(again)).slice(0, syncedSeq - 50), texts(51, syncedSeq));
});

Deno.test("a kill loses nothing and skips no number, whatever is acked, spilled, or neither", async () => {
  for (const [acked, unacked] of [[0, 0], [0, 7], [7, 0], [30, 3], [3, 30], [300, 25], [25, 300]]) {
    const device = new Device();
    const wal = await device.start();
    await device.sample(wal, acked!, 50);
    await device.sample(wal, unacked!);
    const { highAcked, nextSeq } = wal;
    assertEquals([highAcked, nextSeq], [acked!, acked! + unacked! + 1]);
    for (let start = 0; start < 3; start++) {
      device.kill();
      const again = await device.start();
      const name = `${acked} acked, ${unacked} not, start ${start}`;
      assertEquals([again.nextSeq, again.epoch, lost(again)], [nextSeq, wal.epoch, []], name);
      assert(again.highAcked <= highAcked);
      const found = (await readAll(again)).filter(([seq]) => seq > highAcked);
      assertEquals(found, texts(highAcked + 1, nextSeq - 1), name);
      if (start === 1) await device.run(3_000);
    }
  }
});

Deno.test("a power cut takes at most what was appended within the interval, and no number is used again", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const device = new Device();
    let wal = await device.start();
    const used = new Set<number>();
    for (let round = 0; round < 4; round++) {
      const first = wal.nextSeq;
      const random = seededRandom(100 * seed + round);
      await device.sample(wal, random.below(60), random.below(2) * 2_000 + 50);
      await device.sample(wal, random.below(60));
      const { nextSeq, highAcked, sendableThrough } = wal;
      for (const seq of range(first, nextSeq - 1)) {
        assert(!used.has(seq), `seed ${seed}: ${seq} is used again`);
        used.add(seq);
      }
      device.cutPower(seed);
      wal = await device.start();
      assert(wal.nextSeq > Math.max(nextSeq - 1, sendableThrough));
      const kept = new Set(await readSeqs(wal));
      const gone = range(Math.max(highAcked + 1, first), nextSeq - 1).filter((seq) =>
        !kept.has(seq)
      );
      // Ten a second, and the mark that the time is taken from.
      assert(gone.length <= 11, `seed ${seed}: ${gone.length} lost`);
      const declared = new Set(lost(wal).flatMap(([from, to]) => range(from, to)));
      for (const seq of gone) assert(declared.has(seq), `seed ${seed}: ${seq} lost in silence`);
      for (const seq of kept) assert(!declared.has(seq) && seq < nextSeq);
    }
  }
});

Deno.test("nothing is sent above what the disk has reserved, and a power cut goes on above that", async () => {
  const device = new Device();
  const wal = await device.start();
  const reserved = async () => reservedBy((await readCheckpoint(device.disk))!);
  const first = await reserved();
  assert(first >= 4_096 && first <= 4_096 + 256, `${first}`);
  device.disk.faults.slow = () => new Promise(() => {});
  append(wal, 6_000);
  for (let seq = 500; seq <= 6_000; seq += 500) wal.ack(Math.min(seq, wal.sendableThrough));
  await device.run(10_000);
  assertEquals([wal.sendableThrough, wal.nextSeq, wal.writable], [first, 6_001, true]);
  device.cutPower(1);
  const again = await device.start();
  assert(again.nextSeq > first, `${again.nextSeq} after ${first}`);
  append(again, 1);
  assertEquals(again.sendableThrough, again.nextSeq - 1);
});

Deno.test("strides are reserved before they are used up, and are as long as the rate asks for", async () => {
  const device = new Device();
  const wal = await device.start();
  for (let i = 0; i < 600; i++) {
    append(wal, 50);
    assertEquals(wal.sendableThrough, wal.nextSeq - 1);
    wal.ack(wal.nextSeq - 1);
    await device.run(500);
  }
  // 100 a second: 30,000 in five minutes; checkpoints at the start, at the first half, and each half from then on.
  const { turn, strides } = (await readCheckpoint(device.disk))!;
  assert(turn <= 5 && strides * 256 > 25_000, `${turn} checkpoints, ${strides} strides`);
});

Deno.test("a clean end leaves everything on the disk and nothing in memory: what then becomes of memory is no loss", async () => {
  for (const gone of [false, true]) {
    const device = new Device();
    const wal = await device.start();
    await device.sample(wal, 30, 50);
    await device.sample(wal, 5);
    await device.close(wal);
    assertEquals(device.memory.namesNow, []);
    if (gone) device.memory = new SimDisk();
    device.boot++;
    const again = await device.start();
    assertEquals([again.nextSeq, again.highAcked, lost(again)], [36, 30, []]);
    assertEquals(await readAll(again), texts(31, 35));
  }
});

Deno.test("an end that finds the disk full leaves in memory what the disk didn't take", async () => {
  const device = new Device();
  const wal = await device.start();
  await device.sample(wal, 20);
  device.disk.faults.capacity = device.disk.bytes;
  append(wal, 5);
  await device.close(wal);
  device.disk.faults.capacity = Infinity;
  const again = await device.start();
  assertEquals([again.nextSeq, lost(again)], [26, []]);
  assertEquals(await readAll(again), texts(1, 25));
});

Deno.test("a tail that is gone though the machine ran on is as after a power cut", async () => {
  const device = new Device();
  const wal = await device.start();
  await device.sample(wal, 30, 50);
  await device.sample(wal, 5);
  device.kill();
  device.memory = new SimDisk();
  const again = await device.start();
  assert(again.nextSeq > 4_096);
  assertEquals(lost(again), [[1, again.nextSeq - 1, "unsynced"]]);
  // The host takes out of it what it has.
  again.ack(30);
  assertEquals(lost(again), [[31, again.nextSeq - 1, "unsynced"]]);
  append(again, 3);
  device.kill();
  assertEquals((await device.start()).nextSeq, again.nextSeq);
});

Deno.test("a tail of another log, of another boot, or of an earlier time in the same place is not taken for ours", async () => {
  const other = new Device();
  append(await other.start({ seed: 2 }), 5);
  const device = new Device();
  const wal = await device.start();
  append(wal, 3);
  device.kill();
  const old = device.memory.clone();
  for (const foreign of [other.memory.afterKill(), old]) {
    if (foreign === old) {
      // In between the log ran elsewhere.
      device.memory = new SimDisk();
      append(await device.start(), 4);
      device.kill();
    }
    device.memory = foreign;
    const again = await device.start();
    assertEquals(await readSeqs(again), []);
    assert(lost(again).every(([, , reason]) => reason === "unsynced"));
    append(again, 2);
    assertEquals([again.tail.in_memory, (await readSeqs(again)).length], [true, 2]);
    device.kill();
  }
});

Deno.test("memory that is full or fails: records go to the disk at once, and to memory again half a minute later", async () => {
  const faults: [string, (memory: SimDisk, on: boolean) => void][] = [
    ["full", (memory, on) => memory.faults.capacity = on ? memory.bytes + 30 : Infinity],
    ["failing", (memory, on) => memory.faults.writeFails = on],
  ];
  for (const [name, turn] of faults) {
    const device = new Device();
    const wal = await device.start();
    await device.sample(wal, 10, 50);
    turn(device.memory, true);
    await device.sample(wal, 10);
    assertEquals([wal.tail.in_memory, wal.tail.error !== undefined], [false, true], name);
    assertEquals([wal.writable, wal.sendableThrough], [true, 20], name);
    const copy = device.disk.clone();
    assertEquals((await readAll(await openLog(copy))).slice(-8), texts(13, 20), name);
    turn(device.memory, false);
    await device.sample(wal, 350, 50);
    assertEquals(wal.tail.in_memory, true, name);
    device.kill();
    const again = await device.start();
    assertEquals([again.nextSeq, lost(again)], [371, []], name);
  }
});

Deno.test("what was sent while memory worked is not numbered again, though memory failed before the power cut", async () => {
  for (let seed = 0; seed < 5; seed++) {
    const device = new Device();
    const wal = await device.start({ ringRecords: 5_000 });
    append(wal, 2_000);
    const { sendableThrough } = wal;
    assertEquals(sendableThrough, 2_000);
    device.memory.faults.writeFails = true;
    append(wal, 1);
    await device.run(10);
    assertEquals(wal.tail.in_memory, false);
    device.cutPower(seed);
    const { nextSeq } = await device.start();
    assert(nextSeq > sendableThrough, `${nextSeq}`);
  }
});

Deno.test("a tail that was removed while the log runs is noticed within the interval", async () => {
  const device = new Device();
  const wal = await device.start();
  await device.sample(wal, 10, 50);
  for (const name of device.memory.namesNow) device.memory.damage(name, "remove", 0);
  await device.sample(wal, 12, 50);
  assertEquals([wal.tail.in_memory, wal.tail.error !== undefined], [false, true]);
  device.kill();
  device.memory = new SimDisk();
  const again = await device.start();
  assertEquals([again.nextSeq, lost(again)], [23, []]);
});

Deno.test("a disk that fails while the tail works: a kill loses nothing, and the disk gets all once it works", async () => {
  const device = new Device();
  let wal = await device.start();
  await device.sample(wal, 10, 50);
  device.disk.faults.writeFails = true;
  await device.sample(wal, 40);
  assertEquals([wal.writable, wal.sendableThrough], [false, 50]);
  device.kill();
  wal = await device.start();
  assertEquals([wal.nextSeq, lost(wal)], [51, []]);
  await device.sample(wal, 10);
  device.disk.faults.writeFails = false;
  await device.sample(wal, 100);
  assertEquals([wal.writable, wal.nextSeq], [true, 161]);
  assert(wal.syncedSeq >= 145, `${wal.syncedSeq}`);
  device.kill();
  assertEquals((await readAll(await device.start())).slice(-150), texts(11, 160));
});

Deno.test("what neither a failing disk nor a full tail took is declared after a kill, and nothing else is", async () => {
  const device = new Device();
  const wal = await device.start({ ringRecords: 5_000 });
  device.disk.faults.writeFails = true;
  append(wal, 3_000);
  await device.run(1_000);
  // The tail has room again, above what it could not take.
  wal.ack(1_000);
  await device.run(1_000);
  append(wal, 50);
  device.kill();
  device.disk.faults.writeFails = false;
  const again = await device.start({ ringRecords: 5_000 });
  assertEquals([again.nextSeq, again.highAcked], [3_051, 1_000]);
  const [[from, to, reason], ...others] = lost(again) as [[number, number, string]];
  assertEquals([to, reason, others], [3_000, "unwritten", []]);
  assert(from > 1_001, `from ${from}`);
  assertEquals(await readSeqs(again), [...range(1_001, from - 1), ...range(3_001, 3_050)]);
});

Deno.test("a host that lost its data gets what is still in memory, and it reaches the disk", async () => {
  const device = new Device();
  const wal = await device.start({ ringRecords: 64 });
  await device.sample(wal, 200, 50);
  wal.rewind(20);
  await device.run(3_000);
  const gone = lost(wal);
  assertEquals(gone, [[21, 136, "compacted"]]);
  assertEquals(await readAll(wal), texts(137, 200));
  device.cutPower(1);
  const again = await device.start();
  assertEquals(await readAll(again), texts(137, 200));
  assertEquals(lost(again)[0], [21, 136, "compacted"]);
});

Deno.test("a burst beyond what memory may take goes to the disk, in order, and within the limit", async () => {
  const device = new Device();
  const wal = await device.start({ bytesMax: 64_000, segmentBytes: 4_000, ringRecords: 16 });
  for (let round = 0; round < 20; round++) {
    append(wal, 150);
    assert(device.disk.bytes + device.memory.bytes <= 64_000 + 200);
    await device.run(700);
    wal.ack(wal.nextSeq - 20);
  }
  assertEquals([wal.writable, wal.tail.error], [true, undefined]);
  const { highAcked } = wal;
  device.kill();
  const again = await device.start();
  assertEquals([again.nextSeq, lost(again)], [3_001, []]);
  assertEquals((await readAll(again)).slice(-19), texts(highAcked + 1, 3_000));
});

Deno.test("with sync always the tail is not used: each record goes to the disk", async () => {
  const device = new Device();
  const wal = await device.start({ sync: "always" });
  append(wal, 5);
  await device.run(10);
  assertEquals([wal.tail.in_memory, wal.syncedSeq, device.memory.namesNow], [false, 5, []]);
  assertEquals(segments(device.disk).length, 1);
});

Deno.test("what a power cut can have taken is said with the gap: no less than was lost in fact, over restarts, too", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const device = new Device();
    const wal = await device.start();
    // The rate is known after a stride.
    for (let i = 0; i < 3; i++) await device.sample(wal, 1_000, 50);
    await device.sample(wal, seed * 3);
    const { highAcked, nextSeq } = wal;
    device.cutPower(seed);
    let again = await device.start();
    const kept = new Set(await readSeqs(again));
    const gone = range(highAcked + 1, nextSeq - 1).filter((seq) => !kept.has(seq)).length;
    for (let start = 0; start < 2; start++) {
      const [gap] = again.gaps.filter(({ reason }) => reason === "unsynced");
      const { from_seq, to_seq, records_max } = gap!;
      assert(to_seq - from_seq > 2_000 && records_max! >= gone && records_max! <= 50, `${seed}`);
      device.kill();
      again = await device.start();
    }
  }
});

Deno.test("what the host has and the disk never held doesn't look lost, whenever the power is cut", async () => {
  const device = new Device();
  const wal = await device.start();
  await device.sample(wal, 40, 50);
  const cuts: SimDisk[] = [];
  device.disk.onChange = () => cuts.push(device.disk.clone());
  await device.sample(wal, 30);
  device.disk.onChange = undefined;
  assert(cuts.length > 5, `${cuts.length} cuts`);
  for (const [seed, disk] of cuts.entries()) {
    const again = await openLog(disk.afterPowerCut(seededRandom(seed)), { boot: "boot-2" });
    assert(lost(again).every(([, , reason]) => reason === "unsynced"), `cut ${seed}`);
  }
});

Deno.test("what is reserved and what may be at stake follow the rate of late, not that since the start", async () => {
  const device = new Device();
  const wal = await device.start();
  await device.run(3_600_000);
  for (let i = 0; i < 700; i++) {
    append(wal, 20);
    wal.ack(wal.nextSeq - 1);
    await device.run(100);
  }
  const checkpoint = (await readCheckpoint(device.disk))!;
  assert(checkpoint.unsyncedMax >= 400, `${checkpoint.unsyncedMax} of 200 a second`);
  assert(reservedBy(checkpoint) > wal.nextSeq + 30_000, `${reservedBy(checkpoint)}`);
});

Deno.test("records come faster than ever before: they go to the disk before more are at stake than was said", async () => {
  const device = new Device();
  const wal = await device.start();
  await device.sample(wal, 2_500, 50);
  const { unsyncedMax } = (await readCheckpoint(device.disk))!;
  assert(unsyncedMax <= 50, `${unsyncedMax}`);
  for (let i = 0; i < 200; i++) {
    append(wal, 5);
    await device.run(10);
    assert(wal.nextSeq - 1 - Math.max(wal.syncedSeq, wal.highAcked) <= unsyncedMax);
  }
});

Deno.test("where the host has lost all, what is in memory goes to a disk that can't hold it, and the disk stays in use", async () => {
  const device = new Device();
  const wal = await device.start({ ringRecords: 5_000, bytesMax: 40_000 });
  for (let i = 0; i < 30; i++) {
    append(wal, 100);
    wal.ack(wal.nextSeq - 1);
    await device.run(1_000);
  }
  wal.rewind(0);
  await device.run(3_000);
  assertEquals([wal.writable, wal.stats.write_failures], [true, 0]);
  assert(device.disk.bytes <= 40_000, `${device.disk.bytes} bytes`);
  assertEquals(await readSeqs(wal), range(1, 3_000), "the ring still has them all");
});

/** Appends, acks in time and late, a host that is away, and an end in order; `device` may end in the middle. */
async function work(device: Device, truth: { wal?: Wal }): Promise<void> {
  const wal = truth.wal = await device.start({ bytesMax: 64_000, segmentBytes: 1_000 });
  await device.sample(wal, 12, 50);
  await device.sample(wal, 25);
  wal.ack(wal.nextSeq - 1);
  await device.sample(wal, 50, 150);
  append(wal, 40);
  await device.run(1_500);
  wal.ack(wal.nextSeq - 10);
  await device.close(wal);
}

Deno.test("killed or without power at any operation of either place: nothing unacked is lost, or what a power cut may take", async () => {
  const counted = new Device();
  let operations = 0;
  counted.disk.onChange = counted.memory.onChange = () => void operations++;
  await work(counted, {});
  assert(operations > 150, `${operations} operations`);
  for (let stop = 1; stop <= operations; stop++) {
    for (const power of [false, true]) {
      const device = new Device(), truth: { wal?: Wal } = {};
      let left = stop, end: { highAcked: number; nextSeq: number; sendable: number } | undefined;
      const ended = new Promise<void>((resolve) => {
        device.disk.onChange = device.memory.onChange = () => {
          if (--left !== 0) return;
          const { highAcked = 0, nextSeq = 1, sendableThrough: sendable = 0 } = truth.wal ?? {};
          end = { highAcked, nextSeq, sendable };
          if (power) device.cutPower(stop);
          else device.kill();
          resolve();
        };
      });
      const { kernel } = device;
      await Promise.race([work(device, truth), ended]);
      const { highAcked, nextSeq, sendable } = end!;
      // What was under way when the process ended has no more time.
      device.kernel = new Kernel();
      await kernel.runUntil(kernel.nowMs);
      const wal = await device.start({ bytesMax: 64_000, segmentBytes: 1_000 });
      const where = `operation ${stop}, ${power ? "power cut" : "killed"}`;
      const kept = new Map(await readAll(wal));
      const declared = new Set(lost(wal).flatMap(([from, to]) => range(from, to)));
      const gone = range(highAcked + 1, nextSeq - 1).filter((seq) => !kept.has(seq));
      for (const [seq, text] of kept) assertEquals(text, `record ${seq}`, where);
      for (const seq of gone) {
        // An append that was under way has not returned.
        if (seq === nextSeq - 1) continue;
        assert(power && declared.has(seq), `${where}: ${seq} is lost`);
      }
      assert(wal.nextSeq >= nextSeq - 1 && (!power || wal.nextSeq > sendable), where);
    }
  }
});
