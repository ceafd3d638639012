/**
 * A TCP server that goes on listening. On this runtime a server of `node:net`, and what is built on it, stops
 * accepting for good once the process has run out of descriptors, and nobody is told: so it is asked now and
 * then, by a connection of our own, and where that is not accepted it listens anew. Connections that it has
 * accepted live on.
 */
import net from "node:net";
import { getLogger } from "@logtape/logtape";
import { addressText, parseAddress } from "./address.ts";

/** How often it is asked, and how long it may take to answer. */
const PROBE_MS = 3_000;
const ANSWER_MS = 2_000;
/** Attempts to listen again on a port that was just given up. */
const RELISTEN_MS = 500;
/** Connections that are remembered, so that ours is recognized. */
const ACCEPTED_MAX = 256;
const log = getLogger(["holdfast", "listener"]);

/** Makes a server that is not listening yet; `isProbe` says whether a socket is one of our own questions. */
export type MakeServer = (isProbe: (socket: net.Socket) => boolean) => net.Server;

/** See the head of the file. */
export class ProbedServer {
  /** The address actually bound. */
  readonly address: string;
  #make: MakeServer;
  #host: string;
  #port: number;
  #server: net.Server;
  /** Local ports of our own connections, and what to do when they are accepted. */
  #probes = new Map<number, () => void>();
  /** Remote ports of the newest connections, oldest first. */
  #accepted = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #question: string | undefined;

  private constructor(
    make: MakeServer,
    server: net.Server,
    host: string,
    question: string | undefined,
  ) {
    this.#make = make;
    this.#question = question;
    this.#server = server;
    this.#host = host;
    const bound = server.address() as net.AddressInfo;
    this.#port = bound.port;
    this.address = addressText({ host: bound.address, port: bound.port });
    this.#watch(server);
    this.#probeLater();
  }

  /**
   * Listens on `address` (`host:port`). With a `question` the server must answer it, else accepting is enough.
   * Rejects with the system's error.
   */
  static async listen(
    address: string,
    make: MakeServer,
    question?: string,
  ): Promise<ProbedServer> {
    const { host, port } = parseAddress(address);
    let isProbe = (_socket: net.Socket) => false;
    const server = make((socket) => isProbe(socket));
    await listening(server, host, port);
    const probed = new ProbedServer(make, server, host, question);
    isProbe = (socket) => probed.#isProbe(socket);
    return probed;
  }

  /** Stops accepting; accepted connections live on. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#server.close();
  }

  /** The server at present; another one after it had to listen anew. */
  get server(): net.Server {
    return this.#server;
  }

  #isProbe(socket: net.Socket): boolean {
    return this.#probes.has(socket.remotePort ?? 0);
  }

  #watch(server: net.Server): void {
    server.on("error", () => {});
    server.on("connection", (socket: net.Socket) => {
      const port = socket.remotePort ?? 0;
      const accepted = this.#probes.get(port);
      if (accepted !== undefined) {
        accepted();
        socket.destroy();
        return;
      }
      // Either end may hear of a connection first.
      this.#accepted.add(port);
      if (this.#accepted.size > ACCEPTED_MAX) {
        this.#accepted.delete(this.#accepted.values().next().value!);
      }
    });
  }

  #probeLater(): void {
    this.#timer = setTimeout(() => this.#probe(), PROBE_MS);
    Deno.unrefTimer(this.#timer);
  }

  async #probe(): Promise<void> {
    if (!await this.#answers() && !this.#closed) await this.#listenAnew();
    if (!this.#closed) this.#probeLater();
  }

  /** Whether a connection of our own is accepted; true also where none can be made. */
  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      let port = 0;
      const host = { "0.0.0.0": "127.0.0.1", "::": "::1" }[this.#host] ?? this.#host;
      const socket = net.connect({ host, port: this.#port });
      const done = (answers: boolean) => {
        clearTimeout(timer);
        this.#probes.delete(port);
        socket.destroy();
        resolve(answers);
      };
      // Also where no connection comes about: the queue of those that wait to be accepted is full.
      const timer = setTimeout(() => done(false), ANSWER_MS);
      socket.on("error", () => done(true));
      socket.on("data", () => done(true));
      socket.on("connect", () => {
        port = socket.localPort ?? 0;
        if (this.#question !== undefined) socket.write(this.#question);
        else if (this.#accepted.delete(port)) done(true);
        else this.#probes.set(port, () => done(true));
      });
    });
  }

  async #listenAnew(): Promise<void> {
    log.error("{address} accepts no connections any more: listening anew", {
      address: this.address,
    });
    this.#server.close();
    while (!this.#closed) {
      const server = this.#make((socket) => this.#isProbe(socket));
      try {
        await listening(server, this.#host, this.#port);
        this.#server = server;
        if (this.#closed) server.close();
        return this.#watch(server);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RELISTEN_MS));
      }
    }
  }
}

function listening(server: net.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
