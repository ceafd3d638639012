/**
 * Faults injected on purpose, to see a fleet survive them. Off unless the host was started with
 * `--allow-faults`. A fault is a kind with a probability and a duration; all chance comes from one seed.
 *
 * | kind | what happens, each time with probability `p` |
 * | --- | --- |
 * | `drop` | a connection is cut: all at each `every`, or one at a chunk that it receives |
 * | `refuse` | a new connection is closed at once |
 * | `stall` | an ack is held back as long as the fault lasts |
 * | `delay` | a received chunk waits for `ms` |
 * | `corrupt` | a byte of a received chunk is destroyed |
 * | `duplicate` | a received line is taken in twice |
 * | `split` | what is sent leaves in pieces of a few bytes |
 */
import { parseSpec } from "../config/spec.ts";
import type { Clock, Connection, Random } from "../platform/platform.ts";

/** The kinds of faults. */
export const FAULT_KINDS = [
  "drop",
  "refuse",
  "stall",
  "delay",
  "corrupt",
  "duplicate",
  "split",
] as const;
/** See {@linkcode FAULT_KINDS}. */
export type FaultKind = typeof FAULT_KINDS[number];

/** A fault as given. */
export interface FaultSpec {
  readonly kind: FaultKind;
  /** Probability from 0 to 1. */
  readonly p: number;
  /** How long it lasts; `undefined`: until it is cleared. */
  readonly for_ms?: number;
  /** `drop`: cuts all connections this often. */
  readonly every_ms?: number;
  /** `delay`: how long. */
  readonly ms?: number;
}

/** A fault in force. */
export interface ActiveFault extends FaultSpec {
  readonly id: number;
  readonly until_mono_ms: number;
  /** How often it struck. */
  hits: number;
}

const PROBABILITIES: Record<FaultKind, number> = {
  drop: 1,
  refuse: 1,
  stall: 1,
  delay: 1,
  corrupt: 0.01,
  duplicate: 0.1,
  split: 1,
};
const CHANCE_PARTS = 1_000_000;
const PIECE_BYTES_MAX = 7;
/** Beyond that many bytes the rest of a write leaves in one piece. */
const SPLIT_BYTES_MAX = 512;

/** Milliseconds from `500`, `500ms`, `30s`, `2m`. Throws a `SyntaxError`. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (match === null) throw new SyntaxError(`"${text}" is not a duration such as 500ms, 30s or 2m`);
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match[2] ?? "ms"]!;
  return Number(match[1]) * unit;
}

/** Reads a fault such as `drop:every=30s` or `delay:ms=200,for=10s,p=0.5`. Throws a `SyntaxError`. */
export function parseFault(text: string): FaultSpec {
  const { kind, options } = parseSpec(text);
  if (!(FAULT_KINDS as readonly string[]).includes(kind)) {
    throw new SyntaxError(`"${text}": unknown fault, known are ${FAULT_KINDS.join(", ")}`);
  }
  const spec: { -readonly [K in keyof FaultSpec]: FaultSpec[K] } = {
    kind: kind as FaultKind,
    p: PROBABILITIES[kind as FaultKind],
  };
  for (const [key, value] of options) {
    if (key === "p") spec.p = Number(value);
    else if (key === "for") spec.for_ms = parseDurationMs(value);
    else if (key === "every" && kind === "drop") spec.every_ms = parseDurationMs(value);
    else if (key === "ms" && kind === "delay") spec.ms = parseDurationMs(value);
    else throw new SyntaxError(`"${text}": ${kind} has no option ${key}`);
  }
  if (!(spec.p >= 0 && spec.p <= 1)) throw new SyntaxError(`"${text}": p must be from 0 to 1`);
  if (kind === "drop" && spec.every_ms === undefined && !options.has("p")) spec.p = 0.01;
  if (kind === "delay") spec.ms ??= 200;
  return spec;
}

/** The faults in force, and what they do to connections. */
export class Faults {
  #clock: Clock;
  #random: Random;
  #active: ActiveFault[] = [];
  #nextId = 1;
  #nextDropMs = new Map<number, number>();
  /** Counts of strikes by kind, since the start. */
  readonly struck: Record<FaultKind, number> = {
    drop: 0,
    refuse: 0,
    stall: 0,
    delay: 0,
    corrupt: 0,
    duplicate: 0,
    split: 0,
  };

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  get active(): readonly ActiveFault[] {
    const now = this.#clock.monotonicMs();
    this.#active = this.#active.filter((fault) => now < fault.until_mono_ms);
    return this.#active;
  }

  add(spec: FaultSpec): ActiveFault {
    const now = this.#clock.monotonicMs();
    const fault = {
      ...spec,
      id: this.#nextId++,
      until_mono_ms: spec.for_ms === undefined ? Infinity : now + spec.for_ms,
      hits: 0,
    };
    this.#active.push(fault);
    if (spec.every_ms !== undefined) this.#nextDropMs.set(fault.id, now + spec.every_ms);
    return fault;
  }

  clear(): void {
    this.#active = [];
    this.#nextDropMs.clear();
  }

  /** Whether a fault of `kind` strikes now. */
  strikes(kind: FaultKind): ActiveFault | undefined {
    if (this.#active.length === 0) return undefined;
    for (const fault of this.active) {
      if (fault.kind !== kind || fault.every_ms !== undefined) continue;
      if (this.#random.below(CHANCE_PARTS) >= fault.p * CHANCE_PARTS) continue;
      return this.#hit(fault);
    }
    return undefined;
  }

  /** Whether a fault of `kind` may strike. */
  isActive(kind: FaultKind): boolean {
    return this.#active.length > 0 && this.active.some((fault) => fault.kind === kind);
  }

  /** Whether an ack that is due now is held back. */
  holdsAcks(): boolean {
    const stall = this.#active.length === 0
      ? undefined
      : this.active.find(({ kind }) => kind === "stall");
    if (stall !== undefined) this.#hit(stall);
    return stall !== undefined;
  }

  /** Whether all connections are to be cut now; to be asked about once a second or more often. */
  dropsAll(): boolean {
    const now = this.#clock.monotonicMs();
    let drops = false;
    for (const fault of this.active) {
      const next = this.#nextDropMs.get(fault.id);
      if (next === undefined || now < next) continue;
      this.#nextDropMs.set(fault.id, now + fault.every_ms!);
      this.#hit(fault);
      drops = true;
    }
    return drops;
  }

  /** A connection that suffers what is in force. */
  wrap(connection: Connection): Connection {
    return new FaultyConnection(connection, this, this.#clock, this.#random);
  }

  #hit(fault: ActiveFault): ActiveFault {
    fault.hits++;
    this.struck[fault.kind]++;
    return fault;
  }
}

class FaultyConnection implements Connection {
  readonly peer: string;
  readonly identity: string | undefined;
  readonly serial: string | undefined;
  readonly distrust: string | undefined;
  #inner: Connection;
  #faults: Faults;
  #clock: Clock;
  #random: Random;

  constructor(inner: Connection, faults: Faults, clock: Clock, random: Random) {
    this.peer = inner.peer;
    this.identity = inner.identity;
    this.serial = inner.serial;
    this.distrust = inner.distrust;
    this.#inner = inner;
    this.#faults = faults;
    this.#clock = clock;
    this.#random = random;
  }

  async read(): Promise<Uint8Array | undefined> {
    const chunk = await this.#inner.read();
    if (chunk === undefined || chunk.length === 0) return chunk;
    const delay = this.#faults.strikes("delay");
    if (delay !== undefined) {
      await this.#clock.sleepUntil(this.#clock.monotonicMs() + (delay.ms ?? 0));
    }
    if (this.#faults.strikes("drop") !== undefined) {
      this.#inner.close();
      return undefined;
    }
    if (this.#faults.strikes("corrupt") === undefined) return chunk;
    // 0xFF never occurs in UTF-8, so that no altered line can pass for a true one.
    const damaged = chunk.slice();
    damaged[this.#random.below(damaged.length)] = 0xff;
    return damaged;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#faults.strikes("split") === undefined) return await this.#inner.write(bytes);
    let at = 0;
    while (at < Math.min(bytes.length, SPLIT_BYTES_MAX)) {
      const size = 1 + this.#random.below(PIECE_BYTES_MAX);
      // Not awaited one by one: pieces of two writes must not mix.
      this.#inner.write(bytes.slice(at, at + size));
      at += size;
    }
    await this.#inner.write(bytes.slice(Math.min(at, bytes.length)));
  }

  close(): void {
    this.#inner.close();
  }
}
