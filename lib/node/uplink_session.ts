/**
 * One connection of the node with a host: moves bytes between it and the state machine, and feeds that from
 * the log. Three loops: one reads, one writes what the plan allows, one watches for silence. Whatever ends one
 * of them closes the connection, and that ends the others.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Connection } from "../platform/platform.ts";
import {
  type ConfigApplied,
  encodeMessage,
  type Encoding,
  type ErrorCode,
  type Heartbeat,
  parseHostMessage,
  type VersionedConfig,
} from "../protocol/message.ts";
import { linePrefix, recordLine, ShapedRecords } from "../protocol/record.ts";
import {
  bytesMaxOf,
  type Decoded,
  type Outgoing,
  WireDecoder,
  WireEncoder,
} from "../protocol/wire.ts";
import type { StoredRecord } from "../wal/wal.ts";
import {
  type SendPlan,
  Uplink,
  type UplinkEffect,
  type UplinkLog,
  type UplinkOptions,
} from "./uplink.ts";
import { Wakeup } from "../platform/wakeup.ts";

/** What a session needs of the log, beside what the state machine reads. */
export interface SessionLog extends UplinkLog {
  ack(highAcked: number): void;
  rewind(highAcked: number): void;
  recent(seq: number): Uint8Array | undefined;
  read(fromSeq: number, limit: { records: number; bytes: number }): Promise<StoredRecord[]>;
  renumber(maxSeq: number): Promise<void>;
}

/** See {@linkcode UplinkSession}. */
export interface SessionOptions extends UplinkOptions {
  readonly wal: SessionLog;
  readonly clock: Clock;
  /** The state that a heartbeat reports. */
  readonly heartbeat: () => Omit<Heartbeat, "type" | "final" | "ts_wall_ms" | "ts_mono_ms">;
  /** Applies a configuration and says what became of it. */
  readonly onConfig: (config: VersionedConfig) => Promise<Omit<ConfigApplied, "type">>;
  /** The host told what stands for the authorities that it trusts. */
  readonly onAuthorities?: ((tag: string) => void) | undefined;
  readonly onOpen: (encoding: Encoding, hostId: string) => void;
  readonly onTraffic: (records: number, sentBytes: number, receivedBytes: number) => void;
  readonly onAck: () => void;
}

/** Why a session ended, and how long the host asks to stay away. */
export interface SessionEnd {
  readonly reason: string;
  readonly retryAfterMs?: number;
}

/** Wait when there are records to send but none could be read or none fits just now. */
const STUCK_MS = 250;
const log = getLogger(["holdfast", "uplink"]);

/** See the head of the file. */
export class UplinkSession {
  #options: SessionOptions;
  #connection: Connection;
  #uplink: Uplink;
  #decoder = new WireDecoder();
  #encoder = new WireEncoder();
  #prefix: Uint8Array;
  #shaped: ShapedRecords;
  /** Messages that wait for the writer. */
  #outbox: Uint8Array[] = [];
  #writerWake = new Wakeup();
  #watchWake = new Wakeup();
  #end: SessionEnd | undefined;
  /** The newest configuration that came while another is being applied; those between are not worth it. */
  #nextConfig: VersionedConfig | undefined;
  #isApplying = false;

  constructor(connection: Connection, options: SessionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#prefix = linePrefix(options.nodeId, options.wal.epoch);
    this.#shaped = new ShapedRecords(options.nodeId, options.wal.epoch);
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

  /** Runs until the connection ends. */
  async run(): Promise<SessionEnd> {
    const { clock } = this.#options;
    const hello = this.#uplink.hello(clock.wallMs(), clock.monotonicMs());
    // Not waited for: a host that reads nothing must not keep the others from noticing.
    this.#write([encodeMessage(hello)], 0);
    await Promise.all([this.#readLoop(), this.#writeLoop(), this.#watchLoop()]);
    return this.#end ?? { reason: "connection closed" };
  }

  /** Ends it; the first reason counts. */
  close(end?: SessionEnd): void {
    this.#end ??= end ?? { reason: "connection closed" };
    this.#connection.close();
    this.#writerWake.wake();
    this.#watchWake.wake();
  }

  /** Something may have become sendable. */
  wake(): void {
    this.#writerWake.wake();
  }

  /** A record was appended to the log. */
  appended(seq: number, urgent: boolean): void {
    this.#uplink.appended(seq, urgent, this.#options.clock.monotonicMs());
    this.#writerWake.wake();
  }

  /** Tells the host that this node stops; resolves when that was handed over. */
  async finalHeartbeat(): Promise<void> {
    if (this.#uplink.state !== "open") return;
    await this.#write([this.#heartbeat(true)], 0);
  }

  async #readLoop(): Promise<void> {
    for (;;) {
      const chunk = await this.#connection.read();
      if (chunk === undefined) return this.close({ reason: "host closed the connection" });
      if (this.#end !== undefined) return;
      this.#options.onTraffic(0, 0, chunk.length);
      await this.#receive(this.#decoder.push(chunk));
      this.#writerWake.wake();
    }
  }

  async #receive(decoded: Iterable<Decoded>): Promise<void> {
    for (const { lines, bad } of decoded) {
      for (const line of lines.texts()) {
        const parsed = parseHostMessage(line);
        if (!parsed.ok) return this.#refuse("bad_message", parsed.error);
        const { message } = parsed;
        const effect = this.#uplink.receive(message, this.#options.clock.monotonicMs());
        if (effect.kind === "open" && message.type === "welcome") {
          await this.#open(effect, message.host_id);
        } else this.#perform(effect);
        if (this.#end !== undefined) return;
      }
      if (bad !== undefined) return this.#refuse(bad.code, bad.message);
    }
  }

  /** Ends the session over what the host sent, and tells it why. */
  #refuse(code: ErrorCode, message: string): void {
    const text = `host sent something unreadable: ${message}`;
    this.#tell(code, text);
    this.close({ reason: text });
  }

  #tell(code: ErrorCode, message: string): void {
    this.#write([encodeMessage({ type: "error", code, message: message.slice(0, 1_000) })], 0);
  }

  async #open(effect: UplinkEffect & { kind: "open" }, hostId: string): Promise<void> {
    const { wal, clock, onOpen } = this.#options;
    // The host's interval may be shorter than the wait for its welcome was.
    this.#watchWake.wake();
    if (effect.renumberAbove !== undefined) {
      log.warn("host has other records up to seq {seq} of this epoch: numbering goes on above", {
        seq: effect.renumberAbove,
      });
      await wal.renumber(effect.renumberAbove);
    }
    if (effect.highAcked < wal.highAcked) wal.rewind(effect.highAcked);
    else wal.ack(effect.highAcked);
    this.#encoder.use(effect.encoding);
    this.#uplink.start(clock.monotonicMs());
    onOpen(effect.encoding, hostId);
    if (effect.config !== undefined) this.#applyConfig(effect.config);
    await this.#receive(this.#decoder.use(effect.encoding));
  }

  #perform(effect: UplinkEffect): void {
    switch (effect.kind) {
      case "acked":
        this.#options.wal.ack(effect.highAcked);
        return this.#options.onAck();
      case "config":
        return this.#applyConfig(effect.config);
      case "authorities":
        return this.#options.onAuthorities?.(effect.tag);
      case "closed":
        if (effect.tell !== undefined) this.#tell(effect.tell, effect.reason);
        return this.close(effect);
    }
  }

  /**
   * Applies in the background: it waits for a tick, and acks must not wait for that. Of configurations that
   * come meanwhile only the newest is kept.
   */
  #applyConfig(config: VersionedConfig): void {
    const isNewer = this.#nextConfig === undefined ||
      config.cfg_version > this.#nextConfig.cfg_version;
    if (isNewer) this.#nextConfig = config;
    if (!this.#isApplying) this.#applyNext();
  }

  async #applyNext(): Promise<void> {
    this.#isApplying = true;
    while (this.#nextConfig !== undefined) {
      const config = this.#nextConfig;
      this.#nextConfig = undefined;
      const applied = await this.#options.onConfig(config);
      this.#outbox.push(encodeMessage({ type: "config_applied", ...applied }));
      this.#writerWake.wake();
    }
    this.#isApplying = false;
  }

  async #watchLoop(): Promise<void> {
    const { clock } = this.#options;
    while (this.#end === undefined) {
      await this.#watchWake.wait(clock, this.#uplink.silentAtMs);
      this.#perform(this.#uplink.checkSilence(clock.monotonicMs()));
    }
  }

  async #writeLoop(): Promise<void> {
    const { clock } = this.#options;
    while (this.#end === undefined) {
      if (this.#uplink.state !== "open") {
        await this.#writerWake.wait(clock, Infinity);
        continue;
      }
      const plan = this.#uplink.plan(clock.monotonicMs());
      const { lines, records } = await this.#lines(plan);
      if (lines.length > 0) await this.#write(lines, records);
      else {
        const isStuck = plan.fresh.length > 0 || plan.backlog !== undefined;
        const untilMs = isStuck ? clock.monotonicMs() + STUCK_MS : plan.deadlineMs;
        await this.#writerWake.wait(clock, untilMs);
      }
    }
  }

  /** Turns a plan into lines, in the order: messages, gaps, fresh records, backlog. */
  async #lines(plan: SendPlan): Promise<{ lines: Outgoing[]; records: number }> {
    const { wal } = this.#options;
    const lines: Outgoing[] = this.#outbox.splice(0);
    if (plan.heartbeat) lines.push(this.#heartbeat(false));
    for (const gap of plan.gaps) {
      lines.push(encodeMessage(gap));
      this.#uplink.declared(gap);
    }
    let records = 0;
    for (const seq of plan.fresh) {
      const payload = wal.recent(seq);
      if (payload === undefined) this.#uplink.leaveToBacklog(seq);
      else if (this.#addRecord(lines, { seq, payload })) records++;
      else break;
    }
    if (plan.backlog !== undefined) {
      for (const record of await wal.read(plan.backlog.from, plan.backlog)) {
        if (record.seq > plan.backlog.to || !this.#addRecord(lines, record)) break;
        records++;
      }
    }
    return { lines, records };
  }

  /** False where the credit leaves no room for it. */
  #addRecord(lines: Outgoing[], record: StoredRecord): boolean {
    const { seq, shaped } = record;
    const line = shaped === undefined
      ? recordLine(this.#prefix, seq, record.payload)
      : this.#shaped.line(seq, shaped);
    // What the credit speaks of is never exceeded, whatever the numbers are.
    const bytes = bytesMaxOf(line);
    if (!this.#uplink.maySend(seq, bytes)) return false;
    lines.push(line);
    this.#uplink.sent(seq, bytes);
    return true;
  }

  #heartbeat(final: boolean): Uint8Array {
    const { clock } = this.#options;
    const state = this.#options.heartbeat();
    return encodeMessage({
      type: "heartbeat",
      ts_wall_ms: clock.wallMs(),
      ts_mono_ms: clock.monotonicMs(),
      ...state,
      backlog: Math.max(0, state.backlog - this.#uplink.ackedAbove),
      ...(final ? { final: true } : {}),
    });
  }

  async #write(lines: readonly Outgoing[], records: number): Promise<void> {
    const bytes = this.#encoder.encode(lines);
    this.#options.onTraffic(records, bytes.length, 0);
    await this.#connection.write(bytes);
  }
}
