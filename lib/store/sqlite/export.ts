/** Records of a database without its host: straight from the blocks, whatever is summed up. */
import type { Database } from "../../platform/sqlite.ts";
import type { StoredRow } from "../store.ts";
import { blocksInOrder, blocksOf, rowsOf } from "./block_tables.ts";
import { summedUpThrough } from "./rollup.ts";

/** Which records to take out. */
export interface ExportQuery {
  /** All nodes unless given. */
  readonly nodeId?: string | undefined;
  /** Only at or after it, and only before it, by the device's clock. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

/** The records, node by node and epoch by epoch, the older epoch first, each in the order of seqs. */
export function* exportRecords(db: Database, query: ExportQuery): Generator<StoredRow> {
  const { fromMs = -Infinity, toMs = Infinity } = query;
  for (const { node_id, epoch } of epochsOf(db, query.nodeId)) {
    const all = { node_id, epoch, from: 0, to: Number.MAX_SAFE_INTEGER };
    for (const block of blocksOf(db, all)) {
      for (const row of rowsOf(block)) {
        if (row.ts_wall_ms < fromMs || row.ts_wall_ms >= toMs) continue;
        yield { ...row, node_id, epoch };
      }
    }
  }
}

function epochsOf(db: Database, nodeId: string | undefined) {
  const order = "ORDER BY node_id, first_wall_ms, epoch";
  const rows = nodeId === undefined
    ? db.sql(`SELECT node_id, epoch FROM epochs ${order}`).all()
    : db.sql(`SELECT node_id, epoch FROM epochs WHERE node_id = ? ${order}`).all(nodeId);
  return rows.map((row) => ({ node_id: String(row.node_id), epoch: String(row.epoch) }));
}

/** Names of nodes of which something is stored. */
export function exportNodes(db: Database): string[] {
  return [...new Set(epochsOf(db, undefined).map(({ node_id }) => node_id))];
}

/** Names of the metrics that those records may have, in order. */
export function exportMetrics(db: Database, { nodeId }: ExportQuery): string[] {
  const names = new Set(
    db.sql("SELECT node_id, metric FROM series").all()
      .filter((row) => nodeId === undefined || row.node_id === nodeId)
      .map((row) => String(row.metric)),
  );
  // What is not summed up yet may have new ones.
  const summedUp = summedUpThrough(db);
  for (const block of blocksInOrder(db, "recent", summedUp)) {
    if (nodeId !== undefined && block.node_id !== nodeId) continue;
    for (const { payload } of rowsOf(block)) {
      for (const name of Object.keys(metricsOf(payload))) names.add(name);
    }
  }
  return [...names].sort();
}

/** The metrics of a record's JSON; none where it is damaged. */
export function metricsOf(payload: string): Readonly<Record<string, unknown>> {
  try {
    const { metrics } = JSON.parse(payload);
    return typeof metrics === "object" && metrics !== null ? metrics : {};
  } catch {
    return {};
  }
}
