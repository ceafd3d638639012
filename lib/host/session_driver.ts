/**
 * Runs one session on a connection: bytes to lines to effects, reading no faster than the store takes it,
 * and what the session answers to bytes. Whatever goes wrong in here ends this session and nothing else.
 */
import { getLogger } from "@logtape/logtape";
import { type Run, textsOf } from "../codec/lines.ts";
import { oneLine, printable } from "../errors.ts";
import type { Clock, Connection } from "../platform/platform.ts";
import {
  encodeMessage,
  type Encoding,
  type ErrorCode,
  type Hello,
  type HostMessage,
  type VersionedConfig,
} from "../protocol/message.ts";
import { type Decoded, WireDecoder, WireEncoder } from "../protocol/wire.ts";
import { encodeEnrolment, isEnroll, parseEnroll } from "../protocol/enrolment.ts";
import type { Admitted } from "./admission.ts";
import { creditFor } from "./credit.ts";
import type { Enroller } from "./enroller.ts";
import type { Faults } from "./faults.ts";
import type { Intake, Taken } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import type { EventLog } from "./event_log.ts";
import type { Node, Registry } from "./registry.ts";
import { Session, type SessionEffect, type SessionLimits } from "./session.ts";
import type { Trust } from "./trust.ts";

/** Counters over all sessions since the start. */
export interface SessionCounters {
  bad_lines: number;
  /** Sessions that ended by a mistake of ours. */
  session_errors: number;
}

/** What sessions share. */
export interface SessionParts {
  readonly clock: Clock;
  readonly limits: SessionLimits;
  readonly inflightBytesTotal: number;
  readonly registry: Registry;
  readonly intake: Intake;
  readonly events: EventLog;
  readonly faults: Faults;
  readonly counters: SessionCounters;
  /** Gives certificates, where this host can. */
  readonly enroller?: Pick<Enroller, "answer"> | undefined;
  readonly trust: Pick<Trust, "problem">;
  /** Who isn't trusted asks for something else than a certificate. */
  readonly onDistrusted: (driver: SessionDriver, reason: string) => void;
  readonly admit: (
    driver: SessionDriver,
    hello: Hello,
    encoding: Encoding,
  ) => Promise<Admitted>;
}

const log = getLogger(["holdfast", "session"]);

const REFUSALS: Readonly<Record<Exclude<Taken, "new" | "known">, [ErrorCode, string]>> = {
  too_far: ["bad_message", "seq is too far above all others of its epoch"],
  too_scattered: ["too_many_ranges", "too many separate ranges above high_acked"],
  no_room: ["busy", "the host knows as many nodes as it allows"],
};

/** See the head of the file. */
export class SessionDriver {
  readonly connection: Connection;
  nodeId: string | undefined;
  /** What the node showed to prove who it is. */
  token: string | undefined;
  node: Node | undefined;
  /** Set by whoever lets the node in; released when the session has ended. */
  ledger: Ledger | undefined;
  #parts: SessionParts;
  #session: Session;
  #decoder = new WireDecoder();
  #encoder = new WireEncoder();
  #closed = false;
  #isStopping = false;
  #ackDue = false;
  #sending = 0;
  #opening: Promise<void> | undefined;
  #ended: Promise<void> | undefined;

  constructor(connection: Connection, parts: SessionParts) {
    this.connection = connection;
    this.#parts = parts;
    const now = parts.clock.monotonicMs();
    const identity = connection.distrust === undefined ? connection.identity : undefined;
    this.#session = new Session(parts.limits, identity, now);
  }

  get isOpen(): boolean {
    return this.#session.isOpen && !this.#closed;
  }
  get isClosed(): boolean {
    return this.#closed;
  }
  /** Resolves when the session has ended and takes nothing in any more. */
  get ended(): Promise<void> {
    return this.#ended ?? Promise.resolve();
  }

  /** Runs until the connection ends. Never rejects. */
  run(): Promise<void> {
    return this.#ended ??= this.#readLoop().catch((error) => {
      this.#parts.counters.session_errors++;
      log.error("{peer} {node}: session ended by an error of this program: {reason}", {
        peer: this.connection.peer,
        node: this.nodeId ?? "(no hello)",
        reason: oneLine(error),
      });
      this.refuse("internal", "the host made a mistake with what this session sent");
    });
  }

  /** Ends the session with an `error` message. */
  refuse(code: ErrorCode, message: string, retryAfterMs?: number): void {
    if (this.#closed) return;
    this.#send({
      type: "error",
      code,
      message: printable(message),
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
    });
    this.close();
  }

  /** Takes nothing in any more, acks what becomes durable of what came, and ends with an `error` message. */
  async finish(code: ErrorCode, message: string, retryAfterMs: number): Promise<void> {
    this.#isStopping = true;
    await this.#ackLast();
    this.refuse(code, message, retryAfterMs);
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
  broadcast(cfgVersion: number, authorities: string | undefined): void {
    if (this.#closed || this.#sending > 0) return;
    // Who has no certificate of theirs has nothing to renew.
    const ca = this.connection.serial === undefined ? undefined : authorities;
    const message = this.#session.broadcast(this.#parts.clock.wallMs(), cfgVersion, ca);
    if (message !== undefined) this.#send(message);
  }

  /** Sends a configuration that the node doesn't know of. */
  pushConfig(config: VersionedConfig): void {
    const message = this.#closed ? undefined : this.#session.configUpdate(config);
    if (message !== undefined) this.#send(message);
  }

  /** Tells what is durable now. While one message leaves, the ack waits and covers more. */
  ack(): void {
    if (!this.isOpen) return;
    this.#ackDue = this.#sending > 0 || this.#parts.faults.holdsAcks();
    if (!this.#ackDue) this.#sendAck();
  }

  /** Waits until all that came is durable, and tells that at once: nothing is told after it. */
  async #ackLast(): Promise<void> {
    if (this.ledger === undefined) return;
    await this.#parts.intake.settled(this.ledger);
    if (this.isOpen && !this.#parts.faults.holdsAcks()) this.#sendAck();
  }

  #sendAck(): void {
    const { ledger } = this;
    if (ledger === undefined) return;
    const message = this.#session.ack(ledger, this.#credit());
    if (message !== undefined) this.#send(message);
  }

  #credit() {
    return creditFor(this.#parts.inflightBytesTotal, this.#parts.registry.replaying);
  }

  async #readLoop(): Promise<void> {
    for (;;) {
      const chunk = await this.connection.read();
      if (chunk === undefined || this.#closed || this.#isStopping) break;
      for (const decoded of this.#decoder.push(chunk)) {
        await this.#receive(decoded);
        if (this.#closed) return;
      }
    }
    if (this.#isStopping || this.#closed) return;
    // The node sends no more, but may still read: it hears of all that it sent.
    await this.#ackLast();
    this.close();
  }

  async #receive({ lines, bad }: Decoded): Promise<void> {
    if (lines.groups.length === 0) await this.#receiveTexts(lines.plains);
    else {
      for (const run of lines.runs()) {
        if (typeof run === "string") await this.#receiveTexts([run]);
        else if (!this.#receiveColumns(run)) await this.#receiveTexts(textsOf(run));
        if (this.#closed) return;
      }
    }
    if (this.#closed) return;
    if (bad !== undefined) return this.#refuseEffect({ kind: "refuse", ...bad });
    if (this.ledger === undefined) return;
    const over = this.#session.checkCredit(this.ledger.heldBytes);
    if (over?.kind === "refuse") return this.#refuseEffect(over);
    await this.#parts.intake.room(this.ledger);
    if (this.#ackDue) this.ack();
  }

  /** Takes in lines that are records by their numbers; false where they have to be looked at one by one. */
  #receiveColumns(run: Run): boolean {
    const { clock, faults, intake } = this.#parts;
    if (faults.isActive("duplicate")) return false;
    const columns = this.#session.receiveColumns(run, clock.monotonicMs());
    if (columns === undefined) return false;
    this.#taken(intake.records(this.node!, this.ledger!, columns, run.from, run.to));
    return true;
  }

  async #receiveTexts(texts: readonly string[]): Promise<void> {
    const { clock, faults } = this.#parts;
    for (const received of texts) {
      // JSON allows it between tokens; whoever reads lines later may not.
      const line = received.includes("\r") ? received.replaceAll("\r", " ") : received;
      if (this.nodeId === undefined && isEnroll(line)) return await this.#enroll(line);
      this.#perform(this.#session.receive(line, clock.monotonicMs()), line);
      const opening = this.#opening;
      if (opening !== undefined) {
        // Taken before the wait: lines that came with the hello are read within it and must not wait for it.
        this.#opening = undefined;
        await opening;
      }
      if (this.#closed) return;
      if (this.isOpen && faults.strikes("duplicate") !== undefined) {
        this.#perform(this.#session.receive(line, clock.monotonicMs()), line);
      }
      if (this.#closed) return;
    }
  }

  #perform(effect: SessionEffect, line: string): void {
    const { intake, registry, events, trust } = this.#parts;
    const { distrust } = this.connection;
    if (distrust !== undefined && this.nodeId === undefined && effect.kind !== "hello") {
      return this.#parts.onDistrusted(this, distrust);
    }
    switch (effect.kind) {
      case "hello": {
        this.nodeId = effect.hello.node_id;
        this.token = effect.hello.token;
        const reason = trust.problem(this);
        if (reason !== undefined) return this.#parts.onDistrusted(this, reason);
        this.#opening = this.#open(effect.hello, effect.encoding);
        return;
      }
      case "record":
        return this.#taken(intake.record(this.node!, this.ledger!, effect.record, line));
      case "gap":
        return this.#taken(intake.gap(this.node!, this.ledger!, effect.gap));
      case "heartbeat":
        registry.heartbeat(this.node!, effect.heartbeat);
        if (effect.heartbeat.final) {
          const { next_seq, backlog } = effect.heartbeat;
          events.add("final_heartbeat", this.nodeId!, { next_seq, backlog });
        }
        return;
      case "config_applied": {
        const { ok, cfg_version, cfg_version_applied, error } = effect.applied;
        registry.configApplied(this.node!, effect.applied);
        events.add(ok ? "config_applied" : "config_refused", this.nodeId!, {
          cfg_version,
          cfg_version_applied,
          ...(error === undefined ? {} : { error: printable(error) }),
        });
        return;
      }
      case "refuse":
        return this.#refuseEffect(effect);
      case "ended":
        log.info("{peer}: {reason}", {
          peer: this.connection.peer,
          reason: printable(effect.reason),
        });
        return this.close();
    }
  }

  #taken(taken: Taken): void {
    if (taken === "new") return;
    if (taken === "known") {
      this.#session.repeated();
      // What was received before it may not be durable yet: then the ack follows the commit.
      this.#ackDue = true;
      return;
    }
    const [code, message] = REFUSALS[taken];
    this.#refuseEffect({ kind: "refuse", code, message });
  }

  #refuseEffect(effect: SessionEffect & { kind: "refuse" }): void {
    if (effect.code !== "timeout") this.#parts.counters.bad_lines++;
    log.warn("{peer} {node}: closed with {code}: {message}", {
      peer: this.connection.peer,
      node: this.nodeId ?? "(no hello)",
      code: effect.code,
      message: printable(effect.message, 500),
    });
    this.refuse(effect.code, effect.message);
  }

  /** Answers a request for a certificate, and closes. */
  async #enroll(line: string): Promise<void> {
    const { enroller, counters } = this.#parts;
    const parsed = parseEnroll(line);
    if (!parsed.ok) {
      counters.bad_lines++;
      return this.refuse("bad_message", parsed.error);
    }
    if (enroller === undefined) {
      return this.refuse("unsupported", "this host has no authority of its own: see host pki");
    }
    const answer = await enroller.answer(parsed.message, this.connection.peer);
    if ("code" in answer) return this.refuse(answer.code, answer.message);
    await this.connection.write(encodeEnrolment(answer));
    this.close();
  }

  async #open(hello: Hello, encoding: Encoding): Promise<void> {
    const admitted = await this.#parts.admit(this, hello, encoding);
    if (!admitted.ok) {
      return this.refuse(admitted.code, admitted.message, admitted.retryAfterMs);
    }
    const { ledger, node, config } = admitted;
    this.node = node;
    if (this.#closed) return;
    const now = this.#parts.clock.monotonicMs();
    this.#send(this.#session.welcome(ledger, encoding, this.#credit(), config, now));
    this.#encoder.use(encoding);
    for (const decoded of this.#decoder.use(encoding)) {
      await this.#receive(decoded);
      if (this.#closed) return;
    }
  }

  #send(message: HostMessage): void {
    this.#sending++;
    const bytes = this.#encoder.encode([encodeMessage(message)]);
    this.connection.write(bytes).then(() => {
      this.#sending--;
      if (this.#ackDue) this.ack();
    });
  }
}
