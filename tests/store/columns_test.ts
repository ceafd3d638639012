/** Records that come in columns are stored, sealed and summed up as those are that come as lines. */
import { assert, assertEquals } from "@std/assert";
import { LinesBuilder, textsOf } from "../../lib/codec/lines.ts";
import type { Database } from "../../lib/platform/sqlite.ts";
import type { Random } from "../../lib/platform/platform.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { RecordShapes } from "../../lib/protocol/record_columns.ts";
import { allRecords } from "../../lib/store/sqlite/block_tables.ts";
import { packBatch } from "../../lib/store/sqlite/pack.ts";
import { readSeries } from "../../lib/store/sqlite/queries.ts";
import { addRows, Columns, planSeries } from "../../lib/store/series.ts";
import { ColumnRow, type RecordRow } from "../../lib/store/store.ts";
import { EPOCH, telemetry } from "../messages.ts";
import { openEngine } from "./in_memory.ts";

const START = 1_763_900_000_000;

/** A record as a node may send it: some are flagged, thinned, or lack a metric. */
function lineOf(random: Random, seq: number): string {
  const chance = (parts: number) => random.below(parts) === 0;
  const temp_c = (random.below(10_000) - 5_000) / (chance(5) ? 7 : 100);
  const is_anomaly = chance(6);
  const metrics = { temp_c, ...(chance(3) ? {} : { rail_v: random.below(500) / 1_000 }) };
  return JSON.stringify(telemetry(
    "a",
    seq,
    {
      ts_wall_ms: START + 100 * seq + (chance(20) ? -86_400_000 : 0),
      ts_mono_ms: 100.5 * seq,
    },
    metrics,
    {
      anomaly: {
        is_anomaly,
        score: random.below(500) / 100,
        metrics: is_anomaly ? { temp_c: { z: 4.5, mean: 1, std: 2 } } : {},
      },
      ...(chance(5) ? { agg: { n: 1 + random.below(9), min: { temp_c: -9 }, max: {} } } : {}),
      ...(chance(9) ? { note: "by hand" } : {}),
    },
  ));
}

function rowOf(line: string): RecordRow {
  const { seq, ts_wall_ms, ts_mono_ms, anomaly: { is_anomaly, score } } = JSON.parse(line);
  return { seq, ts_wall_ms, ts_mono_ms, is_anomaly, score, payload: line };
}

/** The same in columns, where that can be. */
function rowsInColumns(lines: readonly string[]): RecordRow[] {
  const builder = new LinesBuilder();
  for (const line of lines) builder.addText(line);
  const shapes = new RecordShapes("a", EPOCH);
  return [...builder.done().runs()].flatMap((run) => {
    const columns = typeof run === "string" ? undefined : shapes.columnsOf(run);
    if (typeof run === "string") return [rowOf(run)];
    if (columns === undefined) return textsOf(run).map(rowOf);
    return Array.from(
      { length: run.to - run.from },
      (_, i) => new ColumnRow(columns, run.from + i),
    );
  });
}

function tables(db: Database): Record<string, unknown[]> {
  const all = (table: string) => db.sql(`SELECT * FROM ${table} ORDER BY 1, 2, 3`).all();
  const rounded = (table: string) =>
    all(table).map(({ sum, ...row }) => ({ ...row, sum: Number(Number(sum).toPrecision(12)) }));
  return {
    records: [...allRecords(db)].sort((one, other) => one.seq - other.seq),
    spans: all("spans"),
    series: db.sql("SELECT node_id, metric FROM series ORDER BY metric").all(),
    fine: rounded("rollup_fine"),
    coarse: rounded("rollup_coarse"),
  };
}

Deno.test("records in columns are stored and summed up as the same records as lines are", () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = seededRandom(seed);
    const byLines = openEngine(), byColumns = openEngine();
    let seq = 0, inColumns = 0;
    for (let commit = 0; commit < 8; commit++) {
      const lines = Array.from(
        { length: 1 + random.below(60) },
        () => lineOf(random, seq += random.below(30) === 0 ? 3 : 1),
      );
      // Fresh records come before older ones.
      if (random.below(3) === 0) lines.push(...lines.splice(0, lines.length >> 1));
      for (
        const [{ engine }, records] of [
          [byLines, lines.map(rowOf)],
          [byColumns, rowsInColumns(lines)],
        ] as const
      ) {
        if (engine === byColumns.engine) inColumns += records.filter((row) => row.source).length;
        const state = { node_id: "a", epoch: EPOCH, high_acked: seq, ranges: [], max_seq: seq };
        const batch = { state, rangesChanged: true, records, gaps: [] };
        engine.commit([packBatch(batch, START + commit)], START + commit);
        if (commit % 3 === 0) { while (engine.sumUp()); }
        if (commit === 5) engine.sealSome(START + 86_400_000, 1_000);
      }
    }
    for (const { engine } of [byLines, byColumns]) while (engine.sumUp());
    assert(inColumns > 20, `${inColumns} of ${seq} in columns`);
    assertEquals(tables(byColumns.db), tables(byLines.db), `seed ${seed}`);
  }
});

Deno.test("a short chart is what the records of its window say, in whatever form they are stored", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = seededRandom(seed);
    const { db, engine } = openEngine();
    let seq = 0;
    for (let commit = 0; commit < 5; commit++) {
      const lines = Array.from({ length: 1 + random.below(200) }, () => lineOf(random, ++seq));
      const state = { node_id: "a", epoch: EPOCH, high_acked: seq, ranges: [], max_seq: seq };
      const batch = { state, rangesChanged: true, records: rowsInColumns(lines), gaps: [] };
      engine.commit([packBatch(batch, START)], START);
      while (engine.sumUp());
      if (commit === 3) engine.sealSome(START + 86_400_000, 1_000);
    }
    const rows = [...allRecords(db)].sort((one, other) => one.seq - other.seq);
    for (const metric of ["temp_c", "rail_v", "nothing"]) {
      const from_wall_ms = START + random.below(20_000);
      const to_wall_ms = from_wall_ms + 1 + random.below(50_000);
      const query = { node_id: "a", metric, from_wall_ms, to_wall_ms, points: 1_000 };
      const plan = planSeries(query, true);
      assertEquals(plan.level, "raw");
      const columns = new Columns(plan, to_wall_ms);
      addRows(columns, query, rows);
      const { mean: expected, ...others } = columns.result(true);
      const { mean, ...found } = readSeries(db, query, true);
      assertEquals(found, others, `seed ${seed}, ${metric}`);
      const rounded = (values: readonly number[]) => values.map((value) => value.toPrecision(12));
      assertEquals(rounded(mean), rounded(expected));
    }
  }
});

Deno.test("records in columns are stored under their own numbers, in whatever order they stand there", () => {
  const seqs = [4, 5, 6, 1, 3, 2, 8, 7];
  const lines = seqs.map((seq) =>
    JSON.stringify(telemetry("a", seq, { ts_wall_ms: START + seq, ts_mono_ms: seq }, { t: seq }))
  );
  const rows = rowsInColumns(lines);
  assert(rows.every(({ source }) => source?.columns === rows[0]!.source?.columns));
  const { engine, db } = openEngine();
  const state = { node_id: "a", epoch: EPOCH, high_acked: 8, ranges: [], max_seq: 8 };
  engine.commit([packBatch({ state, rangesChanged: true, records: rows, gaps: [] }, START)], START);
  const stored = [...allRecords(db)].map(({ seq, payload }) => [seq, JSON.parse(payload).seq]);
  assertEquals(stored, [1, 2, 3, 4, 5, 6, 7, 8].map((seq) => [seq, seq]));
});
