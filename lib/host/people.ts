/**
 * Who is let in over HTTP, and what they changed: tokens of the store, which other processes may change, and the
 * audit trail.
 */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import { Attempts } from "../identity/attempts.ts";
import { Gatekeeper, type Person, type Verdict } from "../identity/gatekeeper.ts";
import {
  counts,
  isPersons,
  isUnique,
  makeToken,
  tokenParts,
  type TokenRow,
} from "../identity/token.ts";
import type { Clock, Random } from "../platform/platform.ts";
import type { AuditRow, Store } from "../store/store.ts";

/** How often it is looked whether tokens came or went: `host token` changes the database beside the host. */
const LOOK_MS = 2_000;
/** Of people, and of nodes. */
const TOKENS_MAX = 1_000, NODE_TOKENS_MAX = 10_000;
/** Changes of one person at once, and how often after that. */
const CHANGES_AT_ONCE = 100, CHANGE_MS = 2_000;
const log = getLogger(["holdfast", "people"]);

/** A token as it is shown: without what it is checked by. */
export type ShownToken = Omit<TokenRow, "hash">;

/** What somebody changed; see {@linkcode AuditRow}. */
export type Change = Pick<AuditRow, "action" | "target" | "before" | "after">;

/** See {@linkcode People}. */
export interface PeopleOptions {
  readonly store: Pick<Store, "tokens" | "putToken" | "revokeToken" | "addAudit">;
  readonly clock: Clock;
  readonly random: Random;
  /** The setting `http_token`. */
  readonly fixedToken: string;
  /** Others than this machine reach the listener. */
  readonly isExposed: boolean;
}

/** See the head of the file. */
export class People {
  #options: PeopleOptions;
  #gatekeeper: Gatekeeper;
  #rows: readonly TokenRow[] = [];
  #told = "";
  #changes = new Attempts(CHANGES_AT_ONCE, CHANGE_MS);

  private constructor(options: PeopleOptions) {
    this.#options = options;
    this.#gatekeeper = new Gatekeeper(options.fixedToken, () => options.clock.wallMs());
  }

  /** Reads the tokens. Rejects where the store can't be read. */
  static async load(options: PeopleOptions): Promise<People> {
    const people = new People(options);
    people.#know(await options.store.tokens());
    return people;
  }

  /** Whether nobody is let in without a token. */
  get isLoginNeeded(): boolean {
    return this.#options.isExposed || this.#gatekeeper.hasTokens;
  }
  /** Whether anybody can log in. */
  get hasTokens(): boolean {
    return this.#options.fixedToken !== "" ||
      this.#rows.some((row) => isPersons(row) && counts(row));
  }
  /** All tokens that count, the oldest first. */
  get tokens(): ShownToken[] {
    return this.#rows.filter(counts).map(shown);
  }
  /** Tokens that were wrong, and attempts that were refused unseen, since the start. */
  get refused(): { readonly failures: number; readonly slowed: number } {
    const { failures, slowed } = this.#gatekeeper;
    return { failures, slowed };
  }

  /** Looks for changes of the tokens until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#options;
    while (!signal.aborted) {
      await clock.sleepUntil(clock.monotonicMs() + LOOK_MS, signal);
      if (signal.aborted) return;
      try {
        this.#know(await store.tokens());
        this.#told = "";
      } catch (error) {
        const reason = oneLine(error);
        if (reason !== this.#told) log.warn("tokens can't be read: {reason}", { reason });
        this.#told = reason;
      }
    }
  }

  /** Who shows `token`, from `address`. */
  async judge(token: string, address: string): Promise<Verdict> {
    const before = this.#gatekeeper.failures;
    const verdict = await this.#gatekeeper.judge(token, address);
    if (this.#gatekeeper.failures > before && verdict.person === undefined) {
      log.warn("refused to let {address} in: {reason}", { address, reason: verdict.reason });
    }
    return verdict;
  }

  /** Makes a token; it is shown this once. Throws a `RangeError` of one line where something is no value. */
  async create(
    given: { name?: unknown; role?: unknown; expires_s?: unknown },
  ): Promise<{ token: string; row: ShownToken }> {
    const { store, clock, random } = this.#options;
    const made = await makeToken(tokenParts(given, clock.wallMs()), random);
    if (isUnique(made.row) && this.tokens.some(({ name }) => name === made.row.name)) {
      throw new RangeError(`name: ${made.row.name} has a token already, revoke it first`);
    }
    const isNodes = made.row.role === "node";
    const most = isNodes ? NODE_TOKENS_MAX : TOKENS_MAX;
    if (this.tokens.filter(({ role }) => (role === "node") === isNodes).length >= most) {
      throw new RangeError(`there are ${most} tokens already: revoke some`);
    }
    await store.putToken(made.row);
    this.#know([...this.#rows, made.row]);
    return { token: made.token, row: shown(made.row) };
  }

  /** Takes a token away: who has it is out at once. The token, `undefined` where there is none. */
  async revoke(id: string): Promise<ShownToken | undefined> {
    const row = this.#rows.find((row) => row.id === id);
    if (!await this.#options.store.revokeToken(id)) return undefined;
    this.#know(this.#rows.map((row) => row.id === id ? { ...row, hash: "" } : row));
    return row && shown(row);
  }

  /**
   * Milliseconds until `person` may change something again; 0 for now, which counts as one change: the audit trail has
   * room for so many, and is not to be washed out.
   */
  changeWaitMs(person: Person): number {
    const nowMs = this.#options.clock.wallMs();
    const waitMs = this.#changes.waitMs(person.name, nowMs);
    if (waitMs === 0) this.#changes.failed(person.name, nowMs);
    return waitMs;
  }

  /** Notes what `person` changed; durable when it resolves. */
  async note(person: Person, address: string, change: Change): Promise<void> {
    const { name: who, role } = person;
    const { store, clock } = this.#options;
    await store.addAudit({ at_wall_ms: clock.wallMs(), who, role, address, ...change });
    const { action, target } = change;
    log.info("{who} from {address}: {action} {target}", { who, address, action, target });
  }

  #know(rows: readonly TokenRow[]): void {
    this.#rows = rows;
    this.#gatekeeper.know(rows);
  }
}

function shown({ hash: _, ...row }: TokenRow): ShownToken {
  return row;
}
