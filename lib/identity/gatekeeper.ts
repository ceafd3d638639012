/**
 * Tells who somebody is by the token that they show. A token that was right once is known by its digest, so that each
 * request costs a millionth of a login; guessing is slowed by where it comes from, and nobody is locked out by others:
 * who guesses at one token, or without one, is not in the way of another.
 */
import { Attempts } from "./attempts.ts";
import type { Role } from "./roles.ts";
import {
  digestOf,
  isPersons,
  isSame,
  isToken,
  type PersonsToken,
  tokenId,
  type TokenRow,
} from "./token.ts";

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
const PLACES_MAX = 256;
const BUSY_MS = 1_000;
/** Who has the setting's token. */
const FIXED_NAME = "http_token";
const WRONG: Verdict = { reason: "this token is not valid" };
/** Tokens that are being checked; more have to come again. */
const CHECKS_MAX = 8;

/** See the head of the file. Times are those of the clock that is handed in. */
export class Gatekeeper {
  #rows = new Map<string, PersonsToken>();
  #known = new Map<string, PersonsToken>();
  #attempts = new Attempts();
  /** By digest, those that are being checked. */
  #checks = new Map<string, Promise<boolean>>();
  /** Digests of what was wrong. */
  #wrong = new Set<string>();
  /** From where the setting's token was right. */
  #fixedPlaces = new Set<string>();
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

  /** All tokens that there are; those of nodes are for the link alone. Who has another one is out. */
  know(all: readonly TokenRow[]): void {
    const before = this.#rows;
    const rows = all.filter(isPersons);
    this.#rows = new Map(rows.map((row) => [row.id, row]));
    // One of them may be right now.
    if (rows.some(({ id }) => !before.has(id))) this.#wrong.clear();
    for (const [digest, row] of this.#known) {
      if (this.#rows.get(row.id)?.hash !== row.hash) this.#known.delete(digest);
    }
  }

  /** Who shows `token`, from `address`. */
  async judge(token: string, address: string): Promise<Verdict> {
    const digest = digestOf(token).toString("base64url");
    const known = this.#known.get(digest);
    if (known !== undefined) return this.#verdictOf(known, address);
    if (this.#fixedPlaces.has(address) && this.#isFixed(token)) return this.#fixed(address);
    // A page that goes on to show what was wrong is no guess.
    if (this.#wrong.has(digest)) return WRONG;
    const id = tokenId(token) ?? "";
    const row = this.#rows.get(id);
    const key = `${address} ${row === undefined ? "" : id}`;
    const waitMs = this.#attempts.waitMs(key, this.#nowMs());
    if (waitMs > 0) return this.#slow(waitMs);
    if (this.#isFixed(token)) return this.#fixed(address);
    if (row !== undefined) {
      const isRight = await this.#check(token, digest, row);
      if (isRight === undefined) return this.#slow(BUSY_MS);
      if (isRight) {
        this.#remember(digest, row);
        return this.#verdictOf(row, address);
      }
    }
    this.failures++;
    this.#attempts.failed(key, this.#nowMs());
    this.#wrong.add(digest);
    if (this.#wrong.size > KNOWN_MAX) this.#wrong.delete(this.#wrong.values().next().value!);
    return WRONG;
  }

  #slow(retryAfterMs: number): Verdict {
    this.#attempts.refused++;
    return { reason: "too many tokens were wrong: try again later", retryAfterMs };
  }

  #isFixed(token: string): boolean {
    return this.#fixedToken !== "" && isSame(token, this.#fixedToken);
  }

  /** Where it was right before, it is let in whatever others there guess. */
  #fixed(address: string): Verdict {
    this.#fixedPlaces.add(address);
    if (this.#fixedPlaces.size > PLACES_MAX) {
      this.#fixedPlaces.delete(this.#fixedPlaces.values().next().value!);
    }
    return { person: { name: FIXED_NAME, role: "admin", isValid: () => true } };
  }

  /** Whether a token is right; `undefined` where too many others are being checked. Asked twice it is checked once. */
  #check(token: string, digest: string, row: PersonsToken): Promise<boolean | undefined> {
    const running = this.#checks.get(digest);
    if (running !== undefined) return running;
    if (this.#checks.size >= CHECKS_MAX) return Promise.resolve(undefined);
    const check = isToken(token, row.hash)
      .then((isRight) => isRight && this.#rows.get(row.id)?.hash === row.hash)
      .finally(() => this.#checks.delete(digest));
    this.#checks.set(digest, check);
    return check;
  }

  #remember(digest: string, row: PersonsToken): void {
    this.#known.set(digest, row);
    if (this.#known.size <= KNOWN_MAX) return;
    const [oldest] = this.#known.keys();
    this.#known.delete(oldest!);
  }

  #verdictOf(row: PersonsToken, address: string): Verdict {
    const isValid = () =>
      this.#rows.get(row.id)?.hash === row.hash &&
      (row.expires_wall_ms === null || this.#nowMs() < row.expires_wall_ms);
    if (isValid()) return { person: { name: row.name, role: row.role, isValid } };
    const key = `${address} ${row.id}`;
    const waitMs = this.#attempts.waitMs(key, this.#nowMs());
    if (waitMs > 0) return this.#slow(waitMs);
    this.failures++;
    this.#attempts.failed(key, this.#nowMs());
    return { reason: "this token has expired" };
  }
}
