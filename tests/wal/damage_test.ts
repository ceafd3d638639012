/** Damage to a closed log, byte by byte: it opens, loses what was touched, and declares exactly that. */
import { assertEquals } from "@std/assert";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { parseSegmentName, SEGMENT_HEADER_BYTES } from "../../lib/wal/format.ts";
import { RECORD_OVERHEAD_BYTES } from "../../lib/wal/format.ts";
import { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const RECORDS = 24;
const PAYLOAD_BYTES = 20;
const RECORD_BYTES = PAYLOAD_BYTES + RECORD_OVERHEAD_BYTES;
const PER_SEGMENT = 8;

function open(disk: SimDisk): Promise<Wal> {
  return Wal.open({
    disk,
    clock: new MachineClock(new Kernel(), 0),
    random: seededRandom(1),
    osBootId: "boot-1",
    ringRecords: 2,
    bytesMax: 1 << 20,
    segmentBytes: SEGMENT_HEADER_BYTES + PER_SEGMENT * RECORD_BYTES,
    sync: "interval",
    syncIntervalMs: 1_000,
  });
}

async function closedLog(): Promise<SimDisk> {
  const disk = new SimDisk();
  const wal = await open(disk);
  for (let seq = 1; seq <= RECORDS; seq++) wal.append(new Uint8Array(PAYLOAD_BYTES).fill(seq));
  await wal.close();
  return disk.afterKill();
}

/** Opens a damaged copy: `touched` and nothing else may be missing, and is declared. */
async function checkLoss(disk: SimDisk, touched: number[], where: string): Promise<void> {
  const wal = await open(disk);
  const found: number[] = [];
  for (let from = 1;;) {
    const records = await wal.read(from, { records: 100, bytes: 1e6 });
    if (records.length === 0) break;
    for (const { seq, payload } of records) {
      assertEquals(payload, new Uint8Array(PAYLOAD_BYTES).fill(seq), where);
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

/** The record that holds the byte at `offset` of a segment; none for its header. */
function recordAt(base: number, offset: number): number | undefined {
  if (offset < SEGMENT_HEADER_BYTES) return undefined;
  return base + Math.floor((offset - SEGMENT_HEADER_BYTES) / RECORD_BYTES);
}

Deno.test("log: any byte of any file may be changed; only the record that holds it is lost, and is declared", async () => {
  const disk = await closedLog();
  for (const name of await disk.list()) {
    const base = parseSegmentName(name)?.base;
    for (let offset = 0; offset < disk.lengthNow(name); offset++) {
      const copy = disk.clone();
      copy.damage(name, "flip", 8 * offset + offset % 8);
      const touched = base === undefined ? undefined : recordAt(base, offset);
      await checkLoss(copy, touched === undefined ? [] : [touched], `${name} byte ${offset}`);
    }
  }
});

Deno.test("log: any file may be cut at any byte; only the records behind the cut are lost, and are declared", async () => {
  const disk = await closedLog();
  for (const name of await disk.list()) {
    const base = parseSegmentName(name)?.base;
    const size = disk.lengthNow(name);
    for (let cut = 0; cut < size; cut++) {
      const copy = disk.clone();
      copy.damage(name, "cut", cut);
      const first = base === undefined
        ? undefined
        : recordAt(base, Math.max(cut, SEGMENT_HEADER_BYTES));
      const last = base === undefined ? 0 : recordAt(base, size - 1)!;
      const touched = first === undefined
        ? []
        : Array.from({ length: last - first + 1 }, (_, index) => first + index);
      await checkLoss(copy, touched, `${name} cut at ${cut}`);
    }
  }
});
