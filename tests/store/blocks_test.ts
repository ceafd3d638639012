/** Records in blocks are what came, each once, however they came and whatever is sealed, damaged or deleted. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import type { Database } from "../../lib/platform/sqlite.ts";
import {
  BLOCK_RECORDS_MAX,
  type BlockRow,
  decodeBlock,
  encodeBlock,
  joinBlocks,
} from "../../lib/store/sqlite/block.ts";
import { allRecords, makeBlock } from "../../lib/store/sqlite/block_tables.ts";
import { openDatabase, SqliteEngine } from "../../lib/store/sqlite/engine.ts";
import { countLegacyRecords, moveLegacyRecords } from "../../lib/store/sqlite/legacy_records.ts";
import { packBatch } from "../../lib/store/sqlite/pack.ts";
import { readGaps, readRecords } from "../../lib/store/sqlite/queries.ts";
import type { RecordRow } from "../../lib/store/store.ts";
import { EPOCH } from "../messages.ts";
import { openEngine } from "./in_memory.ts";

const START = 1_700_000_000_000;
const HOUR_MS = 3_600_000;

function record(seq: number, value = seq): RecordRow {
  const is_anomaly = seq % 37 === 0;
  return {
    seq,
    ts_wall_ms: START + 100 * seq,
    ts_mono_ms: 100.5 * seq,
    is_anomaly,
    score: is_anomaly ? 4.5 : 0,
    payload: JSON.stringify({ seq, metrics: { temp_c: value / 8 }, note: "ü €" }),
  };
}

function range(from: number, to: number): RecordRow[] {
  return Array.from({ length: to - from + 1 }, (_, i) => record(from + i));
}

function commit(
  engine: SqliteEngine,
  records: readonly RecordRow[],
  high_acked: number,
  atWallMs = START,
  node_id = "a",
): void {
  engine.commit([packBatch({
    state: { node_id, epoch: EPOCH, high_acked, ranges: [], max_seq: 10_000 },
    rangesChanged: true,
    records,
    gaps: [],
  }, atWallMs)], atWallMs);
}

/** Seals all that may be. */
function seal(engine: SqliteEngine, wallMs = START): void {
  while (engine.sumUp());
  while (engine.sealSome(wallMs, 0));
}

function blocksIn(db: Database, tier: "recent" | "sealed"): [from: number, to: number][] {
  return db.sql(`SELECT from_seq, to_seq FROM ${tier} ORDER BY node_id, from_seq`).all()
    .map((row) => [Number(row.from_seq), Number(row.to_seq)]);
}

function sealedSeqs(db: Database, node_id = "a"): number[] {
  return [...allRecords(db)].filter((row) => row.node_id === node_id).map(({ seq }) => seq)
    .sort((a, b) => a - b);
}

function blockOfRows(rows: readonly BlockRow[]): Uint8Array<ArrayBuffer> {
  return encodeBlock(rows, (index) => rows[index]!.received_wall_ms);
}

Deno.test("a block gives back its records to the last bit, joined and deflated as well", () => {
  const rows = range(1, 300).map((row) => ({ ...row, received_wall_ms: START + row.seq / 4 }));
  rows[7] = { ...rows[7]!, ts_mono_ms: -0.1, ts_wall_ms: 1.7e308, score: 0, is_anomaly: true };
  rows[8] = { ...rows[8]!, payload: "not JSON at all \u0000 \\" };
  assertEquals(decodeBlock(blockOfRows(rows), 1), rows);
  const parts = [rows.slice(0, 1), rows.slice(1, 120), rows.slice(120)].map((part) => ({
    bytes: blockOfRows(part),
    records: part.length,
  }));
  const joined = joinBlocks(parts)!;
  assertEquals(decodeBlock(joined, 1), rows);
  assert(joined.length < 20 * rows.length, `${joined.length} bytes`);
});

Deno.test("bytes of any kind are a block's records or none, and never an error", () => {
  const random = seededRandom(3);
  const whole = joinBlocks([{
    bytes: blockOfRows(range(1, 20).map((row) => ({ ...row, received_wall_ms: 1 }))),
    records: 20,
  }])!;
  for (let round = 0; round < 2_000; round++) {
    const bytes = whole.slice(0, random.below(4) === 0 ? random.below(whole.length) : undefined);
    if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    decodeBlock(bytes, 1);
  }
});

Deno.test("what is asked for is found, in whatever pieces it came and whatever was sealed in between", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = seededRandom(seed);
    const { db, engine } = openEngine();
    const stored = new Map<number, RecordRow>();
    let next = 1;
    // Pieces in the order of seqs, with holes that are filled later or never, and repeats.
    const late: RecordRow[][] = [];
    while (next < 4_000) {
      const piece = range(next, next + random.below(random.below(5) === 0 ? 900 : 30));
      next = piece.at(-1)!.seq + 1;
      const fate = random.below(10);
      if (fate === 0) late.push(piece);
      else {
        commit(engine, random.below(2) === 0 ? piece : piece.toReversed(), next - 1);
        for (const row of piece) stored.set(row.seq, row);
      }
      if (fate === 1) {
        // Again, as another record would be: what is there stays.
        commit(engine, range(Math.max(1, next - 50), next - 1).map((r) => record(r.seq, 7)), next);
        for (let seq = Math.max(1, next - 50); seq < next; seq++) {
          if (!stored.has(seq)) stored.set(seq, record(seq, 7));
        }
      }
      if (random.below(4) === 0) seal(engine);
    }
    for (const piece of late) {
      commit(engine, piece, next);
      for (const row of piece) if (!stored.has(row.seq)) stored.set(row.seq, row);
    }
    seal(engine, START + 2 * HOUR_MS);
    assertEquals(blocksIn(db, "recent"), []);
    assertEquals(engine.records, stored.size);
    const all = [...stored.values()].sort((a, b) => a.seq - b.seq)
      .map((row) => ({ ...row, received_wall_ms: START, node_id: "a", epoch: EPOCH }));
    for (let round = 0; round < 40; round++) {
      const after_seq = random.below(4_200), before_seq = after_seq + random.below(3_000);
      const [newest_first, anomalies_only] = [random.below(2) === 0, random.below(3) === 0];
      const limit = 1 + random.below(1_500);
      const expected = all.filter((row) =>
        row.seq > after_seq && row.seq < before_seq && (!anomalies_only || row.is_anomaly)
      );
      if (newest_first) expected.reverse();
      assertEquals(
        readRecords(db, {
          ...{ node_id: "a", epoch: EPOCH, after_seq, before_seq, newest_first, anomalies_only },
          limit,
        }),
        expected.slice(0, limit),
      );
    }
  }
});

Deno.test("small blocks are joined, and only where they are whole: below high_acked, summed up", () => {
  const { db, engine } = openEngine();
  for (let seq = 1; seq <= 1_500; seq += 10) commit(engine, range(seq, seq + 9), 700);
  while (engine.sealSome(START, 0));
  assertEquals(blocksIn(db, "sealed"), [], "nothing is summed up");
  seal(engine);
  assertEquals(blocksIn(db, "sealed"), [[1, 700]]);
  commit(engine, range(1_501, 2_600), 2_600);
  seal(engine);
  assertEquals(blocksIn(db, "sealed"), [[1, 700], [701, 1_500], [1_501, 2_524]]);
  assertEquals(blocksIn(db, "recent"), [[2_525, 2_600]]);
});

Deno.test("a few records that wait are sealed after an hour, or an eighth of the age that is kept", () => {
  for (const [ageMs, waitMs] of [[undefined, HOUR_MS], [HOUR_MS, HOUR_MS / 8]] as const) {
    const { db, engine } = openEngine();
    if (ageMs !== undefined) engine.keepWithin({ ageMs });
    commit(engine, range(1, 5), 5);
    commit(engine, range(6, 9), 9, START + waitMs);
    commit(engine, range(10, 12), 12, START + waitMs + 1);
    seal(engine, START + waitMs - 1);
    assertEquals(blocksIn(db, "sealed"), []);
    // Records that came further apart than that are in blocks of their own.
    seal(engine, START + 3 * waitMs);
    assertEquals(blocksIn(db, "sealed"), [[1, 9], [10, 12]]);
  }
});

Deno.test("records are in one table whatever ends while they move", () => {
  const { db, engine } = openEngine();
  commit(engine, range(1, 1_024), 1_024);
  while (engine.sumUp());
  const inTransaction = db.inTransaction.bind(db);
  db.inTransaction = (work) =>
    inTransaction(() => {
      work();
      throw new Error("disk I/O error");
    });
  assertThrows(() => engine.sealSome(START, 0), Error, "disk I/O error");
  db.inTransaction = inTransaction;
  assertEquals([blocksIn(db, "sealed"), blocksIn(db, "recent")], [[], [[1, 1_024]]]);
  seal(engine);
  assertEquals([blocksIn(db, "sealed"), blocksIn(db, "recent")], [[[1, 1_024]], []]);
});

Deno.test("after a restart sealing goes on, no number is given out twice, and nothing is summed up twice", () => {
  const { db, engine } = openEngine();
  commit(engine, range(1, 600), 600);
  while (engine.sumUp());
  engine.keepWithin({ ageMs: 1 });
  while (engine.retention.slice(START + HOUR_MS, 0));
  assertEquals(engine.records, 0);
  const again = new SqliteEngine(db, () => 0);
  commit(again, range(601, 1_300), 1_300);
  seal(again);
  const third = new SqliteEngine(db, () => 0);
  assertEquals(third.records, 700);
  commit(third, range(1_301, 1_310), 1_310);
  seal(third, START + 2 * HOUR_MS);
  assertEquals(blocksIn(db, "recent"), []);
  const { n } = db.sql("SELECT SUM(n) AS n FROM rollup_coarse").get()!;
  assertEquals(n, 710);
});

Deno.test("a damaged block costs its own records, before and after it would be sealed", () => {
  const { db, engine } = openEngine();
  for (const [from, to] of [[1, 300], [301, 600], [601, 900], [901, 1_200]] as const) {
    commit(engine, range(from, to), to);
  }
  while (engine.sumUp());
  db.exec("UPDATE recent SET lines = x'0102030405' WHERE from_seq = 301");
  seal(engine, START + 2 * HOUR_MS);
  assertEquals(blocksIn(db, "recent"), []);
  const left = [...range(1, 300), ...range(601, 1_200)].map(({ seq }) => seq);
  assertEquals(sealedSeqs(db), left);
  const query = { node_id: "a", epoch: EPOCH, limit: 5_000 };
  assertEquals(readRecords(db, query).map(({ seq }) => seq), left);
  engine.keepWithin({ ageMs: 1 });
  while (engine.retention.slice(START + HOUR_MS, 0));
  assertEquals(engine.records, 0);
});

Deno.test("a block came when the youngest of its records came, wherever that stands: retention waits for it", () => {
  const { received_wall_ms, from_seq, to_seq } = makeBlock(range(5, 7), (i) => [1, 9, 4][i]!);
  assertEquals([received_wall_ms, from_seq, to_seq], [9, 5, 7]);
});

Deno.test("retention leaves a joined block until its youngest record is old", () => {
  const { db, engine } = openEngine();
  commit(engine, range(1, 500), 500, START);
  commit(engine, range(501, 1_024), 1_024, START + 1_000);
  seal(engine, START + 1_000);
  assertEquals(blocksIn(db, "sealed"), [[1, 1_024]]);
  engine.keepWithin({ ageMs: HOUR_MS });
  while (engine.retention.slice(START + 1_000 + HOUR_MS, 0));
  assertEquals(engine.records, 1_024);
  while (engine.retention.slice(START + 1_001 + HOUR_MS, 0));
  assertEquals(engine.records, 0);
});

Deno.test("retention by bytes takes the oldest blocks first, those of other nodes as well", () => {
  const { engine, db } = openEngine();
  for (let round = 0; round < 6; round++) {
    for (const node of ["a", "b"]) {
      commit(engine, range(1_024 * round + 1, 1_024 * (round + 1)), 9_999, START + round, node);
    }
    if (round === 3) seal(engine);
  }
  engine.keepWithin({ bytesMax: 1 });
  for (let left = 12; left > 0; left--) {
    assertEquals(engine.records, left * BLOCK_RECORDS_MAX);
    const [a, b] = ["a", "b"].map((node) => sealedSeqs(db, node));
    assert(Math.abs(a!.length - b!.length) <= BLOCK_RECORDS_MAX);
    for (const seqs of [a!, b!]) assert(seqs.length === 0 || seqs.at(-1) === 6 * 1_024);
    engine.retention.slice(START, 0);
  }
  assertEquals(engine.records, 0);
});

Deno.test("a gap that lies in a block, or between two, says when its neighbours were made", () => {
  const { engine, db } = openEngine();
  commit(engine, [...range(1, 100), ...range(201, 300)], 300);
  const gaps = [[101, 200], [50, 60], [301, 400]].map(([from_seq, to_seq]) => ({
    from_seq: from_seq!,
    to_seq: to_seq!,
    reason: "evicted",
  }));
  engine.commit([packBatch({
    state: { node_id: "a", epoch: EPOCH, high_acked: 400, ranges: [], max_seq: 400 },
    rangesChanged: true,
    records: [],
    gaps,
  }, START)], START);
  const at = (seq: number) => START + 100 * seq;
  const expected = [[301, at(300), undefined], [50, at(49), at(61)], [101, at(100), at(201)]];
  for (let round = 0; round < 2; round++) {
    const found = readGaps(db, { limit: 10 });
    assertEquals(found.map((gap) => [gap.from_seq, gap.from_wall_ms, gap.to_wall_ms]), expected);
    seal(engine, START + 2 * HOUR_MS);
  }
});

Deno.test("records of an older database are moved, also where that ends in between, and summed up once", () => {
  const db = openDatabase(":memory:");
  const put = db.sql("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const all = [...range(1, 1_500), ...range(1_601, 2_400)];
  const insert = (node: string, rows: readonly RecordRow[]) => {
    for (const r of rows) {
      const { seq, ts_wall_ms, ts_mono_ms, is_anomaly, score, payload } = r;
      put.run(
        ...[node, EPOCH, seq, ts_wall_ms, ts_mono_ms, START + seq, is_anomaly ? 1 : 0, score],
        payload,
      );
    }
  };
  insert("a", all.slice(0, 900));
  insert("b", all);
  // As the older program left it: the first 2,000 were summed up.
  db.exec("UPDATE host SET value = '2000' WHERE key = 'rolled_up'");
  insert("a", all.slice(900));
  const count = countLegacyRecords(db)!;
  assertEquals(count, 2 * all.length);
  moveLegacyRecords(db);
  assertEquals(countLegacyRecords(db), count - BLOCK_RECORDS_MAX);
  while (moveLegacyRecords(db) > 0);
  assertEquals(countLegacyRecords(db), undefined);
  const engine = new SqliteEngine(db, () => 0);
  assertEquals(engine.records, count);
  for (const node_id of ["a", "b"]) {
    const rows = readRecords(db, { node_id, epoch: EPOCH, limit: 5_000 });
    const expected = all.map((row) => ({
      ...row,
      received_wall_ms: START + row.seq,
      node_id,
      epoch: EPOCH,
    }));
    assertEquals(rows, expected);
  }
  while (engine.sumUp());
  const { n } = db.sql("SELECT SUM(n) AS n FROM rollup_fine").get()!;
  assertEquals(n, count - 2_000);
});

Deno.test("an epoch is not forgotten while a sealed record of it is left", () => {
  const { engine, db } = openEngine();
  commit(engine, range(1, 1_024), 1_024);
  seal(engine);
  assertEquals(blocksIn(db, "recent"), []);
  engine.commit([packBatch({
    state: { node_id: "a", epoch: "1".repeat(16), high_acked: 1, ranges: [], max_seq: 1 },
    rangesChanged: true,
    records: [record(1)],
    gaps: [],
  }, START + 1)], START + 1);
  assertEquals(engine.forgetEmptyEpochs("a"), 2);
});

Deno.test("sealing looks at one epoch in a slice whose time is over, and comes to each", () => {
  const { engine, db } = openEngine();
  const nodes = ["a", "b", "c"];
  // Of the last there is nothing to seal, however often it is looked at.
  for (const node of nodes) commit(engine, range(1, 1_024), node === "c" ? 0 : 1_024, START, node);
  for (const node of ["d", "e"]) commit(engine, range(1, 1_024), 0, START, node);
  while (engine.sumUp());
  const slices: [more: boolean, sealed: number][] = [];
  do slices.push([engine.sealSome(START, 0), blocksIn(db, "sealed").length]); while (
    slices.at(-1)![0]
  );
  // A slice that sealed looks once more whether there is more of that epoch.
  assertEquals(slices, [[true, 1], [true, 1], [true, 2], [true, 2], [true, 2], [true, 2], [
    false,
    2,
  ]]);
});

for (const [from, to] of [[1n, 2n ** 63n - 1n], [-(2n ** 63n), 2n ** 63n - 1n]] as const) {
  Deno.test(`a block from ${from} to ${to} in the database stops neither a start nor a commit`, () => {
    const { db } = openEngine();
    const put = db.sql("INSERT INTO sealed VALUES (?, 'x', 'e', ?, ?, 0, 0, 0, 0, x'00')");
    for (const id of [5n, 2n ** 62n]) put.run(id, from, to);
    db.exec("UPDATE host SET value = '9007199254740991' WHERE key = 'rolled_up'");
    const engine = new SqliteEngine(db, () => 0);
    commit(engine, range(1, 3), 3);
    commit(engine, range(4, 6), 6);
    while (engine.sumUp());
    const rows = readRecords(db, { node_id: "a", epoch: EPOCH, limit: 10 });
    assertEquals(rows.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6]);
  });
}

Deno.test("records of an older database that came far apart are not one block: retention takes whole ones", () => {
  const { db } = openEngine();
  db.exec("UPDATE host SET value = '9' WHERE key = 'rolled_up'");
  [0, HOUR_MS, HOUR_MS + 1, 3 * HOUR_MS].forEach((ms, index) =>
    db.sql("INSERT INTO records VALUES ('a', ?, ?, 0, 0, ?, 0, 0, '{}')")
      .run(EPOCH, index + 1, START + ms)
  );
  while (moveLegacyRecords(db) > 0);
  assertEquals(blocksIn(db, "sealed"), [[1, 2], [3, 3], [4, 4]]);
});
