/**
 * The real HTTP server, on `node:http`: unlike this runtime's own it can tell a client that sends half a request
 * and nothing more to go away.
 */
import http from "node:http";
import type net from "node:net";
import { getRequestListener } from "@hono/node-server";
import { oneLine } from "../errors.ts";
import { ProbedServer } from "./probed_server.ts";

/** Longest time for the head of a request, for a whole one, and for the next one on a kept connection. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
const KEEP_ALIVE_MS = 30_000;
const CHECK_MS = 2_000;
/** A connection on which nothing moves for so long is closed; streams move each second. */
const IDLE_MS = 60_000;
/** Connections at once; further ones are closed. */
const CONNECTIONS_MAX = 512;

/** Asked of itself now and then, see `probed_server.ts`. */
const PROBE = "HEAD /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n";

/** Serves until closed. Rejects with one line where it can't listen. */
export async function serve(
  address: string,
  handler: (request: Request) => Response | Promise<Response>,
): Promise<{ address: string; close(): Promise<void> }> {
  const sockets = new Set<net.Socket>();
  const listener = getRequestListener((request) => handler(real(request)), {
    overrideGlobalObjects: false,
  });
  const make = (): http.Server => {
    const server = http.createServer({
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
    }, (request, response) => {
      listener(request, response).catch(() => response.destroy());
    });
    server.maxConnections = CONNECTIONS_MAX;
    server.on("connection", (socket: net.Socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {});
      socket.setTimeout(IDLE_MS, () => socket.destroy());
    });
    return server;
  };
  let server: ProbedServer;
  try {
    server = await ProbedServer.listen(address, make as () => net.Server, PROBE);
  } catch (error) {
    const busy = (error as { code?: string }).code === "EADDRINUSE";
    const reason = busy ? "the port is in use by another process" : oneLine(error);
    throw new Error(`cannot serve http on ${address}: ${reason}`);
  }
  return {
    address: server.address,
    // Pages hold streams open for ever: they are cut, not waited for.
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      return Promise.resolve();
    },
  };
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
