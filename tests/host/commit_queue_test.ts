import { assertEquals } from "@std/assert";
import { CommitQueue } from "../../lib/host/commit_queue.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import type { Store } from "../../lib/store/store.ts";
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
