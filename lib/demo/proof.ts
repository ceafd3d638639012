/**
 * Compares what each node's own log says it produced with what the host's database holds. Reads the files
 * themselves, not the counters of the programs.
 */
import { DatabaseSync } from "node:sqlite";
import { openDiskForReading } from "../platform/deno_disk.ts";
import { DATABASE_NAME } from "../store/sqlite/store.ts";
import { listWal } from "../wal/inspect.ts";

/** The result over all nodes. */
export interface Proof {
  /** Records that the nodes numbered, in all epochs. */
  produced: number;
  /** Rows in the host's database. */
  stored: number;
  /** Rows whose sample is stored a second time, under whatever number. */
  duplicates: number;
  /** Produced, and neither stored nor in a declared gap. */
  missing: number;
  /** Declared gaps, and the records in them. */
  gaps: number;
  gap_records: number;
  /** Records that stand for several samples. */
  thinned: number;
  anomalies: { injected: number; found: number };
  nodes: { node_id: string; epoch: string; produced: number; stored: number; missing: number }[];
}

/** Seqs from 1 to `last` that are neither stored nor declared. */
function countMissing(db: DatabaseSync, nodeId: string, epoch: string, last: number): number {
  const stored = db.prepare(
    "SELECT COUNT(*) AS n FROM records WHERE node_id = ? AND epoch = ? AND seq <= ?",
  ).get(nodeId, epoch, last)!.n as number;
  const declared = db.prepare(
    "SELECT COALESCE(SUM(MIN(to_seq, ?3) - from_seq + 1), 0) AS n FROM gaps " +
      "WHERE node_id = ?1 AND epoch = ?2 AND from_seq <= ?3",
  ).get(nodeId, epoch, last)!.n as number;
  return last - stored - declared;
}

/** Proves a run. `nodes` maps each node to its data directory; all processes must have ended. */
export async function prove(
  hostDirectory: string,
  nodes: ReadonlyMap<string, string>,
): Promise<Proof> {
  const db = new DatabaseSync(`${hostDirectory}/${DATABASE_NAME}`, { readOnly: true });
  const one = (sql: string): number => Number(Object.values(db.prepare(sql).get()!)[0] ?? 0);
  const proof: Proof = {
    produced: 0,
    stored: one("SELECT COUNT(*) FROM records"),
    duplicates: one(
      "SELECT COUNT(*) - COUNT(DISTINCT node_id || ' ' || json_extract(payload, '$.boot_id') || ' ' || ts_mono_ms) FROM records",
    ),
    missing: 0,
    gaps: one("SELECT COUNT(*) FROM gaps"),
    gap_records: one("SELECT SUM(to_seq - from_seq + 1) FROM gaps"),
    thinned: one("SELECT COUNT(*) FROM records WHERE json_extract(payload, '$.agg') IS NOT NULL"),
    anomalies: {
      injected: one(
        "SELECT COUNT(*) FROM records, json_each(payload, '$.diagnostics.sim_injected')",
      ),
      found: one(
        "SELECT COUNT(*) FROM records, json_each(payload, '$.diagnostics.sim_injected') AS i " +
          "WHERE json_extract(payload, '$.anomaly.metrics.' || i.value) IS NOT NULL",
      ),
    },
    nodes: [],
  };
  for (const [node_id, directory] of nodes) {
    const wal = await listWal(await openDiskForReading(directory));
    const lastSeqs = new Map<string, number>();
    const known = db.prepare("SELECT epoch, max_seq FROM epochs WHERE node_id = ?").all(node_id);
    for (const row of known) lastSeqs.set(String(row.epoch), Number(row.max_seq));
    if (wal.epoch !== undefined) {
      lastSeqs.set(wal.epoch, Math.max(wal.last_seq, lastSeqs.get(wal.epoch) ?? 0));
    }
    for (const [epoch, produced] of lastSeqs) {
      const missing = countMissing(db, node_id, epoch, produced);
      const stored = db.prepare(
        "SELECT COUNT(*) AS n FROM records WHERE node_id = ? AND epoch = ?",
      ).get(node_id, epoch)!.n as number;
      proof.produced += produced;
      proof.missing += Math.max(0, missing);
      // More rows and gaps than numbers: something is there twice.
      proof.duplicates += Math.max(0, -missing);
      proof.nodes.push({ node_id, epoch, produced, stored, missing });
    }
  }
  db.close();
  return proof;
}
