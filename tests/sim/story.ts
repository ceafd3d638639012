/**
 * What goes wrong in a run, and when: a list that is made from the seed before the run starts, so that a
 * failing run can be shrunk by leaving steps out. Each step carries its own seed.
 */
import { seededRandom } from "../../lib/platform/seeded_random.ts";

/** The kinds of faults that a run can have, each with what it is. */
export const FAULTS = {
  cut: "every connection ends in the middle of whatever is under way",
  refuse: "new connections are refused",
  silence: "bytes vanish, both ends stay open and hear nothing",
  one_way: "bytes vanish in one direction only, and no new connection is made",
  delay: "bytes arrive up to 3 s late",
  host_crash: "the host's process ends at once and starts again later",
  host_step_crash: "the same, between two events a few steps on",
  host_restored: "the host comes back with an older copy of its store",
  host_wiped: "the host comes back without records",
  store_fails: "every commit of the store fails",
  node_kill: "a node's process ends at once and starts again later",
  node_step_kill: "the same, at a disk operation a few steps on",
  power_cut: "a device loses power; of what was not synced, any part survives",
  step_power_cut: "the same, at a disk operation a few steps on",
  disk_full: "a device's disk is full, with a short write first",
  sync_fails: "a device's syncs fail",
  write_fails: "a device's writes fail",
  slow_disk: "a device's syncs take up to 2 s",
  memory_full: "a device's memory-backed storage is full, with a short write first",
  memory_fails: "writes to a device's memory-backed storage fail",
  memory_removed: "somebody empties a device's memory-backed storage while the node runs",
  memory_lost: "a node's process ends, and its memory-backed storage goes with it",
  config_disk_fails: "a device's configuration can't be written",
  read_fails: "a file of a device's log, or a range of it, can't be read for a while",
  bit_flip: "a bit of a file flips while the device is off",
  lost_file: "a file vanishes while the device is off",
  node_wiped: "a device gets a new card",
  clock_jump: "a device's wall clock jumps by up to an hour",
  boot_1970: "a device starts with its wall clock at 1970",
  twin: "a second device uses the same node_id for a while",
  clone: "a second device runs for a while from a copy of the card",
  impatient: "a client of somebody else sends hello and records in one piece, and may leave early",
  config: "an operator sets a configuration for a node or all",
  bad_config: "an operator sets one that no node can use, or that only nodes can refuse",
} as const;
/** See {@linkcode FAULTS}. */
export type Fault = keyof typeof FAULTS;

/** The names of all kinds. */
export const FAULT_NAMES = Object.keys(FAULTS) as Fault[];

/** Kinds after which what was synced may rightly be lost: without them, each loss is a fault of ours. */
export const DESTRUCTIVE: readonly Fault[] = [
  "host_restored",
  "host_wiped",
  "disk_full",
  "sync_fails",
  "write_fails",
  "read_fails",
  "bit_flip",
  "lost_file",
  "node_wiped",
  "clone",
];

/** One thing that goes wrong. */
export interface Step {
  readonly atMs: number;
  readonly kind: Fault;
  /** Index of the device that it strikes, where it strikes one. */
  readonly device: number;
  readonly lastsMs: number;
  /** For all that is left to chance in it. */
  readonly seed: number;
}

/** How large a run is. */
export interface StoryOptions {
  readonly nodes: number;
  readonly minutes: number;
  /** The kinds that may happen; all unless given. */
  readonly only?: readonly Fault[];
}

/** The steps of one seed. A run leaves some kinds out and has others often; steps overlap. */
export function storyOf(seed: number, options: StoryOptions): Step[] {
  const random = seededRandom(seed);
  const kinds = options.only ?? FAULT_NAMES.filter(() => random.below(3) > 0);
  const steps: Step[] = [];
  const endMs = options.minutes * 60_000;
  const paceMs = [3_000, 10_000, 30_000][random.below(3)]!;
  if (kinds.length === 0) return steps;
  for (
    let atMs = 500 + random.below(paceMs);
    atMs < endMs;
    atMs += 100 + random.below(2 * paceMs)
  ) {
    steps.push({
      atMs,
      kind: kinds[random.below(kinds.length)]!,
      device: random.below(options.nodes),
      lastsMs: 200 + random.below([2_000, 30_000, 60_000][random.below(3)]!),
      seed: random.below(2 ** 31),
    });
  }
  return steps;
}
