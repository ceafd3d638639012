/** A simulated node that sends prepared records as fast as the host's credit allows, and counts acks. */
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

  /** Sends everything; resolves when all is acked. */
  async run(transport: Transport, address: string): Promise<void> {
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
        if (message.type === "ack") this.#acked = message.high_acked;
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
      const room = Math.min(BATCH, count - next + 1, this.#acked + this.#credit - next + 1);
      if (room < Math.min(BATCH, count - next + 1)) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      const lines = Array.from(
        { length: room },
        (_, i) => recordLine(prefix, next + i, payloads[i]!),
      );
      const bytes = encoder.encode(lines);
      this.sentBytes += bytes.length;
      next += room;
      await connection.write(bytes);
    }
    await reading;
    connection.close();
  }
}
