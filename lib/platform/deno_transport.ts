/**
 * The real {@linkcode Transport}: TCP through `node:net`, TLS 1.3 through `node:tls`, on both sides, as
 * Deno's own listener offers neither client certificates nor a way to switch Nagle's delay off.
 */
import { Buffer } from "node:buffer";
import net from "node:net";
import tls from "node:tls";
import { oneLine } from "../errors.ts";
import { isIpAddress, parseAddress } from "./address.ts";
import { HANDSHAKE_MS, Handshakes, peerOf } from "./handshakes.ts";
import { type Proof, proofOf } from "./proof.ts";
import type { Connection, Listener, Transport } from "./platform.ts";
import { ProbedServer } from "./probed_server.ts";

/** PEM texts. With all three given, each side proves who it is and checks the other. */
export interface TlsOptions {
  readonly ca: string;
  /** Connects to whoever answers; whoever uses this must not believe what is said. */
  readonly isUnverified?: true;
  readonly cert?: string;
  readonly key?: string;
}

/** Received bytes kept for a reader that is slow; beyond it the socket is paused. */
const UNREAD_BYTES_MAX = 65_536;
/** Connections that wait to be accepted; beyond it new ones are closed. */
const UNACCEPTED_MAX = 128;
/** How long what was written may take to leave after `close`. */
const LINGER_MS = 1_000;

/** A {@linkcode Transport} whose certificates can be replaced. */
export interface DenoTransport extends Transport {
  /** Connections that are made or accepted from now on use these; those that are there live on. */
  renew(options: TlsOptions): void;
}

/** TCP, or TLS where `options` are given. Throws one line where this Deno cannot serve TLS. */
export function denoTransport(options?: TlsOptions): DenoTransport {
  let current = options;
  const servers = new Set<ProbedServer>();
  return {
    connect: (address, signal) => connect(address, signal, current),
    listen: (address) => listen(address, () => current, servers),
    renew(options) {
      current = options;
      for (const { server } of servers) (server as tls.Server).setSecureContext(contextOf(options));
    },
  };
}

function contextOf(options: TlsOptions): tls.SecureContextOptions {
  return { ...options, minVersion: "TLSv1.3" };
}

class SocketConnection implements Connection {
  readonly peer: string;
  readonly identity: string | undefined;
  readonly serial: string | undefined;
  readonly distrust: string | undefined;
  #socket: net.Socket;
  #chunks: Uint8Array[] = [];
  #unread = 0;
  /** Nothing more comes in. */
  #ended = false;
  /** Nothing more goes out. */
  #closed = false;
  #reader: ((chunk: Uint8Array | undefined) => void) | undefined;
  #writers = new Set<() => void>();

  constructor(socket: net.Socket, { identity, serial, distrust }: Proof = {}) {
    this.#socket = socket;
    this.identity = identity;
    this.serial = serial;
    this.distrust = distrust;
    this.peer = peerOf(socket);
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    socket.on("error", () => this.#finish());
    // The other side sends no more, but may still read.
    socket.on("end", () => this.#endInput());
    socket.on("close", () => this.#finish());
  }

  read(): Promise<Uint8Array | undefined> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#unread -= chunk.length;
      if (this.#unread < UNREAD_BYTES_MAX && this.#socket.isPaused()) this.#socket.resume();
      return Promise.resolve(chunk);
    }
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#reader = resolve);
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed || !this.#socket.writable) return resolve();
      const done = () => {
        this.#writers.delete(done);
        resolve();
      };
      this.#writers.add(done);
      this.#socket.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), done);
    });
  }

  close(): void {
    if (this.#socket.destroyed) return;
    this.#finish();
    this.#socket.resume();
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(timer));
    this.#socket.end(() => this.#socket.destroy());
  }

  #receive(chunk: Uint8Array): void {
    if (this.#ended) return;
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    if (this.#reader !== undefined) {
      const reader = this.#reader;
      this.#reader = undefined;
      return reader(bytes);
    }
    this.#chunks.push(bytes);
    this.#unread += bytes.length;
    if (this.#unread >= UNREAD_BYTES_MAX) this.#socket.pause();
  }

  #endInput(): void {
    this.#ended = true;
    this.#reader?.(undefined);
    this.#reader = undefined;
  }

  #finish(): void {
    this.#closed = true;
    this.#endInput();
    for (const done of [...this.#writers]) done();
  }
}

function connect(
  address: string,
  signal: AbortSignal,
  options: TlsOptions | undefined,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const { host, port } = parseAddress(address);
    const socket = options === undefined ? net.connect({ host, port }) : tls.connect({
      host,
      port,
      ...options,
      ...(options.isUnverified ? { rejectUnauthorized: false } : {}),
      // A name is asked for by name; an address stands in the certificate as such.
      ...(isIpAddress(host) ? {} : { servername: host }),
      minVersion: "TLSv1.3",
    });
    const fail = (reason: string) => {
      signal.removeEventListener("abort", abort);
      socket.destroy();
      reject(new Error(`cannot connect to ${address}: ${reason}`));
    };
    const failed = (error: Error & { code?: string }) => fail(reasonOf(error));
    const abort = () => fail("no answer in time");
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    socket.once("error", failed);
    socket.once(options === undefined ? "connect" : "secureConnect", () => {
      signal.removeEventListener("abort", abort);
      const connection = new SocketConnection(socket);
      socket.off("error", failed);
      resolve(connection);
    });
  });
}

async function listen(
  address: string,
  options: () => TlsOptions | undefined,
  servers: Set<ProbedServer>,
): Promise<Listener> {
  const queue: Connection[] = [];
  let waiting: ((connection: Connection | undefined) => void) | undefined;
  let closed = false;
  const take = (socket: net.Socket, proof?: Proof) => {
    const connection = new SocketConnection(socket, proof);
    if (waiting !== undefined) {
      waiting(connection);
      waiting = undefined;
    } else if (queue.length < UNACCEPTED_MAX && !closed) queue.push(connection);
    else connection.close();
  };
  let server: ProbedServer;
  try {
    server = await ProbedServer.listen(
      address,
      (isProbe) => {
        const tls = options();
        return tls === undefined
          ? net.createServer(
            { allowHalfOpen: true },
            (socket) => isProbe(socket) ? socket.destroy() : take(socket),
          )
          : tlsServer(tls, take);
      },
    );
    servers.add(server);
  } catch (error) {
    throw new Error(`cannot listen on ${address}: ${reasonOf(error as Error)}`);
  }
  return {
    address: server.address,
    accept() {
      const next = queue.shift();
      if (next !== undefined || closed) return Promise.resolve(next);
      return new Promise((resolve) => waiting = resolve);
    },
    close() {
      closed = true;
      server.close();
      servers.delete(server);
      for (const connection of queue.splice(0)) connection.close();
      waiting?.(undefined);
    },
  };
}

/** A server that trusts only who shows a certificate of the authority, and says why it doesn't trust the others. */
function tlsServer(
  options: TlsOptions,
  take: (socket: net.Socket, proof: Proof) => void,
): net.Server {
  const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
  if (major < 2 || (major === 2 && minor < 8)) {
    throw new Error(
      `cannot serve TLS: this executable was made with Deno ${Deno.version.deno}, which does not check client certificates; 2.8 or later is needed`,
    );
  }
  const server = tls.createServer({
    ...contextOf(options),
    allowHalfOpen: true,
    requestCert: true,
    // Here it would end the connection without a word; who is not trusted is told and refused above.
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_MS,
  }, (socket: tls.TLSSocket) => take(socket, proofOf(socket)));
  new Handshakes().watch(server);
  server.on("tlsClientError", (_error: Error, socket: tls.TLSSocket) => socket.destroy());
  return server;
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: "nothing listens there",
  EADDRINUSE: "the port is in use by another process",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "not permitted",
  ENOTFOUND: "the name is unknown",
  EAI_AGAIN: "the name can't be resolved now",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "the network is unreachable",
  ETIMEDOUT: "no answer in time",
  ECONNRESET: "the other side refused the connection",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate is of another authority than tls_ca, has expired, or isn't valid yet",
};

function reasonOf(error: Error & { code?: string }): string {
  return REASONS[error.code ?? ""] ?? oneLine(error);
}
