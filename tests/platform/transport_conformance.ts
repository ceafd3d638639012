/** What every kind of transport must do; each promise is a function of one and an address to listen on. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Connection, Transport } from "../../lib/platform/platform.ts";

/** A transport, and something that makes waiting for it end. */
export interface TransportSubject {
  readonly transport: Transport;
  readonly address: string;
  /** Waits until `result` is there, in whatever time the transport lives. */
  settle<T>(result: Promise<T>): Promise<T>;
}

const encoder = new TextEncoder(), decoder = new TextDecoder();
const never = (): AbortSignal => new AbortController().signal;

async function pair({ transport, address, settle }: TransportSubject): Promise<{
  near: Connection;
  far: Connection;
  close: () => void;
}> {
  const listener = await transport.listen(address);
  const accepted = listener.accept();
  const near = await settle(transport.connect(listener.address, never()));
  const far = (await settle(accepted))!;
  const close = () => {
    for (const connection of [near, far]) connection.close();
    listener.close();
  };
  return { near, far, close };
}

async function readText(
  { settle }: TransportSubject,
  connection: Connection,
  length: number,
): Promise<string> {
  let text = "";
  while (text.length < length) {
    const bytes = await settle(connection.read());
    if (bytes === undefined) break;
    text += decoder.decode(bytes);
  }
  return text;
}

/** The promises by name. */
export const PROMISES: Readonly<Record<string, (subject: TransportSubject) => Promise<void>>> = {
  async "carries bytes both ways, in order"(subject) {
    const { near, far, close } = await pair(subject);
    for (let i = 0; i < 100; i++) void near.write(encoder.encode(`${i % 10}`));
    assertEquals(await readText(subject, far, 100), "0123456789".repeat(10));
    void far.write(encoder.encode("answer"));
    assertEquals(await readText(subject, near, 6), "answer");
    close();
  },

  async "delivers what was written before the end, then the end, and goes on saying so"(subject) {
    const { near, far, close } = await pair(subject);
    void near.write(encoder.encode("last words"));
    near.close();
    near.close();
    assertEquals(await readText(subject, far, 99), "last words");
    assertEquals(await subject.settle(far.read()), undefined);
    assertEquals(await subject.settle(near.read()), undefined);
    close();
  },

  async "ends a read that waits when its own side closes"(subject) {
    const { near, close } = await pair(subject);
    const waiting = near.read();
    near.close();
    assertEquals(await subject.settle(waiting), undefined);
    close();
  },

  async "takes a write on a closed connection without an error"(subject) {
    const { near, far, close } = await pair(subject);
    near.close();
    await subject.settle(near.write(encoder.encode("nobody hears it")));
    far.close();
    await subject.settle(far.write(encoder.encode("nor that")));
    close();
  },

  async "accepts several connections, each apart from the others"(subject) {
    const { transport, address, settle } = subject;
    const listener = await transport.listen(address);
    const nears: Connection[] = [], fars: Connection[] = [];
    for (let i = 0; i < 5; i++) {
      nears.push(await settle(transport.connect(listener.address, never())));
      fars.push((await settle(listener.accept()))!);
    }
    for (const [i, near] of nears.entries()) void near.write(encoder.encode(`from ${i}`));
    nears[2]!.close();
    for (const [i, far] of fars.entries()) {
      assertEquals(await readText(subject, far, 6), `from ${i}`);
    }
    for (const each of [...nears, ...fars, listener]) each.close();
  },

  async "refuses in one line where nothing listens, and where the wait was given up"(subject) {
    const { transport, address, settle } = subject;
    const listener = await transport.listen(address);
    const { address: taken } = listener;
    const given = new AbortController();
    given.abort();
    const late = await assertRejects(() => settle(transport.connect(taken, given.signal)), Error);
    listener.close();
    const error = await assertRejects(() => settle(transport.connect(taken, never())), Error);
    for (const { message } of [late, error]) {
      assert(message.startsWith(`cannot connect to ${taken}: `), message);
      assert(!message.includes("\n"), message);
    }
  },

  async "a listener that is closed accepts nobody; what it accepted lives on"(subject) {
    const { transport, address, settle } = subject;
    const listener = await transport.listen(address);
    const accepted = listener.accept();
    const near = await settle(transport.connect(listener.address, never()));
    const far = (await settle(accepted))!;
    const next = listener.accept();
    listener.close();
    assertEquals(await settle(next), undefined);
    void near.write(encoder.encode("still"));
    assertEquals(await readText(subject, far, 5), "still");
    for (const each of [near, far]) each.close();
  },
};
