/** What each kind of fault does to the world. Faults overlap; each ends by itself. */
import { CHECKPOINT_NAME } from "../../lib/wal/format.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { SimDisk } from "./disk.ts";
import type { Fault, Step } from "./story.ts";
import { Device } from "./device.ts";
import type { World } from "./world.ts";

type Strike = (world: World, step: Step, device: Device) => void;

/** Disk operations or events within which a crash "a few steps on" happens. */
const STEPS_MAX = 40;

/** Makes a step happen. */
export function strike(world: World, step: Step): void {
  const device = world.devices[step.device]!;
  world.note(`fault ${step.kind} ${device.label} ${step.lastsMs / 1_000} s`);
  STRIKES[step.kind](world, step, device);
}

const STRIKES: Record<Fault, Strike> = {
  cut: ({ network }) => network.cutAll(),
  refuse: during(({ network }, on) => network.faults.refuses = on),
  silence: during(({ network }, on) => network.faults.silent = on),
  one_way: during(({ network }, on, seed) => {
    network.faults.oneWay = on ? (["up", "down"] as const)[seed % 2] : undefined;
  }),
  delay: during(({ network }, on) => network.faults.delayMsMax = on ? 3_000 : 20),
  host_crash: (world, { lastsMs, seed }) => {
    if (seed % 4 === 0) world.backup = world.durable.copy();
    world.crashHost();
    world.later(lastsMs, () => world.startHost());
  },
  host_step_crash: (world, { lastsMs, seed }) => {
    world.kernel.afterSteps(1 + seed % STEPS_MAX, () => {
      if (world.calm) return;
      world.crashHost();
      world.later(lastsMs, () => world.startHost());
    });
  },
  host_restored: (world, { lastsMs }) => {
    world.crashHost();
    if (world.backup !== undefined) {
      world.hostLoses();
      world.durable = world.backup.copy();
    } else world.backup = world.durable.copy();
    world.later(lastsMs, () => world.startHost());
  },
  host_wiped: (world, { lastsMs }) => {
    world.crashHost();
    world.hostLoses();
    const durable = world.durable.copy();
    durable.clearRecords();
    world.durable = durable;
    world.later(lastsMs, () => world.startHost());
  },
  store_fails: during(({ store }, on) => {
    if (store !== undefined) store.fails = on;
  }),
  node_kill: (world, step, device) => restart(world, step, device, false),
  power_cut: (world, step, device) => restart(world, step, device, true),
  node_step_kill: (world, step, device) => restartAtStep(world, step, device, false),
  step_power_cut: (world, step, device) => restartAtStep(world, step, device, true),
  disk_full: onDisk((disk, on, seed) => {
    disk.faults.capacity = on ? disk.bytes + seed % 600 : Infinity;
  }),
  sync_fails: onDisk((disk, on) => disk.faults.syncFails = on),
  write_fails: onDisk((disk, on) => disk.faults.writeFails = on),
  slow_disk: (world, { lastsMs, seed }, device) => {
    const random = seededRandom(seed);
    const wait = () =>
      new Promise<void>((resolve) => world.later(random.below(2_000), () => resolve()));
    device.evidence.diskSlow = true;
    device.walDisk.faults.slow = wait;
    world.later(lastsMs, () => void (device.walDisk.faults.slow = undefined));
  },
  memory_full: onMemory((memory, on, seed) => {
    memory.faults.capacity = on ? memory.bytes + seed % 600 : Infinity;
  }),
  memory_fails: onMemory((memory, on) => memory.faults.writeFails = on),
  memory_removed: (_world, _step, device) => {
    device.evidence.memoryFailed = true;
    for (const name of device.memoryDisk?.namesNow ?? []) {
      device.memoryDisk!.damage(name, "remove", 0);
    }
  },
  memory_lost: (world, { lastsMs, seed }, device) => {
    world.crashNode(device, false, seed);
    if (device.memoryDisk !== undefined) {
      device.memoryDisk = new SimDisk();
      device.evidence.memoryLost = true;
    }
    world.later(lastsMs / 3, () => world.startNode(device));
  },
  config_disk_fails: (world, { lastsMs }, device) => {
    device.evidence.configLost = true;
    device.configDisk.faults.writeFails = true;
    world.later(lastsMs, () => void (device.configDisk.faults.writeFails = false));
  },
  read_fails: (world, step, device) => {
    const random = seededRandom(step.seed);
    const names = device.walDisk.namesNow;
    const name = names[random.below(Math.max(1, names.length))];
    if (name === undefined) return;
    const from = random.below(2) === 0 ? 0 : random.below(1 + device.walDisk.lengthNow(name));
    const to = from === 0 ? Infinity : from + 1 + random.below(2_000);
    device.walDisk.faults.unreadable.set(name, { from, to });
    device.markUnreadable(name);
    if (random.below(2) === 0) restart(world, step, device, false);
    world.later(step.lastsMs, () => {
      device.markUnreadable(name);
      device.walDisk.faults.unreadable.delete(name);
    });
  },
  bit_flip: (world, step, device) =>
    whileOff(world, step, device, (disk, name, random) => {
      disk.damage(name, "flip", random.below(8 * disk.lengthNow(name)));
    }),
  lost_file: (world, step, device) =>
    whileOff(world, step, device, (disk, name) => disk.damage(name, "remove", 0)),
  node_wiped: (world, { lastsMs, seed }, device) => {
    world.crashNode(device, true, seed);
    device.walDisk = new SimDisk();
    device.configDisk = new SimDisk();
    device.cfgReported = 0;
    world.later(lastsMs / 3, () => world.startNode(device));
  },
  clock_jump: (_world, { seed }, device) => {
    if (device.clock !== undefined) device.clock.wallOffsetMs += seed % 7_200_000 - 3_600_000;
  },
  boot_1970: (world, { lastsMs, seed }, device) => {
    world.crashNode(device, true, seed);
    device.bootWallMs = 0;
    world.later(lastsMs / 3, () => world.startNode(device));
  },
  twin: (world, { lastsMs }, device) => addTwin(world, device, new SimDisk(), lastsMs),
  clone: (world, { lastsMs }, device) => {
    device.truth?.clonedNow();
    addTwin(world, device, device.walDisk.clone(), lastsMs);
  },
  impatient: ({ foreignClient }, { lastsMs, seed }) => {
    foreignClient.records(1 + seed % 40);
    void foreignClient.visit(seed % 3 === 0 ? 0 : lastsMs);
  },
  config: (world, { seed }, device) => {
    const config = [
      { send_interval_ms: seed % 3_000 },
      { sample_hz: 1 + seed % 5 },
      { downsample_max: 1 + seed % 32, send_interval_ms: 200 },
    ][seed % 3]!;
    setConfig(world, seed % 2 === 0 ? device.id : "*", config);
  },
  bad_config: (world, { seed }, device) => {
    const config = [{ sample_hz: -1 }, { nonsense: 1 }, { sensors: ["nosuch"] }][seed % 3]!;
    setConfig(world, seed % 2 === 0 ? device.id : "*", config);
  },
};

/** A fault of the world that is turned on and off. */
function during(turn: (world: World, on: boolean, seed: number) => void): Strike {
  return (world, { lastsMs, seed }) => {
    turn(world, true, seed);
    world.later(lastsMs, () => turn(world, false, seed));
  };
}

/** A fault of a device's disk, whichever it has by the time that the fault ends. */
function onDisk(turn: (disk: SimDisk, on: boolean, seed: number) => void): Strike {
  return (world, { lastsMs, seed }, device) => {
    device.evidence.diskFailed = true;
    turn(device.walDisk, true, seed);
    world.later(lastsMs, () => turn(device.walDisk, false, seed));
  };
}

/** The same of its memory-backed storage, where it has some. */
function onMemory(turn: (memory: SimDisk, on: boolean, seed: number) => void): Strike {
  return (world, { lastsMs, seed }, device) => {
    device.evidence.memoryFailed = true;
    const turnNow = (on: boolean) => {
      if (device.memoryDisk !== undefined) turn(device.memoryDisk, on, seed);
    };
    turnNow(true);
    world.later(lastsMs, () => turnNow(false));
  };
}

function restart(world: World, { lastsMs, seed }: Step, device: Device, power: boolean): void {
  world.crashNode(device, power, seed);
  world.later(lastsMs / 3, () => world.startNode(device));
}

function restartAtStep(world: World, step: Step, device: Device, power: boolean): void {
  let left = 1 + step.seed % STEPS_MAX;
  for (const disk of [device.walDisk, device.memoryDisk]) {
    if (disk === undefined) continue;
    const before = disk.onChange;
    disk.onChange = (what, name) => {
      if (--left === 0 && !world.calm) restart(world, step, device, power);
      else before?.(what, name);
    };
  }
}

function whileOff(
  world: World,
  { lastsMs, seed }: Step,
  device: Device,
  damage: (disk: SimDisk, name: string, random: ReturnType<typeof seededRandom>) => void,
): void {
  world.crashNode(device, true, seed);
  device.truth?.damagedNow();
  const random = seededRandom(seed);
  const names = device.walDisk.namesNow.filter((name) => device.walDisk.lengthNow(name) > 0);
  const name = names[random.below(Math.max(1, names.length))];
  if (name !== undefined) damage(device.walDisk, name, random);
  if (name === CHECKPOINT_NAME && device.memoryDisk !== undefined) {
    device.truth?.reservationLostNow();
  }
  world.later(lastsMs / 3, () => world.startNode(device));
}

function addTwin(world: World, device: Device, disk: SimDisk, lastsMs: number): void {
  const label = `${device.id}-twin-${world.extras.length + 1}`;
  const twin = new Device(device.id, label, 1, device.memoryDisk !== undefined);
  twin.walDisk = disk;
  world.extras.push(twin);
  world.startNode(twin);
  world.later(lastsMs, () => world.crashNode(twin, false));
}

/** A host that goes down in the middle never answers; the story goes on without it. */
function setConfig(world: World, target: string, config: Record<string, unknown>): void {
  const { host } = world;
  host?.setConfig(target, config).then((result) => {
    world.note(`config for ${target}: ${result.ok ? result.row.cfg_version : result.error}`);
  }, () => {});
}
