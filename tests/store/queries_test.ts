/** The store answers queries as a plain search through all records would. */
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { bucketOf } from "../../lib/store/series.ts";
import { MIGRATIONS } from "../../lib/store/sqlite/schema.ts";
import { DATABASE_NAME } from "../../lib/store/sqlite/store.ts";
import type { RecordCursor, RecordRow, Store, StoredRow } from "../../lib/store/store.ts";
import { eventually } from "../eventually.ts";
import { commitTo, openStore } from "./open.ts";
import { realTest } from "../real.ts";

const EPOCHS = ["9f2c4e11a0b3d5c7", "1111111111111111"];
const START = 1_700_000_000_000;

interface Made extends RecordRow {
  readonly epoch: string;
  readonly value: number;
}

/** Records of two epochs: a clock that jumps back and far ahead, thinned records, flagged ones. */
function makeRecords(seed: number, count: number, everyMs: number): Made[] {
  const random = seededRandom(seed);
  return EPOCHS.flatMap((epoch, which) => {
    let wall = START + which * 3_000_000;
    return Array.from({ length: count }, (_, i) => {
      const seq = i + 1;
      wall += everyMs;
      if (random.below(200) === 0) wall -= random.below(60_000);
      if (random.below(1_000) === 0) wall += 4_000_000;
      const is_anomaly = random.below(40) === 0;
      const value = random.below(1_000) / 8;
      const n = random.below(5) === 0 ? 4 : 1;
      const payload = JSON.stringify({
        node_id: "a",
        epoch,
        seq,
        ts_wall_ms: wall,
        ts_mono_ms: i * everyMs,
        metrics: { temp_c: value, ...(i % 2 === 0 ? { rail_v: 5 } : {}) },
        ...(n === 1 ? {} : { agg: { n, min: { temp_c: value - 2 }, max: { temp_c: value + 3 } } }),
        anomaly: { is_anomaly, score: 0, metrics: is_anomaly ? { temp_c: { z: 9 } } : {} },
      });
      return { epoch, seq, ts_wall_ms: wall, ts_mono_ms: i, is_anomaly, score: 0, payload, value };
    });
  });
}

async function fill(store: Store, records: readonly Made[], receivedMs = 1): Promise<void> {
  for (const epoch of EPOCHS) {
    const mine = records.filter((record) => record.epoch === epoch);
    for (let at = 0; at < mine.length; at += 700) {
      const part = mine.slice(at, at + 700);
      const high = part.at(-1)!.seq;
      const state = { node_id: "a", epoch, high_acked: high, ranges: [], max_seq: high };
      await commitTo(store, [{ state, rangesChanged: true, records: part, gaps: [] }], receivedMs);
    }
  }
  // On a busy machine summing up takes longer than a query waits for it.
  const query = { node_id: "a", metric: "temp_c", from_wall_ms: 0, to_wall_ms: 8e12, points: 5 };
  while (!(await store.series(query)).complete);
}

async function withStore(
  work: (store: Store, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const store = await openStore(directory, "host");
  try {
    await work(store, directory);
  } finally {
    await store.close().catch(() => {});
    await Deno.remove(directory, { recursive: true });
  }
}

function cursorOf({ ts_wall_ms, epoch, seq }: StoredRow): RecordCursor {
  return { span_wall_ms: bucketOf(ts_wall_ms)!, epoch, seq };
}

realTest(
  "pages of a window of time hold each of its records once, in order",
  async () => {
    const all = makeRecords(1, 3_000, 100);
    await withStore(async (store) => {
      await fill(store, all);
      for (const [from, to] of [[START + 60_123, START + 200_456], [0, 8e15], [5, 6]] as const) {
        for (const newest_first of [false, true]) {
          for (const anomalies_only of [false, true]) {
            const found: StoredRow[] = [];
            let cursor: RecordCursor | undefined;
            for (;;) {
              const page = await store.records({
                node_id: "a",
                from_wall_ms: from,
                to_wall_ms: to,
                newest_first,
                anomalies_only,
                limit: 777,
                ...(cursor === undefined ? {} : { cursor }),
              });
              found.push(...page);
              if (page.length < 777) break;
              cursor = cursorOf(page.at(-1)!);
            }
            const wanted = all.filter((r) =>
              r.ts_wall_ms >= from && r.ts_wall_ms < to && (!anomalies_only || r.is_anomaly)
            );
            const name = (r: { epoch: string; seq: number }) => `${r.epoch} ${r.seq}`;
            assertEquals(found.map(name).sort(), wanted.map(name).sort());
            const spans = found.map(({ ts_wall_ms }) => bucketOf(ts_wall_ms)!);
            const sorted = spans.toSorted((a, b) => newest_first ? b - a : a - b);
            assertEquals(spans, sorted);
          }
        }
      }
    });
  },
);

realTest(
  "a chart's columns hold lowest, mean, highest and count of what is stored",
  async () => {
    const all = makeRecords(2, 4_000, 100);
    await withStore(async (store) => {
      await fill(store, all);
      const last = Math.max(...all.map(({ ts_wall_ms }) => ts_wall_ms));
      for (
        const [from, to, points] of [
          [START, START + 30_000, 500],
          [START + 7, START + 400_000, 100],
          [START, last + 1, 1_000],
          [START, last + 1, 10],
        ] as const
      ) {
        const answer = await store.series({
          node_id: "a",
          metric: "temp_c",
          from_wall_ms: from,
          to_wall_ms: to,
          points,
        });
        const { step_ms, from_ms, t } = answer;
        assert(answer.complete);
        assert(t.length <= points + 1, `${t.length} columns for ${points}`);
        assert(t.every((start) => (start - from_ms) % step_ms === 0));
        for (const [i, start] of t.entries()) {
          // The outermost columns of a rolled-up answer hold what lies beyond the window, too.
          const isInside = start >= from && start + step_ms <= to;
          if (!isInside) continue;
          const mine = all.filter((r) => r.ts_wall_ms >= start && r.ts_wall_ms < start + step_ms)
            .map((r) => ({ ...JSON.parse(r.payload), value: r.value, flagged: r.is_anomaly }));
          const n = mine.map((r) => r.agg?.n ?? 1);
          const count = n.reduce((a, b) => a + b, 0);
          const sum = mine.reduce((a, r, k) => a + r.value * n[k]!, 0);
          assertEquals(answer.n[i], count);
          assert(Math.abs(answer.mean[i]! - sum / count) < 1e-9);
          assertEquals(answer.min[i], Math.min(...mine.map((r) => r.agg?.min.temp_c ?? r.value)));
          assertEquals(answer.max[i], Math.max(...mine.map((r) => r.agg?.max.temp_c ?? r.value)));
          assertEquals(answer.anomalies[i], mine.filter((r) => r.flagged).length);
        }
        const inside = all.filter((r) => r.ts_wall_ms >= from && r.ts_wall_ms < to);
        const counted = answer.n.reduce((a, b) => a + b, 0);
        assert(
          counted >= inside.reduce((a, r) => a + (JSON.parse(r.payload).agg?.n ?? 1), 0),
        );
      }
      const metrics = await store.metrics("a");
      assertEquals(metrics.map(({ name }) => name), ["rail_v", "temp_c"]);
      assertEquals(metrics[1]?.last_ms, bucketOf(last));
    });
  },
);

realTest(
  "gaps and events are found by node, kind, time and id, newest first",
  async () => {
    await withStore(async (store) => {
      await store.addEvents([1, 2, 3, 4].map((i) => ({
        at_wall_ms: i * 10,
        node_id: i % 2 === 0 ? "b" : "a",
        kind: i < 3 ? "anomaly_open" : "connected",
        detail: { i },
      })));
      const ids = async (query: Partial<Parameters<Store["events"]>[0]>) =>
        (await store.events({ limit: 10, ...query })).map(({ detail }) => detail.i);
      assertEquals(await ids({}), [4, 3, 2, 1]);
      assertEquals(await ids({ kind: "anomaly" }), [2, 1]);
      assertEquals(await ids({ kind: "anom" }), []);
      assertEquals(await ids({ node_id: "b", limit: 1 }), [4]);
      assertEquals(await ids({ from_wall_ms: 20, to_wall_ms: 40 }), [3, 2]);
      const [newest] = await store.events({ limit: 1 });
      assertEquals(await ids({ after_id: newest!.id - 1 }), [4]);
      assertEquals(await ids({ before_id: newest!.id, limit: 2 }), [3, 2]);
      const state = { node_id: "a", epoch: EPOCHS[0]!, high_acked: 9, ranges: [], max_seq: 9 };
      const gaps = [{ from_seq: 2, to_seq: 4, reason: "evicted" }];
      await commitTo(store, [{ state, rangesChanged: false, records: [], gaps }], 50);
      assertEquals((await store.gaps({ limit: 10 }))[0]?.to_seq, 4);
      assertEquals((await store.gaps({ limit: 10, node_id: "b" })).length, 0);
      assertEquals((await store.gaps({ limit: 10, from_wall_ms: 51 })).length, 0);
    });
  },
);
realTest("a gap says between which times of the device it lies", async () => {
  await withStore(async (store) => {
    const all = makeRecords(3, 20, 100).filter(({ seq }) => seq < 5 || seq > 9);
    await fill(store, all);
    const state = { node_id: "a", epoch: EPOCHS[0]!, high_acked: 20, ranges: [], max_seq: 20 };
    await commitTo(store, [{
      state,
      rangesChanged: false,
      records: [],
      gaps: [{ from_seq: 5, to_seq: 9, reason: "evicted" }],
    }], 9);
    const [gap] = await store.gaps({ limit: 1 });
    assertEquals(gap?.from_wall_ms, all.find(({ seq }) => seq === 4)?.ts_wall_ms);
    assertEquals(gap?.to_wall_ms, all.find(({ seq }) => seq === 10)?.ts_wall_ms);
  });
});

realTest("each record is summed up once, whenever the host is restarted", async () => {
  const directory = await Deno.makeTempDir();
  const all = makeRecords(4, 2_000, 100);
  for (let at = 0; at < all.length; at += 500) {
    const store = await openStore(directory, "host");
    await fill(store, all.slice(at, at + 500));
    if (at % 1_000 === 0) await store.metrics("a");
    await store.close();
  }
  const store = await openStore(directory, "host");
  const whole = { node_id: "a", metric: "temp_c", from_wall_ms: 0, to_wall_ms: 8e12, points: 1 };
  const { n } = await store.series(whole);
  assertEquals(n[0], all.reduce((sum, r) => sum + (JSON.parse(r.payload).agg?.n ?? 1), 0));
  await store.close();
  await Deno.remove(directory, { recursive: true });
});

realTest(
  "retention takes the columns of a chart with the last of their records, and begins anew",
  async () => {
    await withStore(async (store, directory) => {
      const all = makeRecords(5, 3_000, 100);
      await fill(store, all, 1);
      await store.metrics("a");
      const later = all.map((r) => ({ ...r, seq: r.seq + 3_000 }));
      await fill(store, later.slice(0, 100), 1e9);
      const now = Date.now();
      const page = { node_id: "a", from_wall_ms: 0, limit: 1_000 };
      store.keepWithin({ ageMs: now - 5e8 });
      const left = async () => (await store.records(page)).length;
      await eventually("the old ones are gone", async () => await left() === 100, 10_000, 5);
      store.keepWithin({ ageMs: now - 5e9 });
      await eventually("all are gone", async () => await left() === 0, 10_000, 5);
      store.keepWithin({});
      assertEquals(await store.metrics("a"), []);
      const db = new DatabaseSync(`${directory}/${DATABASE_NAME}`);
      for (const table of ["spans", "rollup_fine", "rollup_coarse"]) {
        assertEquals(db.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get()!.n, 0, table);
      }
      db.close();
      await fill(store, later.slice(100, 200), 6e9);
      assertEquals((await store.records(page)).length, 100);
    });
  },
);

realTest("a database of the first version is taken over with all it holds", async () => {
  const directory = await Deno.makeTempDir();
  const db = new DatabaseSync(`${directory}/${DATABASE_NAME}`);
  db.exec(`${MIGRATIONS[0]} PRAGMA user_version = 1;`);
  const put = db.prepare("INSERT INTO records VALUES ('a', ?, ?, ?, 1, 1, 0, 0, ?)");
  const all = makeRecords(6, 50, 100);
  for (const r of all) put.run(r.epoch, r.seq, r.ts_wall_ms, r.payload);
  db.close();
  const store = await openStore(directory, "host");
  const rows = await store.records({ node_id: "a", from_wall_ms: 0, limit: 1_000 });
  assertEquals(rows.length, 100);
  assertEquals((await store.metrics("a")).length, 2);
  await store.close();
  await Deno.remove(directory, { recursive: true });
});

realTest("a record whose JSON is damaged in the database stops nothing", async () => {
  await withStore(async (store) => {
    const [first, second, ...rest] = makeRecords(7, 50, 100);
    await fill(store, [first!, { ...second!, payload: "{broken" }, ...rest]);
    assertEquals((await store.metrics("a")).length, 2);
    const query = { node_id: "a", metric: "temp_c", from_wall_ms: 0, to_wall_ms: 8e12, points: 5 };
    assert((await store.series(query)).n.length > 0);
  });
});
