/** Records as rows in segments: what they need to be read survives restarts, damage, and older formats. */
import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import {
  decodeRecord,
  encodeRecord,
  encodeSegmentHeader,
  NOTE_SEQ,
  parseSegmentName,
  RECORD_OVERHEAD_BYTES,
  SEGMENT_HEADER_BYTES,
  segmentName,
} from "../../lib/wal/format.ts";
import { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function record(seq: number): string {
  return `{"ts_wall_ms":${1e12 + 100 * seq},"metrics":{"temp_c":${41 + (seq % 50) / 100}}}`;
}

function open(disk: SimDisk, segmentBytes = 1 << 20): Promise<Wal> {
  return Wal.open({
    disk,
    clock: new MachineClock(new Kernel(), 0),
    random: seededRandom(1),
    osBootId: "boot-1",
    ringRecords: 2,
    bytesMax: 4 << 20,
    segmentBytes,
    sync: "interval",
    syncIntervalMs: 1_000,
  });
}

function append(wal: Wal, from: number, to: number): void {
  for (let seq = from; seq <= to; seq++) wal.append(encoder.encode(record(seq)));
}

async function readAll(wal: Wal): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (let from = wal.highAcked + 1;;) {
    const records = await wal.read(from, { records: 1_000, bytes: 1e6 });
    if (records.length === 0) return found;
    for (const { seq, payload } of records) found.set(seq, decoder.decode(payload));
    from = records.at(-1)!.seq + 1;
  }
}

/** What stands in the only segment, one frame after the other. */
async function frames(disk: SimDisk): Promise<{ seq: number; from: number; to: number }[]> {
  const names = disk.namesNow.filter((name) => parseSegmentName(name) !== undefined);
  assertEquals(names.length, 1);
  const file = await disk.open(names[0]!, false);
  const bytes = new Uint8Array(file.size);
  for (let at = 0; at < bytes.length;) at += await file.readAt(at, bytes.subarray(at));
  const found: { seq: number; from: number; to: number }[] = [];
  for (let from = SEGMENT_HEADER_BYTES; from < bytes.length;) {
    const decoded = decodeRecord(bytes, from);
    assert(decoded.kind === "record");
    found.push({ seq: decoded.seq, from, to: decoded.end });
    from = decoded.end;
  }
  return found;
}

Deno.test("a record takes a part of its text in the log, and comes back byte for byte", async () => {
  const disk = new SimDisk();
  const wal = await open(disk);
  append(wal, 1, 2_000);
  assertEquals(wal.stats.written_bytes + SEGMENT_HEADER_BYTES + 128, wal.bytes);
  const each = wal.stats.written_bytes / 2_000;
  assert(each < RECORD_OVERHEAD_BYTES + 14, `${each} bytes a record`);
  const found = await readAll(wal);
  assertEquals(found.size, 2_000);
  for (const [seq, text] of found) assertEquals(text, record(seq));
});

Deno.test("a killed node goes on in the segment that it wrote, with the shapes that stand there", async () => {
  const disk = new SimDisk();
  append(await open(disk), 1, 10);
  const killed = disk.afterKill();
  const wal = await open(killed);
  append(wal, 11, 20);
  assertEquals((await frames(killed)).filter(({ seq }) => seq === NOTE_SEQ).length, 2);
  const found = await readAll(await open(killed.afterKill()));
  assertEquals([...found.values()], Array.from({ length: 20 }, (_, i) => record(i + 1)));
});

Deno.test("a block that is damaged where the shapes stand costs the records in it and no others", async () => {
  const disk = new SimDisk();
  const wal = await open(disk);
  append(wal, 1, 1_000);
  await wal.close();
  const all = await frames(disk);
  const places = Array.from({ length: 254 }, (_, i) => SEGMENT_HEADER_BYTES + 16 * i);
  const damaged = disk.afterKill();
  const [name] = damaged.namesNow.filter((name) => parseSegmentName(name) !== undefined);
  for (const place of places) damaged.damage(name!, "flip", 8 * place);
  const lost = all.filter(({ seq, from, to }) =>
    seq !== NOTE_SEQ && places.some((place) => from <= place && place < to)
  ).map(({ seq }) => seq);
  const reopened = await open(damaged);
  const found = await readAll(reopened);
  assertEquals(
    [...found.keys()],
    all.map(({ seq }) => seq).filter((seq) => seq !== NOTE_SEQ && !lost.includes(seq)),
  );
  for (const [seq, text] of found) assertEquals(text, record(seq));
  assertEquals(reopened.gaps, [{ from_seq: 1, to_seq: lost.at(-1)!, reason: "corrupt" }]);
});

Deno.test("rows are not added to a segment in which a note may be missing", async () => {
  const disk = new SimDisk();
  append(await open(disk), 1, 10);
  const damaged = disk.afterKill();
  const [name] = damaged.namesNow.filter((name) => parseSegmentName(name) !== undefined);
  const notes = (await frames(damaged)).filter(({ seq }) => seq === NOTE_SEQ);
  for (const { from } of notes) damaged.damage(name!, "flip", 8 * (from + 20));
  const wal = await open(damaged);
  append(wal, 11, 20);
  const segments = damaged.namesNow.filter((name) => parseSegmentName(name) !== undefined);
  assertEquals(segments.length, 2);
  const found = await readAll(wal);
  // The first was met once only, and stands as it is.
  assertEquals([...found.keys()], [1, ...Array.from({ length: 10 }, (_, i) => 11 + i)]);
  for (const [seq, text] of found) assertEquals(text, record(seq));
});

Deno.test("a directory of format version 1 is read, gone on with, and drained", async () => {
  const disk = new SimDisk();
  const header = encodeSegmentHeader({
    epoch: "9f2c4e11a0b3d5c7",
    base: 1,
    prev: 0,
    reason: "none",
    most: 0,
  });
  header[4] = 1;
  new DataView(header.buffer).setUint32(32, crc32(Buffer.from(header.subarray(0, 32))), true);
  const file = disk.create(segmentName(1, 1));
  file.append(header);
  for (let seq = 1; seq <= 30; seq++) {
    const payload = encoder.encode(record(seq));
    const bytes = new Uint8Array(payload.length + RECORD_OVERHEAD_BYTES);
    encodeRecord(bytes, 0, seq, payload);
    file.append(bytes);
  }
  await file.sync();
  await disk.syncDir();
  const wal = await open(disk.afterKill());
  assertEquals(wal.epoch, "9f2c4e11a0b3d5c7");
  const first = wal.nextSeq;
  append(wal, first, first + 9);
  const found = await readAll(wal);
  for (const [seq, text] of found) assertEquals(text, record(seq));
  assertEquals(found.size, 40);
  wal.ack(first + 9);
  assertEquals(wal.backlog, 0);
});

Deno.test("large records at a small limit are evicted in time: a good disk is never taken for a full one", async () => {
  const disk = new SimDisk();
  const kernel = new Kernel();
  const clock = new MachineClock(kernel, 0);
  const wal = await Wal.open({
    disk,
    clock,
    random: seededRandom(1),
    osBootId: "boot-1",
    ringRecords: 64,
    bytesMax: 131_072,
    sync: "interval",
    syncIntervalMs: 1_000,
  });
  const stop = new AbortController();
  const running = wal.run(stop.signal);
  for (let seq = 1; seq <= 400; seq++) {
    wal.append(encoder.encode(JSON.stringify({ seq, text: "x".repeat(1_500 + seq % 7) })));
    assert(wal.writable, `${wal.lastError}`);
    await kernel.runUntil(kernel.nowMs + 100);
  }
  assert(wal.stats.evicted_records > 100 && wal.bytes <= 131_072);
  stop.abort();
  await kernel.runUntil(kernel.nowMs + 10);
  await running;
});
