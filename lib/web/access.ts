/**
 * Who is let in over HTTP. Without a token anywhere, on a listener that only this machine reaches, everybody is: the
 * danger is a web page in a browser on the same machine, which can't send JSON elsewhere without asking first, whose
 * requests name its own origin, and that may come under a name of its own. Else a token is needed, as bearer token or
 * in the cookie that `login.ts` gives.
 */
import type { Context, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { allows, type Role } from "../identity/roles.ts";
import type { Person, Verdict } from "../identity/gatekeeper.ts";
import { addressGroup, hostOf, isLoopback } from "../platform/address.ts";
import type { Requester } from "../platform/platform.ts";

/** Who stands at the door. */
export interface Door {
  /** Whether nobody is let in without a token. Always so where others than this machine reach the listener. */
  readonly isLoginNeeded: boolean;
  /** Who shows `token`, from `address`. */
  judge(token: string, address: string): Promise<Verdict>;
}

/** What access is decided by. */
export interface AccessOptions {
  readonly door: Door;
  /** Name of the cookie. */
  readonly cookie: string;
  /** Served over TLS. */
  readonly isSecure: boolean;
}

/** Paths that are there for everybody. */
const OPEN = /^\/(?:login|healthz|assets\/.*)$/;
const HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/**
 * DNS rebinding: a foreign name that resolves to this machine would make a page same-origin with a listener
 * on loopback. Whether the request names this machine by one of its own names.
 */
function namesThisMachine(c: Context): boolean {
  return isLoopback(hostOf(c.req.header("host") ?? "localhost"));
}

/** Whether a browser says that one of our own pages asks. */
export function isFromOwnPage(c: Context): boolean {
  const origin = c.req.header("origin"), host = c.req.header("host") ?? "";
  if (origin === undefined) return c.req.header("sec-fetch-site") === "same-origin";
  return host !== "" && /^https?:\/\//.test(origin) && origin.replace(/^https?:\/\//, "") === host;
}

/** Who asks; `undefined` where nobody had to say so. */
export function personOf(c: Context): Person | undefined {
  return c.get("person") as Person | undefined;
}

/** The address that a request came from. */
export function addressOf(c: Context): string {
  return (c.env as Partial<Requester> | undefined)?.address ?? "unknown";
}

/** Says no, in one line. */
export function refuse(c: Context, status: 401 | 403 | 415 | 429, error: string): Response {
  return c.json({ error }, status);
}

/** What every answer carries: nobody is to take it for something else than it says, or to frame it. */
export function secureHeaders(isSecure: boolean): MiddlewareHandler {
  return async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value);
    if (isSecure) c.res.headers.set("strict-transport-security", "max-age=31536000");
  };
}

/** Lets requests through as the head of the file says; {@linkcode personOf} tells then who it is. */
export function guard({ door, cookie }: AccessOptions): MiddlewareHandler {
  const local: Person = { name: "local", role: "admin", isValid: () => !door.isLoginNeeded };
  return async (c, next) => {
    const { method, path } = c.req;
    const isChange = method !== "GET" && method !== "HEAD";
    const isForm = path === "/login" || path === "/logout";
    if (isChange && !isForm && !isJson(c)) {
      return refuse(c, 415, "send JSON with content-type application/json");
    }
    if (!door.isLoginNeeded) {
      const isOwn = c.req.header("origin") === undefined || isFromOwnPage(c);
      if (!namesThisMachine(c)) {
        return refuse(c, 403, "this listener answers only to the names of this machine");
      }
      if (isChange && (!isOwn || c.req.header("host") === undefined)) {
        return refuse(c, 403, "changes are accepted only from this machine's own pages and tools");
      }
      enter(c, local);
      return await next();
    }
    const bearer = /^Bearer (.+)$/.exec(c.req.header("authorization") ?? "")?.[1];
    // What is there for everybody needs no look at a cookie, which may be an old one.
    const token = bearer ?? (OPEN.test(path) ? undefined : getCookie(c, cookie));
    const verdict = token === undefined
      ? undefined
      : await door.judge(token, addressGroup(addressOf(c)));
    if (verdict?.person !== undefined) {
      if (isChange && bearer === undefined && !isFromOwnPage(c)) {
        return refuse(c, 403, "changes with a cookie are accepted only from this site's own pages");
      }
      enter(c, verdict.person);
      return await next();
    }
    if (OPEN.test(path)) return await next();
    if (verdict?.retryAfterMs !== undefined) return later(c, verdict.reason, verdict.retryAfterMs);
    const isPage = method === "GET" && (c.req.header("accept") ?? "").includes("text/html");
    if (isPage) return c.redirect(`/login?next=${encodeURIComponent(path)}`);
    c.header("www-authenticate", "Bearer");
    return refuse(
      c,
      401,
      verdict?.reason ?? "a token is needed: log in, or send it as bearer token",
    );
  };
}

/** Says when to come again. */
export function later(c: Context, reason: string, afterMs: number): Response {
  c.header("retry-after", String(Math.ceil(afterMs / 1_000)));
  return refuse(c, 429, reason);
}

/** Who shows certificates, and which don't count any more. */
export interface CertificateCheck {
  readonly isRevoked: (serial: string) => boolean;
  /** Somebody was not let in. */
  readonly onRefused: (address: string, reason: string) => void;
}

/** Lets in, before all else, only who shows a certificate of the authority. Goes with a listener that asks for one. */
export function certified({ isRevoked, onRefused }: CertificateCheck): MiddlewareHandler {
  return async (c, next) => {
    const { certificate } = c.env as Partial<Requester>;
    const { serial, distrust = "it shows no certificate" } = certificate ?? {};
    const reason = serial === undefined
      ? distrust
      : isRevoked(serial)
      ? "its certificate is revoked"
      : undefined;
    if (reason !== undefined) {
      onRefused(addressOf(c), reason);
      // Each further line in the log costs them a handshake.
      c.header("connection", "close");
      return refuse(c, 403, `a certificate of this listener's authority is needed: ${reason}`);
    }
    c.set("isCertified", () => !isRevoked(serial!));
    return await next();
  };
}

/** Somebody comes in, for as long as both their token and their certificate, where they showed one, count. */
function enter(c: Context, person: Person): void {
  const isCertified = c.get("isCertified") as (() => boolean) | undefined;
  const isValid = () => person.isValid() && (isCertified?.() ?? true);
  c.set("person", { name: person.name, role: person.role, isValid });
}

/** Why who asks may not do what needs `role`; `undefined` where they may. */
export function forbidden(c: Context, role: Role): Response | undefined {
  const person = personOf(c);
  if (person === undefined) return refuse(c, 401, "a token is needed");
  if (allows(person.role, role)) return undefined;
  return refuse(c, 403, `that needs the role ${role}; ${person.name} is ${person.role}`);
}

function isJson(c: Context): boolean {
  return (c.req.header("content-type") ?? "").startsWith("application/json");
}
