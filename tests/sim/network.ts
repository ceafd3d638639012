/** Byte streams in memory over virtual time: they delay, split, drop in the middle, and fall silent. */
import type { Connection, Listener, Random, Transport } from "../../lib/platform/platform.ts";
import type { Kernel, MachineClock } from "./kernel.ts";

/** What the network does at present. */
export interface NetworkFaults {
  delayMsMax: number;
  /** New connections are refused. */
  refuses: boolean;
  /** Bytes vanish: both ends stay open and hear nothing. */
  silent: boolean;
  /** Bytes vanish on the way to (`down`) or from (`up`) who connected, and no connection is made. */
  oneWay: "up" | "down" | undefined;
  /** One write in this many is cut into pieces; 0 for none. */
  splitOneIn: number;
}

/** All machines' network. */
export class Network {
  readonly faults: NetworkFaults = {
    delayMsMax: 20,
    refuses: false,
    silent: false,
    oneWay: undefined,
    splitOneIn: 4,
  };
  #kernel: Kernel;
  #random: Random;
  #listeners = new Map<string, SimListener>();
  #links = new Set<[End, End]>();

  constructor(kernel: Kernel, random: Random) {
    this.#kernel = kernel;
    this.#random = random;
  }

  /** The network as one machine sees it. */
  transport(clock: MachineClock): Transport {
    return {
      connect: (address, signal) => this.#connect(address, signal, clock),
      listen: (address) => {
        const listener = new SimListener(address, clock, () => this.#listeners.delete(address));
        this.#listeners.set(address, listener);
        return Promise.resolve(listener);
      },
    };
  }

  /** Cuts every connection, in the middle of whatever is under way. */
  cutAll(): void {
    for (const [a, b] of [...this.#links]) {
      a.cut();
      b.cut();
    }
    this.#links.clear();
  }

  /**
   * A machine is gone: what it listened on refuses. The other ends of its connections are told by its
   * operating system, if that still has power.
   */
  machineGone(clock: MachineClock, hasPower: boolean): void {
    for (const link of [...this.#links]) {
      const mine = link.find((end) => end.clock === clock);
      if (mine === undefined) continue;
      this.#links.delete(link);
      const other = link[0] === mine ? link[1] : link[0];
      if (hasPower && !mine.isDead) this.#later(() => other.cut());
      else other.isDead = true;
    }
  }

  unlisten(address: string): void {
    this.#listeners.delete(address);
  }

  async #connect(address: string, signal: AbortSignal, clock: MachineClock): Promise<Connection> {
    await new Promise<void>((resolve) => this.#later(resolve));
    if (!clock.alive) return await new Promise(() => {});
    const listener = this.#listeners.get(address);
    const { refuses, oneWay } = this.faults;
    if (signal.aborted || refuses || oneWay !== undefined || listener === undefined) {
      throw new Error(`cannot connect to ${address}: nothing listens there`);
    }
    const near = new End("host", clock);
    const far = new End("node", listener.clock);
    near.send = (bytes) => this.#deliver(bytes, near, far, "up");
    far.send = (bytes) => this.#deliver(bytes, far, near, "down");
    const link: [End, End] = [near, far];
    near.closed = () => {
      this.#links.delete(link);
      this.#closed(near, far, "up");
    };
    far.closed = () => {
      this.#links.delete(link);
      this.#closed(far, near, "down");
    };
    this.#links.add(link);
    listener.push(far);
    return near;
  }

  /** The end of a stream arrives behind the last bytes of it, or is lost as they are. */
  #closed(from: End, to: End, way: "up" | "down"): void {
    this.#struck(from, way);
    if (from.isDead) return;
    const at = from.lastArrivalMs = Math.max(from.lastArrivalMs, this.#arrivalMs());
    this.#kernel.at(at, () => to.cut());
  }

  /** TCP loses nothing inside a living connection: a way that lost something is dead, and nobody is told. */
  #struck(from: End, way: "up" | "down"): void {
    if (this.faults.silent || this.faults.oneWay === way) from.isDead = true;
  }

  #deliver(bytes: Uint8Array, from: End, to: End, way: "up" | "down"): void {
    this.#struck(from, way);
    if (from.isDead) return;
    const { splitOneIn } = this.faults;
    const pieces: Uint8Array[] = [];
    if (splitOneIn > 0 && this.#random.below(splitOneIn) === 0 && bytes.length > 1) {
      const at = 1 + this.#random.below(bytes.length - 1);
      pieces.push(bytes.slice(0, at), bytes.slice(at));
    } else pieces.push(bytes.slice());
    for (const piece of pieces) {
      const at = Math.max(from.lastArrivalMs, this.#arrivalMs());
      from.lastArrivalMs = at;
      this.#kernel.at(at, () => to.receive(piece));
    }
  }

  #arrivalMs(): number {
    return this.#kernel.nowMs + this.#random.below(this.faults.delayMsMax + 1);
  }

  #later(act: () => void): void {
    this.#kernel.at(this.#arrivalMs(), act);
  }
}

class SimListener implements Listener {
  readonly address: string;
  readonly clock: MachineClock;
  #queue: End[] = [];
  #waiting: ((end: End | undefined) => void) | undefined;
  #onClose: () => void;

  constructor(address: string, clock: MachineClock, onClose: () => void) {
    this.address = address;
    this.clock = clock;
    this.#onClose = onClose;
  }
  push(end: End): void {
    if (this.#waiting === undefined) this.#queue.push(end);
    else {
      this.#waiting(end);
      this.#waiting = undefined;
    }
  }
  accept(): Promise<Connection | undefined> {
    const next = this.#queue.shift();
    if (next !== undefined) return Promise.resolve(next);
    return new Promise((resolve) => this.#waiting = resolve);
  }
  close(): void {
    this.#onClose();
    this.#waiting?.(undefined);
  }
}

class End implements Connection {
  readonly peer: string;
  readonly clock: MachineClock;
  send: (bytes: Uint8Array) => void = () => {};
  closed: () => void = () => {};
  lastArrivalMs = 0;
  /** What this end sends vanishes. */
  isDead = false;
  #chunks: Uint8Array[] = [];
  #ended = false;
  #reader: ((chunk: Uint8Array | undefined) => void) | undefined;

  constructor(peer: string, clock: MachineClock) {
    this.peer = peer;
    this.clock = clock;
  }

  receive(bytes: Uint8Array): void {
    if (this.#ended || !this.clock.alive) return;
    if (this.#reader === undefined) this.#chunks.push(bytes);
    else {
      const reader = this.#reader;
      this.#reader = undefined;
      reader(bytes);
    }
  }
  cut(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.clock.alive) this.#reader?.(undefined);
    this.#reader = undefined;
  }
  read(): Promise<Uint8Array | undefined> {
    if (!this.clock.alive) return new Promise(() => {});
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) return Promise.resolve(chunk);
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#reader = resolve);
  }
  write(bytes: Uint8Array): Promise<void> {
    if (!this.clock.alive) return new Promise(() => {});
    if (!this.#ended) this.send(bytes);
    return Promise.resolve();
  }
  close(): void {
    this.cut();
    this.closed();
  }
}
