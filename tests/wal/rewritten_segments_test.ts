/** Segments that were written again after a failed sync: the later copy counts, and nothing is declared lost. */
import { assert, assertEquals } from "@std/assert";
import { parseSegmentName } from "../../lib/wal/format.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel } from "../sim/kernel.ts";
import { append, lost, openLog, range, readSeqs, running, segments } from "./logs.ts";

Deno.test("what a failed sync made the log write again is read once after a restart, from the later copy", async () => {
  const disk = new SimDisk(), kernel = new Kernel();
  const wal = await openLog(disk, { kernel, ringRecords: 50 });
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
  const copies = segments(disk).map((name) => parseSegmentName(name)!)
    .sort((a, b) => a.turn - b.turn).map(({ base }) => base);
  assert(copies.some((base, i) => i > 0 && base < copies[i - 1]!), `bases ${copies}`);
  const again = await openLog(disk.afterKill());
  assertEquals([await readSeqs(again), lost(again), again.nextSeq], [range(1, 35), [], 36]);
});
