/** Files that can't be read, records that leave a segment while memory has them, syncs that are asked for. */
import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { parseSegmentName } from "../../lib/wal/format.ts";
import { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const encoder = new TextEncoder();
const RECORDS = 50;

function open(disk: SimDisk, options = {}, kernel = new Kernel()): Promise<Wal> {
  return Wal.open({
    disk,
    clock: new MachineClock(kernel, 0),
    random: seededRandom(1),
    osBootId: "boot-1",
    ringRecords: 4,
    bytesMax: 1 << 20,
    segmentBytes: 300,
    sync: "interval",
    syncIntervalMs: 1_000,
    ...options,
  });
}

async function closedLog(): Promise<{ disk: SimDisk; epoch: string; names: string[] }> {
  const disk = new SimDisk();
  const wal = await open(disk);
  for (let seq = 1; seq <= RECORDS; seq++) wal.append(encoder.encode(`record ${seq}`));
  await wal.close();
  const names = disk.namesNow.filter((name) => parseSegmentName(name) !== undefined);
  return { disk: disk.afterKill(), epoch: wal.epoch, names };
}

/** All that can be read; a read that fails is tried again, as the uplink does. */
async function readAll(wal: Wal): Promise<number[]> {
  const seqs: number[] = [];
  for (let from = wal.highAcked + 1, tries = 0; tries < 5;) {
    const records = await wal.read(from, { records: 100, bytes: 10_000 });
    tries = records.length === 0 ? tries + 1 : 0;
    for (const { seq } of records) seqs.push(seq);
    from = (seqs.at(-1) ?? 0) + 1;
  }
  return seqs;
}

function declared(wal: Wal): number[] {
  return wal.gaps.flatMap(({ from_seq, to_seq }) =>
    Array.from({ length: to_seq - from_seq + 1 }, (_, i) => from_seq + i)
  );
}

function rangeOf(names: readonly string[], index: number): number[] {
  const base = parseSegmentName(names[index]!)!.base;
  const next = index + 1 < names.length ? parseSegmentName(names[index + 1]!)!.base : RECORDS + 1;
  return Array.from({ length: next - base }, (_, i) => base + i);
}

Deno.test("a segment that can't be opened costs what is in it and nothing else; the epoch stays", async () => {
  const { disk, epoch, names } = await closedLog();
  for (const [index, name] of names.entries()) {
    const copy = disk.clone();
    copy.faults.unreadable.set(name, { from: 0, to: Infinity });
    const wal = await open(copy);
    assertEquals(wal.epoch, epoch, name);
    const lost = rangeOf(names, index);
    assertEquals(
      await readAll(wal),
      Array.from({ length: RECORDS }, (_, i) => i + 1).filter((seq) => !lost.includes(seq)),
    );
    const gone = declared(wal);
    assert(lost.every((seq) => gone.includes(seq)), name);
    assert(wal.gaps.every(({ reason }) => reason === "corrupt"));
    assert(wal.nextSeq > RECORDS, "no number is given twice");
    const seq = wal.append(encoder.encode("more"));
    assert(!gone.includes(seq));
  }
});

Deno.test("a segment that could not be read for a while loses nothing", async () => {
  const { disk, names } = await closedLog();
  disk.faults.unreadable.set(names[1]!, { from: 0, to: Infinity });
  const wal = await open(disk);
  assertEquals(
    (await wal.read(1, { records: 100, bytes: 10_000 })).at(-1)?.seq,
    rangeOf(names, 0).at(-1),
  );
  const next = rangeOf(names, 1)[0]!;
  assertEquals(await wal.read(next, { records: 1, bytes: 1 }), []);
  disk.faults.unreadable.clear();
  assertEquals((await readAll(wal)).length, RECORDS);
  assertEquals(wal.gaps, []);
});

Deno.test("a block that can't be read costs the records that it touches", async () => {
  const { disk, names } = await closedLog();
  const copy = disk.clone();
  const mine = rangeOf(names, 2);
  copy.faults.unreadable.set(names[2]!, { from: 100, to: 101 });
  const wal = await open(copy);
  const found = await readAll(wal);
  assert(found.length < RECORDS && found.length >= RECORDS - mine.length);
  assertEquals(
    [...found, ...declared(wal)].sort((a, b) => a - b).slice(0, RECORDS),
    Array.from({ length: RECORDS }, (_, i) => i + 1),
  );
});

Deno.test("a newest segment that can't be read is neither cut nor written to", async () => {
  const { disk, names } = await closedLog();
  const last = names.at(-1)!;
  const size = disk.lengthNow(last);
  disk.faults.unreadable.set(last, { from: 60, to: Infinity });
  const wal = await open(disk);
  wal.append(encoder.encode("more"));
  await wal.close();
  assertEquals(disk.lengthNow(last), size);
  const again = disk.afterKill();
  const healed = await open(again);
  assert((await readAll(healed)).includes(RECORDS));
});

Deno.test("a checkpoint that can't be read is as one that is not there", async () => {
  const { disk, epoch } = await closedLog();
  disk.faults.unreadable.set("checkpoint", { from: 0, to: Infinity });
  const wal = await open(disk);
  assertEquals(wal.epoch, epoch);
  assertEquals((await readAll(wal)).length, RECORDS);
});

Deno.test("what is evicted from disk and still in memory is not lost until it leaves memory", async () => {
  const disk = new SimDisk();
  const kernel = new Kernel();
  const wal = await open(disk, { ringRecords: 40, bytesMax: 2_000 }, kernel);
  const stop = new AbortController();
  const running = wal.run(stop.signal);
  for (let seq = 1; seq <= 200; seq++) {
    wal.append(encoder.encode(`record ${seq}`));
    await kernel.runUntil(kernel.nowMs + 100);
    const first = wal.firstSeq;
    assert(
      declared(wal).every((lost) => lost < first),
      `at ${seq}: ${declared(wal)} from ${first}`,
    );
  }
  const readable = await readAll(wal);
  assertEquals(
    [...declared(wal), ...readable],
    Array.from({ length: 200 }, (_, i) => i + 1),
  );
  assert(wal.gaps.every(({ reason }) => reason === "evicted"));
  assert(disk.bytes <= 2_000);
  stop.abort();
  await kernel.runUntil(kernel.nowMs + 10);
  await running;
});

Deno.test("with sync always an append while a sync runs is synced right after it", async () => {
  const disk = new SimDisk();
  const kernel = new Kernel();
  const wal = await open(disk, { sync: "always", syncIntervalMs: 60_000 }, kernel);
  disk.faults.slow = () => new Promise((resolve) => kernel.at(kernel.nowMs + 50, () => resolve()));
  const stop = new AbortController();
  wal.run(stop.signal);
  wal.append(encoder.encode("one"));
  await kernel.runUntil(kernel.nowMs + 20);
  wal.append(encoder.encode("two"));
  await kernel.runUntil(kernel.nowMs + 300);
  assertEquals(wal.syncedSeq, 2);
  stop.abort();
});

Deno.test("a segment file that can't be removed stops nothing", async () => {
  const disk = new SimDisk();
  const kernel = new Kernel();
  const wal = await open(disk, {}, kernel);
  const stop = new AbortController();
  wal.run(stop.signal);
  for (let seq = 1; seq <= 40; seq++) wal.append(encoder.encode(`record ${seq}`));
  const remove = disk.remove.bind(disk);
  disk.remove = () => Promise.reject(new Error("operation not permitted"));
  wal.ack(30);
  await kernel.runUntil(kernel.nowMs + 5_000);
  assert(wal.writable);
  wal.append(encoder.encode("more"));
  disk.remove = remove;
  await kernel.runUntil(kernel.nowMs + 60_000);
  const { base } = parseSegmentName(disk.namesNow.find((n) => n.endsWith(".wal"))!)!;
  assert(base > 20, `first is ${base}`);
  stop.abort();
});

Deno.test("a file that can't be opened counts in the bytes of the directory", async () => {
  const { disk, names } = await closedLog();
  for (const name of [names[0]!, "checkpoint"]) {
    const copy = disk.clone();
    copy.faults.unreadable.set(name, { from: 0, to: Infinity });
    const wal = await open(copy);
    assertEquals(wal.bytes, copy.bytes, name);
  }
});

Deno.test("files that aren't the log's count in its bytes, so that the directory stays within its limit", async () => {
  const { disk } = await closedLog();
  const before = (await open(disk)).bytes;
  const foreign = disk.afterKill();
  const file = foreign.create("left-over.tmp");
  file.append(new Uint8Array(5_000));
  file.close();
  const wal = await open(foreign, { bytesMax: 8_000 });
  assertEquals(wal.bytes, before + 5_000);
  for (let seq = 1; seq <= 200; seq++) {
    wal.append(encoder.encode(`more ${seq}`));
    assert(foreign.bytes <= 8_000, `${foreign.bytes} bytes in the directory`);
  }
});
