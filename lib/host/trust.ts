/**
 * Whether who connects is the node that it says: by a certificate that isn't revoked, or by a token. What counts stands
 * in the store, where other processes change it. A plain connection proves nothing; there only who has a token shows it.
 */
import { NodeTokens } from "../identity/node_tokens.ts";
import type { Clock, Connection } from "../platform/platform.ts";
import type { Store } from "../store/store.ts";

/** What somebody shows. */
export interface Shown {
  readonly connection: Connection;
  /** `undefined` before a hello. */
  readonly nodeId: string | undefined;
  /** The token in their hello. */
  readonly token: string | undefined;
}

const REVOKED = "its certificate is revoked";

/** See the head of the file. */
export class Trust {
  #store: Pick<Store, "revokedSerials" | "tokens">;
  #clock: Clock;
  #revoked: ReadonlySet<string> = new Set();
  #tokens = new NodeTokens();

  private constructor(store: Pick<Store, "revokedSerials" | "tokens">, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Reads what counts. Rejects where the store can't be read. */
  static async load(
    store: Pick<Store, "revokedSerials" | "tokens">,
    clock: Clock,
  ): Promise<Trust> {
    const trust = new Trust(store, clock);
    await trust.#read();
    return trust;
  }

  /** Reads again what counts; where the store is busy or fails, what is known stays. Never rejects. */
  async look(): Promise<void> {
    await this.#read().catch(() => {});
  }

  async #read(): Promise<void> {
    this.#revoked = new Set(await this.#store.revokedSerials());
    this.#tokens.know(await this.#store.tokens());
  }

  /** Why nothing that a connection may send could let it in; `canEnroll`: it might ask for a certificate. */
  refusal(connection: Connection, canEnroll: boolean): string | undefined {
    if (this.isRevoked(connection.serial)) return REVOKED;
    return canEnroll || !this.#tokens.isEmpty ? undefined : connection.distrust;
  }

  /** Why who said hello isn't believed, or not any more; `undefined` where they are. */
  problem({ connection, nodeId = "", token }: Shown): string | undefined {
    if (this.isRevoked(connection.serial)) return REVOKED;
    const isProven = connection.identity !== undefined && connection.distrust === undefined;
    if (isProven) return undefined;
    if (token !== undefined && (connection.distrust !== undefined || this.#tokens.has(nodeId))) {
      return this.#tokens.problem(nodeId, token, this.#clock.wallMs());
    }
    if (connection.distrust !== undefined) {
      return this.#tokens.isEmpty ? connection.distrust : `${connection.distrust}, and no token`;
    }
    return this.#tokens.has(nodeId) ? "it shows no token, and needs one" : undefined;
  }

  /** Whether the certificate of that serial number counts no more. */
  isRevoked(serial: string | undefined): boolean {
    return serial !== undefined && this.#revoked.has(serial);
  }
}
