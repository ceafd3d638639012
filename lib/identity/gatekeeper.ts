/**
 * Tells who somebody is by the token that they show. A token that was right once is known by its digest, so that each
 * request costs a millionth of a login; guessing is slowed by where it comes from, and nobody is locked out by others:
 * who guesses at one token, or without one, is not in the way of another.
 */
import { Attempts } from "./attempts.ts";
import type { Role } from "./roles.ts";
import { digestOf, isSame, isToken, tokenId, type TokenRow } from "./token.ts";

/** Somebody who is let in. */
export interface Person {
  readonly name: string;
  readonly role: Role;
  /** Whether that is still so: their token may be revoked, or end. */
  isValid(): boolean;
}

/** Who it is, or why nobody is let in. */
export type Verdict =
  | { readonly person: Person }
  | { readonly person?: never; readonly reason: string; readonly retryAfterMs?: number };

/** Tokens that were right, at most: more are checked anew. */
const KNOWN_MAX = 1_024;
/** Tokens that are being checked; more have to come again. */
const CHECKS_MAX = 8;

/** See the head of the file. Times are those of the clock that is handed in. */
export class Gatekeeper {
  #rows = new Map<string, TokenRow>();
  #known = new Map<string, TokenRow>();
  #attempts = new Attempts();
  #checks = 0;
  #fixedToken: string;
  #nowMs: () => number;
  /** Tokens that were shown and are none, or none any more. */
  failures = 0;

  /** `fixedToken` is a setting's, of an admin; empty for none. `nowMs` reads the wall clock. */
  constructor(fixedToken: string, nowMs: () => number) {
    this.#fixedToken = fixedToken;
    this.#nowMs = nowMs;
  }

  /** Whether there is any token, or ever was one. */
  get hasTokens(): boolean {
    return this.#fixedToken !== "" || this.#rows.size > 0;
  }
  /** Attempts that were refused unseen, as too many were wrong before. */
  get slowed(): number {
    return this.#attempts.refused;
  }

  /** All tokens that there are. Who has another one is out. */
  know(rows: readonly TokenRow[]): void {
    this.#rows = new Map(rows.map((row) => [row.id, row]));
    for (const [digest, row] of this.#known) {
      if (this.#rows.get(row.id)?.hash !== row.hash) this.#known.delete(digest);
    }
  }

  /** Who shows `token`, from `address`. */
  async judge(token: string, address: string): Promise<Verdict> {
    const digest = digestOf(token).toString("base64url");
    const known = this.#known.get(digest);
    if (known !== undefined) return this.#verdictOf(known);
    const id = tokenId(token) ?? "";
    const row = this.#rows.get(id);
    const key = `${address} ${row === undefined ? "" : id}`;
    const waitMs = this.#attempts.waitMs(key, this.#nowMs());
    if (waitMs > 0 || this.#checks >= CHECKS_MAX) {
      this.#attempts.refused++;
      const retryAfterMs = Math.max(waitMs, 1_000);
      return { reason: "too many tokens were wrong: try again later", retryAfterMs };
    }
    if (this.#fixedToken !== "" && isSame(token, this.#fixedToken)) {
      return { person: { name: "http_token", role: "admin", isValid: () => true } };
    }
    if (row !== undefined && await this.#isRight(token, row)) {
      this.#remember(digest, row);
      return this.#verdictOf(row);
    }
    this.failures++;
    this.#attempts.failed(key, this.#nowMs());
    return { reason: "this token is not valid" };
  }

  async #isRight(token: string, row: TokenRow): Promise<boolean> {
    this.#checks++;
    try {
      return await isToken(token, row.hash) && this.#rows.get(row.id)?.hash === row.hash;
    } finally {
      this.#checks--;
    }
  }

  #remember(digest: string, row: TokenRow): void {
    this.#known.set(digest, row);
    if (this.#known.size <= KNOWN_MAX) return;
    const [oldest] = this.#known.keys();
    this.#known.delete(oldest!);
  }

  #verdictOf(row: TokenRow): Verdict {
    const isValid = () =>
      this.#rows.get(row.id)?.hash === row.hash &&
      (row.expires_wall_ms === null || this.#nowMs() < row.expires_wall_ms);
    if (isValid()) return { person: { name: row.name, role: row.role, isValid } };
    this.failures++;
    return { reason: "this token has expired" };
  }
}
