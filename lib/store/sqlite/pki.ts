/** One-time tokens of devices, and the certificates that were signed, in the database. */
import type { Database } from "../../platform/sqlite.ts";
import type { CertificateRow, EnrolmentRow } from "../store.ts";

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
