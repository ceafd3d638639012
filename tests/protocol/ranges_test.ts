/** Sets of seqs as ranges, held against a set of numbers. */
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { RangeSet } from "../../lib/protocol/ranges.ts";

const END = 40;
const range = fc.tuple(fc.integer({ min: 1, max: END }), fc.integer({ min: 0, max: 6 }))
  .map(([from, more]): [number, number] => [from, from + more]);

function modelOf(ranges: readonly (readonly [number, number])[]): Set<number> {
  const model = new Set<number>();
  for (const [from, to] of ranges) for (let seq = from; seq <= to; seq++) model.add(seq);
  return model;
}

/** The runs of `from` to `to` that are in the model, or are not. */
function runs(model: Set<number>, from: number, to: number, isIn: boolean): [number, number][] {
  const found: [number, number][] = [];
  for (let seq = from; seq <= to; seq++) {
    if (model.has(seq) !== isIn) continue;
    const last = found.at(-1);
    if (last?.[1] === seq - 1) last[1] = seq;
    else found.push([seq, seq]);
  }
  return found;
}

Deno.test("RangeSet: ranges in any order that overlap or touch are kept as few, ascending ones", () => {
  fc.assert(fc.property(fc.array(range, { maxLength: 12 }), (ranges) => {
    const set = new RangeSet(ranges), model = modelOf(ranges);
    const wanted = runs(model, 1, END + 10, true);
    assertEquals(set.ranges.map(([from, to]) => [from, to]), wanted);
    assertEquals([set.size, set.max], [model.size, wanted.at(-1)?.[1] ?? 0]);
  }));
});

Deno.test("RangeSet: what is missing of any range, and whether a range is in it whole", () => {
  fc.assert(fc.property(fc.array(range, { maxLength: 8 }), range, (ranges, [from, to]) => {
    const set = new RangeSet(ranges), model = modelOf(ranges);
    const holes = runs(model, from, to, false);
    assertEquals(set.missing(from, to), holes);
    assertEquals(set.firstMissing(from, to), holes[0]);
    assertEquals(set.covers(from, to), holes.length === 0);
    assertEquals(set.firstMissing(to + 1, to), undefined);
  }));
});

Deno.test("RangeSet: high_acked moves on over what follows it, and the set forgets that", () => {
  fc.assert(fc.property(fc.array(range, { maxLength: 8 }), fc.nat(END), (ranges, high) => {
    const set = new RangeSet(ranges), model = modelOf(ranges);
    let wanted = high;
    // A range that begins at or below is over with, also where it ends below.
    for (const [from, to] of runs(model, 1, END + 10, true)) {
      if (from <= wanted + 1) wanted = Math.max(wanted, to);
    }
    const { changes } = set;
    assertEquals(set.takeContiguous(high), wanted);
    const left = runs(model, wanted + 1, END + 10, true);
    assertEquals(set.ranges.map(([from, to]) => [from, to]), left);
    assertEquals(set.changes === changes, left.length === runs(model, 1, END + 10, true).length);
  }));
});

Deno.test("RangeSet: a copy goes its own way, and each change is counted", () => {
  const set = new RangeSet([[1, 5]]);
  const copy = set.copy();
  assertEquals(copy.changes, set.changes);
  const { changes } = set;
  copy.remove(2, 3);
  copy.add(9);
  assertEquals(copy.ranges, [[1, 1], [4, 5], [9, 9]]);
  assertEquals([set.ranges, set.changes, copy.changes], [[[1, 5]], changes, changes + 2]);
  assertThrows(() => set.add(3, 2));
});
