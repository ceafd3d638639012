/**
 * Host and nodes of the real code in a simulated world, with the oracle watching. One seed decides everything.
 */
import { HOST_SETTINGS } from "../../lib/config/host_settings.ts";
import { NODE_SETTINGS, type NodeSettings } from "../../lib/config/node_settings.ts";
import type { SettingTable, ValuesOf } from "../../lib/config/setting.ts";
import { creditFor } from "../../lib/host/credit.ts";
import { Host, limitsOf } from "../../lib/host/host.ts";
import { Node } from "../../lib/node/node.ts";
import type { SensorRuntime } from "../../lib/node/sensors/sensor.ts";
import type { Connection, Transport } from "../../lib/platform/platform.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import type { RecordContent } from "../../lib/protocol/record.ts";
import type { RecordRow } from "../../lib/store/store.ts";
import { parseSegmentName, reservedBy } from "../../lib/wal/format.ts";
import { type Flags, noFlags, openedIn, wrongColumn, wrongFlags, wrongWithRun } from "./content.ts";
import { Device, lastSeqOf, START_WALL_MS } from "./device.ts";
import { SimDisk } from "./disk.ts";
import { Kernel, MachineClock } from "./kernel.ts";
import { Network } from "./network.ts";
import { type EpochTruth, Oracle, sampleOf } from "./oracle.ts";
import { ForeignClient } from "./foreign_client.ts";
import { RealEngine } from "./real_engine.ts";
import { Durable, SimStore } from "./store.ts";
import { LinkTap } from "./tap.ts";

const ADDRESS = "host:7400";
/** How long the host takes to write events after the records that they come from, at most. */
const EVENTS_WRITTEN_MS = 5_000;

function defaults<T extends SettingTable>(table: T): ValuesOf<T> {
  return Object.fromEntries(
    Object.entries(table).map(([name, setting]) => [name, structuredClone(setting.default)]),
  ) as ValuesOf<T>;
}

const SYNC_MS = NODE_SETTINGS.wal_sync_interval_ms.default;

const HOST_LIMITS = limitsOf({ ...defaults(HOST_SETTINGS), listen: ADDRESS });

/** What a world is made of, beside its seed. */
export interface WorldOptions {
  readonly nodes: number;
  readonly settings?: Partial<NodeSettings>;
  /** The production's database runs beside the simulated store. */
  readonly hasDatabase?: boolean;
  /** Devices have memory-backed storage for the tails of their logs. */
  readonly hasMemory?: boolean;
  /** How long that keeps records; for ever unless given. */
  readonly retentionAgeMs?: number;
}

/** What went wrong, if anything. */
export class Violation extends Error {}

/** See the head of the file. */
export class World {
  readonly kernel = new Kernel();
  readonly network: Network;
  readonly oracle = new Oracle();
  readonly devices: Device[];
  /** Devices that an operator takes away in the end. */
  readonly extras: Device[] = [];
  /** What happened, for the trace. */
  readonly trace: string[] = [];
  onNote: ((note: string) => void) | undefined;
  #durable = new Durable();
  backup: Durable | undefined;
  hostClock: MachineClock | undefined;
  host: Host | undefined;
  store: SimStore | undefined;
  /** All faults have ended: what was still to happen doesn't. */
  calm = false;
  /** A client of somebody else; made when it is first wanted. */
  #foreignClient: ForeignClient | undefined;
  #seed: number;
  #starts = 0;
  #hostStarts = 0;
  #options: WorldOptions;

  constructor(seed: number, options: WorldOptions) {
    const random = seededRandom(seed ^ 0x1234567);
    this.#seed = random.below(2 ** 31);
    this.network = new Network(this.kernel, seededRandom(random.below(2 ** 31)));
    this.devices = Array.from({ length: options.nodes }, (_, index) => {
      const id = `node-${index + 1}`;
      const rate = 1 + (random.below(2_001) - 1_000) / 1e6;
      return new Device(id, id, rate, options.hasMemory ?? false);
    });
    this.#options = options;
    this.durable = new Durable();
  }

  /** What the host's disk holds. */
  get durable(): Durable {
    return this.#durable;
  }
  set durable(durable: Durable) {
    this.#durable.real?.close();
    this.#durable = durable;
    if (!this.#options.hasDatabase) return;
    const { kernel } = this;
    const wallMs = START_WALL_MS + kernel.nowMs;
    durable.real = new RealEngine(durable, () => kernel.nowMs, wallMs);
  }

  get foreignClient(): ForeignClient {
    return this.#foreignClient ??= new ForeignClient(this, ADDRESS, START_WALL_MS);
  }
  /** Whether all that a client of somebody else ever recorded is acked. */
  get isForeignClientDone(): boolean {
    return this.#foreignClient?.isDone ?? true;
  }

  note(what: string): void {
    const note = `${(this.kernel.nowMs / 1_000).toFixed(3)} ${what}`;
    this.trace.push(note);
    this.onNote?.(note);
  }

  /** Starts the host where there is none. */
  async startHost(): Promise<void> {
    if (this.hostClock !== undefined) return;
    this.note("host starts");
    this.#hostStarts++;
    const clock = this.hostClock = new MachineClock(this.kernel, START_WALL_MS);
    const store = this.store = new SimStore(this.durable, clock);
    this.host = await Host.start({
      store,
      clock,
      random: this.#random(),
      transport: this.network.transport(clock),
      version: "sim",
      ...HOST_LIMITS,
      retentionAgeMs: this.#options.retentionAgeMs ?? 0,
      faults: [],
    });
  }

  crashHost(): void {
    if (this.hostClock === undefined) return;
    this.note("host crashes");
    this.hostClock.stop();
    this.network.machineGone(this.hostClock, true);
    this.network.unlisten(ADDRESS);
    this.hostClock = this.host = this.store = undefined;
  }

  /** Starts a device's node where there is none. */
  async startNode(device: Device): Promise<void> {
    if (device.clock !== undefined) return;
    this.note(`${device.label} starts`);
    device.run++;
    const offset = device.bootWallMs - this.kernel.nowMs;
    const clock = device.clock = new MachineClock(this.kernel, offset, device.rate);
    device.walDisk.onChange = (what, name) => this.#onDisk(device, what, name);
    const node = await Node.start({
      settings: {
        ...defaults(NODE_SETTINGS),
        host: ADDRESS,
        sensors: ["sim:spike_every_s=20"],
        ...this.#options.settings,
      },
      nodeId: device.id,
      version: "sim",
      walDisk: device.walDisk,
      memoryDisk: device.memoryDisk,
      configDisk: device.configDisk,
      clock,
      random: this.#random(),
      transport: this.#tapped(device, clock),
      sensors: sensorsOf(clock),
      bootId: `${device.label}-run-${device.run}`,
      osBootId: `${device.osBoot}-${device.label}`,
    });
    if (device.clock !== clock) return;
    device.node = node;
    this.#watch(device, node);
  }

  /** The truth of the epoch that a node is in. */
  truthOf(device: Device): EpochTruth {
    return this.oracle.truth(`${device.id} ${device.node!.wal.epoch}`, device.evidence);
  }

  /** Ends a node's process at once; with `power` the device, too: `seed` decides what survives. */
  crashNode(device: Device, power: boolean, seed = 0): void {
    if (device.clock === undefined) return;
    if (device.node !== undefined) {
      this.#checkNode(device, device.node);
      if (!device.node.wal.writable || device.walDisk.refusesWrites) device.truth?.forgetsNow();
    }
    this.note(`${device.label} ${power ? "loses power" : "is killed"}`);
    device.clock.stop();
    this.network.machineGone(device.clock, !power);
    device.clock = device.node = undefined;
    const faults = device.walDisk.faults, configFaults = device.configDisk.faults;
    const memoryFaults = device.memoryDisk?.faults;
    if (power) {
      const random = seededRandom(seed);
      device.osBoot++;
      device.evidence.powerCut = true;
      device.bootWallMs = START_WALL_MS + this.kernel.nowMs;
      device.walDisk = device.walDisk.afterPowerCut(random);
      device.configDisk = device.configDisk.afterPowerCut(random);
      if (device.memoryDisk !== undefined) {
        // What still runs must not write into what comes after.
        device.memoryDisk.afterKill();
        device.memoryDisk = new SimDisk();
      }
    } else {
      device.walDisk = device.walDisk.afterKill();
      device.configDisk = device.configDisk.afterKill();
      device.memoryDisk = device.memoryDisk?.afterKill();
    }
    Object.assign(device.walDisk.faults, faults);
    Object.assign(device.configDisk.faults, configFaults);
    if (device.memoryDisk !== undefined) Object.assign(device.memoryDisk.faults, memoryFaults);
  }

  /** Appended records that were held to every promise, and all. */
  held(): { records: number; of: number } {
    const sum = { records: 0, of: 0 };
    for (const { held } of this.oracle.truths) {
      sum.records += held.records;
      sum.of += held.of;
    }
    return sum;
  }

  /** A host came back without what it had acked. */
  hostLoses(): void {
    for (const truth of this.oracle.truths) {
      truth.hostLosesNow(this.durable.epochs.get(truth.key)?.high_acked ?? 0);
    }
  }

  /** Runs to `untilMs`, looking at everything now and then; throws the first violation. */
  async runUntil(untilMs: number): Promise<void> {
    while (this.kernel.nowMs < untilMs) {
      await this.kernel.runUntil(Math.min(untilMs, this.kernel.nowMs + 2_000));
      this.checkNow();
    }
  }

  /** Runs for that long. */
  run(seconds: number): Promise<void> {
    return this.runUntil(this.kernel.nowMs + 1_000 * seconds);
  }

  /** Does `act` later, whatever else happens until then. */
  later(ms: number, act: () => void | Promise<void>): void {
    this.kernel.at(this.kernel.nowMs + ms, () => void act());
  }

  /** What holds at any moment; throws what was found wrong. */
  checkNow(): void {
    for (const device of [...this.devices, ...this.extras]) {
      if (device.node !== undefined) this.#checkNode(device, device.node);
    }
    const { conflicts } = this.durable;
    if (conflicts > 0) this.oracle.violate(`${conflicts} records were stored that were stored`);
    const [first] = this.oracle.violations;
    if (first !== undefined) throw new Violation(first);
  }

  /** What holds in the end; throws what was found wrong. */
  checkStore(): void {
    const stored = new Map([...this.durable.epochs].map(([key, { high_acked }]) => {
      const rows = this.durable.records.get(key) ?? new Map<number, RecordRow>();
      for (const row of rows.values()) {
        const column = wrongColumn(row);
        if (column === undefined) continue;
        this.oracle.violate(`${key}: ${column} of seq ${row.seq} is not what its record says`);
      }
      const payloads = new Map([...rows].map(([seq, { payload }]) => [seq, payload]));
      const samples = new Map([...payloads].map(([seq, payload]) => [seq, sampleOf(payload)]));
      const gaps = this.durable.gaps.get(key) ?? [];
      return [key, { highAcked: high_acked, samples, payloads, gaps }];
    }));
    this.oracle.checkStore(stored);
    this.#checkContent();
    this.#checkEvents();
    const difference = this.durable.real?.difference(this.durable);
    if (difference !== undefined) this.oracle.violate(difference);
    this.checkNow();
  }

  /** How records are flagged; known at the end. */
  readonly flags: Flags = noFlags();
  /** The records that each run should stand for, by boot_id. */
  readonly #samples = new Map<string, number>();

  stop(): void {
    this.crashHost();
    for (const device of [...this.devices, ...this.extras]) this.crashNode(device, false);
    this.#durable.real?.close();
  }

  /** What is said in the records, and how many of them there are. */
  #checkContent(): void {
    const byRun = this.oracle.recordsByRun();
    const opened = openedIn([...byRun.values()].flat());
    for (const [run, records] of byRun) {
      const wrong = wrongWithRun(records, opened, this.flags);
      if (wrong !== undefined) this.oracle.violate(`${run}: ${wrong}`);
    }
    const wrong = wrongFlags(this.flags);
    if (wrong !== undefined) this.oracle.violate(wrong);
    for (const [run, taken] of this.#samples) {
      const recorded = (byRun.get(run) ?? []).reduce((sum, { agg }) => sum + (agg?.n ?? 1), 0);
      // The thinning holds back what it still gathers.
      if (recorded > taken || recorded < taken - 128) {
        this.oracle.violate(`${run}: ${taken} samples were taken, records stand for ${recorded}`);
      }
    }
  }

  /** The host tells of what is in records, each once in a life of its own, and all of it where it had only one. */
  #checkEvents(): void {
    const told = new Map<string, number>();
    for (const { kind, node_id, detail } of this.durable.events) {
      const { id, state, seq, epoch, count, duration_ms } = detail;
      if (kind !== `anomaly_${state}` || count !== undefined) continue;
      const event = `${node_id} ${epoch} ${id} ${state} ${duration_ms}`;
      const times = (told.get(event) ?? 0) + 1;
      told.set(event, times);
      if (times > this.#hostStarts) this.oracle.violate(`${event} was told ${times} times`);
      const payloads = this.oracle.payloadsOf(`${node_id} ${epoch}`, Number(seq));
      if (!payloads.some((text) => text.includes(`"id":"${id}","state":"${state}"`))) {
        this.oracle.violate(`${event} was told of seq ${seq}, which doesn't say so`);
      }
    }
    if (this.#hostStarts > 1 || this.host!.events.lost > 0) return;
    for (const [key, rows] of this.durable.records) {
      const records = [...rows.values()].map(({ payload }) => JSON.parse(payload) as RecordContent);
      for (const { anomaly: { events }, boot_id, ts_mono_ms } of records) {
        if (events === undefined) continue;
        // Events are written a moment after the records that they come from.
        const isNew = !records.some((other) =>
          other.boot_id === boot_id && other.ts_mono_ms > ts_mono_ms + EVENTS_WRITTEN_MS
        );
        for (const { id, state, duration_ms } of isNew ? [] : events) {
          const event = `${key} ${id} ${state} ${duration_ms}`;
          if (!told.has(event)) this.oracle.violate(`${event} was never told`);
        }
      }
    }
  }

  #random(): ReturnType<typeof seededRandom> {
    return seededRandom((this.#seed + 7_919 * this.#starts++) >>> 0);
  }

  #checkNode(device: Device, node: Node): void {
    const { wal } = node;
    const truth = this.truthOf(device);
    truth.synced = Math.max(truth.synced, wal.syncedSeq);
    const hasTwin = this.extras.some(({ id, clock }) => id === device.id && clock !== undefined);
    if (!hasTwin && node.link.state === "connected") truth.cloneEndsNow();
    this.#samples.set(`${device.label}-run-${device.run}`, node.sampled.samples);
    if (wal.stats.renumbered_records > 0) {
      truth.renumbered = true;
      const hasCause = truth.isShared || truth.touched.size + truth.forgotten.size > 0;
      if (!hasCause) this.oracle.violate(`${truth.key}: records got new numbers without a cause`);
    }
    const health = node.health();
    if (health !== undefined) this.oracle.violate(`${truth.key}: sampling stalls: ${health}`);
    if (node.sampled.missedTicks > 0) this.oracle.violate(`${truth.key}: a tick was missed`);
    this.#checkAges(device, node);
    const { diskFailed, memoryFailed } = device.evidence;
    const wantsMemory = device.memoryDisk !== undefined &&
      this.#options.settings?.wal_sync !== "always";
    if (wantsMemory && !wal.tail.in_memory && !diskFailed && !memoryFailed) {
      this.oracle.violate(`${truth.key}: good memory is not used: ${wal.tail.error}`);
    }
    if (!node.wal.writable && !device.evidence.diskFailed && !device.evidence.diskSlow) {
      this.oracle.violate(`${truth.key}: a good disk is not used: ${node.wal.lastError}`);
    }
    const most = creditFor(HOST_LIMITS.inflightBytesTotal, 1).records;
    if (node.link.in_flight > most) {
      this.oracle.violate(`${truth.key}: ${node.link.in_flight} in flight, ${most} allowed`);
    }
    if (node.cfgVersion < device.cfgReported && !device.evidence.configLost) {
      const { cfgReported } = device;
      this.oracle.violate(`${truth.key}: config went from ${cfgReported} to ${node.cfgVersion}`);
    }
  }

  /** What a power cut would take now is no older than the interval, and no more than the checkpoint says. */
  #checkAges(device: Device, { wal }: Node): void {
    const { evidence: { diskFailed, diskSlow, checkpointLost }, appendedAtMs, label } = device;
    if (diskFailed || diskSlow || checkpointLost) return;
    const seq = Math.max(wal.syncedSeq, wal.highAcked) + 1;
    const ageMs = this.kernel.nowMs - (appendedAtMs.get(seq) ?? Infinity);
    if (ageMs > SYNC_MS + 100) {
      this.oracle.violate(`${label}: seq ${seq} is neither synced nor acked for ${ageMs} ms`);
    }
    const most = device.checkpoint?.unsyncedMax ?? 0;
    if (!wal.tail.in_memory || most === 0) return;
    const exposed = [...appendedAtMs.keys()].filter((appended) => appended >= seq).length;
    if (exposed > most) {
      this.oracle.violate(`${label}: ${exposed} records are in memory only, ${most} were promised`);
    }
  }

  #onDisk(device: Device, what: string, name: string | undefined): void {
    const { node, walDisk } = device;
    if (node === undefined || walDisk.isDead) return;
    const { bytesMax } = node.wal;
    const bytes = walDisk.bytes + (device.memoryDisk?.bytes ?? 0);
    if (bytes > bytesMax) {
      this.oracle.violate(`${device.label}: log has ${bytes} bytes, limit ${bytesMax}`);
    }
    const removed = what === "remove" ? parseSegmentName(name ?? "") : undefined;
    if (removed === undefined) return;
    // The segment reaches up to the next one, which may be about to be removed, too.
    const truth = this.truthOf(device);
    const last = lastSeqOf(walDisk, removed.turn) ?? node.wal.nextSeq - 1;
    truth.removedThrough = Math.max(truth.removedThrough, last);
  }

  #watch(device: Device, node: Node): void {
    const { wal } = node;
    const truth = this.truthOf(device);
    if (device.evidence !== truth.evidence) truth.clonedNow();
    device.truth = truth;
    this.oracle.starts(truth, wal.runFirstSeq);
    device.appendedAtMs.clear();
    const append = wal.append.bind(wal), ack = wal.ack.bind(wal);
    wal.append = (payload) => {
      const seq = append(payload);
      // A process that ended in the middle of it never took the record in.
      if (device.node !== node) return seq;
      this.oracle.appended(truth, seq, payload);
      device.appendedAtMs.set(seq, this.kernel.nowMs);
      return seq;
    };
    wal.ack = (highAcked) => {
      this.oracle.acks(truth, highAcked, this.durable.epochs.get(truth.key)?.high_acked ?? 0);
      ack(highAcked);
    };
  }

  /** The network of a device, with a look at what leaves it as plain lines. */
  #tapped(device: Device, clock: MachineClock): Transport {
    const transport = this.network.transport(clock);
    const look = (bytes: Uint8Array): void => {
      if (bytes[0] !== 0x7b || device.node === undefined) return;
      const truth = this.truthOf(device);
      truth.synced = Math.max(truth.synced, device.node.wal.syncedSeq);
      const isReserving = device.node.wal.tail.in_memory && !device.evidence.diskFailed;
      const { checkpoint } = device;
      const reserved = checkpoint === undefined ? 0 : reservedBy(checkpoint);
      for (const line of new TextDecoder().decode(bytes).split("\n")) {
        if (line.startsWith('{"type":"telemetry"')) {
          this.oracle.sends(truth, line, reserved, isReserving);
        }
        if (line.startsWith('{"type":"config_applied"')) {
          const { ok, cfg_version_applied } = JSON.parse(line);
          if (ok) device.cfgReported = Math.max(device.cfgReported, cfg_version_applied);
        }
      }
    };
    const tap = (connection: Connection): Connection => {
      const link = new LinkTap((what) => this.oracle.violate(`${device.label}: ${what}`));
      return {
        peer: connection.peer,
        read: async () => {
          const bytes = await connection.read();
          if (bytes !== undefined) link.received(bytes);
          return bytes;
        },
        write: (bytes) => {
          if (clock.alive) {
            link.sent(bytes);
            look(bytes);
          }
          return connection.write(bytes);
        },
        close: () => connection.close(),
      };
    };
    return { ...transport, connect: async (...args) => tap(await transport.connect(...args)) };
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
