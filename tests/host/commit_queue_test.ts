import { assertEquals } from "@std/assert";
import { CommitQueue } from "../../lib/host/commit_queue.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import { type ClaimedBatch, Fenced, type Store } from "../../lib/store/store.ts";
import { EPOCH } from "../messages.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

function offer(ledger: Ledger, seq: number): void {
  ledger.offer({
    seq,
    ts_wall_ms: seq,
    ts_mono_ms: seq,
    is_anomaly: false,
    score: 0,
    payload: "{}",
  });
}

Deno.test("CommitQueue: after a failed commit nothing waits, also of what came during it", async () => {
  const ledger = new Ledger({ node_id: "a", epoch: EPOCH, high_acked: 0, ranges: [], max_seq: 0 });
  const failing: Partial<Store> = {
    commit: () => {
      offer(ledger, 2);
      queue.added(ledger, 1, 10);
      return Promise.reject(new Error("disk I/O error"));
    },
  };
  const queue: CommitQueue = new CommitQueue({
    store: failing as Store,
    clock: new MachineClock(new Kernel(), 0),
    intervalMs: 1_000,
    recordsMax: 100,
    onCommitted: () => {},
    onFailed: () => {},
  });
  offer(ledger, 1);
  queue.added(ledger, 1, 10);
  await queue.nextCommit();
  assertEquals(queue.waitingRecords, 0);
});

Deno.test("CommitQueue: a ledger whose records are being committed is not settled before they are", async () => {
  const ledger = new Ledger({ node_id: "a", epoch: EPOCH, high_acked: 0, ranges: [], max_seq: 0 });
  const committed = Promise.withResolvers<void>();
  const queue = new CommitQueue({
    store: { commit: () => committed.promise } as unknown as Store,
    clock: new MachineClock(new Kernel(), 0),
    intervalMs: 1_000,
    recordsMax: 1,
    onCommitted: () => {},
    onFailed: () => {},
  });
  offer(ledger, 1);
  queue.added(ledger, 1, 10);
  let isSettled = false;
  const settled = queue.settled(ledger).then(() => isSettled = true);
  await new Promise<void>((resolve) => queueMicrotask(resolve));
  assertEquals([isSettled, queue.isSettled(ledger)], [false, false]);
  committed.resolve();
  await settled;
  assertEquals(ledger.highAcked, 1);
});

Deno.test("CommitQueue: what a failed commit had may come again, and who sent it is told why", async () => {
  const ledger = new Ledger({ node_id: "a", epoch: EPOCH, high_acked: 0, ranges: [], max_seq: 0 });
  const told: [number, string][] = [];
  const queue = new CommitQueue({
    store: { commit: () => Promise.reject(new Error("disk I/O error")) } as unknown as Store,
    clock: new MachineClock(new Kernel(), 0),
    intervalMs: 1_000,
    recordsMax: 100,
    onCommitted: () => {},
    onFailed: (ledgers, reason) => told.push([[...ledgers].length, reason]),
  });
  offer(ledger, 1);
  queue.added(ledger, 1, 10);
  await queue.flush();
  assertEquals(told, [[1, "disk I/O error"]]);
  assertEquals([ledger.highAcked, ledger.waitingRecords], [0, 0]);
  offer(ledger, 1);
  assertEquals(ledger.waitingRecords, 1);
});

Deno.test("CommitQueue: a commit starts at the limit of records, not only above it, and flush waits for all", async () => {
  const ledger = new Ledger({ node_id: "a", epoch: EPOCH, high_acked: 0, ranges: [], max_seq: 0 });
  const commits: number[] = [];
  const queue = new CommitQueue({
    store: {
      commit: (batches: readonly { records: readonly unknown[] }[]) => {
        commits.push(batches[0]!.records.length);
        return new Promise<void>((resolve) => setTimeout(resolve));
      },
    } as unknown as Store,
    clock: new MachineClock(new Kernel(), 0),
    intervalMs: 1_000,
    recordsMax: 2,
    onCommitted: () => {},
    onFailed: () => {},
  });
  offer(ledger, 1);
  queue.added(ledger, 1, 10);
  assertEquals(commits, []);
  offer(ledger, 2);
  queue.added(ledger, 1, 10);
  assertEquals(commits, [2]);
  offer(ledger, 3);
  queue.added(ledger, 1, 10);
  await queue.flush();
  assertEquals([commits, ledger.highAcked], [[2, 1], 3]);
});

Deno.test("CommitQueue: a ledger that another host has overtaken takes nobody with it, and is no failure of the store", async () => {
  const state = { epoch: EPOCH, high_acked: 0, ranges: [], max_seq: 0 };
  const [mine, late] = ["a", "b"].map((node_id) => new Ledger({ ...state, node_id }, 7));
  const told: unknown[][] = [];
  const committed: string[] = [];
  const queue: CommitQueue = new CommitQueue({
    store: {
      commit: (batches: readonly ClaimedBatch[]) => {
        const overtaken = batches.filter(({ state }) => state.node_id === "b");
        if (overtaken.length === 0) return Promise.resolve();
        const before = late!.heldBytes;
        offer(late!, 2);
        queue.added(late!, 1, late!.heldBytes - before);
        return Promise.reject(new Fenced(overtaken));
      },
    } as unknown as Store,
    clock: new MachineClock(new Kernel(), 0),
    intervalMs: 1_000,
    recordsMax: 100,
    onCommitted: (ledgers) => committed.push(...ledgers.map(({ nodeId }) => nodeId)),
    onFailed: (ledgers, reason, isOvertaken) => {
      told.push([...ledgers.map(({ nodeId }) => nodeId), reason, isOvertaken]);
      assertEquals([queue.isSettled(late!), queue.isSettled(mine!)], [true, false]);
    },
  });
  for (const ledger of [late!, mine!]) {
    const before = ledger.heldBytes;
    offer(ledger, 1);
    queue.added(ledger, 1, ledger.heldBytes - before);
  }
  await queue.nextCommit();
  assertEquals(told, [["b", "another host has claimed this epoch since", true]]);
  assertEquals(committed, ["a"]);
  assertEquals([mine!.highAcked, late!.highAcked, late!.isDirty], [1, 0, false]);
  const { commits, records, failures, overtaken, last_error } = queue.stats;
  assertEquals([commits, records, failures, overtaken, last_error], [1, 1, 0, 1, undefined]);
  assertEquals([queue.waitingRecords, queue.heldBytes], [0, 0]);
});
