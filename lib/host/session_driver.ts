/** Runs one session on a connection: bytes to lines to effects, back-pressure, acks. */
import { getLogger } from "@logtape/logtape";
import { ACK_RANGES_MAX, LINE_BYTES_MAX, PROTO_VERSION, WELCOME_RANGES_MAX } from "../limits.ts";
import type { Clock, Connection } from "../platform/platform.ts";
import {
  type Credit,
  encodeMessage,
  type Encoding,
  type ErrorCode,
  type Hello,
  type HostMessage,
  type VersionedConfig,
} from "../protocol/message.ts";
import type { TelemetryRecord } from "../protocol/record.ts";
import { type Decoded, encodeLines, WireDecoder } from "../protocol/wire.ts";
import { differsMuch } from "./credit.ts";
import type { Ledger } from "./ledger.ts";
import type { NodeInfo } from "./registry.ts";
import { Session, type SessionEffect, type SessionLimits } from "./session.ts";

/** What a session asks of the host. */
export interface SessionHost {
  readonly clock: Clock;
  readonly hostId: string;
  readonly limits: SessionLimits & {
    readonly broadcastMs: number;
    /** Received bytes that may wait for the store before reading stops. */
    readonly unprocessedBytesMax: number;
  };
  /**
   * Lets a node in: ends its older session, waits until that one's records are settled, and gives the state
   * to go on from; or says why not.
   */
  admit(driver: SessionDriver, hello: Hello, encoding: Encoding): Promise<Admission>;
  /** Something was taken in for the next commit. */
  added(ledger: Ledger, records: number): void;
  /** Resolves when the next commit is over. */
  settled(ledger: Ledger): Promise<void>;
  creditFor(driver: SessionDriver): Credit;
  /** Faults: whether acks wait, and whether a line is taken in twice. */
  isStalled(): boolean;
  duplicates(): boolean;
  event(kind: string, nodeId: string, detail: Record<string, unknown>): void;
  note(what: "record" | "duplicate" | "bad_line", node: NodeInfo | undefined): void;
  /** A new record was taken in; `line` is its JSON. */
  received(node: NodeInfo, record: TelemetryRecord, line: string): void;
  noteEffect(driver: SessionDriver, effect: SessionEffect): void;
}

/** See {@linkcode SessionHost.admit}. */
export type Admission =
  | { ok: true; ledger: Ledger; node: NodeInfo; config: VersionedConfig | undefined }
  | { ok: false; code: ErrorCode; message: string; retryAfterMs?: number };

const log = getLogger(["holdfast", "session"]);

/** See the head of the file. */
export class SessionDriver {
  readonly connection: Connection;
  node: NodeInfo | undefined;
  ledger: Ledger | undefined;
  /** `next_seq` of the hello: below it the node replays. */
  replayUntil = 0;
  #host: SessionHost;
  #session: Session;
  #decoder = new WireDecoder();
  #encoding: Encoding = "ndjson";
  #closed = false;
  #unprocessedBytes = 0;
  #credit: Credit | undefined;
  /** Version of the newest configuration that the node has or was sent. */
  #toldVersion = 0;
  #ackedHigh = 0;
  #ackedRanges = "";
  #ackDue = false;
  #sending = false;
  #ended: Promise<void> | undefined;

  constructor(connection: Connection, host: SessionHost) {
    this.connection = connection;
    this.#host = host;
    const now = host.clock.monotonicMs();
    this.#session = new Session(host.limits, connection.identity, now);
  }

  get isOpen(): boolean {
    return this.#session.isOpen && !this.#closed;
  }
  /** Resolves when the session has ended and takes nothing in any more. */
  get ended(): Promise<void> {
    return this.#ended ?? Promise.resolve();
  }

  /** Runs until the connection ends. Never rejects. */
  run(): Promise<void> {
    return this.#ended ??= this.#readLoop();
  }

  /** Ends the session with an `error` message. */
  refuse(code: ErrorCode, message: string, retryAfterMs?: number): void {
    if (this.#closed) return;
    this.#send({
      type: "error",
      code,
      message: message.slice(0, 4_000),
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
    });
    this.close();
  }

  close(): void {
    this.#closed = true;
    this.connection.close();
  }

  /** To be called every second or so. */
  tick(nowMs: number): void {
    if (this.#closed) return;
    const effect = this.#session.checkSilence(nowMs);
    if (effect?.kind === "refuse") return this.#refuseEffect(effect);
    if (this.#ackDue) this.ack();
  }

  /** Shows the node that the host lives; left out while the node doesn't read. */
  broadcast(cfgVersion: number): void {
    if (!this.isOpen || this.#sending) return;
    const { hostId, clock } = this.#host;
    this.#send({
      type: "broadcast",
      host_id: hostId,
      ts_wall_ms: clock.wallMs(),
      cfg_version: cfgVersion,
    });
  }

  /** Sends a configuration, unless the node was told of it, or has a newer one. */
  pushConfig(config: VersionedConfig): void {
    if (!this.isOpen || config.cfg_version <= this.#toldVersion) return;
    this.#toldVersion = config.cfg_version;
    this.#send({ type: "config_update", ...config });
  }

  /** Tells what is durable now. Acks are cumulative: while one leaves, the next waits and covers both. */
  ack(): void {
    const { ledger } = this;
    if (!this.isOpen || ledger === undefined) return;
    if (this.#sending || this.#host.isStalled()) {
      this.#ackDue = true;
      return;
    }
    this.#ackDue = false;
    const credit = this.#host.creditFor(this);
    const newCredit = this.#credit === undefined || differsMuch(credit, this.#credit);
    const ranges = ledger.ranges(ACK_RANGES_MAX);
    const rangesText = JSON.stringify(ranges);
    if (!newCredit && ledger.highAcked === this.#ackedHigh && rangesText === this.#ackedRanges) {
      return;
    }
    this.#ackedHigh = ledger.highAcked;
    this.#ackedRanges = rangesText;
    this.#credit = credit;
    this.#send({
      type: "ack",
      high_acked: ledger.highAcked,
      ...(ranges.length > 0 ? { ranges } : {}),
      ...(newCredit ? { credit } : {}),
    });
  }

  /** What was received so far has been settled by the store. */
  processed(): void {
    this.#unprocessedBytes = 0;
  }

  async #readLoop(): Promise<void> {
    for (;;) {
      const chunk = await this.connection.read();
      if (chunk === undefined || this.#closed) break;
      await this.#take(this.#decoder.push(chunk));
      if (this.#closed) break;
      this.#unprocessedBytes += chunk.length;
      while (
        this.#unprocessedBytes > this.#host.limits.unprocessedBytesMax && this.ledger !== undefined
      ) {
        await this.#host.settled(this.ledger);
        this.#unprocessedBytes = 0;
      }
    }
    this.close();
  }

  async #take(decoded: Decoded): Promise<void> {
    for (const line of decoded.lines) {
      this.#perform(this.#session.receive(line, this.#host.clock.monotonicMs()), line);
      const opening = this.#opening;
      if (opening !== undefined) {
        // Taken before the wait: lines that came with the hello are read within it and must not wait for it.
        this.#opening = undefined;
        await opening;
      }
      if (this.#closed) return;
      if (this.isOpen && this.#host.duplicates()) {
        this.#perform(this.#session.receive(line, this.#host.clock.monotonicMs()), line);
      }
      if (this.#closed) return;
    }
    if (decoded.bad !== undefined) {
      this.#refuseEffect({ kind: "refuse", ...decoded.bad });
    }
  }

  #opening: Promise<void> | undefined;

  #perform(effect: SessionEffect, line: string): void {
    switch (effect.kind) {
      case "record": {
        const { record } = effect;
        const isNew = this.ledger!.offer({
          seq: record.seq,
          ts_wall_ms: record.ts_wall_ms,
          ts_mono_ms: record.ts_mono_ms,
          is_anomaly: record.anomaly.is_anomaly,
          score: record.anomaly.score,
          payload: line,
        });
        this.#host.note(isNew ? "record" : "duplicate", this.node);
        if (isNew) {
          if (record.anomaly.is_anomaly) this.node!.anomalies++;
          this.#host.received(this.node!, record, line);
          this.#host.added(this.ledger!, 1);
          if (this.ledger!.isTooScattered) {
            this.refuse("too_many_ranges", "too many separate ranges above high_acked");
          }
        } else this.#ackDue = true;
        return;
      }
      case "gap": {
        const lost = this.ledger!.offerGap(effect.gap);
        const { reason } = effect.gap;
        for (const { from_seq, to_seq } of lost) {
          this.node!.gap_records += to_seq - from_seq + 1;
          this.#host.event("gap", this.node!.node_id, { from_seq, to_seq, reason });
        }
        // Also where nothing was lost: the gap may close a hole that the ack must tell of.
        this.#host.added(this.ledger!, 0);
        return;
      }
      case "hello":
        this.#opening = this.#open(effect.hello, effect.encoding);
        return;
      case "refuse":
        return this.#refuseEffect(effect);
      case "ended":
        log.info("{peer}: {reason}", { peer: this.connection.peer, reason: effect.reason });
        return this.close();
      default:
        this.#host.noteEffect(this, effect);
    }
  }

  #refuseEffect(effect: SessionEffect & { kind: "refuse" }): void {
    if (effect.code !== "timeout") this.#host.note("bad_line", this.node);
    log.warn("{peer} {node}: closed with {code}: {message}", {
      peer: this.connection.peer,
      node: this.node?.node_id ?? "(no hello)",
      code: effect.code,
      message: effect.message,
    });
    this.refuse(effect.code, effect.message);
  }

  async #open(hello: Hello, encoding: Encoding): Promise<void> {
    const admission = await this.#host.admit(this, hello, encoding);
    if (!admission.ok) {
      return this.refuse(admission.code, admission.message, admission.retryAfterMs);
    }
    if (this.#closed) return;
    const { ledger, node, config } = admission;
    this.ledger = ledger;
    this.node = node;
    this.replayUntil = hello.next_seq;
    this.#toldVersion = Math.max(hello.cfg_version, config?.cfg_version ?? 0);
    this.#credit = this.#host.creditFor(this);
    this.#ackedHigh = ledger.highAcked;
    const ranges = ledger.ranges(WELCOME_RANGES_MAX);
    const { heartbeatMs, broadcastMs } = this.#host.limits;
    this.#send({
      type: "welcome",
      proto: PROTO_VERSION,
      encoding,
      host_id: this.#host.hostId,
      high_acked: ledger.highAcked,
      ...(ranges.length > 0 ? { ranges } : {}),
      max_seq: ledger.maxSeq,
      credit: this.#credit,
      limits: {
        line_bytes_max: LINE_BYTES_MAX,
        heartbeat_ms: heartbeatMs,
        broadcast_ms: broadcastMs,
      },
      ...(config === undefined ? {} : { config }),
    });
    this.#encoding = encoding;
    this.#session.welcomed(this.#host.clock.monotonicMs());
    await this.#take(this.#decoder.use(encoding));
  }

  #send(message: HostMessage): void {
    this.#sending = true;
    const bytes = encodeLines(this.#encoding, [encodeMessage(message)]);
    this.connection.write(bytes).then(() => {
      this.#sending = false;
      if (this.#ackDue) this.ack();
    });
  }
}
