import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Ledger } from "../../lib/host/ledger.ts";
import { HELD_RANGES_MAX, SEQ_JUMP_MAX } from "../../lib/limits.ts";
import type { EpochState, RecordRow } from "../../lib/store/store.ts";
import { EPOCH } from "../messages.ts";

function row(seq: number): RecordRow {
  return {
    seq,
    ts_wall_ms: seq,
    ts_mono_ms: seq,
    is_anomaly: seq % 3 === 0,
    score: 4,
    payload: `{"seq":${seq}}`,
  };
}

function newLedger(): Ledger {
  return new Ledger({ node_id: "a", epoch: EPOCH, high_acked: 0, ranges: [], max_seq: 0 });
}

Deno.test("Ledger takes each seq once, whatever the order, and acks only what was committed", () => {
  const step = fc.record({
    kind: fc.constantFrom("record", "gap", "commit", "fail"),
    from: fc.integer({ min: 1, max: 40 }),
    size: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const ledger = newLedger();
    const durable = new Set<number>();
    let pending = new Set<number>();
    for (const { kind, from, size } of steps) {
      if (kind === "record") {
        const known = durable.has(from) || pending.has(from);
        assertEquals(ledger.offer(row(from)), !known);
        pending.add(from);
      } else if (kind === "gap") {
        const lost = ledger.offerGap({
          from_seq: from,
          to_seq: from + size - 1,
          reason: "evicted",
        });
        const listed = lost.flatMap(({ from_seq, to_seq }) =>
          Array.from({ length: to_seq - from_seq + 1 }, (_, i) => from_seq + i)
        );
        for (const seq of listed) {
          assert(!durable.has(seq) && !pending.has(seq));
          pending.add(seq);
        }
      } else if (kind === "commit") {
        ledger.beginCommit();
        ledger.committed();
        for (const seq of pending) durable.add(seq);
        pending = new Set();
      } else {
        if (steps.length % 2 === 0) ledger.beginCommit();
        ledger.rollBack();
        pending = new Set();
      }
      let high = 0;
      while (durable.has(high + 1)) high++;
      assertEquals(ledger.highAcked, high);
      for (const [low, top] of ledger.ranges(100)) {
        for (let seq = low; seq <= top; seq++) assert(durable.has(seq));
      }
    }
  }));
});

Deno.test("Ledger counts what it holds in memory until the commit that takes it is over", () => {
  const ledger = newLedger();
  assertEquals(ledger.heldBytes, 0);
  ledger.offer(row(1));
  const one = ledger.heldBytes;
  assert(one > 0);
  ledger.beginCommit();
  ledger.offer(row(2));
  assertEquals(ledger.heldBytes, 2 * one);
  ledger.committed();
  assertEquals(ledger.heldBytes, one);
  ledger.rollBack();
  assertEquals(ledger.heldBytes, 0);
  assert(ledger.offer(row(2)), "what was rolled back was never received");
});

Deno.test("Ledger writes its ranges only when they changed", () => {
  const ledger = newLedger();
  const commit = () => {
    const { rangesChanged } = ledger.beginCommit();
    ledger.committed();
    return rangesChanged;
  };
  ledger.offer(row(1));
  assertEquals(commit(), false);
  ledger.offer(row(5));
  assertEquals(commit(), true);
  ledger.offer(row(2));
  assertEquals(commit(), false);
  ledger.offer(row(6));
  ledger.beginCommit();
  ledger.rollBack();
  ledger.offer(row(3));
  assertEquals(commit(), false);
  ledger.offer(row(4));
  assertEquals(commit(), true);
});

Deno.test("Ledger says what lies too far above, and what is too scattered, gaps included", () => {
  const ledger = newLedger();
  assert(!ledger.isTooFar(SEQ_JUMP_MAX) && ledger.isTooFar(SEQ_JUMP_MAX + 1));
  assertMatch(String(assertThrows(() => ledger.offer(row(SEQ_JUMP_MAX + 1)))), /assertion/);
  for (let i = 1; i <= HELD_RANGES_MAX + 1; i++) {
    assert(!ledger.isTooScattered);
    ledger.offerGap({ from_seq: 10 * i, to_seq: 10 * i, reason: "evicted" });
  }
  assert(ledger.isTooScattered);
});

Deno.test("Ledger: ranges that change while a commit is under way are written with the next one", () => {
  const ledger = newLedger();
  ledger.offer(row(5));
  ledger.beginCommit();
  ledger.offer(row(9));
  ledger.committed();
  assert(ledger.beginCommit().rangesChanged);
});

Deno.test("Ledger gives each record and gap to one commit, and after a failure what comes again, once", () => {
  const ledger = newLedger();
  const given = () => {
    const { records, gaps, state } = ledger.beginCommit();
    return [records.map(({ seq }) => seq), gaps.map(({ from_seq }) => from_seq), state.max_seq];
  };
  const offer = () => {
    ledger.offer(row(1));
    ledger.offerGap({ from_seq: 2, to_seq: 5, reason: "evicted" });
  };
  assert(!ledger.isDirty);
  offer();
  assert(ledger.isDirty);
  assertEquals(given(), [[1], [2], 5]);
  ledger.offer(row(6));
  ledger.rollBack();
  assert(!ledger.isDirty);
  assertEquals([ledger.highAcked, ledger.maxSeq], [0, 0]);
  offer();
  assertEquals(given(), [[1], [2], 5]);
  ledger.committed();
  assertEquals([ledger.highAcked, ledger.maxSeq, ledger.heldBytes], [5, 5, 0]);
  assertEquals(given(), [[], [], 5]);
});

Deno.test("Ledger goes on from what the store knows of its epoch", () => {
  const state: EpochState = {
    node_id: "a",
    epoch: EPOCH,
    high_acked: 3,
    ranges: [[5, 6], [9, 9]],
    max_seq: 12,
  };
  const ledger = new Ledger(state);
  assertEquals([ledger.highAcked, ledger.maxSeq, ledger.ranges(9)], [3, 12, [[5, 6], [9, 9]]]);
  assert(!ledger.isTooFar(12 + SEQ_JUMP_MAX) && ledger.isTooFar(13 + SEQ_JUMP_MAX));
  for (const seq of [1, 3, 5, 6, 9]) assert(!ledger.offer(row(seq)), `${seq} is stored`);
  for (const seq of [10, 4, 12]) assert(ledger.offer(row(seq)), `${seq} is not stored`);
  assert(!ledger.offer(row(12)));
  const { state: next } = ledger.beginCommit();
  assertEquals([next.high_acked, next.ranges, next.max_seq], [6, [[9, 10], [12, 12]], 12]);
  ledger.committed();
  assertEquals([ledger.highAcked, ledger.maxSeq, ledger.ranges(1)], [6, 12, [[9, 10]]]);
});

Deno.test("Ledger: ranges that the store has are not written again after a restart", () => {
  const state: EpochState = {
    node_id: "a",
    epoch: EPOCH,
    high_acked: 3,
    ranges: [[9, 9]],
    max_seq: 12,
  };
  const ledger = new Ledger(state);
  ledger.offer(row(4));
  assertEquals(ledger.beginCommit().rangesChanged, false);
});

Deno.test("Ledger: a stored range that touches high_acked is a part of it", () => {
  const state: EpochState = {
    node_id: "a",
    epoch: EPOCH,
    high_acked: 3,
    ranges: [[4, 6], [9, 9]],
    max_seq: 9,
  };
  const ledger = new Ledger(state);
  assertEquals([ledger.highAcked, ledger.ranges(9)], [6, [[9, 9]]]);
});

Deno.test("Ledger: what waits for the store is not said to be durable, and its highest number stays", () => {
  const ledger = newLedger();
  for (const seq of [1, 5, 9]) ledger.offer(row(seq));
  const said = () => [ledger.highAcked, ledger.maxSeq, ledger.ranges(9)];
  assertEquals(said(), [0, 0, []]);
  ledger.beginCommit();
  assertEquals(said(), [0, 0, []]);
  ledger.committed();
  assertEquals(said(), [1, 9, [[5, 5], [9, 9]]]);
  assertEquals(ledger.ranges(1), [[5, 5]], "the lowest");
  ledger.offer(row(12));
  assertEquals(said(), [1, 9, [[5, 5], [9, 9]]]);
  ledger.beginCommit();
  ledger.rollBack();
  assertEquals(said(), [1, 9, [[5, 5], [9, 9]]]);
  ledger.offer(row(2));
  assertEquals(ledger.beginCommit().state.max_seq, 9);
});

Deno.test("Ledger: how far a peer may jump is counted from all that came, durable or not", () => {
  const ledger = newLedger();
  ledger.offer(row(1_000));
  assert(!ledger.isTooFar(1_000 + SEQ_JUMP_MAX) && ledger.isTooFar(1_001 + SEQ_JUMP_MAX));
});

Deno.test("Ledger: gaps take memory, and records as much as their JSON is long", () => {
  const ledger = newLedger();
  ledger.offerGap({ from_seq: 5, to_seq: 9, reason: "evicted" });
  const gap = ledger.heldBytes;
  assert(gap > 0 && ledger.isDirty && ledger.waitingRecords === 0);
  ledger.offer({ ...row(1), payload: "" });
  const empty = ledger.heldBytes - gap;
  ledger.offer({ ...row(2), payload: "x".repeat(1_000) });
  assertEquals(ledger.heldBytes, gap + 2 * empty + 1_000);
});

Deno.test("Ledger: of a gap only what nobody sent is lost, for the reason that was said first", () => {
  const ledger = newLedger();
  ledger.offer(row(1));
  ledger.beginCommit();
  ledger.committed();
  for (const seq of [2, 5, 8]) ledger.offer(row(seq));
  const lost = ledger.offerGap({ from_seq: 1, to_seq: 6, reason: "corrupt" });
  assertEquals(lost, [
    { from_seq: 3, to_seq: 4, reason: "corrupt" },
    { from_seq: 6, to_seq: 6, reason: "corrupt" },
  ]);
  const more = ledger.offerGap({ from_seq: 4, to_seq: 9, reason: "evicted" });
  assertEquals(more, [
    { from_seq: 7, to_seq: 7, reason: "evicted" },
    { from_seq: 9, to_seq: 9, reason: "evicted" },
  ]);
  assertEquals(ledger.beginCommit().gaps, [...lost, ...more]);
});

Deno.test("Ledger: what waits when a commit fails was never received, neither records nor gaps", () => {
  const ledger = newLedger();
  ledger.offer(row(1));
  ledger.beginCommit();
  ledger.offer(row(2));
  ledger.offerGap({ from_seq: 3, to_seq: 4, reason: "evicted" });
  ledger.rollBack();
  assertEquals([ledger.isDirty, ledger.heldBytes], [false, 0]);
  assertEquals(ledger.offerGap({ from_seq: 2, to_seq: 3, reason: "corrupt" }).length, 1);
  const { records, gaps, state } = ledger.beginCommit();
  assertEquals([records.length, gaps.length, state.max_seq], [0, 1, 3]);
});
