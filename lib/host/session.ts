/**
 * The host's side of one connection as a state machine: what a line means in the present state, what to
 * answer, and when the node counts as gone. The twin of the node's `uplink.ts`. Pure: it knows no socket,
 * clock or store.
 *
 * ```
 *  greeting ── hello ──▶ opening ── welcome ──▶ open ── error, silence, end ──▶ closed
 * ```
 * Invariants: an ack says only what the ledger calls durable; a configuration is told once; a node that keeps
 * more in flight than it was ever granted is refused.
 */
import { assert } from "../assert.ts";
import {
  ACK_RANGES_MAX,
  FRAME_BYTES_MAX,
  LINE_BYTES_MAX,
  PROTO_VERSION,
  SILENCE_INTERVALS,
  WELCOME_RANGES_MAX,
} from "../limits.ts";
import type { Run } from "../codec/lines.ts";
import {
  type Ack,
  type Broadcast,
  type ConfigApplied,
  type ConfigUpdate,
  type Credit,
  type Encoding,
  type ErrorCode,
  type Gap,
  type Heartbeat,
  type Hello,
  parseNodeMessage,
  type VersionedConfig,
  type Welcome,
} from "../protocol/message.ts";
import type { Range } from "../protocol/ranges.ts";
import type { TelemetryRecord } from "../protocol/record.ts";
import { type RecordColumns, RecordShapes } from "../protocol/record_columns.ts";
import { differsMuch } from "./credit.ts";

/** What a line asks of the driver. */
export type SessionEffect =
  | { readonly kind: "hello"; readonly hello: Hello; readonly encoding: Encoding }
  | { readonly kind: "record"; readonly record: TelemetryRecord }
  | { readonly kind: "gap"; readonly gap: Gap }
  | { readonly kind: "heartbeat"; readonly heartbeat: Heartbeat }
  | { readonly kind: "config_applied"; readonly applied: ConfigApplied }
  /** Tell the node, close, count. */
  | { readonly kind: "refuse"; readonly code: ErrorCode; readonly message: string }
  /** The node is the one that closes, for this reason. */
  | { readonly kind: "ended"; readonly reason: string };

/** Times in milliseconds. */
export interface SessionLimits {
  readonly hostId: string;
  readonly handshakeMs: number;
  readonly heartbeatMs: number;
  readonly broadcastMs: number;
}

/** What is durable of the session's epoch; a ledger. */
export interface DurableView {
  readonly highAcked: number;
  readonly maxSeq: number;
  ranges(count: number): Range[];
}

/** What a node may have in flight beyond any credit that it was granted: what is on its way when one shrinks. */
const OVERDRAFT_BYTES = FRAME_BYTES_MAX;

/** See the head of the file. */
export class Session {
  #state: "greeting" | "opening" | "open" = "greeting";
  #limits: SessionLimits;
  /** Who TLS says that the peer is. */
  #identity: string | undefined;
  #hello: Hello | undefined;
  #shapes: RecordShapes | undefined;
  #silentAtMs: number;
  /** What the node was told last: acks, credit, version of the configuration, authorities. */
  #told = { highAcked: 0, ranges: "[]", credit: { records: 0, bytes: 0 }, cfgVersion: 0, ca: "" };
  #creditBytesMax = 0;
  #isAckOwed = false;

  constructor(limits: SessionLimits, identity: string | undefined, nowMs: number) {
    assert(limits.heartbeatMs > 0 && limits.broadcastMs > 0, "intervals must be above 0");
    this.#limits = limits;
    this.#identity = identity;
    this.#silentAtMs = nowMs + limits.handshakeMs;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Takes in one line, without its newline. */
  receive(line: string, nowMs: number): SessionEffect {
    const parsed = parseNodeMessage(line);
    if (!parsed.ok) return refuse("bad_message", parsed.error);
    const { message } = parsed;
    if (message.type === "error") {
      return { kind: "ended", reason: `node says ${message.code}: ${message.message}` };
    }
    if ((this.#state === "greeting") !== (message.type === "hello") || this.#state === "opening") {
      return refuse("bad_order", `${message.type} is out of order here`);
    }
    this.#heard(nowMs);
    switch (message.type) {
      case "hello":
        return this.#receiveHello(message);
      case "telemetry":
        if (message.node_id !== this.#hello!.node_id || message.epoch !== this.#hello!.epoch) {
          return refuse("bad_message", "telemetry: node_id or epoch is not that of the hello");
        }
        return { kind: "record", record: message };
      case "gap":
        if (message.to_seq < message.from_seq) {
          return refuse("bad_message", "gap: to_seq is below from_seq");
        }
        return { kind: "gap", gap: message };
      case "heartbeat":
        return { kind: "heartbeat", heartbeat: message };
      case "config_applied":
        return { kind: "config_applied", applied: message };
    }
  }

  /**
   * Takes in the lines of a run as records, if all of them are; else `undefined`, and they have to be taken in one by
   * one.
   */
  receiveColumns(run: Run, nowMs: number): RecordColumns | undefined {
    const found = this.#state === "open" ? this.#shapes!.columnsOf(run) : undefined;
    if (found !== undefined) this.#heard(nowMs);
    return found;
  }

  /** The answer to the hello; the session is open once it is sent. */
  welcome(
    durable: DurableView,
    encoding: Encoding,
    credit: Credit,
    config: VersionedConfig | undefined,
    nowMs: number,
  ): Welcome {
    assert(this.#state === "opening", "a welcome answers a hello");
    this.#state = "open";
    this.#heard(nowMs);
    const ranges = durable.ranges(WELCOME_RANGES_MAX);
    const newer = config !== undefined && config.cfg_version > this.#hello!.cfg_version;
    this.#told = {
      highAcked: durable.highAcked,
      ranges: JSON.stringify(ranges.slice(0, ACK_RANGES_MAX)),
      credit,
      cfgVersion: newer ? config.cfg_version : this.#hello!.cfg_version,
      ca: "",
    };
    this.#creditBytesMax = credit.bytes;
    return {
      type: "welcome",
      proto: PROTO_VERSION,
      encoding,
      host_id: this.#limits.hostId,
      high_acked: durable.highAcked,
      ...(ranges.length > 0 ? { ranges } : {}),
      max_seq: durable.maxSeq,
      credit,
      limits: {
        line_bytes_max: LINE_BYTES_MAX,
        heartbeat_ms: this.#limits.heartbeatMs,
        broadcast_ms: this.#limits.broadcastMs,
      },
      ...(newer ? { config } : {}),
    };
  }

  /** Something came that is accounted for already: the next ack is due, whatever it says. */
  repeated(): void {
    this.#isAckOwed = true;
  }

  /** What to tell of what is durable, or nothing where the node knows it. Acks are cumulative. */
  ack(durable: DurableView, credit: Credit): Ack | undefined {
    if (this.#state !== "open") return undefined;
    const told = this.#told;
    assert(durable.highAcked >= told.highAcked, "acks don't go back within a session");
    const newCredit = differsMuch(credit, told.credit);
    const ranges = durable.ranges(ACK_RANGES_MAX);
    const rangesText = JSON.stringify(ranges);
    const isNews = newCredit || durable.highAcked !== told.highAcked || rangesText !== told.ranges;
    if (!isNews && !this.#isAckOwed) return undefined;
    this.#isAckOwed = false;
    told.highAcked = durable.highAcked;
    told.ranges = rangesText;
    if (newCredit) {
      told.credit = credit;
      this.#creditBytesMax = Math.max(this.#creditBytesMax, credit.bytes);
    }
    return {
      type: "ack",
      high_acked: durable.highAcked,
      ...(ranges.length > 0 ? { ranges } : {}),
      ...(newCredit ? { credit } : {}),
    };
  }

  /** A configuration to send, unless the node was told of it, or has a newer one. */
  configUpdate(config: VersionedConfig): ConfigUpdate | undefined {
    if (this.#state !== "open" || config.cfg_version <= this.#told.cfgVersion) return undefined;
    this.#told.cfgVersion = config.cfg_version;
    return { type: "config_update", ...config };
  }

  /** Shows the node that the host lives, and `ca`, which stands for the authorities, unless it was told. */
  broadcast(wallMs: number, cfgVersion: number, ca?: string): Broadcast | undefined {
    if (this.#state !== "open") return undefined;
    const isNews = ca !== undefined && ca !== this.#told.ca;
    if (isNews) this.#told.ca = ca;
    return {
      type: "broadcast",
      host_id: this.#limits.hostId,
      ts_wall_ms: wallMs,
      cfg_version: cfgVersion,
      ...(isNews ? { ca } : {}),
    };
  }

  /** Refuses a node that keeps more in flight than it was ever granted; `heldBytes` are received, not durable. */
  checkCredit(heldBytes: number): SessionEffect | undefined {
    if (heldBytes <= this.#creditBytesMax + OVERDRAFT_BYTES) return undefined;
    return refuse("over_credit", `${heldBytes} bytes in flight, the credit is less`);
  }

  /** Refuses a node that has been silent for too long. */
  checkSilence(nowMs: number): SessionEffect | undefined {
    if (nowMs < this.#silentAtMs || this.#state === "opening") return undefined;
    const what = this.#state === "greeting" ? "no hello" : "no sign of life";
    return refuse("timeout", `${what} in time`);
  }

  #heard(nowMs: number): void {
    this.#silentAtMs = nowMs + SILENCE_INTERVALS * this.#limits.heartbeatMs;
  }

  #receiveHello(hello: Hello): SessionEffect {
    if (!hello.proto.includes(PROTO_VERSION)) {
      return refuse("unsupported", `this host speaks protocol version ${PROTO_VERSION} only`);
    }
    if (this.#identity !== undefined && this.#identity !== hello.node_id) {
      const message = `the certificate is that of "${this.#identity}", not of "${hello.node_id}"`;
      return refuse("forbidden", message);
    }
    this.#state = "opening";
    this.#hello = hello;
    this.#shapes = new RecordShapes(hello.node_id, hello.epoch);
    const encoding = hello.encodings.find((name) => name === "block" || name === "ndjson");
    return { kind: "hello", hello, encoding: (encoding ?? "ndjson") as Encoding };
  }
}

function refuse(code: ErrorCode, message: string): SessionEffect {
  return { kind: "refuse", code, message };
}
