/** A simulated node that sends prepared records, as fast as the host's credit allows or ten a second, and counts acks. */
import type { Transport } from "../lib/platform/platform.ts";
import { encodeMessage, type Encoding, parseHostMessage } from "../lib/protocol/message.ts";
import {
  encodeContent,
  linePrefix,
  type RecordContent,
  recordLine,
} from "../lib/protocol/record.ts";
import { type Decoded, WireDecoder, WireEncoder } from "../lib/protocol/wire.ts";

const BATCH = 256;
const EPOCH = "00000000000000bb";

/** A record as many nodes send it. */
export const CONTENT: RecordContent = {
  ts_wall_ms: 1_763_900_000_123.4,
  ts_mono_ms: 123_456.7,
  boot_id: "b0a1b2c3d4e5f607",
  metrics: { temp_c: 41.2, rail_v: 4.98, pressure_bar: 3.4, flow_lpm: 120.1, vibration_g: 0.31 },
  anomaly: { is_anomaly: false, score: 0.5, metrics: {} },
  diagnostics: { rail_low: false },
  degraded: false,
  cfg_version: 0,
};

/** What all replayers send: contents of records, encoded once. */
export interface Prepared {
  readonly payloads: readonly Uint8Array[];
  readonly count: number;
  readonly encoding: Encoding;
}

/** See the head of the file. */
export class Replayer {
  readonly id: string;
  sentBytes = 0;
  /** From sending to the ack, of each write. */
  readonly ackMs: number[] = [];
  #prepared: Prepared;
  #acked = 0;
  #credit = 1;
  #wake: () => void = () => {};

  constructor(id: string, prepared: Prepared) {
    this.id = id;
    this.#prepared = prepared;
  }

  /** Contents with changing values, so that compression has real work. */
  static prepare(content: RecordContent, count: number, encoding: Encoding): Prepared {
    const payloads = Array.from({ length: BATCH }, (_, i) =>
      encodeContent({
        ...content,
        ts_mono_ms: 1_000 + 100 * i + 0.3,
        metrics: Object.fromEntries(
          Object.entries(content.metrics).map(([name, value], m) => [
            name,
            Number((value * (1 + 0.01 * Math.sin(i * (m + 1.7)))).toFixed(3)),
          ]),
        ),
      }));
    return { payloads, count, encoding };
  }

  /** Sends everything, each second `perSecond` of it; resolves when all is acked. */
  async run(transport: Transport, address: string, perSecond = Infinity): Promise<void> {
    const unacked: { readonly through: number; readonly atMs: number }[] = [];
    const connection = await transport.connect(address, new AbortController().signal);
    const { count, encoding, payloads } = this.#prepared;
    await connection.write(encodeMessage({
      type: "hello",
      proto: [1],
      node_id: this.id,
      epoch: EPOCH,
      boot_id: "bench",
      version: "bench",
      first_seq: 1,
      next_seq: count + 1,
      cfg_version: 0,
      encodings: [encoding],
      ts_wall_ms: 0,
      ts_mono_ms: 0,
    }));
    const decoder = new WireDecoder();
    const encoder = new WireEncoder();
    encoder.use(encoding);
    const take = (decoded: Iterable<Decoded>) => {
      for (const line of [...decoded].flatMap(({ lines }) => lines.texts())) {
        const parsed = parseHostMessage(line);
        if (!parsed.ok) throw new Error(parsed.error);
        const { message } = parsed;
        if (message.type === "error") throw new Error(message.message);
        if (message.type === "ack") {
          this.#acked = message.high_acked;
          while (unacked[0] !== undefined && unacked[0].through <= this.#acked) {
            this.ackMs.push(performance.now() - unacked.shift()!.atMs);
          }
        }
        if ((message.type === "ack" || message.type === "welcome") && message.credit) {
          this.#credit = message.credit.records;
        }
        if (message.type === "welcome") take(decoder.use(message.encoding));
      }
      this.#wake();
    };
    const reading = (async () => {
      while (this.#acked < count) {
        const chunk = await connection.read();
        if (chunk === undefined) throw new Error("host closed the connection");
        take(decoder.push(chunk));
      }
    })();
    const prefix = linePrefix(this.id, EPOCH);
    for (let next = 1; next <= count;) {
      const wanted = Math.min(BATCH, perSecond, count - next + 1);
      const room = Math.min(wanted, this.#acked + this.#credit - next + 1);
      if (room < wanted) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      const lines = Array.from(
        { length: room },
        (_, i) => recordLine(prefix, next + i, payloads[(next + i) % BATCH]!),
      );
      const bytes = encoder.encode(lines);
      this.sentBytes += bytes.length;
      next += room;
      unacked.push({ through: next - 1, atMs: performance.now() });
      await connection.write(bytes);
      if (perSecond < Infinity) await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    await reading;
    connection.close();
  }
}
