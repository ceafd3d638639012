/**
 * Tokens by which nodes that have no certificate say who they are, on a link whose other end TLS proves. What is kept
 * is a digest alone: a token holds 32 random bytes, which nobody guesses, and a fleet that comes back at once must not
 * cost seconds of a processor. Pure.
 */
import { counts, isNodeHash, isSame, nodeHash, tokenId, type TokenRow } from "./token.ts";

/** What is kept of the tokens of all nodes, as others than this process may change it. */
export class NodeTokens {
  #rows = new Map<string, TokenRow>();
  #named: ReadonlySet<string> = new Set();

  /** All tokens that there are; those of people are left out. */
  know(rows: readonly TokenRow[]): void {
    const all = rows.filter((row) => row.role === "node");
    this.#rows = new Map(all.filter(counts).map((row) => [row.id, row]));
    // Whose token was revoked is not to come in without one.
    this.#named = new Set(all.map(({ name }) => name));
  }

  /** Whether any node has one. */
  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  /** Whether this node has one, or had: then it has to show one. */
  has(nodeId: string): boolean {
    return this.#named.has(nodeId);
  }

  /** What is wrong with a token that is shown for a node; `undefined` where it is right. */
  problem(nodeId: string, token: string, nowMs: number): string | undefined {
    const row = this.#rows.get(tokenId(token) ?? "");
    const isRight = row !== undefined && isNodeHash(row.hash) && isSame(nodeHash(token), row.hash);
    if (!isRight) return "its token is none of this host, or was revoked";
    if (row.name !== nodeId) return `its token is that of "${row.name}"`;
    const { expires_wall_ms } = row;
    return expires_wall_ms !== null && nowMs >= expires_wall_ms
      ? "its token has expired"
      : undefined;
  }
}
