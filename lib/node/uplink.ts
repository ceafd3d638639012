/**
 * One session of the node with a host, as a state machine: what came in and the time go in, what to send
 * comes out. It knows seqs and sizes, never payloads, sockets or clocks; `uplink_driver.ts` does the rest.
 *
 * ```
 *  greeting ── welcome ──▶ opening ── start ──▶ open ── error, bad message, silence ──▶ closed
 *
 *  seq  1 …… high_acked ……………… freshNext ………… sendable …… next_seq
 *       └ done ─┘└─ backlog lane ─┘└─ fresh lane ─┘└ not synced yet
 * ```
 * Invariants: each seq is sent at most once a session, and none that was declared lost in it; records in
 * flight and their bytes stay within the credit; the backlog leaves one part in FRESH_SHARE of the credit to
 * fresh records; nothing above the log's `sendableThrough` is sent.
 */
import { assert } from "../assert.ts";
import {
  FRESH_SHARE,
  PROTO_VERSION,
  RETRY_AFTER_MS_MAX,
  SEQ_JUMP_MAX,
  SIGN_OF_LIFE_MS_MAX,
  SILENCE_INTERVALS,
} from "../limits.ts";
import type {
  Ack,
  Credit,
  Encoding,
  ErrorCode,
  Gap,
  Hello,
  HostMessage,
  VersionedConfig,
  Welcome,
} from "../protocol/message.ts";
import { type Range, RangeSet } from "../protocol/ranges.ts";
import { Flight } from "./flight.ts";
import { Window } from "./window.ts";

/** What the uplink needs to know of the log. */
export interface UplinkLog {
  readonly epoch: string;
  readonly firstSeq: number;
  readonly nextSeq: number;
  readonly highAcked: number;
  /** Highest seq that may be sent now. */
  readonly sendableThrough: number;
  /** First seq that this run gave out. */
  readonly runFirstSeq: number;
  /** Lost ranges above `highAcked`, ascending. */
  readonly gaps: readonly Omit<Gap, "type">[];
}

/** What does not change during a session. */
export interface UplinkOptions {
  readonly nodeId: string;
  readonly bootId: string;
  readonly version: string;
  /** By which it proves who it is where it has no certificate; empty for none. */
  readonly token: string;
  readonly encodings: readonly Encoding[];
  readonly sendIntervalMs: () => number;
  readonly cfgVersion: () => number;
  /** Highest seq of this run that any session sent; the host may know no higher one. */
  readonly runMaxSent: number;
}

/** What may be sent now: gaps, or records. */
export interface SendPlan {
  readonly gaps: readonly Gap[];
  /** Fresh seqs, to be taken from memory; anomalous ones first where the credit is short. */
  readonly fresh: readonly number[];
  /** Backlog to read: seqs `from` to `to`, at most so many records and bytes. */
  readonly backlog?: { from: number; to: number; records: number; bytes: number };
  readonly heartbeat: boolean;
  /** When to ask again at the latest, if nothing happens before. */
  readonly deadlineMs: number;
}

/** The session is over; what to tell the host, if anything, and how long to stay away. */
export interface Closed {
  readonly kind: "closed";
  readonly reason: string;
  readonly tell?: ErrorCode;
  readonly retryAfterMs?: number;
}

/** What a received message asks of the driver. */
export type UplinkEffect =
  | { readonly kind: "none" }
  /** The host's word on what is durable: tell the log. */
  | { readonly kind: "acked"; readonly highAcked: number }
  /** Encoding from here on, what is durable, and a configuration if the host has a newer one. */
  | {
    readonly kind: "open";
    readonly encoding: Encoding;
    readonly highAcked: number;
    /** Present: the host holds other records under seqs of this run; they must move above it. */
    readonly renumberAbove?: number;
    readonly config?: VersionedConfig;
  }
  | { readonly kind: "config"; readonly config: VersionedConfig }
  /** What stands for the authorities that the host's certificates are of. */
  | { readonly kind: "authorities"; readonly tag: string }
  | Closed;

/** Longest wait for the welcome. */
const GREETING_MS = 10_000;
/** The most of the backlog that one write carries, so that fresh records wait behind little. */
const BACKLOG_RECORDS_PER_WRITE = 1_024;
const BACKLOG_BYTES_PER_WRITE = 524_288;
/** How soon to look again whether the log has synced what may not be sent yet. */
const SYNC_POLL_MS = 100;
/** How many anomalous seqs are remembered as urgent; more than that are sent in order. */
const URGENT_MAX = 1_024;

/** See the head of the file. */
export class Uplink {
  #log: UplinkLog;
  #options: UplinkOptions;
  #state: "greeting" | "opening" | "open" | "closed" = "greeting";
  #silentAtMs: number;
  #credit: Credit = { records: 1, bytes: 1 };
  #heartbeatMs = 10_000;
  #broadcastMs = 10_000;
  #heartbeatAtMs = Infinity;
  /** Acked, in flight, or declared in this session. */
  #sent = new RangeSet();
  #acked = new RangeSet();
  #flight = new Flight();
  #window = new Window();
  /** When it was planned what is sent now. */
  #plannedMs = 0;
  #freshNext = 1;
  #freshSinceMs = Infinity;
  #urgent: number[] = [];
  #maxSent: number;

  constructor(log: UplinkLog, options: UplinkOptions, nowMs: number) {
    this.#log = log;
    this.#options = options;
    this.#silentAtMs = nowMs + GREETING_MS;
    this.#maxSent = options.runMaxSent;
  }

  get state(): "greeting" | "opening" | "open" | "closed" {
    return this.#state;
  }
  /** Records sent and not acked. */
  get inFlight(): number {
    return this.#flight.records;
  }
  /** Records that the host has above `high_acked`. */
  get ackedAbove(): number {
    return Math.max(0, this.#acked.size - this.#log.highAcked);
  }
  /** Highest seq sent or declared in this run, by this or an earlier session. */
  get maxSent(): number {
    return this.#maxSent;
  }
  /** When the session counts as dead unless something comes in. */
  get silentAtMs(): number {
    return this.#silentAtMs;
  }

  /** The first message of the session. */
  hello(wallMs: number, monoMs: number): Hello {
    return {
      type: "hello",
      proto: [PROTO_VERSION],
      node_id: this.#options.nodeId,
      epoch: this.#log.epoch,
      boot_id: this.#options.bootId,
      version: this.#options.version,
      ...(this.#options.token === "" ? {} : { token: this.#options.token }),
      first_seq: this.#log.firstSeq,
      next_seq: this.#log.nextSeq,
      cfg_version: this.#options.cfgVersion(),
      encodings: [...this.#options.encodings],
      ts_wall_ms: wallMs,
      ts_mono_ms: monoMs,
    };
  }

  /** Takes in a message of the host. */
  receive(message: HostMessage, nowMs: number): UplinkEffect {
    if (this.#state === "closed") return { kind: "none" };
    if (message.type === "error") {
      const retry = message.retry_after_ms;
      return this.#close(`host says ${message.code}: ${message.message}`, {
        ...(retry === undefined ? {} : { retryAfterMs: Math.min(retry, RETRY_AFTER_MS_MAX) }),
      });
    }
    if ((this.#state === "greeting") !== (message.type === "welcome")) {
      return this.#close(`host sent ${message.type} out of order`, { tell: "bad_order" });
    }
    this.#heard(nowMs);
    switch (message.type) {
      case "welcome":
        return this.#receiveWelcome(message, nowMs);
      case "ack":
        return this.#receiveAck(message, nowMs);
      case "config_update":
        return {
          kind: "config",
          config: { cfg_version: message.cfg_version, config: message.config },
        };
      case "broadcast":
        return message.ca === undefined
          ? { kind: "none" }
          : { kind: "authorities", tag: message.ca };
    }
  }

  /** Closes the session if the host has been silent for too long. */
  checkSilence(nowMs: number): UplinkEffect {
    if (this.#state === "closed" || nowMs < this.#silentAtMs) return { kind: "none" };
    const isGreeting = this.#state === "greeting";
    return this.#close(isGreeting ? "host did not answer the hello" : "host fell silent", {
      tell: "timeout",
    });
  }

  /** A record was appended; `urgent` ones are sent at once. */
  appended(seq: number, urgent: boolean, nowMs: number): void {
    if (this.#freshSinceMs === Infinity) this.#freshSinceMs = nowMs;
    if (urgent && this.#urgent.length < URGENT_MAX) this.#urgent.push(seq);
  }

  /**
   * What may be sent at `nowMs`; the driver sends it, and says so with `sent` and `declared`. Where there are
   * gaps to declare they come alone: records are planned when it is known what is lost.
   */
  plan(nowMs: number): SendPlan {
    this.#plannedMs = nowMs;
    if (this.#state !== "open") {
      return { gaps: [], fresh: [], heartbeat: false, deadlineMs: this.#silentAtMs };
    }
    const heartbeat = nowMs >= this.#heartbeatAtMs;
    if (heartbeat) this.#heartbeatAtMs = nowMs + this.#heartbeatMs;
    const gaps = this.#planGaps();
    if (gaps.length > 0) return { gaps, fresh: [], heartbeat, deadlineMs: nowMs };
    const fresh = this.#planFresh(nowMs);
    const backlog = this.#planBacklog(fresh.length);
    const freshDue = this.#hasFresh && this.#roomRecords > 0 && this.#hasRoom(1)
      ? this.#freshSinceMs + this.#options.sendIntervalMs()
      : Infinity;
    const unsynced = this.#log.sendableThrough < this.#log.nextSeq - 1;
    return {
      gaps,
      fresh,
      ...(backlog === undefined ? {} : { backlog }),
      heartbeat,
      deadlineMs: Math.min(
        this.#heartbeatAtMs,
        freshDue,
        unsynced ? nowMs + SYNC_POLL_MS : Infinity,
      ),
    };
  }

  /**
   * Whether a record whose line takes `bytes` may be sent now. One may always be in flight alone, however
   * large it is. False also for what was sent or declared since the plan.
   */
  maySend(seq: number, bytes: number): boolean {
    return this.#state === "open" && !this.#sent.has(seq) && this.#roomRecords > 0 &&
      this.#hasRoom(bytes);
  }

  /** Record `seq` was handed to the connection as a line of `bytes`, newline included. */
  sent(seq: number, bytes: number): void {
    assert(this.maySend(seq, bytes), `seq ${seq} of ${bytes} bytes must not be sent`);
    if (seq < this.#freshNext) this.#window.sent(seq, this.#plannedMs);
    this.#sent.add(seq, seq);
    this.#flight.add(seq, bytes);
    this.#maxSent = Math.max(this.#maxSent, seq);
    if (seq >= this.#freshNext) this.#advanceFresh();
  }

  /** A gap was handed to the connection. */
  declared(gap: Gap): void {
    this.#sent.add(gap.from_seq, gap.to_seq);
    this.#maxSent = Math.max(this.#maxSent, gap.to_seq);
    this.#advanceFresh();
  }

  /** Fresh records up to `seq` are no longer in memory: the backlog lane reads them from the log. */
  leaveToBacklog(seq: number): void {
    this.#freshNext = Math.max(this.#freshNext, seq + 1);
    this.#advanceFresh();
  }

  /** Whether the host has everything that was appended. */
  get drained(): boolean {
    return this.#state === "open" && this.#log.highAcked >= this.#log.nextSeq - 1;
  }

  /**
   * Called once the log knows what the welcome said, which may take a while where records get new numbers;
   * nothing is sent before. What is appended from here on is fresh.
   */
  start(nowMs: number): void {
    if (this.#state === "opening") this.#state = "open";
    this.#freshNext = this.#log.nextSeq;
    this.#freshSinceMs = Infinity;
    this.#heartbeatAtMs = nowMs;
  }

  #close(reason: string, more: Pick<Closed, "tell" | "retryAfterMs"> = {}): Closed {
    this.#state = "closed";
    return { kind: "closed", reason, ...more };
  }

  #heard(nowMs: number): void {
    this.#silentAtMs = nowMs + SILENCE_INTERVALS * this.#broadcastMs;
  }

  #receiveWelcome(welcome: Welcome, nowMs: number): UplinkEffect {
    const { high_acked, max_seq, ranges = [], limits } = welcome;
    const problem = this.#problemOf(high_acked, ranges) ??
      (max_seq < highestOf(high_acked, ranges) ? "max_seq is below what is acked" : undefined) ??
      (max_seq > this.#log.nextSeq + SEQ_JUMP_MAX ? "max_seq is too far above" : undefined);
    if (problem !== undefined) {
      return this.#close(`host's welcome can't be: ${problem}`, { tell: "bad_message" });
    }
    this.#state = "opening";
    this.#heartbeatMs = Math.min(limits.heartbeat_ms, SIGN_OF_LIFE_MS_MAX);
    this.#broadcastMs = Math.min(limits.broadcast_ms, SIGN_OF_LIFE_MS_MAX);
    this.#heard(nowMs);
    this.#heartbeatAtMs = nowMs;
    this.#credit = welcome.credit;
    const foreign = max_seq > Math.max(this.#maxSent, this.#log.runFirstSeq - 1);
    this.#noteAcked(high_acked, ranges);
    return {
      kind: "open",
      encoding: welcome.encoding,
      highAcked: high_acked,
      ...(foreign ? { renumberAbove: max_seq } : {}),
      ...(welcome.config === undefined ? {} : { config: welcome.config }),
    };
  }

  #receiveAck({ high_acked, ranges = [], credit }: Ack, nowMs: number): UplinkEffect {
    const highest = highestOf(high_acked, ranges);
    // Somebody else uses this epoch: the next welcome says up to where.
    const problem = highest >= this.#log.nextSeq
      ? `${highest} was never given out`
      : this.#problemOf(high_acked, ranges);
    if (problem !== undefined) {
      return this.#close(`host's ack can't be: ${problem}`, { tell: "bad_message" });
    }
    if (credit !== undefined) this.#credit = credit;
    this.#noteAcked(high_acked, ranges);
    this.#window.acked((seq) => this.#acked.has(seq), nowMs);
    return { kind: "acked", highAcked: high_acked };
  }

  #problemOf(highAcked: number, ranges: readonly (readonly [number, number])[]) {
    const inverted = ranges.find(([from, to]) => from > to);
    if (inverted !== undefined) return `a range goes from ${inverted[0]} to ${inverted[1]}`;
    const highest = highestOf(highAcked, ranges);
    return highest > this.#log.nextSeq + SEQ_JUMP_MAX ? `${highest} is too far above` : undefined;
  }

  #noteAcked(highAcked: number, ranges: readonly (readonly [number, number])[]): void {
    const all: (readonly [number, number])[] = highAcked > 0
      ? [[1, highAcked], ...ranges]
      : [...ranges];
    for (const [from, to] of all) {
      this.#acked.add(from, to);
      this.#sent.add(from, to);
    }
    this.#flight.settle((seq) => this.#acked.has(seq));
    assert(this.#flight.bytes >= 0, `${this.#flight.bytes} bytes are in flight`);
    this.#advanceFresh();
  }

  #advanceFresh(): void {
    const last = this.#log.nextSeq - 1;
    this.#freshNext = Math.max(
      this.#freshNext,
      this.#sent.firstMissing(this.#freshNext, last)?.[0] ?? last + 1,
    );
    if (this.#urgent.length > 0) {
      this.#urgent = this.#urgent.filter((seq) => seq >= this.#freshNext && !this.#sent.has(seq));
    }
    if (!this.#hasFresh) this.#freshSinceMs = Infinity;
  }

  get #hasFresh(): boolean {
    return this.#freshNext <= this.#log.sendableThrough;
  }
  get #roomRecords(): number {
    return this.#credit.records - this.#flight.records;
  }
  #hasRoom(bytes: number): boolean {
    return this.#flight.records === 0 || this.#flight.bytes + bytes <= this.#credit.bytes;
  }

  #planGaps(): Gap[] {
    const gaps: Gap[] = [];
    for (const { reason, records_max: most, ...gap } of this.#log.gaps) {
      for (const [from_seq, to_seq] of this.#sent.missing(gap.from_seq, gap.to_seq)) {
        const records = most === undefined ? {} : { records_max: most };
        gaps.push({ type: "gap", from_seq, to_seq, reason, ...records });
      }
    }
    return gaps;
  }

  #planFresh(nowMs: number): number[] {
    if (!this.#hasFresh) return [];
    if (this.#freshSinceMs === Infinity) this.#freshSinceMs = nowMs;
    const due = nowMs >= this.#freshSinceMs + this.#options.sendIntervalMs();
    const last = this.#log.sendableThrough;
    const urgent = this.#urgent.filter((seq) => seq <= last && !this.#sent.has(seq));
    if (!due && urgent.length === 0) return [];
    const room = this.#hasRoom(1) ? Math.max(0, this.#roomRecords) : 0;
    const waiting = last - this.#freshNext + 1;
    if (urgent.length > 0 && waiting > room) return urgent.slice(0, room);
    const fresh: number[] = [];
    for (let seq = this.#freshNext; seq <= last && fresh.length < room; seq++) {
      if (!this.#sent.has(seq)) fresh.push(seq);
    }
    return fresh;
  }

  #planBacklog(freshRecords: number): SendPlan["backlog"] {
    const hole = this.#firstUnsent();
    if (hole === undefined) return undefined;
    const share = 1 - 1 / FRESH_SHARE;
    const records = Math.min(
      Math.max(1, Math.floor(this.#credit.records * share)) - this.#flight.records,
      this.#roomRecords - freshRecords,
    );
    const bytes = Math.min(
      this.#window.bytes,
      Math.max(1, Math.floor(this.#credit.bytes * share)),
    ) - this.#flight.bytes;
    if (records <= 0 || (bytes <= 0 && this.#flight.records > 0)) return undefined;
    return {
      from: hole[0],
      to: hole[1],
      records: Math.min(records, BACKLOG_RECORDS_PER_WRITE),
      bytes: Math.min(Math.max(1, bytes), BACKLOG_BYTES_PER_WRITE),
    };
  }

  #firstUnsent(): Range | undefined {
    const through = Math.min(this.#freshNext - 1, this.#log.sendableThrough);
    return this.#sent.firstMissing(this.#log.highAcked + 1, through);
  }
}

function highestOf(highAcked: number, ranges: readonly (readonly [number, number])[]): number {
  return ranges.reduce((highest, [, to]) => Math.max(highest, to), highAcked);
}
