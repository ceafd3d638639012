/**
 * Runs the uplink: connects to the hosts in turn, moves bytes between connection and state machine, feeds
 * it from the log, and backs off after a failure. Ends only when told to.
 *
 * A session has three loops: one reads, one writes what the plan allows, one watches for silence. Whatever
 * ends one of them closes the connection, and that ends the others.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Connection, Random, Transport } from "../platform/platform.ts";
import {
  type ConfigApplied,
  encodeMessage,
  type Encoding,
  type Heartbeat,
  parseHostMessage,
  type VersionedConfig,
} from "../protocol/message.ts";
import { linePrefix, recordLine } from "../protocol/record.ts";
import { type Decoded, encodeLines, WireDecoder } from "../protocol/wire.ts";
import type { StoredRecord } from "../wal/wal.ts";
import { Backoff } from "./backoff.ts";
import { type SendPlan, Uplink, type UplinkEffect, type UplinkLog } from "./uplink.ts";
import { Wakeup } from "./wakeup.ts";

/** What the driver needs of the log, beside what the state machine reads. */
export interface DriverLog extends UplinkLog {
  ack(highAcked: number): void;
  rewind(highAcked: number): void;
  recent(seq: number): Uint8Array | undefined;
  read(fromSeq: number, limit: { records: number; bytes: number }): Promise<StoredRecord[]>;
  renumber(maxSeq: number): Promise<void>;
}

/** See {@linkcode UplinkDriver}. */
export interface UplinkDriverOptions {
  readonly wal: DriverLog;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly random: Random;
  /** Addresses, tried in turn. */
  readonly hosts: readonly string[];
  readonly nodeId: string;
  readonly bootId: string;
  readonly version: string;
  readonly encodings: readonly Encoding[];
  readonly sendIntervalMs: () => number;
  /** Longest wait between two attempts to connect. */
  readonly reconnectMsMax: number;
  readonly cfgVersion: () => number;
  /** The state that a heartbeat reports. */
  readonly heartbeat: () => Omit<Heartbeat, "type" | "final" | "ts_wall_ms" | "ts_mono_ms">;
  /** Applies a configuration and says what became of it. */
  readonly onConfig: (config: VersionedConfig) => Promise<Omit<ConfigApplied, "type">>;
}

/** The link as `/status` shows it. */
export interface LinkStatus {
  readonly state: "connected" | "connecting" | "waiting" | "stopped";
  /** The address in use or tried last. */
  readonly host: string;
  /** Identity that the host gave in its last welcome. */
  readonly host_id: string | undefined;
  readonly since_wall_ms: number;
  readonly last_error: string | undefined;
  readonly in_flight: number;
  readonly sent_records: number;
  readonly sent_bytes: number;
  readonly received_bytes: number;
  /** Sessions that were opened. */
  readonly sessions: number;
  readonly encoding: Encoding | undefined;
  readonly last_ack_wall_ms: number | undefined;
}

/** A session that lasted this long was a good one: the backoff starts anew after it. */
const LASTED_MS = 10_000;
/** Longest wait for a connection. */
const CONNECT_MS = 10_000;
/** Longest wait between two attempts to connect while the node stops. */
const DRAIN_RETRY_MS = 200;
/** After that many failed attempts in a row a stopping node gives up. */
const DRAIN_FAILURES_MAX = 5;
/** Wait when the log has records to send but none could be read just now. */
const READ_RETRY_MS = 250;

const log = getLogger(["holdfast", "uplink"]);

/** See the head of the file. */
export class UplinkDriver {
  #o: UplinkDriverOptions;
  #wakeup = new Wakeup();
  #session: Session | undefined;
  #draining = false;
  /** Attempts to connect that failed since the draining began. */
  #failures = 0;
  #runMaxSent = 0;
  #status = {
    state: "waiting" as LinkStatus["state"],
    host: "",
    host_id: undefined as string | undefined,
    since_wall_ms: 0,
    last_error: undefined as string | undefined,
    sent_records: 0,
    sent_bytes: 0,
    received_bytes: 0,
    sessions: 0,
    encoding: undefined as Encoding | undefined,
    last_ack_wall_ms: undefined as number | undefined,
  };

  constructor(options: UplinkDriverOptions) {
    this.#o = options;
    this.#status.host = options.hosts[0] ?? "";
    this.#status.since_wall_ms = options.clock.wallMs();
  }

  /** Connects and sends until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, hosts } = this.#o;
    const backoff = new Backoff(this.#o.random, this.#o.reconnectMsMax);
    const stop = () => {
      this.#session?.close();
      this.#wakeup.wake();
    };
    signal.addEventListener("abort", stop);
    for (let attempt = 0; !signal.aborted; attempt++) {
      const startedMs = clock.monotonicMs();
      const retryAfterMs = await this.#attempt(hosts[attempt % hosts.length]!, signal);
      if (signal.aborted) break;
      if (clock.monotonicMs() - startedMs >= LASTED_MS) backoff.reset();
      this.#setState("waiting");
      let resumeMs = clock.monotonicMs() + Math.max(backoff.next(), retryAfterMs);
      while (!signal.aborted && clock.monotonicMs() < resumeMs) {
        // A node that stops has little time left: it tries again soon.
        if (this.#draining) resumeMs = Math.min(resumeMs, clock.monotonicMs() + DRAIN_RETRY_MS);
        await this.#wakeup.wait(clock, resumeMs);
      }
    }
    signal.removeEventListener("abort", stop);
    this.#setState("stopped");
  }

  /** To be called after each append, with its seq; `urgent` records are sent at once. */
  notify(seq: number, urgent: boolean): void {
    this.#session?.appended(seq, urgent);
  }

  /** Sends without waiting for company until the host has everything or `deadlineMs`; whether it has. */
  async drain(deadlineMs: number): Promise<boolean> {
    const { clock } = this.#o;
    this.#draining = true;
    this.#wakeup.wake();
    this.#failures = 0;
    while (!this.#session?.drained && clock.monotonicMs() < deadlineMs) {
      // Nobody is there: what is left waits in the log as well as it does here.
      if (this.#session === undefined && this.#failures >= DRAIN_FAILURES_MAX) return false;
      this.#session?.wake();
      await clock.sleepUntil(Math.min(deadlineMs, clock.monotonicMs() + 20));
    }
    return this.#session?.drained ?? false;
  }

  /** Tells the host that this node stops now, if there is a session; resolves when that was handed over. */
  async finalHeartbeat(): Promise<void> {
    await this.#session?.finalHeartbeat();
  }

  status(): LinkStatus {
    return { ...this.#status, in_flight: this.#session?.inFlight ?? 0 };
  }

  /** One connection from start to end; how long the host asks to stay away. */
  async #attempt(host: string, signal: AbortSignal): Promise<number> {
    this.#status.host = host;
    this.#setState("connecting");
    let connection: Connection;
    const timeout = new AbortController();
    const giveUp = () => timeout.abort();
    signal.addEventListener("abort", giveUp);
    const timer = this.#o.clock
      .sleepUntil(this.#o.clock.monotonicMs() + CONNECT_MS, timeout.signal).then(giveUp);
    try {
      connection = await this.#o.transport.connect(host, timeout.signal);
    } catch (error) {
      this.#failures++;
      this.#fail(signal, error instanceof Error ? error.message : String(error));
      return 0;
    } finally {
      signal.removeEventListener("abort", giveUp);
      giveUp();
      await timer;
    }
    const session = new Session(connection, {
      ...this.#o,
      sendIntervalMs: () => this.#draining ? 0 : this.#o.sendIntervalMs(),
      runMaxSent: this.#runMaxSent,
      onOpen: (encoding, hostId) => {
        this.#status.encoding = encoding;
        this.#status.host_id = hostId;
        this.#status.sessions++;
        this.#status.last_error = undefined;
        this.#setState("connected");
        log.info("connected to {host} ({encoding}), host has all up to seq {high_acked}", {
          host,
          encoding,
          high_acked: this.#o.wal.highAcked,
        });
      },
      onTraffic: (records, sentBytes, receivedBytes) => {
        this.#status.sent_records += records;
        this.#status.sent_bytes += sentBytes;
        this.#status.received_bytes += receivedBytes;
      },
      onAck: () => this.#status.last_ack_wall_ms = this.#o.clock.wallMs(),
    });
    this.#session = session;
    if (signal.aborted) session.close();
    const end = await session.run();
    this.#session = undefined;
    this.#runMaxSent = session.maxSent;
    this.#fail(signal, end.reason);
    return end.retryAfterMs ?? 0;
  }

  #fail(signal: AbortSignal, reason: string): void {
    if (signal.aborted) return;
    if (reason !== this.#status.last_error) {
      log.warn("link to {host}: {reason}", { host: this.#status.host, reason });
    }
    this.#status.last_error = reason;
  }

  #setState(state: LinkStatus["state"]): void {
    if (state === this.#status.state) return;
    // Between two attempts the link is down all the same: since when is what an operator wants to know.
    const wasUp = this.#status.state === "connected";
    if (wasUp || state === "connected") this.#status.since_wall_ms = this.#o.clock.wallMs();
    this.#status.state = state;
  }
}

interface SessionOptions extends UplinkDriverOptions {
  readonly runMaxSent: number;
  readonly onOpen: (encoding: Encoding, hostId: string) => void;
  readonly onTraffic: (records: number, sentBytes: number, receivedBytes: number) => void;
  readonly onAck: () => void;
}

interface SessionEnd {
  readonly reason: string;
  readonly retryAfterMs?: number;
}

/** One connection: the three loops around an {@linkcode Uplink}. */
class Session {
  #o: SessionOptions;
  #connection: Connection;
  #uplink: Uplink;
  #decoder = new WireDecoder();
  #encoding: Encoding = "ndjson";
  #prefix: Uint8Array;
  /** Messages that wait for the writer. */
  #outbox: Uint8Array[] = [];
  #writerWake = new Wakeup();
  #watchWake = new Wakeup();
  #end: SessionEnd | undefined;

  constructor(connection: Connection, options: SessionOptions) {
    this.#connection = connection;
    this.#o = options;
    this.#prefix = linePrefix(options.nodeId, options.wal.epoch);
    this.#uplink = new Uplink(options.wal, options, options.clock.monotonicMs());
  }

  get drained(): boolean {
    return this.#uplink.drained;
  }
  get inFlight(): number {
    return this.#uplink.inFlight;
  }
  get maxSent(): number {
    return this.#uplink.maxSent;
  }

  async run(): Promise<SessionEnd> {
    const { clock } = this.#o;
    const hello = this.#uplink.hello(clock.wallMs(), clock.monotonicMs());
    await this.#write([encodeMessage(hello)], 0);
    await Promise.all([this.#readLoop(), this.#writeLoop(), this.#watchLoop()]);
    return this.#end ?? { reason: "connection closed" };
  }

  close(end?: SessionEnd): void {
    this.#end ??= end ?? { reason: "connection closed" };
    this.#connection.close();
    this.#writerWake.wake();
    this.#watchWake.wake();
  }

  wake(): void {
    this.#writerWake.wake();
  }

  appended(seq: number, urgent: boolean): void {
    this.#uplink.appended(seq, urgent, this.#o.clock.monotonicMs());
    this.#writerWake.wake();
  }

  async finalHeartbeat(): Promise<void> {
    if (this.#uplink.state !== "open") return;
    await this.#write([this.#heartbeat(true)], 0);
  }

  async #readLoop(): Promise<void> {
    for (;;) {
      const chunk = await this.#connection.read();
      if (chunk === undefined) return this.close({ reason: "host closed the connection" });
      if (this.#end !== undefined) return;
      this.#o.onTraffic(0, 0, chunk.length);
      await this.#receive(this.#decoder.push(chunk));
      this.#writerWake.wake();
    }
  }

  async #receive(decoded: Iterable<Decoded>): Promise<void> {
    for (const { lines, bad } of decoded) {
      for (const line of lines) {
        const parsed = parseHostMessage(line);
        if (!parsed.ok) return this.#refuse("bad_message", parsed.error);
        const { message } = parsed;
        const effect = this.#uplink.receive(message, this.#o.clock.monotonicMs());
        if (effect.kind === "open" && message.type === "welcome") {
          await this.#open(effect, message.host_id);
        } else this.#perform(effect);
        if (this.#end !== undefined) return;
      }
      if (bad !== undefined) return this.#refuse(bad.code, bad.message);
    }
  }

  /** Ends the session over what the host sent, and tells it why. */
  #refuse(code: "bad_message" | "too_long", message: string): void {
    const text = `host sent something unreadable: ${message}`;
    this.#write([encodeMessage({ type: "error", code, message: text.slice(0, 1_000) })], 0);
    this.close({ reason: text });
  }

  async #open(effect: UplinkEffect & { kind: "open" }, hostId: string): Promise<void> {
    const { wal } = this.#o;
    if (effect.renumberAbove !== undefined) {
      log.warn("host has other records up to seq {seq} of this epoch: numbering goes on above", {
        seq: effect.renumberAbove,
      });
      await wal.renumber(effect.renumberAbove);
    }
    if (effect.highAcked < wal.highAcked) wal.rewind(effect.highAcked);
    else wal.ack(effect.highAcked);
    this.#encoding = effect.encoding;
    this.#uplink.start(this.#o.clock.monotonicMs());
    this.#o.onOpen(effect.encoding, hostId);
    if (effect.config !== undefined) this.#applyConfig(effect.config);
    await this.#receive(this.#decoder.use(effect.encoding));
  }

  #perform(effect: UplinkEffect): void {
    switch (effect.kind) {
      case "acked":
        this.#o.wal.ack(effect.highAcked);
        return this.#o.onAck();
      case "config":
        return this.#applyConfig(effect.config);
      case "closed":
        return this.close(effect);
    }
  }

  /** Applies in the background: it waits for a tick, and acks must not wait for that. */
  #applyConfig(config: VersionedConfig): void {
    this.#o.onConfig(config).then((applied) => {
      this.#outbox.push(encodeMessage({ type: "config_applied", ...applied }));
      this.#writerWake.wake();
    });
  }

  async #watchLoop(): Promise<void> {
    const { clock } = this.#o;
    while (this.#end === undefined) {
      await this.#watchWake.wait(clock, this.#uplink.silentAtMs);
      this.#perform(this.#uplink.checkSilence(clock.monotonicMs()));
    }
  }

  async #writeLoop(): Promise<void> {
    const { clock } = this.#o;
    while (this.#end === undefined) {
      if (this.#uplink.state !== "open") {
        await this.#writerWake.wait(clock, Infinity);
        continue;
      }
      const plan = this.#uplink.plan(clock.monotonicMs());
      const { lines, records } = await this.#lines(plan);
      if (lines.length > 0) await this.#write(lines, records);
      else {
        const stuck = plan.backlog !== undefined;
        const latest = stuck ? clock.monotonicMs() + READ_RETRY_MS : Infinity;
        await this.#writerWake.wait(clock, Math.min(plan.deadlineMs, latest));
      }
    }
  }

  /** Turns a plan into lines, in the order: messages, gaps, fresh records, backlog. */
  async #lines(plan: SendPlan): Promise<{ lines: Uint8Array[]; records: number }> {
    const { wal } = this.#o;
    const lines = this.#outbox.splice(0);
    if (plan.heartbeat) lines.push(this.#heartbeat(false));
    for (const gap of plan.gaps) {
      lines.push(encodeMessage(gap));
      this.#uplink.declared(gap);
    }
    let records = 0;
    for (const seq of plan.fresh) {
      const payload = wal.recent(seq);
      if (payload === undefined) this.#uplink.leaveToBacklog(seq);
      else records += this.#addRecord(lines, seq, payload);
    }
    if (plan.backlog !== undefined) {
      for (const { seq, payload } of await wal.read(plan.backlog.from, plan.backlog)) {
        if (seq > plan.backlog.to) break;
        records += this.#addRecord(lines, seq, payload);
      }
    }
    return { lines, records };
  }

  #addRecord(lines: Uint8Array[], seq: number, payload: Uint8Array): number {
    const line = recordLine(this.#prefix, seq, payload);
    lines.push(line);
    this.#uplink.sent(seq, seq, line.length);
    return 1;
  }

  #heartbeat(final: boolean): Uint8Array {
    const { clock } = this.#o;
    return encodeMessage({
      type: "heartbeat",
      ts_wall_ms: clock.wallMs(),
      ts_mono_ms: clock.monotonicMs(),
      ...this.#o.heartbeat(),
      ...(final ? { final: true } : {}),
    });
  }

  async #write(lines: Uint8Array[], records: number): Promise<void> {
    const bytes = encodeLines(this.#encoding, lines);
    this.#o.onTraffic(records, bytes.length, 0);
    await this.#connection.write(bytes);
  }
}
