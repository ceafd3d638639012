import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { denoClock } from "../../lib/platform/deno_clock.ts";
import { openDisk } from "../../lib/platform/deno_disk.ts";
import { openSqliteStore } from "../../lib/store/sqlite/store.ts";
import { QueryTooLong, type Store } from "../../lib/store/store.ts";
import { eventually } from "../eventually.ts";
import { EPOCH } from "../messages.ts";
import { realTest } from "../real.ts";
import { upTo } from "./in_memory.ts";
import { commitTo, openStore } from "./open.ts";

realTest("SQLite store moves a damaged database aside and starts with an empty one", async () => {
  const directory = await Deno.makeTempDir();
  const text = "this is no database at all, ".repeat(400);
  await Deno.writeTextFile(`${directory}/holdfast.db`, text);
  const store = await openStore(directory, "host-1");
  assertEquals((await store.claim("a", EPOCH)).state, undefined);
  await store.close();
  const names = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
  const aside = names.filter((name) => name.startsWith("holdfast.db.damaged-"));
  assertEquals(await Promise.all(aside.map((name) => Deno.readTextFile(`${directory}/${name}`))), [
    text,
  ]);
  await Deno.remove(directory, { recursive: true });
});

realTest(
  "SQLite store refuses a directory with records as JSON lines, and says what to do",
  async () => {
    const directory = await Deno.makeTempDir();
    const lines = `${directory}/records-00000007.ndjson`;
    await Deno.writeTextFile(lines, "");
    const error = await assertRejects(() => openStore(directory, "host-1"), Error, "JSON lines");
    assertMatch(
      error.message,
      /records-00000007\.ndjson.*older host run until.*then move records-/,
    );
    assertEquals([...Deno.readDirSync(directory)].length, 1, "no empty database lies beside them");
    await Deno.remove(lines);
    await Deno.writeTextFile(`${directory}/records-of-march.ndjson`, "");
    await (await openStore(directory, "host-1")).close();
    await Deno.remove(directory, { recursive: true });
  },
);

/** A store whose queries are too late at once while `isLate`. */
async function withLateStore(
  work: (store: Store, clock: { isLate: boolean }) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const clock = {
    isLate: false,
    monotonicMs: () => denoClock.monotonicMs(),
    wallMs: () => denoClock.wallMs(),
    sleepUntil: (_ms: number, signal?: AbortSignal) =>
      clock.isLate
        ? Promise.resolve()
        : new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve())),
  };
  const disk = await openDisk(directory);
  const store = await openSqliteStore({ disk, directory, hostId: "h", clock });
  await work(store, clock);
  await store.close();
  await Deno.remove(directory, { recursive: true });
}

function commit(store: Store, seqs: readonly number[], atWallMs: number): Promise<void> {
  const high = seqs.at(-1)!;
  const records = seqs.map((seq) => ({
    seq,
    ts_wall_ms: 60_000,
    ts_mono_ms: seq,
    is_anomaly: false,
    score: 0,
    payload: seq === 1 ? "{broken" : "{}",
  }));
  const state = { node_id: "a", epoch: EPOCH, high_acked: high, ranges: [], max_seq: high };
  return commitTo(store, [{ state, rangesChanged: true, records, gaps: [] }], atWallMs);
}

realTest(
  "SQLite store gives up a query that takes too long, and answers the next one",
  async () => {
    await withLateStore(async (store, clock) => {
      await commit(store, [1, 2], 1);
      const ask = () => store.records({ node_id: "a", limit: 9 });
      clock.isLate = true;
      await assertRejects(ask, QueryTooLong, "ask for a shorter window");
      clock.isLate = false;
      assertEquals((await ask()).length, 2);
    });
  },
);

realTest("SQLite store lets two hundred queries wait and refuses more", async () => {
  await withLateStore(async (store) => {
    await store.events({ limit: 1 });
    const asked = upTo(203).map(() => store.events({ limit: 1 }));
    const answers = await Promise.allSettled(asked);
    const refused = answers.filter(({ status }) => status === "rejected");
    assertEquals(refused.length, 3);
    assert(refused.every((one) => (one as PromiseRejectedResult).reason instanceof QueryTooLong));
    assertEquals(await store.events({ limit: 1 }), []);
  });
});

realTest("SQLite store says how much it holds, deleted and could not sum up", async () => {
  await withLateStore(async (store) => {
    const now = Date.now();
    await commit(store, [1, 2, 3], 1_000);
    await commit(store, [4, 5], now);
    assertEquals(await store.metrics("a"), []);
    const { records, retained_away_records, unsummed_records } = await store.size();
    assertEquals([records, retained_away_records, unsummed_records], [5, 0, 1]);
    store.keepWithin({ ageMs: now - 500_000 });
    await eventually("old ones go", async () => (await store.size()).records === 2, 10_000, 5);
    assertEquals((await store.size()).retained_away_records, 3);
  });
});

realTest(
  "SQLite store: a query sees what was committed before it, by time and by number",
  async () => {
    await withLateStore(async (store) => {
      for (const [i, by] of [{}, { from_wall_ms: 0 }, {}, { from_wall_ms: 0 }].entries()) {
        await commit(store, [i + 1], 1);
        assertEquals((await store.records({ node_id: "a", limit: 9, ...by })).length, i + 1);
      }
    });
  },
);

realTest("SQLite store answers nothing after its end, and may be ended twice", async () => {
  await withLateStore(async (store) => {
    await store.close();
    await assertRejects(() => store.events({ limit: 1 }), Error, "the store is closed");
  });
});

realTest("SQLite store forgets a node of many records whole", async () => {
  await withLateStore(async (store) => {
    await commit(store, upTo(12_000), 1);
    await store.forgetNode("a", true);
    assertEquals(await store.records({ node_id: "a", limit: 9 }), []);
    assertEquals((await store.claim("a", EPOCH)).state, undefined);
  });
});
