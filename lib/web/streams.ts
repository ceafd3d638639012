/**
 * Server-sent events to many clients from one tick a second, and none without clients. A client that was too
 * slow for a tick gets all anew at the next, and one that takes nothing for long is let go: a slow client
 * costs one text, whatever it does.
 */
import type { Clock } from "../platform/platform.ts";

const TICK_MS = 1_000;
/** A client that takes nothing for so many ticks is gone. */
const STUCK_TICKS_MAX = 15;

/** What is told, to clients that each have a state of their own. */
export interface StreamSource<State> {
  /** Before each tick: settles what all clients are told. Must not reject. */
  prepare(): Promise<void>;
  /** The events of this tick for a client; `isCurrent`: it took those of the tick before. */
  text(state: State, isCurrent: boolean): string;
  /** A client is gone. */
  closed(state: State): void;
}

interface Client<State> {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly state: State;
  readonly isAllowed: () => boolean;
  isCurrent: boolean;
  stuckTicks: number;
}

const encoder = new TextEncoder();
const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  // Neither kept nor compressed on the way: it would be held back.
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
};

/** One event as it goes over the wire; `data` is JSON, in which line ends stand only between tokens. */
export function eventText(name: string, data: string): string {
  return `event: ${name}\ndata: ${data.replace(/[\r\n]+/g, " ")}\n\n`;
}

/** See the head of the file. */
export class Streams<State> {
  #source: StreamSource<State>;
  #clock: Clock;
  #clientsMax: number;
  #clients = new Set<Client<State>>();
  #isTicking = false;
  #isPrepared = false;

  constructor(source: StreamSource<State>, clock: Clock, clientsMax: number) {
    this.#source = source;
    this.#clock = clock;
    this.#clientsMax = clientsMax;
  }

  /** Streams that are open. */
  get clients(): number {
    return this.#clients.size;
  }

  /**
   * A new stream for the client of which `open` gives the state; `undefined` where there are too many. It ends once
   * `isAllowed` says no.
   */
  open(open: () => State, isAllowed: () => boolean): Response | undefined {
    if (this.#clients.size >= this.#clientsMax) return undefined;
    let client: Client<State>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        client = { controller, state: open(), isAllowed, isCurrent: false, stuckTicks: 0 };
        this.#clients.add(client);
      },
      cancel: () => this.#drop(client),
    }, { highWaterMark: 1 });
    if (!this.#isTicking) this.#tickLoop();
    else if (this.#isPrepared) this.#tell(client!);
    return new Response(body, { headers: HEADERS });
  }

  #drop(client: Client<State>): void {
    if (this.#clients.delete(client)) this.#source.closed(client.state);
  }

  async #tickLoop(): Promise<void> {
    this.#isTicking = true;
    while (this.#clients.size > 0) {
      await this.#source.prepare();
      this.#isPrepared = true;
      for (const client of this.#clients) this.#tell(client);
      await this.#clock.sleepUntil(this.#clock.monotonicMs() + TICK_MS);
    }
    this.#isTicking = this.#isPrepared = false;
  }

  #tell(client: Client<State>): void {
    const { controller } = client;
    if (!client.isAllowed()) {
      controller.error(new Error("the client is not let in any more"));
      return this.#drop(client);
    }
    if ((controller.desiredSize ?? 0) <= 0) {
      client.isCurrent = false;
      if (++client.stuckTicks < STUCK_TICKS_MAX) return;
      controller.error(new Error("the client takes nothing"));
      return this.#drop(client);
    }
    client.stuckTicks = 0;
    const text = this.#source.text(client.state, client.isCurrent);
    client.isCurrent = true;
    controller.enqueue(encoder.encode(text));
  }
}
