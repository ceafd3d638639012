/**
 * Compares what each node's own log says it produced with what the host's database holds. Reads the files
 * themselves, not the counters of the programs.
 */
import { openDiskForReading } from "../platform/deno_disk.ts";
import type { Database } from "../platform/sqlite.ts";
import { allRecords } from "../store/sqlite/block_tables.ts";
import { openDatabase } from "../store/sqlite/engine.ts";
import { DATABASE_NAME } from "../store/sqlite/store.ts";
import { listWal } from "../wal/inspect.ts";

/** The result over all nodes. */
export interface Proof {
  /** Records that the nodes numbered, in all epochs. */
  produced: number;
  /** Records in the host's database. */
  stored: number;
  /** Records whose sample is stored a second time, under whatever number. */
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

/** Seqs from 1 to `last` that are neither stored nor declared; below 0 where more are there than numbers. */
function countMissing(
  db: Database,
  stored: readonly number[],
  nodeId: string,
  epoch: string,
  last: number,
): number {
  const declared = db.sql(
    "SELECT COALESCE(SUM(MIN(to_seq, ?) - from_seq + 1), 0) AS n FROM gaps " +
      "WHERE node_id = ? AND epoch = ? AND from_seq <= ?",
  ).get(last, nodeId, epoch, last)!.n as number;
  return last - stored.filter((seq) => seq <= last).length - declared;
}

/** Proves a run. `nodes` maps each node to its data directory; all processes must have ended. */
export async function prove(
  hostDirectory: string,
  nodes: ReadonlyMap<string, string>,
): Promise<Proof> {
  const db = openDatabase(`${hostDirectory}/${DATABASE_NAME}`, true);
  const one = (sql: string): number => Number(Object.values(db.sql(sql).get()!)[0] ?? 0);
  const seqs = new Map<string, number[]>();
  const samples = new Set<string>();
  let stored = 0, thinned = 0, injected = 0, found = 0;
  for (const { node_id, epoch, seq, payload } of allRecords(db)) {
    const record = JSON.parse(payload);
    const key = `${node_id} ${epoch}`;
    const known = seqs.get(key);
    if (known === undefined) seqs.set(key, [seq]);
    else known.push(seq);
    stored++;
    samples.add(`${node_id} ${record.boot_id} ${record.ts_mono_ms}`);
    if (record.agg !== undefined) thinned++;
    for (const metric of record.diagnostics.sim_injected ?? []) {
      injected++;
      if (metric in record.anomaly.metrics) found++;
    }
  }
  const proof: Proof = {
    produced: 0,
    stored,
    duplicates: stored - samples.size,
    missing: 0,
    gaps: one("SELECT COUNT(*) FROM gaps"),
    gap_records: one("SELECT SUM(to_seq - from_seq + 1) FROM gaps"),
    thinned,
    anomalies: { injected, found },
    nodes: [],
  };
  for (const [node_id, directory] of nodes) {
    const wal = await listWal(await openDiskForReading(directory));
    const lastSeqs = new Map<string, number>();
    const known = db.sql("SELECT epoch, max_seq FROM epochs WHERE node_id = ?").all(node_id);
    for (const row of known) lastSeqs.set(String(row.epoch), Number(row.max_seq));
    if (wal.epoch !== undefined) {
      lastSeqs.set(wal.epoch, Math.max(wal.last_seq, lastSeqs.get(wal.epoch) ?? 0));
    }
    for (const [epoch, produced] of lastSeqs) {
      const stored = seqs.get(`${node_id} ${epoch}`) ?? [];
      const missing = countMissing(db, stored, node_id, epoch, produced);
      proof.produced += produced;
      proof.missing += Math.max(0, missing);
      // More records and gaps than numbers: something is there twice.
      proof.duplicates += Math.max(0, -missing);
      proof.nodes.push({ node_id, epoch, produced, stored: stored.length, missing });
    }
  }
  db.close();
  return proof;
}
