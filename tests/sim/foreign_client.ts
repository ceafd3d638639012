/**
 * A client as a stranger may write it from docs/protocol.md: it keeps its records in memory for good, sends hello
 * and all that it believes to be missing in one piece, without waiting for the welcome, and may leave before it
 * heard an answer. It is held to the same promises as our own node.
 */
import { hello, telemetry } from "../messages.ts";
import { MachineClock } from "./kernel.ts";
import { type EpochTruth, Evidence } from "./oracle.ts";
import type { World } from "./world.ts";

const NODE_ID = "foreign-1";
const EPOCH = "00000000f0e1d2c3";
/** Records that it sends before it knows its credit. */
const AT_ONCE_MAX = 60;
/** What a host may rightly say before it closes. */
const EXPECTED = ["superseded", "timeout", "shutdown", "store_failed"];

/** See the head of the file. */
export class ForeignClient {
  #world: World;
  #address: string;
  #clock: MachineClock;
  #truth: EpochTruth;
  /** Line i is record i + 1. */
  #lines: string[] = [];
  #acked = 0;
  #isVisiting = false;

  constructor(world: World, address: string, wallMs: number) {
    this.#world = world;
    this.#address = address;
    this.#clock = new MachineClock(world.kernel, wallMs);
    this.#truth = world.oracle.truth(`${NODE_ID} ${EPOCH}`, new Evidence());
  }

  /** Whether the host acked all records, as far as this client heard. */
  get isDone(): boolean {
    return this.#acked >= this.#lines.length;
  }

  /** Makes that many new records. */
  records(count: number): void {
    for (let i = 0; i < count; i++) {
      const seq = this.#lines.length + 1;
      const moment = {
        ts_wall_ms: this.#clock.wallMs(),
        ts_mono_ms: this.#clock.monotonicMs() + i / 64,
      };
      const line = JSON.stringify(
        telemetry(NODE_ID, seq, moment, { level_m: seq % 7 }, { epoch: EPOCH, boot_id: NODE_ID }),
      );
      this.#lines.push(line);
      this.#world.oracle.appended(this.#truth, seq, new TextEncoder().encode(line));
    }
  }

  /** Connects once, sends what is missing, and hears answers for `listenMs`; never rejects. */
  async visit(listenMs: number): Promise<void> {
    if (this.#isVisiting) return;
    this.#isVisiting = true;
    try {
      await this.#visit(listenMs);
    } catch {
      // Nothing listened; it comes again.
    } finally {
      this.#isVisiting = false;
    }
  }

  async #visit(listenMs: number): Promise<void> {
    const clock = this.#clock;
    const transport = this.#world.network.transport(clock);
    const connection = await transport.connect(this.#address, new AbortController().signal);
    const moment = { ts_wall_ms: clock.wallMs(), ts_mono_ms: clock.monotonicMs() };
    const first = JSON.stringify(
      hello(NODE_ID, moment, { epoch: EPOCH, boot_id: NODE_ID, next_seq: this.#lines.length + 1 }),
    );
    const unacked = this.#lines.slice(this.#acked, this.#acked + AT_ONCE_MAX);
    void connection.write(new TextEncoder().encode([first, ...unacked, ""].join("\n")));
    this.#world.later(listenMs, () => connection.close());
    const decoder = new TextDecoder();
    for (let text = "";;) {
      const bytes = await connection.read();
      if (bytes === undefined) return;
      const lines = (text + decoder.decode(bytes, { stream: true })).split("\n");
      text = lines.pop()!;
      for (const line of lines) this.#hear(JSON.parse(line));
    }
  }

  #hear(message: { type: string; high_acked?: number; code?: string; message?: string }): void {
    const { type, high_acked, code } = message;
    if (type === "error" && !EXPECTED.includes(code!)) {
      this.#world.oracle.violate(`${NODE_ID}: refused with ${code}: ${message.message}`);
    }
    if (high_acked === undefined) return;
    const durable = this.#world.durable.epochs.get(this.#truth.key)?.high_acked ?? 0;
    this.#world.oracle.acks(this.#truth, high_acked, durable);
    this.#acked = high_acked;
  }
}
