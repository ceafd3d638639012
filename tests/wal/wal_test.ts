import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { listWal, readWal, verifyWal } from "../../lib/wal/inspect.ts";
import { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function open(disk: SimDisk, osBootId = "boot-1", options = {}): Promise<Wal> {
  return Wal.open({
    disk,
    clock: new MachineClock(new Kernel(), 0),
    random: seededRandom(1),
    osBootId,
    ringRecords: 8,
    bytesMax: 1 << 20,
    segmentBytes: 300,
    sync: "interval",
    syncIntervalMs: 1_000,
    ...options,
  });
}

function append(wal: Wal, count: number): void {
  for (let i = 0; i < count; i++) wal.append(encoder.encode(`record ${wal.nextSeq}`));
}

/** All records that can be read, by seq; checks that each holds what was appended. */
async function readAll(wal: Wal): Promise<number[]> {
  const seqs: number[] = [];
  for (let from = wal.highAcked + 1;;) {
    const records = await wal.read(from, { records: 7, bytes: 1_000 });
    if (records.length === 0) return seqs;
    for (const { seq, payload } of records) {
      assertEquals(decoder.decode(payload), `record ${seq}`);
      seqs.push(seq);
      from = seq + 1;
    }
  }
}

/** Each seq above high_acked is readable or declared, never both. */
async function assertAccounted(wal: Wal): Promise<void> {
  const seqs = new Set(await readAll(wal));
  for (let seq = wal.highAcked + 1; seq < wal.nextSeq; seq++) {
    const declared = wal.gaps.some((gap) => gap.from_seq <= seq && seq <= gap.to_seq);
    assertNotEquals(seqs.has(seq), declared, `seq ${seq}: ${seqs.has(seq)}, declared ${declared}`);
  }
}

Deno.test("Wal.append() numbers records 1, 2, 3 and read() gives them back from ring and disk", async () => {
  const wal = await open(new SimDisk());
  append(wal, 50);
  assertEquals(await readAll(wal), Array.from({ length: 50 }, (_, i) => i + 1));
});

Deno.test("Wal.open() goes on after a clean close with the next seq and the same epoch", async () => {
  const disk = new SimDisk();
  const first = await open(disk);
  append(first, 20);
  first.ack(12);
  await first.close();
  const second = await open(disk, "boot-2");
  assertEquals(second.epoch, first.epoch);
  assertEquals(second.nextSeq, 21);
  assertEquals(second.highAcked, 12);
  assertEquals(second.gaps, []);
});

Deno.test("Wal.open() loses nothing after a killed process", async () => {
  const disk = new SimDisk();
  append(await open(disk), 20);
  const wal = await open(disk.afterKill());
  assertEquals(wal.nextSeq, 21);
  assertEquals((await readAll(wal)).length, 20);
});

Deno.test("Wal.open() skips the reserve after a power cut and declares it", async () => {
  const disk = new SimDisk();
  const first = await open(disk);
  append(first, 20);
  await first.sync();
  const wal = await open(disk.afterKill(), "boot-2");
  assertEquals(wal.nextSeq, 21 + 256);
  assertEquals(wal.gaps, [{ from_seq: 21, to_seq: 276, reason: "unsynced" }]);
});

Deno.test("Wal.sendableThrough stays within the reserve above what is synced or acked", async () => {
  const wal = await open(new SimDisk());
  append(wal, 600);
  assertEquals(wal.sendableThrough, 256);
  wal.ack(100);
  assertEquals(wal.sendableThrough, 356);
  await wal.sync();
  assertEquals(wal.sendableThrough, 600);
});

Deno.test("Wal.open() starts with a fresh epoch in memory on a disk that refuses everything", async () => {
  const disk = new SimDisk();
  Object.assign(disk.faults, { readFails: true, writeFails: true, syncFails: true });
  const wal = await open(disk);
  append(wal, 5);
  assertEquals(wal.writable, false);
  assertEquals((await readAll(wal)).length, 5);
});

Deno.test("Wal never writes beside a log that it could not read at the start, and uses an empty directory later", async () => {
  for (const isEmpty of [false, true]) {
    const disk = new SimDisk();
    if (!isEmpty) append(await open(disk), 5);
    disk.faults.readFails = true;
    const kernel = new Kernel();
    const wal = await open(disk, "boot-1", { clock: new MachineClock(kernel, 0) });
    append(wal, 3);
    disk.faults.readFails = false;
    const stop = new AbortController();
    wal.run(stop.signal);
    await kernel.runUntil(5_000);
    stop.abort();
    assertEquals(wal.writable, isEmpty);
    assertEquals((await open(disk.afterKill())).nextSeq, isEmpty ? 4 : 6);
  }
});

Deno.test("Wal declares what falls out of the ring while the disk fails, and writes the rest again", async () => {
  const disk = new SimDisk();
  const kernel = new Kernel();
  const wal = await open(disk, "boot-1", { clock: new MachineClock(kernel, 0) });
  append(wal, 5);
  await wal.sync();
  disk.faults.writeFails = true;
  append(wal, 20);
  assertEquals(wal.gaps, [{ from_seq: 6, to_seq: 17, reason: "unwritten" }]);
  disk.faults.writeFails = false;
  const stop = new AbortController();
  wal.run(stop.signal);
  await kernel.runUntil(5_000);
  stop.abort();
  assertEquals(wal.writable, true);
  await assertAccounted(wal);
  const again = await open(disk.afterKill());
  assertEquals(again.gaps, [{ from_seq: 6, to_seq: 17, reason: "unwritten" }]);
  await assertAccounted(again);
});

Deno.test("Wal evicts the oldest segment at its limit, declares it, and stays within the limit", async () => {
  const disk = new SimDisk();
  const kernel = new Kernel();
  const wal = await open(disk, "boot-1", {
    clock: new MachineClock(kernel, 0),
    bytesMax: 4_000,
    segmentBytes: 250,
  });
  const stop = new AbortController();
  wal.run(stop.signal);
  for (let at = 0; at < 200; at++) {
    append(wal, 1);
    await kernel.runUntil(kernel.nowMs + 100);
    await wal.sync();
    assert(disk.bytes <= 4_000, `${disk.bytes} bytes`);
  }
  stop.abort();
  assertEquals(wal.gaps[0]?.reason, "evicted");
  await assertAccounted(wal);
});

Deno.test("Wal.open() takes the same time for a large backlog: it reads headers and the newest segment", async () => {
  const disk = new SimDisk();
  const wal = await open(disk);
  append(wal, 2_000);
  await wal.close();
  let reads = 0;
  const counting = new Proxy(disk, {
    get: (target, name) => {
      if (name === "open") {
        return async (file: string, writable: boolean) => {
          const opened = await target.open(file, writable);
          const readAt = opened.readAt.bind(opened);
          opened.readAt = (offset, into) => {
            reads++;
            return readAt(offset, into);
          };
          return opened;
        };
      }
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const again = await open(counting);
  assertEquals(again.nextSeq, 2_001);
  const segments = (await disk.list()).length;
  assert(reads < segments + 20, `${reads} reads for ${segments} files`);
});

Deno.test("Wal: every bit of a small log may flip; it opens, and loses only what it declares", async () => {
  const disk = new SimDisk();
  const first = await open(disk);
  append(first, 12);
  await first.close();
  for (const name of await disk.list()) {
    for (let bit = 0; bit < 8 * disk.lengthNow(name); bit += 3) {
      const copy = disk.clone();
      copy.damage(name, "flip", bit);
      const wal = await open(copy);
      assert(wal.nextSeq > 12 || wal.epoch !== first.epoch, `${name} bit ${bit}`);
      await readAll(wal);
      await assertAccounted(wal);
    }
  }
});

Deno.test("Wal: a small log may be cut at every byte or lose any file; it opens and accounts for all", async () => {
  const disk = new SimDisk();
  const first = await open(disk);
  append(first, 30);
  first.ack(3);
  await first.close();
  for (const name of await disk.list()) {
    for (let at = 0; at <= disk.lengthNow(name); at++) {
      const copy = disk.clone();
      if (at === disk.lengthNow(name)) copy.damage(name, "remove", 0);
      else copy.damage(name, "cut", at);
      const wal = await open(copy);
      await readAll(wal);
      await assertAccounted(wal);
    }
  }
});

Deno.test("Wal: any history of appends, acks, syncs, kills and power cuts reopens to an accounted state", async () => {
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant("append"), n: fc.integer({ min: 1, max: 30 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("ack"), n: fc.integer({ min: 0, max: 100 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("sync"), n: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("kill"), n: fc.constant(0) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("power"), n: fc.integer({ min: 0, max: 1e6 }) }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      let disk = new SimDisk();
      let boot = 1;
      let wal = await open(disk);
      for (const { kind, n } of steps) {
        if (kind === "append") append(wal, n);
        else if (kind === "ack") {
          wal.ack(wal.highAcked + Math.floor((n * (wal.sendableThrough - wal.highAcked)) / 100));
        } else if (kind === "sync") await wal.sync();
        else {
          const { syncedSeq, epoch, highAcked } = wal;
          disk = kind === "kill" ? disk.afterKill() : disk.afterPowerCut(seededRandom(n));
          if (kind === "power") boot++;
          wal = await open(disk, `boot-${boot}`);
          // Before the first sync nothing promises that the directory survives.
          if (wal.epoch === epoch) assert(wal.nextSeq > Math.max(syncedSeq, highAcked));
          else assertEquals(kind, "power");
        }
        await assertAccounted(wal);
      }
    }),
    { numRuns: 150, seed: 1 },
  );
});

Deno.test("Wal.open() twice without a write between gives the same state", async () => {
  const disk = new SimDisk();
  append(await open(disk), 25);
  const cut = disk.afterPowerCut(seededRandom(3));
  const first = await open(cut.clone(), "boot-2");
  const second = await open(cut.clone(), "boot-2");
  assertEquals([second.nextSeq, second.gaps], [first.nextSeq, first.gaps]);
});

Deno.test("Wal.renumber() gives records whose numbers the host knows as others' new numbers", async () => {
  const wal = await open(new SimDisk());
  append(wal, 5);
  await wal.renumber(300);
  assertEquals(wal.nextSeq, 306);
  const records = await wal.read(301, { records: 10, bytes: 10_000 });
  assertEquals(
    records.map(({ payload }) => decoder.decode(payload)),
    [1, 2, 3, 4, 5].map((n) => `record ${n}`),
  );
  assertEquals(wal.gaps, [{ from_seq: 1, to_seq: 300, reason: "unsynced" }]);
});

Deno.test("wal ls, verify and export see everything and change nothing", async () => {
  const disk = new SimDisk();
  const wal = await open(disk);
  append(wal, 40);
  const before = disk.changes;
  const listing = await listWal(disk);
  assertEquals(listing.last_seq, 40);
  assertEquals((await verifyWal(disk)).damaged, []);
  assertEquals((await Array.fromAsync(readWal(disk))).length, 40);
  assertEquals(disk.changes, before);
  const segment = listing.segments[1]!;
  disk.damage(segment.name, "flip", 8 * 60);
  const [damaged] = (await verifyWal(disk)).damaged;
  assertEquals(damaged?.segment, segment.name);
});
