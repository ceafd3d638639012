/**
 * The production's SQLite engine on a database in memory, given what the simulator's maps are given: in the end
 * both must say the same of every epoch, record, rollup, and of what retention took.
 */
import { allRecords } from "../../lib/store/sqlite/block_tables.ts";
import { openDatabase, SqliteEngine } from "../../lib/store/sqlite/engine.ts";
import { packBatch } from "../../lib/store/sqlite/pack.ts";
import { readEpoch } from "../../lib/store/sqlite/queries.ts";
import { FAULTS, verifyDatabase } from "../../lib/store/sqlite/verify.ts";
import type { Database } from "../../lib/platform/sqlite.ts";
import type { EpochBatch, EpochState, RetentionLimits } from "../../lib/store/store.ts";
import type { Durable } from "./store.ts";

/** Records that a commit may leave over that are too old: retention takes a thousand each time. */
const LEFT_OVER_MAX = 1_000;

/** See the head of the file. */
export class RealEngine {
  readonly #db: Database;
  readonly #engine: SqliteEngine;
  /** When how many records were first committed. */
  #arrivals: { atWallMs: number; records: number }[] = [];
  #records = 0;
  #retained: { limits: RetentionLimits; wallMs: number } | undefined;

  /** With what is durable already. */
  constructor(durable: Durable, nowMs: () => number, wallMs: number) {
    this.#db = openDatabase(":memory:");
    this.#engine = new SqliteEngine(this.#db, nowMs);
    this.#engine.open("host");
    for (const [key, state] of durable.epochs) {
      const records = [...durable.records.get(key)?.values() ?? []];
      const gaps = durable.gaps.get(key) ?? [];
      this.commit([{ state, rangesChanged: true, records, gaps }], wallMs);
    }
  }

  commit(batches: readonly EpochBatch[], atWallMs: number): void {
    this.#engine.commit(batches.map((batch) => packBatch(batch, atWallMs)), atWallMs);
    this.#engine.sumUpSome();
    this.#engine.sealSome(atWallMs, 0);
    const records = batches.reduce((sum, batch) => sum + batch.records.length, 0);
    this.#records += records;
    this.#arrivals.push({ atWallMs, records });
  }

  retain(limits: RetentionLimits, wallMs: number): void {
    this.#retained = { limits, wallMs };
    this.#engine.keepWithin(limits);
    this.#engine.retention.slice(wallMs, 0);
  }

  epoch(nodeId: string, epoch: string): EpochState | undefined {
    return readEpoch(this.#db, nodeId, epoch);
  }

  close(): void {
    this.#engine.close();
  }

  /** The first thing in which it differs from what the maps say. */
  difference(durable: Durable): string | undefined {
    return this.#wrongWithItself() ?? this.#wrongEpoch(durable) ?? this.#wrongRecord(durable) ??
      this.#wrongRetention() ??
      this.#wrongRollup(durable);
  }

  #wrongWithItself(): string | undefined {
    const report = verifyDatabase(this.#db);
    for (const what of FAULTS) {
      const [first] = report[what];
      if (first !== undefined) return `database: ${what}: ${JSON.stringify(first)}`;
    }
    return undefined;
  }

  #wrongEpoch(durable: Durable): string | undefined {
    for (const [key, state] of durable.epochs) {
      const mine = this.epoch(state.node_id, state.epoch);
      const here = JSON.stringify(mine, sortedKeys), there = JSON.stringify(state, sortedKeys);
      if (here !== there) return `${key}: the database says ${here}, was told ${there}`;
    }
    return undefined;
  }

  #wrongRecord(durable: Durable): string | undefined {
    for (const row of allRecords(this.#db)) {
      const key = `${row.node_id} ${row.epoch}`;
      const told = durable.records.get(key)?.get(row.seq);
      if (told?.payload !== row.payload) {
        return `${key}: seq ${row.seq} is in the database as ${row.payload}`;
      }
    }
    return undefined;
  }

  #wrongRetention(): string | undefined {
    const kept = [...allRecords(this.#db)].length;
    if (kept !== this.#engine.records) {
      return `database: ${kept} records are there, it says ${this.#engine.records}`;
    }
    const { deletedRecords } = this.#engine.retention;
    if (kept + deletedRecords !== this.#records) {
      return `database: ${this.#records} records came, ${deletedRecords} were deleted, ${kept} are there`;
    }
    const { wallMs = 0, limits = {} } = this.#retained ?? {};
    const { ageMs = Infinity } = limits;
    const due = this.#younger(ageMs, wallMs);
    if (kept < due) return `database: ${due} records are young, only ${kept} are there`;
    if (kept > this.#younger(ageMs * (1 + 1 / 8), wallMs) + LEFT_OVER_MAX) {
      return `database: ${kept} records are there, ${due} are young`;
    }
    return undefined;
  }

  #younger(ageMs: number, wallMs: number): number {
    return this.#arrivals.filter(({ atWallMs }) => atWallMs >= wallMs - ageMs)
      .reduce((sum, { records }) => sum + records, 0);
  }

  /** What rollups say of each metric, over all time, against what was stored. */
  #wrongRollup(durable: Durable): string | undefined {
    if (this.#engine.retention.deletedRecords > 0) return undefined;
    while (this.#engine.sumUpSome());
    this.#engine.rollUp.flush();
    const expected = sumsOf(durable);
    for (const table of ["rollup_fine", "rollup_coarse"]) {
      const rows = this.#db.sql(
        "SELECT node_id, metric, SUM(n) AS n, MIN(min) AS min, MAX(max) AS max, SUM(anomalies) AS " +
          `anomalies FROM ${table} JOIN series ON series.id = series GROUP BY node_id, metric`,
      ).all();
      const found = new Map(rows.map((row) => [
        `${row.node_id} ${row.metric}`,
        [row.n, row.min, row.max, row.anomalies].map(Number),
      ]));
      for (const [key, sums] of expected) {
        const here = JSON.stringify(found.get(key));
        if (here !== JSON.stringify(sums)) return `${table} ${key}: ${here}, stored are ${sums}`;
      }
    }
    return undefined;
  }
}

/** By node and metric: samples, least and greatest value, records in which it was flagged. */
function sumsOf(durable: Durable): Map<string, number[]> {
  const sums = new Map<string, number[]>();
  for (const rows of durable.records.values()) {
    for (const { payload } of rows.values()) {
      const { node_id, ts_wall_ms, metrics, agg, anomaly } = JSON.parse(payload);
      // No chart begins before 1970, which a clock that was reset and set back may say.
      if (ts_wall_ms < 0) continue;
      for (const [name, value] of Object.entries(metrics as Record<string, number>)) {
        const key = `${node_id} ${name}`;
        const [n, min, max, flagged] = sums.get(key) ?? [0, Infinity, -Infinity, 0];
        sums.set(key, [
          n! + (agg?.n ?? 1),
          Math.min(min!, agg?.min[name] ?? value),
          Math.max(max!, agg?.max[name] ?? value),
          flagged! + (name in anomaly.metrics ? 1 : 0),
        ]);
      }
    }
  }
  return sums;
}

/** For texts that are the same whatever order the keys were set in. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}
