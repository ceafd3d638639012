/** The SQLite engine on a database in memory, and commits in few words. */
import type { Database } from "../../lib/platform/sqlite.ts";
import { openDatabase, SqliteEngine } from "../../lib/store/sqlite/engine.ts";
import { packBatch } from "../../lib/store/sqlite/pack.ts";
import type { EpochState, GapRow } from "../../lib/store/store.ts";
import { EPOCH } from "../messages.ts";

/** What a test says of a commit; each record is sampled a second after the one before, unless it is said otherwise. */
export interface CommitOf {
  readonly node_id?: string;
  readonly epoch?: string;
  readonly wallMs?: (seq: number) => number;
  readonly metrics?: (seq: number) => Readonly<Record<string, number>>;
  readonly flagged?: readonly number[];
  readonly agg?: Readonly<Record<string, unknown>>;
  readonly payload?: (seq: number) => string;
  readonly score?: number;
  readonly gaps?: readonly GapRow[];
  readonly state?: Partial<EpochState>;
  readonly rangesChanged?: boolean;
}

/** An engine without a file; `nowMs` reads its clock. */
export function openEngine(nowMs: () => number = () => 0): { db: Database; engine: SqliteEngine } {
  const db = openDatabase(":memory:");
  const engine = new SqliteEngine(db, nowMs);
  engine.open("host-1");
  return { db, engine };
}

/** Commits records of one epoch that were received at `atWallMs`. */
export function commitTo(
  engine: SqliteEngine,
  seqs: readonly number[],
  atWallMs: number,
  of: CommitOf = {},
): void {
  const { node_id = "a", epoch = EPOCH, flagged = [], score = 4, agg } = of;
  const high = Math.max(0, ...seqs);
  engine.commit([packBatch({
    state: { node_id, epoch, high_acked: high, ranges: [], max_seq: high, ...of.state },
    rangesChanged: of.rangesChanged ?? true,
    records: seqs.map((seq) => {
      const metrics = of.metrics?.(seq) ?? { temp_c: seq };
      const is_anomaly = flagged.includes(seq);
      const anomaly = { is_anomaly, metrics: is_anomaly ? { temp_c: { z: 9 } } : {} };
      return {
        seq,
        ts_wall_ms: of.wallMs?.(seq) ?? 60_000 + 1_000 * seq,
        ts_mono_ms: seq + 0.5,
        is_anomaly,
        score,
        payload: of.payload?.(seq) ?? JSON.stringify({ seq, metrics, anomaly, agg }),
      };
    }),
    gaps: of.gaps ?? [],
  }, atWallMs)], atWallMs);
}

/** Numbers from `from` to `to`. */
export function upTo(to: number, from = 1): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** The first column of the first row, as a number. */
export function numberOf(db: Database, sql: string): number {
  return Number(Object.values(db.sql(sql).get() ?? {})[0] ?? 0);
}
