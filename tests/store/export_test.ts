/** What is taken out of a database is what is in it, also where nothing is summed up; and what is wrong is seen. */
import { gunzipSync } from "node:zlib";
import { assertEquals } from "@std/assert";
import { parquetReadObjects } from "hyparquet";
import { ByteWriter } from "hyparquet-writer";
import { openDatabase, SqliteEngine } from "../../lib/store/sqlite/engine.ts";
import { exportMetrics, exportRecords } from "../../lib/store/sqlite/export.ts";
import { packBatch } from "../../lib/store/sqlite/pack.ts";
import { FAULTS, verifyDatabase } from "../../lib/store/sqlite/verify.ts";
import { writeParquet } from "../../lib/store/parquet.ts";
import { recordCells, recordHead } from "../../lib/store/record_text.ts";
import type { Database } from "../../lib/platform/sqlite.ts";
import { EPOCH } from "../messages.ts";

const START = 1_700_000_000_000;
const OLDER = "1111111111111111";

function filled(): { db: Database; engine: SqliteEngine } {
  const db = openDatabase(":memory:");
  const engine = new SqliteEngine(db, () => 0);
  engine.open("host-1");
  let at = START;
  const commit = (node_id: string, epoch: string, from: number, to: number, extra = {}) => {
    engine.commit([packBatch({
      state: { node_id, epoch, high_acked: to, ranges: [], max_seq: to },
      rangesChanged: true,
      records: Array.from({ length: to - from + 1 }, (_, i) => ({
        seq: from + i,
        ts_wall_ms: START + 1_000 * (from + i),
        ts_mono_ms: from + i,
        is_anomaly: i === 3,
        score: i === 3 ? 5.5 : 0,
        payload: JSON.stringify({
          ...{ node_id, epoch, seq: from + i, degraded: i === 4, cfg_version: 2 },
          metrics: { temp_c: 40 + i / 8, ...extra },
          ...(i === 4 ? { agg: { n: 8, min: {}, max: {} } } : {}),
        }),
      })),
      gaps: [],
    }, at += 10_000)], at);
  };
  commit("b", EPOCH, 1, 5);
  commit("a", OLDER, 1, 700);
  commit("a", EPOCH, 1, 400);
  while (engine.sumUp());
  engine.sealSome(at, 0);
  commit("a", EPOCH, 401, 405, { constructor: 7, TIME: 1 });
  return { db, engine };
}

Deno.test("export gives each record of the window once, node by node, epoch by epoch, in order", () => {
  const { db } = filled();
  const seqs = [...exportRecords(db, {})].map((row) => `${row.node_id} ${row.epoch} ${row.seq}`);
  const of = (node: string, epoch: string, to: number) =>
    Array.from({ length: to }, (_, i) => `${node} ${epoch} ${i + 1}`);
  assertEquals(seqs, [...of("a", OLDER, 700), ...of("a", EPOCH, 405), ...of("b", EPOCH, 5)]);
  const query = { nodeId: "a", fromMs: START + 399_000, toMs: START + 402_000 };
  assertEquals(
    [...exportRecords(db, query)].map(({ epoch, seq }) => [epoch, seq]),
    [OLDER, EPOCH].flatMap((epoch) => [399, 400, 401].map((seq) => [epoch, seq])),
  );
});

Deno.test("export knows metrics that are not summed up yet, and a record without one has none", () => {
  const { db } = filled();
  const metrics = exportMetrics(db, { nodeId: "a" });
  assertEquals(metrics, ["TIME", "constructor", "temp_c"]);
  assertEquals(exportMetrics(db, { nodeId: "b" }), ["temp_c"]);
  const [first] = exportRecords(db, { nodeId: "a" });
  assertEquals(recordHead(metrics).trim().split(",").slice(-3), metrics);
  assertEquals(recordCells(first!, metrics).trim().split(",").slice(-3), ["", "", "40"]);
});

Deno.test("a Parquet file holds what the records say, with a null where a metric is missing", async () => {
  const { db } = filled();
  const writer = new ByteWriter();
  const query = { nodeId: "a" };
  const rows = [...exportRecords(db, query)];
  assertEquals(await writeParquet(writer, exportMetrics(db, query), rows), 1_105);
  const compressors = { GZIP: (bytes: Uint8Array) => gunzipSync(bytes) };
  const read = await parquetReadObjects({ file: writer.getBuffer(), compressors });
  assertEquals(read.length, 1_105);
  assertEquals(read[703], {
    ...{ node_id: "a", epoch: EPOCH, seq: 4n, mono_ms: 4, score: 5.5, is_anomaly: true },
    ...{ time: new Date(START + 4_000), received: new Date(START + 30_000) },
    ...{ degraded: false, cfg_version: 2n, samples: 1n },
    ...{ TIME_: null, constructor: null, temp_c: 40.375 },
  });
  const last = read.at(-1)!;
  assertEquals([last.samples, last.degraded, last.constructor, last.TIME_], [8n, true, 7, 1]);
  const none = new ByteWriter();
  assertEquals(await writeParquet(none, [], []), 0);
  assertEquals(await parquetReadObjects({ file: none.getBuffer() }), []);
});

Deno.test("verify finds every record accounted for, and what is damaged, missing, doubled or miscounted", () => {
  const wrong = (damage: string) => {
    const { db } = filled();
    db.exec(damage);
    const report = verifyDatabase(db);
    return Object.fromEntries(FAULTS.map((fault) => [fault, report[fault] as unknown[]] as const));
  };
  const well = Object.fromEntries(FAULTS.map((fault) => [fault, [] as unknown[]] as const));
  const range = (from_seq: number, to_seq: number) => ({
    ...{ node_id: "a", epoch: EPOCH },
    ...{ from_seq, to_seq },
  });
  assertEquals(wrong(""), well);
  assertEquals(
    wrong(
      "UPDATE recent SET lines = CAST(substr(lines, 1, 40) || x'7f' || substr(lines, 42) AS BLOB) WHERE from_seq = 401",
    ),
    { ...well, damaged: [range(401, 405)] },
  );
  assertEquals(wrong("DELETE FROM recent WHERE from_seq = 401"), {
    ...well,
    missing: [range(401, 405)],
  });
  const acked = "UPDATE epochs SET max_seq = 409, ranges = '[[407,409]]' WHERE node_id = 'a' AND ";
  assertEquals(wrong(`${acked} epoch = '${EPOCH}'`), { ...well, missing: [range(407, 409)] });
  assertEquals(wrong(`${acked} epoch = '${OLDER}'`), {
    ...well,
    unreadable: [{ node_id: "a", epoch: OLDER }],
  });
  assertEquals(
    wrong(
      "INSERT INTO recent SELECT 99, node_id, epoch, from_seq, to_seq, first_wall_ms, last_wall_ms, " +
        "received_wall_ms, anomalies, lines FROM recent WHERE from_seq = 401",
    ).doubled,
    [range(401, 405)],
  );
  const spans = wrong("UPDATE spans SET records = records + 1 WHERE node_id = 'b'");
  assertEquals(spans, { ...well, miscounted: [{ node_id: "b", records: 5, counted: 6 }] });
});

Deno.test("verify knows what retention took, and what is declared lost", () => {
  const { db, engine } = filled();
  engine.commit([packBatch({
    state: { node_id: "a", epoch: EPOCH, high_acked: 500, ranges: [], max_seq: 500 },
    rangesChanged: true,
    records: [],
    gaps: [{ from_seq: 406, to_seq: 500, reason: "evicted" }],
  }, START)], START);
  engine.keepWithin({ ageMs: 8 });
  while (engine.retention.slice(START + 3_600_000, 0));
  const report = verifyDatabase(db);
  assertEquals(report.missing, []);
  assertEquals([report.records, report.gap_records, report.deleted_records], [0, 95, 1_110]);
});
