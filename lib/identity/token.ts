/**
 * Tokens of people, scripts and nodes: what proves who somebody is, and what of it is kept. Pure.
 *
 * ```
 * token  = "hf_", id, "_", secret      id: ten hexadecimal digits, no secret; secret: 32 random bytes in base64url
 * hash   = "scrypt$N$r$p$", salt in base64url, "$", key of 32 bytes in base64url      RFC 7914, of the whole token
 *        | "sha256$", digest in base64url                                             a node's, see node_tokens.ts
 * ```
 */
import { Buffer } from "node:buffer";
import { createHash, scrypt, timingSafeEqual } from "node:crypto";
import type { Random } from "../platform/platform.ts";
import { isNodeId } from "../protocol/record.ts";
import { isRole, isTokenRole, type Role, TOKEN_ROLES, type TokenRole } from "./roles.ts";

/** What is kept of a token: nobody can make the token from it. */
export interface TokenRow {
  readonly id: string;
  /** Whom it was made for; not unique. A node's is its id. */
  readonly name: string;
  readonly role: TokenRole;
  /** Empty where it is revoked. */
  readonly hash: string;
  readonly created_wall_ms: number;
  /** `null`: it has no end. */
  readonly expires_wall_ms: number | null;
}

/** One that isn't a node's. */
export type PersonsToken = TokenRow & { readonly role: Role };

const FORM = /^hf_([0-9a-f]{10})_[A-Za-z0-9_-]{43}$/;
/** Some 30 ms and 16 MiB each time; what is kept says its own, so that they can be raised. */
const COST = { N: 16_384, r: 8, p: 1 } as const;
const COST_MAX = { N: 2 ** 17, r: 16, p: 4 } as const;
const NODE_HASH = "sha256$";
const KEY_BYTES = 32;
const EXPIRES_S_MAX = 10 * 365 * 86_400;
const ID_BYTES = 5, SECRET_BYTES = 32, SALT_BYTES = 16;

/** What people may be called: a log line and a table cell hold it. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._@-]{0,63}$/u;

/** Names that the audit trail has for others than people. */
const RESERVED: ReadonlySet<string> = new Set(["local", "http_token"]);

/** The parts of a new token, checked. Throws a `RangeError` of one line. */
export function tokenParts(
  { name, role, expires_s }: { name?: unknown; role?: unknown; expires_s?: unknown },
  nowMs: number,
): Omit<TokenRow, "id" | "hash"> {
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new RangeError("name: expected 1 to 64 letters, digits, blanks or . _ @ -");
  }
  if (RESERVED.has(name)) throw new RangeError(`name: "${name}" stands for something else`);
  if (!isTokenRole(role)) throw new RangeError(`role: expected one of ${TOKEN_ROLES.join(", ")}`);
  if (role === "node" && !isNodeId(name)) {
    throw new RangeError(`name: ${name} is no name of a node`);
  }
  const isEnd = typeof expires_s === "number" && expires_s >= 1 && expires_s <= EXPIRES_S_MAX;
  if (expires_s !== undefined && !isEnd) {
    throw new RangeError(`expires_s: expected a number from 1 to ${EXPIRES_S_MAX}`);
  }
  const expires_wall_ms = isEnd ? nowMs + 1_000 * expires_s : null;
  return { name, role, created_wall_ms: nowMs, expires_wall_ms };
}

/** A new token, which is not kept anywhere, and what is. */
export async function makeToken(
  given: Omit<TokenRow, "id" | "hash">,
  random: Pick<Random, "bytes">,
): Promise<{ token: string; row: TokenRow }> {
  const id = Buffer.from(random.bytes(ID_BYTES)).toString("hex");
  const token = `hf_${id}_${Buffer.from(random.bytes(SECRET_BYTES)).toString("base64url")}`;
  if (given.role === "node") return { token, row: { id, ...given, hash: nodeHash(token) } };
  const salt = random.bytes(SALT_BYTES);
  const key = await derive(token, salt, COST);
  const { N, r, p } = COST;
  const hash = ["scrypt", N, r, p, base64(salt), base64(key)].join("$");
  return { token, row: { id, ...given, hash } };
}

/** Whether a token counts: it isn't revoked. */
export function counts({ hash }: Pick<TokenRow, "hash">): boolean {
  return hash !== "";
}

/** Whether a token is a person's, or a script's. */
export function isPersons(row: TokenRow): row is PersonsToken {
  return isRole(row.role);
}

/** Whether a token is to be the only one of its name: a node may have two while it changes from one to the other. */
export function isUnique({ role }: Pick<TokenRow, "role">): boolean {
  return role !== "node";
}

/** Which token a text says it is; `undefined` where it has not the form of one. */
export function tokenId(token: string): string | undefined {
  return FORM.exec(token)?.[1];
}

/** Whether a token is the one of which `hash` is kept; false where the hash can't be read. */
export async function isToken(token: string, hash: string): Promise<boolean> {
  const [kind, N, r, p, salt, key] = hash.split("$");
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const isUsable = kind === "scrypt" && key !== undefined &&
    (["N", "r", "p"] as const).every((name) => cost[name] >= 1 && cost[name] <= COST_MAX[name]);
  if (!isUsable) return false;
  const expected = Buffer.from(key, "base64url");
  if (expected.length !== KEY_BYTES) return false;
  try {
    return timingSafeEqual(await derive(token, Buffer.from(salt!, "base64url"), cost), expected);
  } catch {
    // Parameters that are in range, but none of scrypt's.
    return false;
  }
}

/** What is kept of a node's token. */
export function nodeHash(token: string): string {
  return NODE_HASH + digestOf(token).toString("base64url");
}

/** Whether what is kept is of a node's token. */
export function isNodeHash(hash: string): boolean {
  return hash.startsWith(NODE_HASH);
}

/** Whether two secrets are the same, in time that tells nothing of where they differ. */
export function isSame(a: string, b: string): boolean {
  return timingSafeEqual(digestOf(a), digestOf(b));
}

/** What is remembered of a secret that was proven right. */
export function digestOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

function derive(
  token: string,
  salt: Uint8Array,
  cost: typeof COST | typeof COST_MAX | {
    N: number;
    r: number;
    p: number;
  },
): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    scrypt(
      token,
      salt,
      KEY_BYTES,
      { ...cost, maxmem: 256 * cost.N * cost.r },
      (error, key) => error === null ? resolve(key) : reject(error),
    )
  );
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}
