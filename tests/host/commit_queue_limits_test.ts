/** When commits start, what is in them, and what is said of them. */
import { assertEquals } from "@std/assert";
import { CommitQueue } from "../../lib/host/commit_queue.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import type { EpochBatch, Store } from "../../lib/store/store.ts";
import { EPOCH } from "../messages.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const MIB = 1024 * 1024;
const WALL_MS = 1_000_000;
/** Bytes that a record of no payload takes. */
const EMPTY_BYTES = 128;

interface Commit {
  readonly seqs: Record<string, number[]>;
  readonly atWallMs: number;
  readonly done: (error?: Error) => void;
}

function setUp({ recordsMax = 100, intervalMs = 1_000 } = {}) {
  const kernel = new Kernel();
  const commits: Commit[] = [];
  const told: string[] = [];
  const settled: boolean[] = [];
  const store = {
    commit: (batches: readonly EpochBatch[], atWallMs: number) =>
      new Promise<void>((resolve, reject) =>
        commits.push({
          seqs: Object.fromEntries(
            batches.map(({ state, records }) => [state.node_id, records.map(({ seq }) => seq)]),
          ),
          atWallMs,
          done: (error) => error === undefined ? resolve() : reject(error),
        })
      ),
  };
  const queue: CommitQueue = new CommitQueue({
    store: store as unknown as Store,
    clock: new MachineClock(kernel, WALL_MS),
    intervalMs,
    recordsMax,
    onCommitted: (ledgers) => {
      told.push(...ledgers.map(({ nodeId, highAcked }) => `${nodeId} ${highAcked}`));
      settled.push(...ledgers.map((ledger) => queue.isSettled(ledger)));
    },
    onFailed: (ledgers, reason) => {
      told.push(...ledgers.map(({ nodeId }) => `${nodeId}: ${reason}`));
      settled.push(...ledgers.map((ledger) => queue.isSettled(ledger) && !ledger.isDirty));
    },
  });
  const add = (ledger: Ledger, seq: number, bytes = 1_000) => {
    const before = ledger.heldBytes;
    const payload = "x".repeat(bytes - EMPTY_BYTES);
    ledger.offer({ seq, ts_wall_ms: 1, ts_mono_ms: 1, is_anomaly: false, score: 0, payload });
    queue.added(ledger, 1, ledger.heldBytes - before);
  };
  const pass = (ms: number) => kernel.runUntil(kernel.nowMs + ms);
  return { queue, commits, told, settled, add, pass };
}

function ledgerOf(node_id: string): Ledger {
  return new Ledger({ node_id, epoch: EPOCH, high_acked: 0, ranges: [], max_seq: 0 });
}

Deno.test("CommitQueue: what comes first is committed at once, what follows waits for company so long and no longer", async () => {
  const { commits, add, pass } = setUp();
  const a = ledgerOf("a");
  add(a, 1);
  await pass(0);
  assertEquals(commits.map(({ seqs, atWallMs }) => [seqs, atWallMs]), [[{ a: [1] }, WALL_MS]]);
  commits[0]!.done();
  for (const seq of [2, 3, 4]) {
    await pass(249);
    add(a, seq);
  }
  await pass(252);
  assertEquals(commits.length, 1);
  await pass(1);
  assertEquals(commits.slice(1).map(({ seqs, atWallMs }) => [seqs, atWallMs]), [
    [{ a: [2, 3, 4] }, WALL_MS + 1_000],
  ]);
  commits[1]!.done();
  await pass(5_000);
  assertEquals(commits.length, 2, "nothing waits, nothing is committed");
  add(a, 5);
  await pass(0);
  assertEquals(commits[2]?.seqs, { a: [5] });
});

Deno.test("CommitQueue: a mebibyte starts a commit at once, however few records it is", () => {
  for (const [bytes, started] of [[MIB - 1, 0], [MIB, 1]] as const) {
    const { commits, add } = setUp();
    add(ledgerOf("a"), 1, bytes);
    assertEquals(commits.length, started, `${bytes}`);
  }
});

Deno.test("CommitQueue: one commit at a time; a full load that came meanwhile follows at once, less waits", async () => {
  const { queue, commits, add, pass } = setUp({ recordsMax: 2 });
  const a = ledgerOf("a");
  const waiting = [queue.waitingRecords];
  const note = () => waiting.push(queue.waitingRecords);
  add(a, 1);
  note();
  add(a, 2);
  note();
  for (const seq of [3, 4, 5]) add(a, seq);
  note();
  assertEquals(commits.length, 1);
  commits[0]!.done();
  await pass(0);
  note();
  assertEquals(commits.map(({ seqs }) => seqs), [{ a: [1, 2] }, { a: [3, 4, 5] }]);
  add(a, 6);
  commits[1]!.done();
  await pass(999);
  note();
  assertEquals(commits.length, 2);
  await pass(1);
  note();
  assertEquals(commits[2]?.seqs, { a: [6] });
  assertEquals(waiting, [0, 1, 0, 3, 0, 1, 0]);
});

Deno.test("CommitQueue: gaps are no records, and are committed also where they come during a commit", async () => {
  const { queue, commits, add, pass } = setUp({ recordsMax: 1 });
  const a = ledgerOf("a");
  const lose = (seq: number) => {
    a.offerGap({ from_seq: seq, to_seq: seq, reason: "evicted" });
    queue.added(a, 0, EMPTY_BYTES);
    return [queue.waitingRecords, commits.length];
  };
  assertEquals([lose(5), lose(9)], [[0, 0], [0, 0]]);
  await pass(1_000);
  assertEquals(commits.length, 1);
  assertEquals(lose(13), [0, 1]);
  commits[0]!.done();
  await pass(1_000);
  assertEquals(commits.length, 2);
  commits[1]!.done();
  await pass(0);
  add(a, 1);
  assertEquals(commits.length, 3);
});

Deno.test("CommitQueue: a commit takes a mebibyte, the first that came first, and the rest follows", async () => {
  const { queue, commits, add, pass } = setUp({ recordsMax: 3 });
  const [a, b, c] = ["a", "b", "c"].map(ledgerOf) as [Ledger, Ledger, Ledger];
  for (const seq of [1, 2, 3]) add(a, seq);
  add(b, 1, MIB / 2);
  add(c, 1, MIB / 2);
  add(a, 4);
  commits[0]!.done();
  await pass(0);
  assertEquals(commits[1]?.seqs, { b: [1], c: [1] });
  assertEquals([queue.waitingRecords, queue.heldBytes], [1, MIB + 1_000]);
  assertEquals([queue.isSettled(a), queue.isSettled(b)], [false, false]);
  commits[1]!.done();
  await pass(1_000);
  assertEquals(commits[2]?.seqs, { a: [4] });
});

Deno.test("CommitQueue: memory counts as held until its commit is over, well or badly", async () => {
  const { queue, commits, add, pass } = setUp({ recordsMax: 2 });
  const a = ledgerOf("a");
  for (const error of [undefined, new Error("disk I/O error")]) {
    const from = a.highAcked;
    add(a, from + 1, 1_000);
    add(a, from + 2, 500);
    assertEquals(queue.heldBytes, 1_500);
    add(a, from + 3, 300);
    assertEquals(queue.heldBytes, 1_800);
    commits.at(-1)!.done(error);
    await pass(0);
    assertEquals(queue.heldBytes, error === undefined ? 300 : 0);
    if (error === undefined) {
      await pass(1_000);
      commits.at(-1)!.done();
      await pass(0);
    }
  }
  assertEquals([queue.waitingRecords, queue.isSettled(a)], [0, true]);
});

Deno.test("CommitQueue: who has nothing in a failed commit is not told of it, and keeps what waits", async () => {
  const { queue, commits, told, add, pass } = setUp({ recordsMax: 2 });
  const a = ledgerOf("a"), b = ledgerOf("b");
  add(a, 1);
  add(a, 2);
  add(b, 1);
  add(a, 3);
  commits[0]!.done(new Error("disk full"));
  await pass(0);
  assertEquals(told, ["a: disk full"]);
  assertEquals([queue.isSettled(a), queue.isSettled(b), queue.waitingRecords], [true, false, 1]);
  await pass(1_000);
  commits[1]!.done();
  await pass(0);
  assertEquals(commits.map(({ seqs }) => seqs), [{ a: [1, 2] }, { b: [1] }]);
  assertEquals(told, ["a: disk full", "b 1"]);
  await queue.settled(a);
});

Deno.test("CommitQueue: sessions hear of a commit when it is durable, and of what it made durable", async () => {
  const { commits, told, add, pass } = setUp({ recordsMax: 2 });
  const a = ledgerOf("a");
  add(a, 1);
  add(a, 2);
  add(a, 3);
  await pass(0);
  assertEquals([told, a.highAcked], [[], 0]);
  commits[0]!.done();
  await pass(0);
  assertEquals([told, a.highAcked], [["a 2"], 2]);
});

Deno.test("CommitQueue: when sessions hear of a commit, well or badly, nothing of it waits any more", async () => {
  for (const error of [undefined, new Error("disk full")]) {
    const { commits, settled, add, pass } = setUp({ recordsMax: 1 });
    add(ledgerOf("a"), 1);
    commits[0]!.done(error);
    await pass(0);
    assertEquals(settled, [true]);
  }
});

Deno.test("CommitQueue counts commits, records and failures, and forgets an error once it is over", async () => {
  const { queue, commits, add, pass } = setUp({ recordsMax: 2 });
  const a = ledgerOf("a");
  const commit = async (ms: number, error?: Error) => {
    add(a, a.highAcked + 1);
    add(a, a.highAcked + 2);
    await pass(ms);
    commits.at(-1)!.done(error);
    await pass(0);
  };
  await commit(30, new Error("disk full"));
  await commit(30, new Error("disk full"));
  const none = { commits: 0, records: 0, last_commit_wall_ms: undefined, last_commit_ms: 0 };
  assertEquals(queue.stats, { ...none, failures: 2, overtaken: 0, last_error: "disk full" });
  await commit(40);
  await commit(70);
  assertEquals(queue.stats, {
    commits: 2,
    records: 4,
    failures: 2,
    overtaken: 0,
    last_error: undefined,
    last_commit_wall_ms: WALL_MS + 170,
    last_commit_ms: 70,
  });
});

Deno.test("CommitQueue: flush and settled start what waits, and wait for a commit that runs already", async () => {
  for (const wait of ["flush", "settled"] as const) {
    const { queue, commits, add, pass } = setUp();
    const a = ledgerOf("a");
    add(a, 1);
    let isOver = false;
    const over = () => isOver = true;
    queue[wait](a).then(over);
    await pass(0);
    assertEquals([commits.length, isOver], [1, false]);
    queue[wait](a).then(over);
    await pass(0);
    assertEquals(isOver, false);
    add(a, 2);
    commits[0]!.done();
    await pass(0);
    assertEquals([commits.length, isOver], [2, false], "what came meanwhile is waited for, too");
    commits[1]!.done();
    await pass(0);
    assertEquals([isOver, a.highAcked], [true, 2]);
  }
});
