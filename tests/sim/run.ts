/** Plays a story and says how it went. */
import { strike } from "./faults.ts";
import { type Fault, type Step, storyOf, type StoryOptions } from "./story.ts";
import { Violation, World, type WorldOptions } from "./world.ts";

/** How a run went. */
export interface Outcome {
  readonly seed: number;
  readonly error: string | undefined;
  readonly trace: readonly string[];
  /** The steps that happened. */
  readonly story: readonly Step[];
  readonly events: number;
  readonly virtualMs: number;
  readonly fired: Readonly<Partial<Record<Fault, number>>>;
  readonly stored: number;
  readonly gaps: number;
  /** Appended records that were held to every promise, and all. */
  readonly held: { readonly records: number; readonly of: number };
}

/** Longest that it may take until all is drained and quiet after the last fault. */
const HEAL_S = 240;
const QUIET_S = 30;
/** What an operator sets in the end: every node must come to it. */
const FINAL_CONFIG = { send_interval_ms: 444 };

/**
 * Runs one seed, or a story of its own in its world. Never rejects: what goes wrong is in the outcome.
 * `onNote` hears each line of the trace as it happens.
 */
export async function runSeed(
  seed: number,
  options: StoryOptions,
  story?: readonly Step[],
  onNote?: (note: string) => void,
): Promise<Outcome> {
  const fired: Partial<Record<Fault, number>> = {};
  const played: Step[] = [];
  const world = new World(seed, worldFor(seed, options.nodes));
  if (onNote !== undefined) world.onNote = onNote;
  let error: string | undefined;
  try {
    await world.startHost();
    for (const device of world.devices) await world.startNode(device);
    for (const step of story ?? storyOf(seed, options)) {
      await world.runUntil(step.atMs);
      fired[step.kind] = (fired[step.kind] ?? 0) + 1;
      played.push(step);
      strike(world, step);
    }
    await world.runUntil(options.minutes * 60_000);
    await heal(world);
    world.checkStore();
  } catch (caught) {
    error = caught instanceof Violation
      ? caught.message
      : `${caught instanceof Error ? caught.stack : caught}`;
    world.note(`VIOLATION ${error}`);
  }
  world.stop();
  let stored = 0, gaps = 0;
  for (const rows of world.durable.records.values()) stored += rows.size;
  for (const rows of world.durable.gaps.values()) gaps += rows.length;
  return {
    seed,
    error,
    trace: world.trace,
    story: played,
    events: world.kernel.steps,
    virtualMs: world.kernel.nowMs,
    fired,
    stored,
    gaps,
    held: world.held(),
  };
}

/** Some worlds sample fast, some have the real database beside the simulated store, some of these forget. */
function worldFor(seed: number, nodes: number): WorldOptions {
  // With a small log a tail in memory is soon full at such a rate; with a large one numbers are used up instead.
  const isFast = seed % 16 === 9, isFastAndLarge = seed % 32 === 17;
  return {
    nodes,
    settings: {
      // Large records, ten a second, fill a small log within a short outage.
      ...(seed % 12 === 5 ? { sensors: ["sim:spike_every_s=20,extra=40"] } : {}),
      sample_hz: isFast || isFastAndLarge ? 50 : [1, 2, 10][seed % 3]!,
      ring_records: [64, 256, 2_000][(seed >>> 2) % 3]!,
      wal_bytes_max: isFastAndLarge ? 4_194_304 : [131_072, 262_144, 4_194_304][(seed >>> 4) % 3]!,
      wal_sync: seed % 5 === 0 ? "always" as const : "interval" as const,
      encoding: seed % 7 < 5 ? "block" as const : "ndjson" as const,
    },
    hasDatabase: seed % 4 === 3,
    hasMemory: seed % 8 !== 3 && seed % 8 !== 6,
    ...(seed % 8 === 3 ? { retentionAgeMs: 120_000 } : {}),
  };
}

/**
 * All faults end, twins are taken away, what is down starts. Then every backlog must drain, everyone must
 * come to the newest configuration, and all must be quiet.
 */
export async function heal(world: World): Promise<void> {
  world.note("all faults end");
  world.calm = true;
  Object.assign(world.network.faults, {
    refuses: false,
    silent: false,
    oneWay: undefined,
    delayMsMax: 20,
  });
  for (const twin of world.extras) world.crashNode(twin, false);
  await world.startHost();
  world.store!.fails = false;
  for (const device of world.devices) {
    const { faults } = device.walDisk;
    Object.assign(faults, { syncFails: false, writeFails: false, readFails: false });
    Object.assign(faults, { capacity: Infinity, slow: undefined });
    faults.unreadable.clear();
    device.configDisk.faults.writeFails = false;
    if (device.memoryDisk !== undefined) {
      Object.assign(device.memoryDisk.faults, { writeFails: false, capacity: Infinity });
    }
    await world.startNode(device);
  }
  const due = new Map(world.devices.map(({ label, node }) => [label, node?.wal.nextSeq ?? 0]));
  await until(
    world,
    "drained",
    () =>
      world.devices.every(({ label, node }) =>
        node !== undefined && node.wal.highAcked >= due.get(label)! && node.wal.writable
      ),
  );
  await until(world, "acked to the client of somebody else", () => {
    if (!world.isForeignClientDone) void world.foreignClient.visit(4_000);
    return world.isForeignClientDone;
  });
  world.host!.setConfig("*", FINAL_CONFIG);
  await until(world, "on the newest configuration", () =>
    world.devices.every(({ id, node }) => {
      const desired = world.host!.configs.desired(id);
      return desired?.config.send_interval_ms === FINAL_CONFIG.send_interval_ms &&
        node?.cfgVersion === desired.cfg_version;
    }));
  const before = activity(world);
  await world.runUntil(world.kernel.nowMs + QUIET_S * 1_000);
  const after = activity(world);
  if (before !== after) throw new Violation(`not quiet: ${before} became ${after}`);
}

async function until(world: World, what: string, holds: () => boolean): Promise<void> {
  const endMs = world.kernel.nowMs + HEAL_S * 1_000;
  while (world.kernel.nowMs < endMs) {
    await world.runUntil(world.kernel.nowMs + 1_000);
    if (holds()) return;
  }
  const stuck = world.devices.map(({ label, node }) => {
    if (node === undefined) return `${label} is down`;
    const { backlog, gaps, lastError, highAcked, nextSeq, bytes } = node.wal;
    const { cfgVersion, link } = node;
    return JSON.stringify({
      label,
      backlog,
      bytes,
      gaps,
      lastError,
      highAcked,
      nextSeq,
      cfgVersion,
      link,
    });
  });
  throw new Violation(`not ${what} ${HEAL_S} s after all faults ended: ${stuck.join("\n")}`);
}

/** What must stand still where nothing goes wrong. */
function activity(world: World): string {
  const { connections, duplicates, bad_lines } = world.host!.counters;
  let gaps = 0;
  for (const rows of world.durable.gaps.values()) gaps += rows.length;
  const sessions = world.devices.map(({ node }) => node!.link.sessions);
  return JSON.stringify({ connections, duplicates, bad_lines, gaps, sessions });
}
