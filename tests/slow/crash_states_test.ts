/**
 * Every crash, exhaustively, in the manner of ALICE (Pillai et al., OSDI 2014): a workload is cut at each of
 * its disk operations, and for each cut every surviving combination of what was not synced is opened: each
 * sector old or new, each length that a write left, each directory entry there or not.
 */
import { assert, assertEquals } from "@std/assert";
import { NODE_SETTINGS, type NodeSettings } from "../../lib/config/node_settings.ts";
import { ConfigListener } from "../../lib/node/config_listener.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { Wal } from "../../lib/wal/wal.ts";
import { Choices } from "../sim/choices.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock, settle } from "../sim/kernel.ts";
import { realTest } from "../real.ts";

const SEGMENT_BYTES = 1_300;
const PAYLOAD_BYTES = 190;

function payloadOf(seq: number): Uint8Array {
  return new Uint8Array(PAYLOAD_BYTES).fill(seq & 0xff);
}

function openWal(disk: SimDisk, boot: string, kernel = new Kernel(), ring = 4): Promise<Wal> {
  return Wal.open({
    disk,
    clock: new MachineClock(kernel, 0),
    random: seededRandom(1),
    osBootId: boot,
    ringRecords: ring,
    bytesMax: 64_000,
    segmentBytes: SEGMENT_BYTES,
    sync: "interval",
    syncIntervalMs: 1_000,
  });
}

/** What is known at the moment of the crash. */
interface Truth {
  wal: Wal | undefined;
  acked: number;
}

/** Appends, syncs, rotations, acks with compaction, an end and a second run. */
async function work(disk: SimDisk, truth: Truth): Promise<void> {
  const kernel = new Kernel();
  for (const boot of ["boot-1", "boot-1"]) {
    const wal = await openWal(disk, boot, kernel);
    truth.wal = wal;
    const stop = new AbortController();
    const running = wal.run(stop.signal);
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 9; i++) wal.append(payloadOf(wal.nextSeq));
      if (round % 2 === 1) {
        truth.acked = Math.max(truth.acked, wal.syncedSeq - 2);
        wal.ack(truth.acked);
      }
      await kernel.runUntil(kernel.nowMs + 1_000);
    }
    stop.abort();
    await kernel.runUntil(kernel.nowMs + 1);
    await running;
    await wal.close();
  }
}

/** Runs `work` until its disk operation number `point`, where it stops for ever; false if it ends before. */
async function cutAt(disk: SimDisk, point: number, work: () => Promise<void>): Promise<boolean> {
  let left = point;
  let isCut = false;
  disk.onChange = () => {
    if (left-- > 0) return;
    isCut = true;
    disk.afterKill();
  };
  let isOver = false;
  work().then(() => isOver = true);
  for (let turn = 0; turn < 200 && !isOver && !isCut; turn++) await settle();
  await settle();
  return isCut;
}

async function checkOpened(disk: SimDisk, boot: string, truth: Truth, where: string): Promise<Wal> {
  const before = truth.wal;
  const wal = await openWal(disk, boot, undefined, 64);
  assert(wal.writable, where);
  if (before === undefined || wal.epoch !== before.epoch) {
    assertEquals(before?.syncedSeq ?? 0, 0, `${where}: a new epoch, although records were synced`);
    return wal;
  }
  assert(wal.nextSeq > before.sendableThrough, `${where}: a number may be given twice`);
  assert(wal.highAcked <= truth.acked, `${where}: more counts as acked than was`);
  const found = new Map<number, Uint8Array>();
  for (let from = wal.highAcked + 1;;) {
    const records = await wal.read(from, { records: 100, bytes: 1e6 });
    if (records.length === 0) break;
    for (const { seq, payload } of records) found.set(seq, payload);
    from = records.at(-1)!.seq + 1;
  }
  for (let seq = truth.acked + 1; seq < wal.nextSeq; seq++) {
    const payload = found.get(seq);
    const isDeclared = wal.gaps.some(({ from_seq, to_seq }) => from_seq <= seq && seq <= to_seq);
    assert(payload !== undefined || isDeclared, `${where}: seq ${seq} is lost in silence`);
    if (payload !== undefined) assertEquals(payload, payloadOf(seq), `${where}: seq ${seq}`);
    if (seq <= before.syncedSeq) assert(payload, `${where}: seq ${seq} was synced`);
  }
  return wal;
}

realTest(
  "log: at every crash point, every surviving combination of unsynced writes opens and accounts for all",
  async () => {
    let points = 0, states = 0;
    for (let point = 0;; point++) {
      const disk = new SimDisk();
      const truth: Truth = { wal: undefined, acked: 0 };
      if (!await cutAt(disk, point, () => work(disk, truth))) break;
      points++;
      const choices = new Choices();
      do {
        states++;
        const cut = disk.afterPowerCut(choices, "of writes");
        await checkOpened(cut, "boot-2", truth, `point ${point}, state ${states}`);
      } while (choices.next());
    }
    console.log(`log: ${points} crash points, ${states} states`);
    assert(points > 100 && states > 10_000);
  },
);

realTest(
  "log: killed at every operation of the start after a power cut, it gives no number twice",
  async () => {
    let starts = 0;
    for (let point = 0;; point++) {
      const disk = new SimDisk();
      const truth: Truth = { wal: undefined, acked: 0 };
      if (!await cutAt(disk, point, () => work(disk, truth))) break;
      for (let operation = 0;; operation++) {
        const cut = disk.afterPowerCut(seededRandom(point), "of writes");
        const killed = await cutAt(cut, operation, async () => void await openWal(cut, "boot-2"));
        if (!killed) break;
        starts++;
        await checkOpened(cut.afterKill(), "boot-2", truth, `point ${point}, start ${operation}`);
      }
    }
    console.log(`log: ${starts} starts cut short`);
    assert(starts > 100);
  },
);

realTest(
  "configuration: at every crash point it is the old one or the new one, and the new one once reported",
  async () => {
    const base = Object.fromEntries(
      Object.entries(NODE_SETTINGS).map(([name, { default: value }]) => [name, value]),
    ) as unknown as NodeSettings;
    let points = 0, states = 0;
    for (let point = 0;; point++) {
      const disk = new SimDisk();
      let reported = 0;
      const isCut = await cutAt(disk, point, async () => {
        const listener = await ConfigListener.load(disk, base);
        listener.onApply(() => Promise.resolve());
        for (const cfg_version of [1, 2, 3]) {
          const config = { send_interval_ms: 100 * cfg_version };
          const { ok } = await listener.receive({ cfg_version, config });
          if (ok) reported = cfg_version;
        }
      });
      if (!isCut) break;
      points++;
      const choices = new Choices();
      do {
        states++;
        const found = await ConfigListener.load(disk.afterPowerCut(choices, "of writes"), base);
        assert(found.version === reported || found.version === reported + 1, `point ${point}`);
        const wanted = found.version === 0 ? {} : { send_interval_ms: 100 * found.version };
        assertEquals(found.config, wanted);
      } while (choices.next());
    }
    console.log(`configuration: ${points} crash points, ${states} states`);
    assert(points >= 15);
  },
);
