/** The log's bookkeeping without a disk: positions, lost ranges, the ring, the set of segments. */
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { GapList, type LossReason } from "../../lib/wal/gaps.ts";
import { Positions } from "../../lib/wal/positions.ts";
import type { FoundSegment } from "../../lib/wal/recovery.ts";
import { Ring } from "../../lib/wal/ring.ts";
import { SegmentSet } from "../../lib/wal/segment_set.ts";

function positions(last: number, more: { highAcked?: number; synced?: number } = {}): Positions {
  return new Positions({ last, highAcked: 0, synced: 0, gaps: new GapList(), ...more });
}

/** Gives out and writes `count` seqs. */
function write(at: Positions, count: number): void {
  for (let i = 0; i < count; i++) at.wrote(at.take());
}

Deno.test("positions begin where recovery found the log: behind the last seq, acked and synced as on record", () => {
  const at = positions(20, { highAcked: 5, synced: 12 });
  assertEquals([at.next, at.runFirst, at.written], [21, 21, 20]);
  assertEquals([at.highAcked, at.everAcked, at.synced], [5, 5, 12]);
  assertEquals(positions(20, { synced: 30 }).synced, 20);
});

Deno.test("what may be sent is what was given out, within the reserve above what is synced or acked", () => {
  const at = positions(0);
  write(at, 1_000);
  assertEquals(at.sendableThrough, 256);
  at.syncedTo(10);
  assertEquals(at.sendableThrough, 266);
  at.ack(100);
  assertEquals(at.sendableThrough, 356);
  at.syncedTo(900);
  assertEquals(at.sendableThrough, 1_000);
});

Deno.test("an ack only moves up, never above what was given out, and ends the gaps below it", () => {
  const at = positions(10);
  at.lose(2, 4, "corrupt");
  assertEquals([at.ack(3), at.ack(3), at.ack(2)], [true, false, false]);
  assertEquals(at.gaps, [{ from_seq: 4, to_seq: 4, reason: "corrupt" }]);
  at.ack(99);
  assertEquals([at.highAcked, at.everAcked, at.gaps], [10, 10, []]);
  at.rewind(2);
  assertEquals([at.highAcked, at.everAcked], [2, 10]);
  at.ack(5);
  assertEquals([at.highAcked, at.everAcked], [5, 10]);
});

Deno.test("numbers that are skipped are never given out, and this run begins above them", () => {
  const at = positions(20);
  at.skipTo(276);
  assertEquals([at.next, at.runFirst, at.written, at.take()], [277, 277, 276, 277]);
  at.startRunAt(278);
  assertEquals(at.runFirst, 278);
});

Deno.test("while a failed sync left records in doubt, a later one doesn't cover what lies below it", () => {
  const at = positions(0);
  write(at, 7);
  at.syncedTo(3);
  at.rewriteFrom(8);
  write(at, 3);
  at.syncedTo(10);
  assertEquals(at.synced, 3, "4 to 7 may be gone");
  at.ack(6);
  at.syncedTo(10);
  assertEquals(at.synced, 3);
  at.ack(7);
  at.syncedTo(10);
  assertEquals(at.synced, 10, "the host has what was in doubt");
});

Deno.test("nothing is in doubt where all below is synced or acked", () => {
  for (const acked of [0, 7]) {
    const at = positions(0);
    write(at, 7);
    at.syncedTo(acked === 0 ? 7 : 3);
    at.ack(acked);
    at.rewriteFrom(8);
    write(at, 1);
    at.syncedTo(8);
    assertEquals(at.synced, 8);
  }
});

Deno.test("lost is what is above high_acked and was not declared; skipped and once acked numbers are no lost records", () => {
  const at = positions(100);
  at.ack(10);
  assertEquals(at.lose(5, 10, "evicted"), false);
  assertEquals([at.lose(9, 14, "evicted"), at.lostRecords], [true, 4]);
  assertEquals([at.lose(13, 16, "corrupt"), at.lostRecords], [true, 6]);
  assertEquals([at.lose(11, 16, "corrupt"), at.lostRecords], [false, 6]);
  at.lose(20, 29, "unsynced");
  at.lose(30, 39, "compacted");
  assertEquals(at.lostRecords, 6);
  at.lose(40, 40, "unwritten");
  assertEquals(at.lostRecords, 7);
  assertEquals(at.gaps.slice(0, 2), [
    { from_seq: 11, to_seq: 14, reason: "evicted" },
    { from_seq: 15, to_seq: 16, reason: "corrupt" },
  ]);
});

Deno.test("keptFrom() leads around what is lost", () => {
  const at = positions(100);
  at.lose(3, 5, "corrupt");
  at.lose(6, 6, "evicted");
  at.lose(9, 9, "corrupt");
  const cases: [from: number, first: number, before: number][] = [
    [1, 1, 3],
    [3, 7, 9],
    [5, 7, 9],
    [6, 7, 9],
    [8, 8, 9],
    [9, 10, Infinity],
    [50, 50, Infinity],
  ];
  for (const [from, first, before] of cases) assertEquals(at.keptFrom(from), { first, before });
});

Deno.test("positions that contradict each other are a mistake of ours and stop", () => {
  const at = positions(5);
  assertThrows(() => at.wrote(6));
  assertThrows(() => at.syncedTo(6));
  assertThrows(() => at.rewind(0));
  assertThrows(() => at.skipTo(4));
});

Deno.test("GapList: the first reason of each seq stays, in as few ranges as there can be", () => {
  const reasons: LossReason[] = ["evicted", "corrupt"];
  const step = fc.record({
    from: fc.integer({ min: 1, max: 30 }),
    size: fc.integer({ min: 1, max: 8 }),
    reason: fc.constantFrom(...reasons),
    trim: fc.option(fc.integer({ min: 1, max: 10 })),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
    const gaps = new GapList();
    const model = new Map<number, LossReason>();
    for (const { from, size, reason, trim } of steps) {
      let isNews = false;
      for (let seq = from; seq < from + size; seq++) {
        if (model.has(seq)) continue;
        model.set(seq, reason);
        isNews = true;
      }
      assertEquals(gaps.add(from, from + size - 1, reason), isNews);
      if (trim === null) continue;
      gaps.trim(trim);
      for (let seq = 1; seq <= trim; seq++) model.delete(seq);
    }
    const wanted: { from_seq: number; to_seq: number; reason: LossReason }[] = [];
    for (const seq of [...model.keys()].sort((a, b) => a - b)) {
      const last = wanted.at(-1), reason = model.get(seq)!;
      if (last?.to_seq === seq - 1 && last.reason === reason) last.to_seq = seq;
      else wanted.push({ from_seq: seq, to_seq: seq, reason });
    }
    assertEquals(gaps.list, wanted);
    assertEquals(gaps.records, model.size);
    for (let seq = 1; seq < 40; seq++) assertEquals(gaps.find(seq)?.reason, model.get(seq));
  }));
});

Deno.test("Ring: the newest items by seq, whatever numbers were left out", () => {
  const step = fc.integer({ min: 1, max: 4 });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1, max: 7 }),
      (steps, capacity) => {
        const ring = new Ring<string>(capacity);
        let seq = 0;
        const model: number[] = [];
        for (const jump of steps) {
          model.push(seq += jump);
          const dropped = model.length > capacity ? model.shift() : undefined;
          assertEquals(ring.push(seq, `item ${seq}`), dropped);
        }
        assertEquals([ring.count, ring.firstSeq], [model.length, model[0]]);
        for (let from = 0; from <= seq + 1; from++) {
          const wanted = model.filter((each) => each >= from).map((each) => [each, `item ${each}`]);
          assertEquals([...ring.from(from)], wanted as [number, string][]);
          assertEquals(ring.first(from), wanted[0] as [number, string] | undefined);
          assertEquals(ring.get(from), model.includes(from) ? `item ${from}` : undefined);
        }
      },
    ),
  );
});

function segment(turn: number, base: number, end: number, bytes = 100): FoundSegment {
  return {
    name: `s${turn}`,
    turn,
    base,
    prev: base - 1,
    reason: "none",
    most: 0,
    end,
    bytes,
    headerDamaged: false,
    unreadable: false,
  };
}

Deno.test("SegmentSet finds the segment of a seq, or the next one, and never an empty one", () => {
  // The fourth is empty; the last two were written again after a failed sync, from 5 on.
  const set = new SegmentSet(
    [segment(1, 1, 2), segment(2, 3, 4), segment(4, 9, 8), segment(5, 5, 6), segment(6, 10, 12)],
    7,
    () => {},
  );
  const turns = [1, 2, 3, 4, 5, 6, 7, 9, 12, 13].map((seq) => set.at(seq)?.turn);
  assertEquals(turns, [1, 1, 2, 2, 5, 5, 6, 6, 6, undefined]);
  assertEquals([set.firstSeq, set.lastSeq, set.count, set.bytes], [1, 12, 5, 507]);
  const empty = new SegmentSet([segment(1, 9, 8)], 0, () => {});
  assertEquals([empty.firstSeq, empty.lastSeq, empty.at(1)], [undefined, 0, undefined]);
});

Deno.test("SegmentSet: the bytes of what is retired count until the file is gone", () => {
  const retired: string[] = [];
  const set = new SegmentSet([segment(1, 1, 2)], 7, ({ name }) => retired.push(name));
  set.add(segment(2, 3, 2, 30));
  set.extend(3);
  set.setBytes(set.newest!, 60);
  assertEquals([set.bytes, set.keptBytes, set.newest!.end], [167, 167, 3]);
  set.retire(set.oldest!);
  assertEquals([set.bytes, set.keptBytes, set.oldest!.turn, retired], [167, 67, 2, ["s1"]]);
  assertEquals(set.doomed, [{ name: "s1", bytes: 100 }]);
  set.removed("another");
  assertEquals(set.bytes, 167);
  set.removed("s1");
  assertEquals([set.bytes, set.doomed], [67, []]);
});

Deno.test("SegmentSet: what is written again no longer belongs to the segments before", () => {
  const set = new SegmentSet([segment(1, 1, 3), segment(2, 4, 9), segment(3, 6, 5)], 0, () => {});
  set.cutBefore(6);
  assertEquals(set.all.map(({ end }) => end), [3, 5, 5]);
  assertThrows(() => set.add(segment(3, 10, 9)), Error, "not new");
  assertThrows(() => set.retire(segment(1, 1, 3)), Error, "not in the set");
});
