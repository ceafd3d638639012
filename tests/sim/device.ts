/** A device in the simulated world, and what its log's files may hold. */
import {
  type Checkpoint,
  CHECKPOINT_NAME,
  decodeSlot,
  parseSegmentName,
  SLOT_BYTES,
} from "../../lib/wal/format.ts";
import type { Node } from "../../lib/node/node.ts";
import { SimDisk } from "./disk.ts";
import type { MachineClock } from "./kernel.ts";
import { type EpochTruth, Evidence } from "./oracle.ts";

/** What wall clocks say as the world begins. */
export const START_WALL_MS = 1_763_900_000_000;

/** A device: what outlives its node's process, and the process while there is one. */
export class Device {
  readonly id: string;
  /** Tells a twin from the device whose id it uses. */
  readonly label: string;
  readonly rate: number;
  readonly evidence = new Evidence();
  walDisk = new SimDisk();
  configDisk = new SimDisk();
  /** Memory-backed storage, which a kill leaves and a power cut takes; not every device has some. */
  memoryDisk: SimDisk | undefined;
  clock: MachineClock | undefined;
  node: Node | undefined;
  bootWallMs = START_WALL_MS;
  osBoot = 1;
  run = 0;
  /** Highest version of a configuration that it said to be in force. */
  cfgReported = 0;
  /** When this run's records were appended. */
  appendedAtMs = new Map<number, number>();
  /** Of the epoch that it is or was in last. */
  truth: EpochTruth | undefined;

  constructor(id: string, label: string, rate: number, hasMemory: boolean) {
    this.id = id;
    this.label = label;
    this.rate = rate;
    if (hasMemory) this.memoryDisk = new SimDisk();
  }

  /** What a start after a power cut now would find in its checkpoint. */
  get checkpoint(): Checkpoint | undefined {
    const bytes = this.walDisk.durableBytes(CHECKPOINT_NAME);
    const slots = [0, 1].map((index) =>
      decodeSlot(bytes.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES))
    ).filter((slot) => slot !== undefined).sort((a, b) => b.turn - a.turn);
    return slots[0];
  }

  /** A file of the log can't be read: what only it holds may be lost. */
  markUnreadable(name: string): void {
    if (name === CHECKPOINT_NAME) this.evidence.checkpointLost = true;
    const segment = parseSegmentName(name);
    const { truth, walDisk } = this;
    if (segment === undefined || truth === undefined) return;
    truth.unreadableNow(segment.base, lastSeqOf(walDisk, segment.turn) ?? truth.maxAppended);
  }
}

/** Last seq that the segment with that turn can hold; `undefined` for the newest. */
export function lastSeqOf(disk: SimDisk, turn: number): number | undefined {
  const next = disk.namesNow.map((name) => parseSegmentName(name))
    .filter((other) => other !== undefined && other.turn > turn)
    .sort((a, b) => a!.turn - b!.turn)[0];
  return next === undefined ? undefined : next.base - 1;
}
