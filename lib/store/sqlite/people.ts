/** Tokens and the audit trail in the database. */
import { isTokenRole } from "../../identity/roles.ts";
import type { TokenRow } from "../../identity/token.ts";
import type { Database } from "../../platform/sqlite.ts";
import type { AuditRow, HistoryQuery, StoredAudit } from "../store.ts";
import { history, parsed } from "./queries.ts";

/** Entries of the audit trail that are kept, the newest. */
const AUDIT_MAX = 100_000;

/** All tokens, the oldest first; a row that is no token is none. */
export function readTokens(db: Database): TokenRow[] {
  return db.sql("SELECT * FROM tokens ORDER BY created_wall_ms, id").all().flatMap((row) => {
    const { id, name, role, hash, created_wall_ms, expires_wall_ms } = row;
    if (!isTokenRole(role)) return [];
    return [{
      id: String(id),
      name: String(name),
      role,
      hash: String(hash),
      created_wall_ms: Number(created_wall_ms),
      expires_wall_ms: expires_wall_ms === null ? null : Number(expires_wall_ms),
    }];
  });
}

/** Adds a token; durable when it returns. */
export function putToken(db: Database, row: TokenRow): void {
  db.sql("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)")
    .run(row.id, row.name, row.role, row.hash, row.created_wall_ms, row.expires_wall_ms);
}

/** Takes a token away, but for its row; whether it was one. */
export function revokeToken(db: Database, id: string): boolean {
  const { changes } = db.sql("UPDATE tokens SET hash = '' WHERE id = ? AND hash <> ''").run(id);
  return Number(changes) > 0;
}

/** Adds to the audit trail; durable when it returns. */
export function addAudit(db: Database, row: AuditRow): void {
  const { at_wall_ms, who, role, address, action, target, before, after } = row;
  const detail = JSON.stringify({ before, after });
  db.inTransaction(() => {
    db.sql(
      "INSERT INTO audit (at_wall_ms, who, role, address, action, target, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ).run(at_wall_ms, who, role, address, action, target, detail);
    const { last } = db.sql("SELECT MAX(id) AS last FROM audit").get()!;
    db.sql("DELETE FROM audit WHERE id <= ?").run(Number(last ?? 0) - AUDIT_MAX);
  });
}

/** Entries of the audit trail, the newest first. */
export function readAudit(db: Database, query: Omit<HistoryQuery, "node_id">): StoredAudit[] {
  const where = history(query, "id", "at_wall_ms");
  return db.sql(`SELECT * FROM audit ${where.text} ORDER BY id DESC LIMIT ?`)
    .all(...where.values, query.limit).map((row) => ({
      id: Number(row.id),
      at_wall_ms: Number(row.at_wall_ms),
      who: String(row.who),
      role: String(row.role),
      address: String(row.address),
      action: String(row.action),
      target: String(row.target),
      ...parsed(row.detail) as Pick<StoredAudit, "before" | "after">,
    }));
}
