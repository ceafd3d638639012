/**
 * The host's side of one connection as a state machine: what a line means in the present state, and when the
 * node counts as gone. Pure: it knows no socket, clock or store.
 *
 * ```
 *  greeting ── hello ──▶ opening ── welcomed ──▶ open ── error, silence, end ──▶ closed
 * ```
 */
import { PROTO_VERSION, SILENCE_INTERVALS } from "../limits.ts";
import {
  type ConfigApplied,
  type Encoding,
  type ErrorCode,
  type Gap,
  type Heartbeat,
  type Hello,
  parseNodeMessage,
} from "../protocol/message.ts";
import type { TelemetryRecord } from "../protocol/record.ts";

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
  readonly handshakeMs: number;
  readonly heartbeatMs: number;
}

/** See the head of the file. */
export class Session {
  #state: "greeting" | "opening" | "open" = "greeting";
  #limits: SessionLimits;
  /** Who TLS says that the peer is. */
  #identity: string | undefined;
  #nodeId = "";
  #epoch = "";
  #silentAtMs: number;

  constructor(limits: SessionLimits, identity: string | undefined, nowMs: number) {
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
        if (message.node_id !== this.#nodeId || message.epoch !== this.#epoch) {
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

  /** The welcome was sent. */
  welcomed(nowMs: number): void {
    this.#state = "open";
    this.#heard(nowMs);
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
    this.#nodeId = hello.node_id;
    this.#epoch = hello.epoch;
    const encoding = hello.encodings.find((name) => name === "deflate" || name === "ndjson");
    return { kind: "hello", hello, encoding: (encoding ?? "ndjson") as Encoding };
  }
}

function refuse(code: ErrorCode, message: string): SessionEffect {
  return { kind: "refuse", code, message };
}
