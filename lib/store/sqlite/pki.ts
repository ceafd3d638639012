/** One-time tokens of devices, and the certificates that were signed, in the database. */
import type { EnrolmentRow } from "../../identity/enrolment_token.ts";
import type { Database } from "../../platform/sqlite.ts";
import type { CertificateRow, RenewedFrom } from "../store.ts";

/** How long after its end a certificate is remembered: longer than it may be renewed. */
const KEPT_MS = 21 * 365 * 86_400_000;

/** Keeps a token; durable when it returns. Those that have expired are dropped. */
export function putEnrolment(db: Database, row: EnrolmentRow): void {
  db.inTransaction(() => {
    db.sql("DELETE FROM enrolments WHERE expires_wall_ms < ?").run(row.created_wall_ms);
    db.sql("INSERT INTO enrolments VALUES (?, ?, ?, ?)")
      .run(row.hash, row.node_id, row.created_wall_ms, row.expires_wall_ms);
  });
}

/** Takes a token: nobody else gets it. `undefined` where there is none. Durable when it returns. */
export function takeEnrolment(db: Database, hash: string): EnrolmentRow | undefined {
  const row = db.sql("DELETE FROM enrolments WHERE hash = ? RETURNING *").get(hash);
  return row === undefined ? undefined : {
    hash,
    node_id: String(row.node_id),
    created_wall_ms: Number(row.created_wall_ms),
    expires_wall_ms: Number(row.expires_wall_ms),
  };
}

/** Keeps a certificate, or what became of it; durable when it returns. */
export function putCertificate(db: Database, row: CertificateRow): void {
  db.sql(
    "INSERT INTO certificates VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET " +
      "revoked_wall_ms = coalesce(revoked_wall_ms, excluded.revoked_wall_ms)",
  ).run(row.serial, row.node_id, row.issued_wall_ms, row.not_after_ms, row.revoked_wall_ms);
}

/** Revokes all that a node has, or the one of a serial number; which were not before. Durable when it returns. */
export function revokeCertificates(
  db: Database,
  nodeId: string,
  serial: string | undefined,
  atWallMs: number,
): string[] {
  return db.sql(
    "UPDATE certificates SET revoked_wall_ms = ? WHERE revoked_wall_ms IS NULL AND (node_id = ? OR serial = ?) " +
      "RETURNING serial",
  ).all(atWallMs, nodeId, serial ?? null).map((row) => String(row.serial));
}

/** See `Store.renewCertificate`. Durable when it returns. */
export function renewCertificate(
  db: Database,
  row: CertificateRow,
  { serial, fromMs, isKnown = false }: RenewedFrom,
): boolean {
  return db.inTransaction(() => {
    const known = db.sql("SELECT node_id, revoked_wall_ms FROM certificates WHERE serial = ?")
      .get(serial);
    const isRefused = known === undefined
      ? isKnown ||
        db.sql("SELECT 1 FROM certificates WHERE node_id = ? AND revoked_wall_ms >= ? LIMIT 1")
            .get(row.node_id, fromMs) !== undefined
      : known.node_id !== row.node_id || known.revoked_wall_ms !== null;
    if (isRefused) return false;
    db.sql("DELETE FROM certificates WHERE not_after_ms < ?").run(row.issued_wall_ms - KEPT_MS);
    putCertificate(db, row);
    return true;
  });
}

/** All certificates, the oldest first. */
export function readCertificates(db: Database): CertificateRow[] {
  return db.sql("SELECT * FROM certificates ORDER BY issued_wall_ms, serial").all().map((row) => ({
    serial: String(row.serial),
    node_id: String(row.node_id),
    issued_wall_ms: Number(row.issued_wall_ms),
    not_after_ms: Number(row.not_after_ms),
    revoked_wall_ms: row.revoked_wall_ms === null ? null : Number(row.revoked_wall_ms),
  }));
}

/** Serials of those that are revoked. */
export function readRevoked(db: Database): string[] {
  return db.sql("SELECT serial FROM certificates WHERE revoked_wall_ms IS NOT NULL").all()
    .map(({ serial }) => String(serial));
}
