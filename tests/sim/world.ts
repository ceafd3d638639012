/**
 * Host and nodes of the real code in a simulated world, with an oracle beside it that knows what was sampled.
 * One seed decides everything.
 */
import { HOST_SETTINGS } from "../../lib/config/host_settings.ts";
import { NODE_SETTINGS, type NodeSettings } from "../../lib/config/node_settings.ts";
import type { SettingTable, ValuesOf } from "../../lib/config/setting.ts";
import { Host, limitsOf } from "../../lib/host/host.ts";
import { Node } from "../../lib/node/node.ts";
import type { Random } from "../../lib/platform/platform.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import type { SensorRuntime } from "../../lib/node/sensors/sensor.ts";
import { SimDisk } from "./disk.ts";
import { Kernel, MachineClock } from "./kernel.ts";
import { Network } from "./network.ts";
import { Durable, SimStore } from "./store.ts";

const ADDRESS = "host:7400";
const START_WALL_MS = 1_763_900_000_000;

function defaults<T extends SettingTable>(table: T): ValuesOf<T> {
  return Object.fromEntries(
    Object.entries(table).map(([name, setting]) => [name, structuredClone(setting.default)]),
  ) as ValuesOf<T>;
}

/** A device: what outlives its node's process, and the process while there is one. */
class Device {
  readonly id: string;
  walDisk = new SimDisk();
  configDisk = new SimDisk();
  clock: MachineClock | undefined;
  node: Node | undefined;
  osBoot = 1;
  run = 0;
  /** A fault struck that may destroy what was synced: damage, eviction, a failing disk, a host's loss. */
  mayLose = false;
  /** Highest seq that was ever synced, by node and epoch. */
  readonly synced = new Map<string, number>();
  /** Numbers that were skipped at a start, by node and epoch. */
  readonly skipped = new Map<string, [number, number][]>();
  constructor(id: string) {
    this.id = id;
  }

  /** Whether `seq` was skipped and so never named a record. */
  jumped(key: string, seq: number): boolean {
    return (this.skipped.get(key) ?? []).some(([from, to]) => from <= seq && seq <= to);
  }
}

/** What went wrong, if anything. */
export class Violation extends Error {}

/** See the head of the file. */
export class World {
  readonly kernel = new Kernel();
  readonly random: Random;
  readonly network: Network;
  readonly devices: Device[];
  /** What happened, for the trace. */
  readonly trace: string[] = [];
  durable = new Durable();
  backup: Durable | undefined;
  hostClock: MachineClock | undefined;
  host: Host | undefined;
  store: SimStore | undefined;
  /** Faults after which a gap may rightly cover what was once acked or sent. */
  hostLostData = false;
  #settings: Partial<NodeSettings>;

  constructor(seed: number, nodes: number, settings: Partial<NodeSettings> = {}) {
    this.random = seededRandom(seed);
    this.network = new Network(this.kernel, seededRandom(seed ^ 0x5bd1e995));
    this.devices = Array.from({ length: nodes }, (_, index) => new Device(`node-${index + 1}`));
    this.#settings = settings;
  }

  note(what: string): void {
    this.trace.push(`${(this.kernel.nowMs / 1_000).toFixed(3)} ${what}`);
  }

  async startHost(): Promise<void> {
    this.note("host starts");
    const settings = defaults(HOST_SETTINGS);
    const clock = this.hostClock = new MachineClock(this.kernel, START_WALL_MS);
    const store = this.store = new SimStore(this.durable, clock);
    this.host = await Host.start({
      store,
      clock,
      random: seededRandom(this.random.below(2 ** 31)),
      transport: this.network.transport(clock),
      version: "sim",
      ...limitsOf({ ...settings, listen: ADDRESS }),
      faults: [],
    });
  }

  crashHost(): void {
    if (this.hostClock === undefined) return;
    this.note("host crashes");
    this.hostClock.stop();
    this.network.machineGone(this.hostClock);
    this.network.unlisten(ADDRESS);
    this.hostClock = this.host = this.store = undefined;
  }

  async startNode(device: Device): Promise<void> {
    this.note(`${device.id} starts`);
    device.run++;
    const clock = device.clock = new MachineClock(this.kernel, START_WALL_MS);
    const settings = {
      ...defaults(NODE_SETTINGS),
      host: ADDRESS,
      encoding: "ndjson" as const,
      sensors: ["sim:spike_every_s=20"],
      ...this.#settings,
    };
    device.node = await Node.start({
      settings,
      nodeId: device.id,
      version: "sim",
      walDisk: device.walDisk,
      configDisk: device.configDisk,
      clock,
      random: seededRandom(this.random.below(2 ** 31)),
      transport: this.network.transport(clock),
      sensors: sensorsOf(clock),
      bootId: `${device.id}-run-${device.run}`,
      osBootId: `${device.id}-boot-${device.osBoot}`,
    });
    const { wal } = device.node;
    const key = `${device.id} ${wal.epoch}`;
    const synced = device.synced.get(key) ?? 0;
    if (wal.runFirstSeq <= synced && !device.mayLose) {
      throw new Violation(`${key}: number ${wal.runFirstSeq} is given again, ${synced} was synced`);
    }
    const skips = device.skipped.get(key) ?? [];
    skips.push([synced + 1, wal.runFirstSeq - 1]);
    device.skipped.set(key, skips);
  }

  /** Ends a node's process at once; with `power` the device, too. */
  crashNode(device: Device, power: boolean): void {
    if (device.clock === undefined) return;
    if (device.node !== undefined) {
      this.#note(`${device.id} ${device.node.wal.epoch}`, device.id, device.node);
    }
    this.note(`${device.id} ${power ? "loses power" : "is killed"}`);
    device.clock.stop();
    this.network.machineGone(device.clock);
    device.clock = device.node = undefined;
    if (power) device.osBoot++;
    const faults = device.walDisk.faults;
    device.walDisk = power ? device.walDisk.afterPowerCut(this.random) : device.walDisk.afterKill();
    Object.assign(device.walDisk.faults, faults);
    device.configDisk = power
      ? device.configDisk.afterPowerCut(this.random)
      : device.configDisk.afterKill();
  }

  run(seconds: number): Promise<void> {
    return this.kernel.runUntil(this.kernel.nowMs + seconds * 1_000);
  }

  /** Ends all faults, starts what is down, and waits until every backlog is drained. */
  async heal(secondsMax: number): Promise<void> {
    this.note("all faults end");
    Object.assign(this.network.faults, { refuses: false, silent: false, delayMsMax: 20 });
    if (this.host === undefined) await this.startHost();
    this.store!.fails = false;
    for (const device of this.devices) {
      Object.assign(device.walDisk.faults, {
        capacity: Infinity,
        syncFails: false,
        writeFails: false,
        readFails: false,
      });
      if (device.node === undefined) await this.startNode(device);
    }
    for (let waited = 0; waited < secondsMax; waited++) {
      await this.run(1);
      if (this.devices.every(({ node }) => node!.wal.backlog < 100 && node!.wal.writable)) return;
    }
    const stuck = (await Promise.all(this.devices.map(async ({ id, node }) => {
      const { link, backlog, gaps, wal, high_acked, next_seq } = await node!.status();
      return JSON.stringify({ id, backlog, gaps, wal, high_acked, next_seq, link });
    }))).join("\n");
    throw new Violation(`not drained ${secondsMax} s after all faults ended: ${stuck}`);
  }

  /** Every number is stored once or declared, and no sample is stored under two numbers. */
  check(): void {
    for (const [key, state] of this.durable.epochs) {
      const rows = this.durable.records.get(key) ?? new Map();
      const gaps = this.durable.gaps.get(key) ?? [];
      const declared = new Set<number>();
      for (const { from_seq, to_seq } of gaps) {
        for (let seq = from_seq; seq <= to_seq; seq++) {
          if (declared.has(seq)) throw new Violation(`${key}: seq ${seq} is declared twice`);
          if (rows.has(seq)) throw new Violation(`${key}: seq ${seq} is stored and declared lost`);
          declared.add(seq);
        }
      }
      for (let seq = 1; seq <= state.high_acked; seq++) {
        if (!rows.has(seq) && !declared.has(seq)) {
          throw new Violation(`${key}: seq ${seq} of ${state.high_acked} is lost in silence`);
        }
      }
      this.#checkLoss(key, rows, declared);
      const samples = new Map<string, number>();
      for (const [seq, row] of rows) {
        const { boot_id, ts_mono_ms } = JSON.parse(row.payload);
        const sample = `${boot_id} ${ts_mono_ms}`;
        const other = samples.get(sample);
        if (other !== undefined) {
          throw new Violation(`${key}: ${sample} is seq ${other} and ${seq}`);
        }
        samples.set(sample, seq);
      }
    }
  }

  /**
   * What was lost must have had a cause. Without a fault that can destroy records, no gap may hold a number
   * that was given to a sample: only numbers that a power cut made unusable.
   */
  #checkLoss(key: string, rows: ReadonlyMap<number, unknown>, declared: ReadonlySet<number>): void {
    const [nodeId] = key.split(" ");
    const device = this.devices.find(({ id }) => id === nodeId)!;
    const given = device.synced.get(key) ?? 0;
    if (device.mayLose) return;
    for (let seq = 1; seq <= given; seq++) {
      if (!rows.has(seq) && declared.has(seq) && !device.jumped(key, seq)) {
        throw new Violation(`${key}: seq ${seq} was synced and is declared lost without a cause`);
      }
    }
  }

  /** An ack speaks only of what is durable, and the log's bounds hold. Cheap; to be called often. */
  checkNow(): void {
    for (const { id, node, walDisk } of this.devices) {
      if (node === undefined) continue;
      const state = this.durable.epochs.get(`${id} ${node.wal.epoch}`);
      const durable = state?.high_acked ?? 0;
      if (node.wal.highAcked > durable && !this.hostLostData) {
        throw new Violation(`${id}: acked ${node.wal.highAcked}, durable are ${durable}`);
      }
      const key = `${id} ${node.wal.epoch}`;
      this.#note(key, id, node);
      if (walDisk.bytes > node.wal.bytesMax) {
        throw new Violation(`${id}: log has ${walDisk.bytes} bytes, limit ${node.wal.bytesMax}`);
      }
    }
  }

  #note(key: string, id: string, node: Node): void {
    const device = this.devices.find((other) => other.id === id)!;
    device.synced.set(key, Math.max(device.synced.get(key) ?? 0, node.wal.syncedSeq));
    if (node.wal.stats.evicted_records > 0 || !node.wal.writable) device.mayLose = true;
    if (node.wal.stats.renumbered_records > 0) device.mayLose = true;
  }

  stop(): void {
    this.crashHost();
    for (const device of this.devices) this.crashNode(device, false);
  }
}

function sensorsOf(clock: MachineClock): SensorRuntime {
  const refuse = () => Promise.reject(new Error("there is none in the simulator"));
  return {
    clock,
    seeded: seededRandom,
    readText: refuse,
    listDirectory: () => Promise.resolve([]),
    run: refuse,
    diskSpace: () => Promise.resolve(undefined),
  };
}
