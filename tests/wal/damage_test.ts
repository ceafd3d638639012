/** Damage to a closed log, byte by byte: it opens, loses what was touched, and declares exactly that. */
import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { decodeRecord, NOTE_SEQ, SEGMENT_HEADER_BYTES } from "../../lib/wal/format.ts";
import { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const RECORDS = 24;
const encoder = new TextEncoder();

/** Records that are kept as they are, and such as become rows with notes on their shapes. */
const KINDS: Record<string, (seq: number) => Uint8Array> = {
  plain: (seq) => new Uint8Array(20).fill(100 + seq),
  rows: (seq) => encoder.encode(`{"t":${1e9 + seq},"temp_c":${seq / 8},"ok":${seq % 3 === 0}}`),
};

function open(disk: SimDisk): Promise<Wal> {
  return Wal.open({
    disk,
    clock: new MachineClock(new Kernel(), 0),
    random: seededRandom(1),
    osBootId: "boot-1",
    ringRecords: 2,
    bytesMax: 1 << 20,
    segmentBytes: 480,
    sync: "interval",
    syncIntervalMs: 1_000,
  });
}

async function closedLog(payload: (seq: number) => Uint8Array): Promise<SimDisk> {
  const disk = new SimDisk();
  const wal = await open(disk);
  for (let seq = 1; seq <= RECORDS; seq++) wal.append(payload(seq));
  await wal.close();
  return disk.afterKill();
}

/** Opens a damaged copy: `touched` and nothing else may be missing, and is declared. */
async function checkLoss(
  disk: SimDisk,
  payloadOf: (seq: number) => Uint8Array,
  touched: number[],
  where: string,
): Promise<void> {
  const wal = await open(disk);
  const found: number[] = [];
  for (let from = 1;;) {
    const records = await wal.read(from, { records: 100, bytes: 1e6 });
    if (records.length === 0) break;
    for (const { seq, payload } of records) {
      assertEquals(payload, payloadOf(seq), where);
      found.push(seq);
    }
    from = found.at(-1)! + 1;
  }
  const all = Array.from({ length: RECORDS }, (_, index) => index + 1);
  const isDeclared = (seq: number) =>
    wal.gaps.some(({ from_seq, to_seq }) => from_seq <= seq && seq <= to_seq);
  assertEquals(found, all.filter((seq) => !touched.includes(seq)), where);
  assertEquals(all.filter(isDeclared), touched, where);
}

/** What stands in a file behind its header, with the offsets where it begins and ends. */
async function framesIn(
  disk: SimDisk,
  name: string,
): Promise<{ seq: number; from: number; to: number }[]> {
  if (!name.endsWith(".wal")) return [];
  const file = await disk.open(name, false);
  const bytes = new Uint8Array(file.size);
  await file.readAt(0, bytes);
  file.close();
  const frames: { seq: number; from: number; to: number }[] = [];
  for (let from = SEGMENT_HEADER_BYTES; from < bytes.length;) {
    const decoded = decodeRecord(bytes, from);
    if (decoded.kind !== "record") throw new Error(`${name} has no record at ${from}`);
    frames.push({ seq: decoded.seq, from, to: decoded.end });
    from = decoded.end;
  }
  return frames;
}

for (const [kind, payload] of Object.entries(KINDS)) {
  Deno.test(`log of ${kind}: any byte of any file may be changed; only the record that holds it is lost, and is declared`, async () => {
    const disk = await closedLog(payload);
    for (const name of await disk.list()) {
      const frames = await framesIn(disk, name);
      for (let offset = 0; offset < disk.lengthNow(name); offset++) {
        const copy = disk.clone();
        copy.damage(name, "flip", 8 * offset + offset % 8);
        const touched = frames.filter(({ seq, from, to }) =>
          seq !== NOTE_SEQ && from <= offset && offset < to
        );
        await checkLoss(copy, payload, touched.map(({ seq }) => seq), `${name} byte ${offset}`);
      }
    }
  });

  Deno.test(`log of ${kind}: any file may be cut at any byte; only the records behind the cut are lost, and are declared`, async () => {
    const disk = await closedLog(payload);
    for (const name of await disk.list()) {
      const frames = await framesIn(disk, name);
      for (let cut = 0; cut < disk.lengthNow(name); cut++) {
        const copy = disk.clone();
        copy.damage(name, "cut", cut);
        const touched = frames.filter(({ seq, to }) => seq !== NOTE_SEQ && to > cut);
        await checkLoss(copy, payload, touched.map(({ seq }) => seq), `${name} cut at ${cut}`);
      }
    }
  });
}

Deno.test("log of rows: the shapes stand in each segment, and both kinds of records are in this test", async () => {
  const disk = await closedLog(KINDS.rows!);
  const segments = (await disk.list()).filter((name) => name.endsWith(".wal"));
  assert(segments.length > 2);
  for (const name of segments) {
    const notes = (await framesIn(disk, name)).filter(({ seq }) => seq === NOTE_SEQ);
    assert(notes.length >= 2, `${name} has ${notes.length} notes`);
  }
});
