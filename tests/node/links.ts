/** A connection whose other end a test plays, message by message. */
import type { Connection } from "../../lib/platform/platform.ts";
import type { Encoding, HostMessage } from "../../lib/protocol/message.ts";
import { WireDecoder, WireEncoder } from "../../lib/protocol/wire.ts";
import { settle } from "../sim/kernel.ts";

const encoder = new TextEncoder();

/** See the head of the file. */
export class Link implements Connection {
  readonly peer = "host";
  readonly #decoder = new WireDecoder();
  readonly #encoder = new WireEncoder();
  readonly #heard: Record<string, unknown>[] = [];
  readonly #chunks: (Uint8Array | undefined)[] = [];
  #reader: ((chunk: Uint8Array | undefined) => void) | undefined;
  #isClosed = false;
  /** Bytes that the node wrote. */
  written = 0;

  /** Whether the node has closed it. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  read(): Promise<Uint8Array | undefined> {
    if (this.#chunks.length > 0) return Promise.resolve(this.#chunks.shift());
    if (this.#isClosed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#reader = resolve);
  }

  write(bytes: Uint8Array): Promise<void> {
    this.written += bytes.length;
    for (const { lines } of this.#decoder.push(bytes)) {
      for (const line of lines.texts()) this.#heard.push(JSON.parse(line));
    }
    return Promise.resolve();
  }

  close(): void {
    this.#isClosed = true;
    this.#deliver(undefined);
  }

  /** Says messages in one piece; resolves once the node has done with it what it can at this moment. */
  async say(...messages: readonly HostMessage[]): Promise<void> {
    for (const message of messages) {
      this.#chunks.push(this.#encoder.encode([encoder.encode(`${JSON.stringify(message)}\n`)]));
      if (message.type === "welcome") this.#use(message.encoding);
    }
    const chunks = this.#chunks.splice(0) as Uint8Array[];
    const joined = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const chunk of chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    await this.raw(joined);
  }

  /** The same for bytes as they are. */
  async raw(bytes: Uint8Array): Promise<void> {
    this.#deliver(bytes);
    await quiet();
  }

  /** What the node has said since the last call, in order. */
  heard(): Record<string, unknown>[] {
    return this.#heard.splice(0);
  }

  /** The same of one type. */
  heardOf(type: string): Record<string, unknown>[] {
    return this.heard().filter((message) => message.type === type);
  }

  #use(encoding: Encoding): void {
    this.#encoder.use(encoding);
    for (const { lines } of this.#decoder.use(encoding)) {
      for (const line of lines.texts()) this.#heard.push(JSON.parse(line));
    }
  }

  #deliver(chunk: Uint8Array | undefined): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#chunks.push(chunk);
    else reader(chunk);
  }
}

/** Lets everything run that needs no time. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await settle();
}
