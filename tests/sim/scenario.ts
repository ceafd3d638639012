/** One seed's story: which faults happen when. Some kinds are left out of each run, others come often. */
import { Violation, World } from "./world.ts";

/** The kinds of faults that a run can have. */
export const FAULTS = [
  "cut",
  "refuse",
  "silence",
  "host_crash",
  "host_restored",
  "host_wiped",
  "store_fails",
  "node_kill",
  "power_cut",
  "disk_full",
  "sync_fails",
  "write_fails",
  "clock_jump",
  "bit_flip",
  "config",
  "bad_config",
] as const;
/** See {@linkcode FAULTS}. */
export type Fault = typeof FAULTS[number];

/** How a run went. */
export interface Outcome {
  readonly seed: number;
  readonly error: string | undefined;
  readonly trace: readonly string[];
  readonly steps: number;
  readonly virtualMs: number;
  readonly fired: ReadonlyMap<Fault, number>;
  readonly stored: number;
  readonly gaps: number;
}

/** Runs one seed. Never rejects: what goes wrong is in the outcome. */
export async function runSeed(
  seed: number,
  options: { nodes: number; minutes: number; only?: readonly Fault[] },
): Promise<Outcome> {
  const fired = new Map<Fault, number>();
  const world = new World(seed, options.nodes, settingsFor(seed));
  let error: string | undefined;
  try {
    await world.startHost();
    for (const device of world.devices) await world.startNode(device);
    const kinds = options.only ?? FAULTS.filter(() => world.random.below(3) > 0);
    const endMs = world.kernel.nowMs + options.minutes * 60_000;
    while (world.kernel.nowMs < endMs) {
      await world.run(0.5 + world.random.below(10_000) / 1_000);
      world.checkNow();
      const kind = kinds[world.random.below(Math.max(1, kinds.length))];
      if (kind === undefined) continue;
      fired.set(kind, (fired.get(kind) ?? 0) + 1);
      await strike(world, kind);
      world.checkNow();
    }
    await world.heal(180);
    world.checkNow();
    world.check();
  } catch (caught) {
    error = caught instanceof Violation
      ? caught.message
      : `${caught instanceof Error ? caught.stack : caught}`;
  }
  world.stop();
  let stored = 0, gaps = 0;
  for (const rows of world.durable.records.values()) stored += rows.size;
  for (const rows of world.durable.gaps.values()) gaps += rows.length;
  const { steps, nowMs } = world.kernel;
  return { seed, error, trace: world.trace, steps, virtualMs: nowMs, fired, stored, gaps };
}

function settingsFor(seed: number) {
  return {
    sample_hz: [1, 2, 10][seed % 3]!,
    ring_records: [64, 256, 2_000][(seed >>> 2) % 3]!,
    wal_bytes_max: [131_072, 262_144, 4_194_304][(seed >>> 4) % 3]!,
    wal_sync: seed % 5 === 0 ? "always" as const : "interval" as const,
  };
}

/** Makes a fault happen, and ends those that last. */
async function strike(world: World, kind: Fault): Promise<void> {
  const { random, network } = world;
  const device = world.devices[random.below(world.devices.length)]!;
  const lastsS = 0.2 + random.below(30_000) / 1_000;
  world.note(`fault ${kind} ${device.id} ${lastsS} s`);
  if (["bit_flip", "disk_full", "write_fails", "sync_fails"].includes(kind)) device.mayLose = true;
  if (["host_wiped", "host_restored"].includes(kind)) {
    for (const every of world.devices) every.mayLose = true;
  }
  switch (kind) {
    case "cut":
      return network.cutAll();
    case "refuse":
      return await during(world, lastsS, (on) => network.faults.refuses = on);
    case "silence":
      return await during(world, lastsS, (on) => network.faults.silent = on);
    case "store_fails":
      return await during(world, lastsS, (on) => {
        if (world.store !== undefined) world.store.fails = on;
      });
    case "host_crash":
    case "host_restored":
    case "host_wiped":
      return await hostFault(world, kind, lastsS);
    case "node_kill":
    case "power_cut":
      world.crashNode(device, kind === "power_cut");
      await world.run(lastsS / 3);
      return await world.startNode(device);
    case "disk_full":
      return await during(world, lastsS, (on) => {
        device.walDisk.faults.capacity = on ? device.walDisk.bytes + random.below(600) : Infinity;
      });
    case "sync_fails":
      return await during(world, lastsS, (on) => device.walDisk.faults.syncFails = on);
    case "write_fails":
      return await during(world, lastsS, (on) => device.walDisk.faults.writeFails = on);
    case "clock_jump":
      if (device.clock !== undefined) {
        device.clock.wallOffsetMs += random.below(7_200_000) - 3_600_000;
      }
      return;
    case "bit_flip":
      return await damage(world, device);
    case "config":
    case "bad_config": {
      const config = kind === "config"
        ? { send_interval_ms: random.below(3_000) }
        : { sample_hz: -1 };
      // A host that goes down in the middle never answers; the story goes on without it.
      world.host?.setConfig(random.below(2) === 0 ? device.id : "*", config).catch(() => {});
    }
  }
}

async function hostFault(world: World, kind: Fault, lastsS: number): Promise<void> {
  if (kind === "host_crash" && world.random.below(4) === 0) world.backup = world.durable.copy();
  world.crashHost();
  if (kind === "host_restored" && world.backup !== undefined) {
    world.durable = world.backup.copy();
    world.hostLostData = true;
  }
  if (kind === "host_wiped") {
    world.durable = Object.assign(world.durable.copy(), {
      records: new Map(),
      gaps: new Map(),
      epochs: new Map(),
    });
    world.hostLostData = true;
  }
  await world.run(lastsS);
  await world.startHost();
}

/** Damage on the medium while the node is off; its start must cope. */
async function damage(world: World, device: World["devices"][number]): Promise<void> {
  world.crashNode(device, true);
  const names = await device.walDisk.list();
  const name = names[world.random.below(Math.max(1, names.length))];
  if (name !== undefined) {
    const size = device.walDisk.sizeOf(name);
    if (size > 0) device.walDisk.damage(name, "flip", world.random.below(8 * size));
  }
  await world.run(1);
  await world.startNode(device);
}

async function during(world: World, seconds: number, turn: (on: boolean) => void): Promise<void> {
  turn(true);
  await world.run(seconds);
  turn(false);
}
