/**
 * Runs the uplink: connects to the hosts in turn, runs a session on each connection, and backs off after a
 * failure. Ends only when told to.
 */
import { getLogger } from "@logtape/logtape";
import type { Connection, Random, Transport } from "../platform/platform.ts";
import type { Encoding } from "../protocol/message.ts";
import { printable } from "../errors.ts";
import { Backoff } from "./backoff.ts";
import { type SessionLog, type SessionOptions, UplinkSession } from "./uplink_session.ts";
import { Wakeup } from "../platform/wakeup.ts";

/** See {@linkcode UplinkDriver}. */
export interface UplinkDriverOptions
  extends Omit<SessionOptions, "runMaxSent" | "onOpen" | "onTraffic" | "onAck"> {
  readonly wal: SessionLog;
  readonly transport: Transport;
  readonly random: Random;
  /** Addresses, tried in turn. */
  readonly hosts: readonly string[];
  /** Longest wait between two attempts to connect. */
  readonly reconnectMsMax: number;
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

const log = getLogger(["holdfast", "uplink"]);

/** See the head of the file. */
export class UplinkDriver {
  #options: UplinkDriverOptions;
  #wakeup = new Wakeup();
  #session: UplinkSession | undefined;
  /** When the present session was opened, if it was. */
  #openedMs = Infinity;
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
    this.#options = options;
    this.#status.host = options.hosts[0] ?? "";
    this.#status.since_wall_ms = options.clock.wallMs();
  }

  /** Connects and sends until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, hosts } = this.#options;
    const backoff = new Backoff(this.#options.random, this.#options.reconnectMsMax);
    const stop = () => {
      this.#session?.close();
      this.#wakeup.wake();
    };
    signal.addEventListener("abort", stop);
    for (let attempt = 0; !signal.aborted; attempt++) {
      this.#openedMs = Infinity;
      const retryAfterMs = await this.#attempt(hosts[attempt % hosts.length]!, signal);
      if (signal.aborted) break;
      if (clock.monotonicMs() - this.#openedMs >= LASTED_MS) backoff.reset();
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
    const { clock } = this.#options;
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
    const timer = this.#options.clock
      .sleepUntil(this.#options.clock.monotonicMs() + CONNECT_MS, timeout.signal).then(giveUp);
    try {
      connection = await this.#options.transport.connect(host, timeout.signal);
    } catch (error) {
      this.#failures++;
      this.#fail(signal, error instanceof Error ? error.message : String(error));
      return 0;
    } finally {
      signal.removeEventListener("abort", giveUp);
      giveUp();
      await timer;
    }
    const session = new UplinkSession(connection, {
      ...this.#options,
      sendIntervalMs: () => this.#draining ? 0 : this.#options.sendIntervalMs(),
      runMaxSent: this.#runMaxSent,
      onOpen: (encoding, hostId) => {
        this.#status.encoding = encoding;
        this.#status.host_id = hostId;
        this.#status.sessions++;
        this.#openedMs = this.#options.clock.monotonicMs();
        this.#status.last_error = undefined;
        this.#setState("connected");
        log.info("connected to {host} ({encoding}), host has all up to seq {high_acked}", {
          host,
          encoding,
          high_acked: this.#options.wal.highAcked,
        });
      },
      onTraffic: (records, sentBytes, receivedBytes) => {
        this.#status.sent_records += records;
        this.#status.sent_bytes += sentBytes;
        this.#status.received_bytes += receivedBytes;
      },
      onAck: () => this.#status.last_ack_wall_ms = this.#options.clock.wallMs(),
    });
    this.#session = session;
    if (signal.aborted) session.close();
    const end = await session.run();
    this.#session = undefined;
    this.#runMaxSent = session.maxSent;
    this.#fail(signal, printable(end.reason, 500));
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
    if (wasUp || state === "connected") this.#status.since_wall_ms = this.#options.clock.wallMs();
    this.#status.state = state;
  }
}
