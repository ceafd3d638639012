import { assertEquals } from "@std/assert";
import { ClockOffset } from "../../lib/host/clock_offset.ts";

const MINUTE_MS = 60_000;
/** The host's wall clock, and how far the node's monotonic clock lies below it. */
const WALL_MS = 1_700_000_000_000;

/** Messages that travelled so long, at so many ms; what is known after the last one. */
function after(
  messages: readonly (readonly [atMs: number, travelMs: number])[],
  clock = new ClockOffset(),
) {
  const known = messages.map(([atMs, travelMs]) =>
    clock.observe(atMs - travelMs, WALL_MS + atMs, atMs)
  );
  return known.at(-1)!;
}

Deno.test("ClockOffset believes the message that travelled fastest, whenever it came", () => {
  for (const travels of [[5, 90, 40], [90, 5, 40], [90, 40, 5]]) {
    const messages = travels.map((travelMs, i) => [10 * i, travelMs] as const);
    assertEquals(after(messages).offsetMs, WALL_MS + 5);
  }
});

Deno.test("ClockOffset forgets a message after ten minutes, as clocks drift", () => {
  const messages = (ms: number) => [[0, 5], [ms, 90]] as const;
  assertEquals(after(messages(10 * MINUTE_MS - 1)).offsetMs, WALL_MS + 5);
  assertEquals(after(messages(10 * MINUTE_MS)).offsetMs, WALL_MS + 90);
  const some = [[0, 5], [MINUTE_MS, 60], [2 * MINUTE_MS, 70], [10 * MINUTE_MS, 90]] as const;
  assertEquals(after(some).offsetMs, WALL_MS + 60, "and nothing younger with it");
});

Deno.test("ClockOffset remembers the last 64 messages", () => {
  const slow = (count: number) => Array.from({ length: count }, (_, i) => [i + 1, 90] as const);
  assertEquals(after([[0, 5], ...slow(63)]).offsetMs, WALL_MS + 5);
  assertEquals(after([[0, 5], ...slow(64)]).offsetMs, WALL_MS + 90);
  assertEquals(after([[0, 90], [0, 5], ...slow(63)]).offsetMs, WALL_MS + 5);
});

const STEPS: [what: string, travels: number[], offsetMs: number][] = [
  ["three slow messages in a row mean that a clock was moved", [5, 2_006, 2_006, 2_006], 2_006],
  ["two don't", [5, 2_006, 2_006], 5],
  ["three that are two seconds slower don't", [5, 2_005, 2_005, 2_005], 5],
  ["one among them that is fast says that they were slow", [5, 3_000, 6, 3_000, 3_000], 5],
  ["what was before is forgotten with it", [9_000, 5, 4_000, 4_001, 4_002], 4_000],
  ["a clock that was moved forward is believed at once", [5_000, 5], 5],
];
for (const [what, travels, offsetMs] of STEPS) {
  Deno.test(`ClockOffset: ${what}`, () => {
    assertEquals(after(travels.map((ms, i) => [i, ms] as const)).offsetMs, WALL_MS + offsetMs);
  });
}

Deno.test("ClockOffset: its error grows with how messages scatter, and with the age of the fastest", () => {
  assertEquals(after([[0, 5]]).errorMs, 0);
  assertEquals(after([[0, 5], [1, 25], [2, 105]]).errorMs, 20);
  assertEquals(after([[0, 5], [300_000, 25]]).errorMs, 20 + 30);
  assertEquals(after([[0, 5], [299_000, 5], [300_000, 5]]).errorMs, 0, "the latest as fast");
});
