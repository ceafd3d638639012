/** A log on a simulated disk, for tests of what becomes of it. */
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { parseSegmentName } from "../../lib/wal/format.ts";
import { Wal, type WalOptions } from "../../lib/wal/wal.ts";
import type { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a test says of a log, beside its disk. */
export interface LogOptions extends Partial<Omit<WalOptions, "disk" | "clock" | "osBootId">> {
  readonly kernel?: Kernel;
  /** Run of the operating system. */
  readonly boot?: string;
  /** Of the random numbers that a new epoch comes from. */
  readonly seed?: number;
}

/** Opens a log of small segments; `more` wins over what stands here. */
export function openLog(disk: SimDisk, more: LogOptions = {}): Promise<Wal> {
  const { kernel = new Kernel(), boot = "boot-1", seed = 1, ...options } = more;
  return Wal.open({
    disk,
    clock: new MachineClock(kernel, 0),
    random: seededRandom(seed),
    osBootId: boot,
    ringRecords: 4,
    bytesMax: 1 << 20,
    segmentBytes: 300,
    sync: "interval",
    syncIntervalMs: 1_000,
    ...options,
  });
}

/** Appends records whose text names their seq. */
export function append(wal: Wal, count: number): void {
  for (let i = 0; i < count; i++) wal.append(encoder.encode(`record ${wal.nextSeq}`));
}

/** What can be read above high_acked: seq and text. */
export async function readAll(wal: Wal): Promise<[seq: number, text: string][]> {
  const found: [number, string][] = [];
  for (let from = wal.highAcked + 1, tries = 0; tries < 5;) {
    const records = await wal.read(from, { records: 7, bytes: 1_000 });
    tries = records.length === 0 ? tries + 1 : 0;
    for (const { seq, payload } of records) found.push([seq, decoder.decode(payload)]);
    from = (found.at(-1)?.[0] ?? wal.highAcked) + 1;
  }
  return found;
}

/** The same, as seqs alone. */
export async function readSeqs(wal: Wal): Promise<number[]> {
  return (await readAll(wal)).map(([seq]) => seq);
}

/** Lost ranges in short. */
export function lost(wal: Wal): [from: number, to: number, reason: string][] {
  return wal.gaps.map(({ from_seq, to_seq, reason }) => [from_seq, to_seq, reason]);
}

/** Names of the segments in a directory, oldest first. */
export function segments(disk: SimDisk): string[] {
  return disk.namesNow.filter((name) => parseSegmentName(name) !== undefined);
}

/** Whole numbers from `from` to `to`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}

/** Runs a log in the background; call the result to stop it. */
export function running(wal: Wal): () => void {
  const stop = new AbortController();
  wal.run(stop.signal);
  return () => stop.abort();
}
