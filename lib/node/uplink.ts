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
 * Invariants: each seq is sent at most once a session; records in flight and their bytes stay within the
 * credit; the backlog leaves one part in FRESH_SHARE of the credit to fresh records; nothing above the
 * log's `sendableThrough` is sent.
 */
import { FRESH_SHARE, PROTO_VERSION, SILENCE_INTERVALS } from "../limits.ts";
import type {
  Ack,
  Credit,
  Encoding,
  Gap,
  GapReason,
  Hello,
  HostMessage,
  VersionedConfig,
  Welcome,
} from "../protocol/message.ts";
import { type Range, RangeSet } from "../protocol/ranges.ts";

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
  readonly gaps: readonly { from_seq: number; to_seq: number; reason: GapReason }[];
}

/** What does not change during a session. */
export interface UplinkOptions {
  readonly nodeId: string;
  readonly bootId: string;
  readonly version: string;
  readonly encodings: readonly Encoding[];
  readonly sendIntervalMs: () => number;
  readonly cfgVersion: () => number;
  /** Highest seq of this run that any session sent; the host may know no higher one. */
  readonly runMaxSent: number;
}

/** What may be sent now. */
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
  | { readonly kind: "closed"; readonly reason: string; readonly retryAfterMs?: number };

/** Neighbours in flight, acked together. */
interface Flight {
  readonly from: number;
  to: number;
  bytes: number;
}

/** Longest wait for the welcome. */
const GREETING_MS = 10_000;
/** The most of the backlog that one write carries, so that fresh records wait behind little. */
const BACKLOG_RECORDS_PER_WRITE = 512;
const BACKLOG_BYTES_PER_WRITE = 131_072;
/** Records sent in a row that are counted as one flight; few enough that an ack frees credit early. */
const FLIGHT_RECORDS = 32;
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
  #limits = { heartbeat_ms: 10_000, broadcast_ms: 10_000 };
  #heartbeatAtMs = Infinity;
  /** Acked, in flight, or declared in this session. */
  #sent = new RangeSet();
  #acked = new RangeSet();
  #flights: Flight[] = [];
  #flightRecords = 0;
  #flightBytes = 0;
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
    return this.#flightRecords;
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
      return this.#close(
        `host says ${message.code}: ${message.message}`,
        retry === undefined ? {} : { retryAfterMs: retry },
      );
    }
    if ((this.#state === "greeting") !== (message.type === "welcome")) {
      return this.#close(`host sent ${message.type} out of order`);
    }
    this.#silentAtMs = nowMs + SILENCE_INTERVALS * this.#limits.broadcast_ms;
    switch (message.type) {
      case "welcome":
        return this.#open(message, nowMs);
      case "ack":
        return this.#receiveAck(message);
      case "config_update":
        return {
          kind: "config",
          config: { cfg_version: message.cfg_version, config: message.config },
        };
      case "broadcast":
        return { kind: "none" };
    }
  }

  /** Closes the session if the host has been silent for too long. */
  checkSilence(nowMs: number): UplinkEffect {
    if (this.#state === "closed" || nowMs < this.#silentAtMs) return { kind: "none" };
    return this.#close(
      this.#state === "greeting" ? "host did not answer the hello" : "host fell silent",
    );
  }

  /** A record was appended; `urgent` ones are sent at once. */
  appended(seq: number, urgent: boolean, nowMs: number): void {
    if (this.#freshSinceMs === Infinity) this.#freshSinceMs = nowMs;
    if (urgent && this.#urgent.length < URGENT_MAX) this.#urgent.push(seq);
  }

  /** What may be sent at `nowMs`; the driver sends it, and says so with `sent` and `declared`. */
  plan(nowMs: number): SendPlan {
    if (this.#state !== "open") {
      return { gaps: [], fresh: [], heartbeat: false, deadlineMs: this.#silentAtMs };
    }
    const fresh = this.#planFresh(nowMs);
    const backlog = this.#planBacklog(fresh.length);
    const heartbeat = nowMs >= this.#heartbeatAtMs;
    if (heartbeat) this.#heartbeatAtMs = nowMs + this.#limits.heartbeat_ms;
    const freshDue = this.#hasFresh && this.#roomRecords > 0
      ? this.#freshSinceMs + this.#options.sendIntervalMs()
      : Infinity;
    const unsynced = this.#log.sendableThrough < this.#log.nextSeq - 1;
    return {
      gaps: this.#planGaps(),
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

  /** Records `from` to `to` were handed to the connection as `bytes` bytes of lines. */
  sent(from: number, to: number, bytes: number): void {
    this.#sent.add(from, to);
    const last = this.#flights.at(-1);
    if (last !== undefined && last.to + 1 === from && last.to - last.from < FLIGHT_RECORDS) {
      last.to = to;
      last.bytes += bytes;
    } else this.#flights.push({ from, to, bytes });
    this.#flightRecords += to - from + 1;
    this.#flightBytes += bytes;
    this.#maxSent = Math.max(this.#maxSent, to);
    this.#advanceFresh();
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

  /** Whether the host has everything that was appended. */
  get drained(): boolean {
    return this.#state === "open" && this.#log.highAcked >= this.#log.nextSeq - 1;
  }

  #close(reason: string, extra: { retryAfterMs?: number } = {}): UplinkEffect {
    this.#state = "closed";
    return { kind: "closed", reason, ...extra };
  }

  #open(welcome: Welcome, nowMs: number): UplinkEffect {
    this.#state = "opening";
    this.#limits = welcome.limits;
    this.#silentAtMs = nowMs + SILENCE_INTERVALS * welcome.limits.broadcast_ms;
    this.#heartbeatAtMs = nowMs;
    this.#credit = welcome.credit;
    const foreign = welcome.max_seq > Math.max(this.#maxSent, this.#log.runFirstSeq - 1);
    this.#noteAcked(welcome.high_acked, welcome.ranges ?? []);
    return {
      kind: "open",
      encoding: welcome.encoding,
      highAcked: welcome.high_acked,
      ...(foreign ? { renumberAbove: welcome.max_seq } : {}),
      ...(welcome.config === undefined ? {} : { config: welcome.config }),
    };
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

  #receiveAck(ack: Ack): UplinkEffect {
    const highest = Math.max(ack.high_acked, ...(ack.ranges ?? []).map(([, to]) => to));
    // Somebody else uses this epoch: the next welcome says up to where.
    if (highest >= this.#log.nextSeq) {
      return this.#close(`host acked ${highest}, which was never sent`);
    }
    if (ack.credit !== undefined) this.#credit = ack.credit;
    this.#noteAcked(ack.high_acked, ack.ranges ?? []);
    return { kind: "acked", highAcked: ack.high_acked };
  }

  #noteAcked(highAcked: number, ranges: readonly (readonly [number, number])[]): void {
    if (highAcked > 0) {
      this.#acked.add(1, highAcked);
      this.#sent.add(1, highAcked);
    }
    for (const [from, to] of ranges) {
      if (to < from) continue;
      this.#acked.add(from, to);
      this.#sent.add(from, to);
    }
    this.#flights = this.#flights.filter((flight) => {
      if (!this.#acked.covers(flight.from, flight.to)) return true;
      this.#flightRecords -= flight.to - flight.from + 1;
      this.#flightBytes -= flight.bytes;
      return false;
    });
    this.#advanceFresh();
  }

  get #hasFresh(): boolean {
    return this.#freshNext <= this.#log.sendableThrough;
  }
  get #roomRecords(): number {
    return this.#flightBytes < this.#credit.bytes ? this.#credit.records - this.#flightRecords : 0;
  }

  #planGaps(): Gap[] {
    const gaps: Gap[] = [];
    for (const gap of this.#log.gaps) {
      for (const [from_seq, to_seq] of this.#sent.missing(gap.from_seq, gap.to_seq)) {
        gaps.push({ type: "gap", from_seq, to_seq, reason: gap.reason });
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
    const room = this.#roomRecords;
    const waiting = last - this.#freshNext + 1;
    if (urgent.length > 0 && waiting > room) return urgent.slice(0, Math.max(0, room));
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
      Math.max(1, Math.floor(this.#credit.records * share)) - this.#flightRecords,
      this.#roomRecords - freshRecords,
    );
    const bytes = Math.max(1, Math.floor(this.#credit.bytes * share)) - this.#flightBytes;
    if (records <= 0 || bytes <= 0) return undefined;
    return {
      from: hole[0],
      to: hole[1],
      records: Math.min(records, BACKLOG_RECORDS_PER_WRITE),
      bytes: Math.min(bytes, BACKLOG_BYTES_PER_WRITE),
    };
  }

  #firstUnsent(): Range | undefined {
    const through = Math.min(this.#freshNext - 1, this.#log.sendableThrough);
    return this.#sent.firstMissing(this.#log.highAcked + 1, through);
  }
}
