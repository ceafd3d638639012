/**
 * Who may change something over HTTP. Reading is open to whoever reaches the listener. With a token set,
 * changes need it. Without one the listener is on loopback, and the danger is a web page in a browser on the
 * same machine: it can't send JSON elsewhere without asking first, and its requests name its own origin.
 */
import type { Context, MiddlewareHandler } from "hono";
import { isLoopback } from "../platform/address.ts";

/** The host in `host:port`, `[address]:port` or either without a port; a text that is neither stays as it is. */
function hostOf(authority: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d{1,5})?$/.exec(authority);
  return match?.[1] ?? match?.[2] ?? authority;
}

/** Compares in time that does not depend on where the texts differ. */
function equals(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) {
    difference |= a.charCodeAt(i) ^ b.charCodeAt(i % (b.length || 1));
  }
  return difference === 0;
}

/**
 * DNS rebinding: a foreign name that resolves to this machine would make a page same-origin with a listener
 * on loopback. Whether the request names this machine by one of its own names.
 */
function namesThisMachine(c: Context): boolean {
  return isLoopback(hostOf(c.req.header("host") ?? "localhost"));
}

function refuseName(c: Context): Response {
  return refuse(c, 403, "this listener answers only to the names of this machine");
}

function refuse(c: Context, status: 401 | 403 | 415, error: string): Response {
  return c.json({ error }, status);
}

/** On a listener on loopback, only those requests pass that mean this machine. */
export function guardReads(listener: string): MiddlewareHandler {
  const isLocal = isLoopback(hostOf(listener));
  return async (c, next) => isLocal && !namesThisMachine(c) ? refuseName(c) : await next();
}

/** What every answer carries: nobody is to take it for something else than it says. */
export async function noSniffing(c: Context, next: () => Promise<void>): Promise<void> {
  await next();
  c.res.headers.set("x-content-type-options", "nosniff");
}

/** Lets requests that change something through only as the head of the file says. */
export function guardChanges(token: string): MiddlewareHandler {
  return async (c, next) => {
    const { method } = c.req;
    if (method === "GET" || method === "HEAD") return await next();
    const type = c.req.header("content-type") ?? "";
    if (!type.startsWith("application/json")) {
      return refuse(c, 415, "send JSON with content-type application/json");
    }
    if (token !== "") {
      const given = /^Bearer (.+)$/.exec(c.req.header("authorization") ?? "")?.[1] ?? "";
      if (!equals(given, token)) return refuse(c, 401, "a valid bearer token is needed");
      return await next();
    }
    const host = c.req.header("host") ?? "";
    const origin = c.req.header("origin");
    if (
      !namesThisMachine(c) || host === "" || (origin !== undefined && origin !== `http://${host}`)
    ) {
      return refuse(c, 403, "changes are accepted only from this machine's own pages and tools");
    }
    await next();
  };
}
