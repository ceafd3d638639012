/**
 * The real HTTP server, on `node:http`: unlike this runtime's own it can tell a client that sends half a request
 * and nothing more to go away.
 */
import http from "node:http";
import https from "node:https";
import type tls from "node:tls";
import type net from "node:net";
import { getRequestListener } from "@hono/node-server";
import { oneLine } from "../errors.ts";
import type { TlsOptions } from "./deno_transport.ts";
import { HANDSHAKE_MS, Handshakes } from "./handshakes.ts";
import { ProbedServer } from "./probed_server.ts";
import type { Requester } from "./platform.ts";
import { certificateOf } from "./proof.ts";

/** Longest time for the head of a request, for a whole one, and for the next one on a kept connection. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
const KEEP_ALIVE_MS = 30_000;
const CHECK_MS = 2_000;
/** A connection on which nothing moves for so long is closed; streams move each second. */
const IDLE_MS = 60_000;
/** Connections at once; for a further one the oldest is closed of those that ask for nothing, or have yet to ask. */
const CONNECTIONS_MAX = 512;

/** What a request of this runtime can't be made of. */
const NO_METHODS: ReadonlySet<string> = new Set(["TRACE", "TRACK", "CONNECT"]);

/** Asked of itself now and then, see `probed_server.ts`. */
const PROBE = "HEAD /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n";

/** A listener for HTTP. */
export interface Served {
  readonly address: string;
  /** Connections that are accepted from now on use these; only where it was given some. */
  renew(options: TlsOptions): void;
  close(): Promise<void>;
}

/** How a listener is secured. */
export interface Secured extends TlsOptions {
  /** Who connects is asked for a certificate of the authority. */
  readonly isMutual?: boolean;
}

/**
 * Serves until closed; over TLS with a certificate and its key. The handler is told whom a request comes from, also
 * where their certificate is none: it says so, as TLS itself would end the connection without a word. Rejects with one
 * line where it can't listen.
 */
export async function serve(
  address: string,
  handler: (request: Request, from: Requester) => Response | Promise<Response>,
  options?: Secured,
): Promise<Served> {
  const isMutual = options?.isMutual === true;
  let current = options;
  const sockets = new Set<net.Socket>();
  /** Of them those without a request, the oldest first. */
  const idle = new Set<net.Socket>();
  /** What those prove who are asked for a certificate. */
  const certificates = new WeakMap<net.Socket, ReturnType<typeof certificateOf>>();
  /** Those that are told once why they aren't let in, whatever they send behind that. */
  const refused = new WeakSet<net.Socket>();
  const listener = getRequestListener(
    (request, env) => {
      const { incoming: { socket } } = env as { incoming: http.IncomingMessage };
      const address = socket.remoteAddress ?? "unknown";
      const certificate = certificates.get(socket);
      return handler(real(request), certificate ? { address, certificate } : { address });
    },
    { overrideGlobalObjects: false },
  );
  const forget = (socket: net.Socket) => {
    sockets.delete(socket);
    idle.delete(socket);
  };
  const answer = (request: http.IncomingMessage, response: http.ServerResponse) => {
    const { socket } = request;
    if (refused.has(socket)) {
      socket.destroy();
      return;
    }
    if (certificates.get(socket)?.distrust !== undefined) refused.add(socket);
    if (NO_METHODS.has(request.method ?? "")) {
      response.writeHead(405, { connection: "close" }).end();
      return;
    }
    // One that has yet to send what it announced makes room for others, too.
    const { headers } = request;
    const isWhole = headers["content-length"] === undefined &&
      headers["transfer-encoding"] === undefined;
    const begun = () => idle.delete(socket);
    if (isWhole) begun();
    else request.once("end", begun);
    response.once("close", () => {
      // Answered before it was whole: what comes of it now is no request.
      request.off("end", begun);
      if (sockets.has(socket)) idle.add(socket);
    });
    listener(request, response).catch(() => response.destroy());
  };
  const make = (): http.Server => {
    const times = {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
    };
    const server = current === undefined
      ? http.createServer(times, answer)
      : https.createServer({ ...times, ...secured(current, isMutual) }, answer);
    if (options !== undefined) new Handshakes().watch(server as unknown as net.Server);
    server.on(options === undefined ? "connection" : "secureConnection", (socket: net.Socket) => {
      if (sockets.size >= CONNECTIONS_MAX) {
        const [oldest = socket] = idle;
        forget(oldest);
        oldest.destroy();
        if (oldest === socket) return;
      }
      sockets.add(socket);
      idle.add(socket);
      if (isMutual) certificates.set(socket, certificateOf(socket as tls.TLSSocket));
      socket.on("close", () => forget(socket));
      socket.on("error", () => {});
      socket.setTimeout(IDLE_MS, () => socket.destroy());
    });
    return server;
  };
  let server: ProbedServer;
  try {
    server = await ProbedServer.listen(
      address,
      make as () => net.Server,
      options === undefined ? PROBE : undefined,
    );
  } catch (error) {
    const busy = (error as { code?: string }).code === "EADDRINUSE";
    const reason = busy ? "the port is in use by another process" : oneLine(error);
    throw new Error(`cannot serve http on ${address}: ${reason}`);
  }
  return {
    address: server.address,
    renew(options) {
      if (current === undefined) return;
      current = options;
      (server.server as unknown as tls.Server).setSecureContext(secured(options, isMutual));
    },
    // Pages hold streams open for ever: they are cut, not waited for.
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      return Promise.resolve();
    },
  };
}

/** Unless certificates are asked for, who asks shows none: people and scripts have tokens. */
function secured({ ca, cert, key }: TlsOptions, isMutual: boolean): https.ServerOptions {
  const own = {
    cert: cert!,
    key: key!,
    minVersion: "TLSv1.3",
    handshakeTimeout: HANDSHAKE_MS,
  } as const;
  return isMutual ? { ...own, ca, requestCert: true, rejectUnauthorized: false } : own;
}

/**
 * The adapter's requests only look like requests: what makes one anew from another, as a limit on bodies does
 * where no length is told, throws on them. Those that may carry a body are copied.
 */
function real(request: Request): Request {
  const { method, url, headers, body, signal } = request;
  if (method === "GET" || method === "HEAD") return request;
  return new Request(url, { method, headers, body, signal });
}
