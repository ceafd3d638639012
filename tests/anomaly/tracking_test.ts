/** What an event takes in, what is told of it, and what of it a restart keeps. */
import { assertEquals } from "@std/assert";
import {
  type AnomalyEvent,
  EventTracker,
  type SavedEvent,
  type StrongEvidence,
} from "../../lib/anomaly/events.ts";

const WALL_MS = 5_000_000;
const QUIET_MS = 10_000;

function evidence(
  metric: string,
  strength: number,
  more: Partial<StrongEvidence> = {},
): StrongEvidence {
  return { metric, strength, sinceMs: 0, value: 7, score: 4 * strength, ...more };
}

/** A tracker, ticked by seconds; what it told in short. */
class Bench {
  readonly tracker: EventTracker;
  told: AnomalyEvent[] = [];
  joined: string[] = [];

  constructor(readonly perHourMax = 100, run = "r") {
    this.tracker = new EventTracker(run);
  }

  at(second: number, ...strong: StrongEvidence[]): string[] {
    const now = { monoMs: 1_000 * second, wallMs: WALL_MS + 1_000 * second };
    const limits = { quietMs: () => QUIET_MS, perHourMax: this.perHourMax };
    const around = (metric: string): [number, number][] => [[second, metric.length]];
    const { events, joined } = this.tracker.tick(strong, now, limits, around);
    this.told = events;
    this.joined = joined;
    return events.map(({ id, state, metrics, severity }) =>
      `${id} ${state} ${metrics.join("+")} ${severity}`
    );
  }

  save(second: number): SavedEvent[] {
    const now = { monoMs: 1_000 * second, wallMs: WALL_MS + 1_000 * second };
    return JSON.parse(JSON.stringify(this.tracker.save(now)));
  }
}

Deno.test("metrics that are strong at one tick are one event: it begins with the first and peaks with the strongest", () => {
  const bench = new Bench();
  assertEquals(
    bench.at(
      9,
      evidence("a", 1.2, { sinceMs: 8_000 }),
      evidence("bb", 3.5, { sinceMs: 7_000, value: 55 }),
    ),
    ["1-r open bb+a high"],
  );
  assertEquals(bench.joined, ["a", "bb"]);
  const [{ since_mono_ms, since_wall_ms, duration_ms, peak, around }] = bench.told as [
    AnomalyEvent,
  ];
  assertEquals([since_mono_ms, since_wall_ms, duration_ms], [7_000, WALL_MS + 7_000, 2_000]);
  assertEquals([peak, around], [{ metric: "bb", value: 55, score: 14 }, [[9, 2]]]);
  assertEquals(bench.tracker.opened, 1);
});

Deno.test("an event keeps its first strongest value, and takes a stronger one of whichever metric", () => {
  const bench = new Bench();
  bench.at(1, evidence("a", 1.2, { value: 1 }));
  bench.at(2, evidence("a", 1.2, { value: 2 }), evidence("bb", 0.9, { value: 3 }));
  assertEquals(bench.at(6), ["1-r update a+bb low"]);
  assertEquals(bench.told[0]!.peak.value, 1);
  bench.at(7, evidence("bb", 1.6, { value: 4 }));
  assertEquals(bench.at(11), ["1-r update a+bb medium"]);
  assertEquals(bench.told[0]!.peak, { metric: "bb", value: 4, score: 6.4 });
  assertEquals(bench.told[0]!.around, [[11, 1]], "of the metric that moved first");
});

Deno.test("what was told is not told again: neither the severity nor the metrics", () => {
  const bench = new Bench();
  bench.at(1, evidence("a", 1.2));
  bench.at(2, evidence("b", 1.6));
  assertEquals(bench.at(6, evidence("a", 1)), ["1-r update a+b medium"]);
  for (const second of [11, 15, 20]) assertEquals(bench.at(second, evidence("a", 1)), []);
});

Deno.test("severity: medium from 1.5 and high from 3 times what an alarm needs, a step more from three metrics", () => {
  const cases: [strengths: number[], severity: string][] = [
    [[1], "low"],
    [[1.49], "low"],
    [[1.5], "medium"],
    [[2.99], "medium"],
    [[3], "high"],
    [[1, 1], "low"],
    [[1, 0.7, 0.7], "medium"],
    [[1.5, 1, 1], "high"],
    [[9, 1, 1, 1], "high"],
  ];
  for (const [strengths, severity] of cases) {
    const bench = new Bench();
    bench.at(1, ...strengths.map((strength, i) => evidence(`m${i}`, strength)));
    assertEquals(bench.told[0]?.severity, severity, strengths.join(" "));
  }
});

Deno.test("an event that goes on for ten minutes matters a step more, and says so", () => {
  const bench = new Bench();
  bench.at(0, evidence("a", 1));
  const told: string[] = [];
  for (let second = 5; second <= 650; second += 5) {
    for (const text of bench.at(second, evidence("a", 0.8))) told.push(`${second} ${text}`);
  }
  assertEquals(told, ["600 1-r update a medium"]);
});

Deno.test("weak evidence is remembered for ten seconds, and no tick may be left out until then", () => {
  for (const [second, metrics] of [[10, "early+b"], [11, "b"]] as const) {
    const bench = new Bench();
    assertEquals([bench.tracker.isIdle, bench.at(1, evidence("early", 0.8, { sinceMs: 1_000 }))], [
      true,
      [],
    ]);
    assertEquals(bench.tracker.isIdle, false);
    bench.at(second === 10 ? 9 : 11);
    assertEquals(bench.tracker.isIdle, second === 11);
    assertEquals(bench.at(second, evidence("b", 1, { sinceMs: 9_000 })), [
      `1-r open ${metrics} low`,
    ]);
    assertEquals(bench.tracker.isIdle, false);
    bench.at(30);
    assertEquals(bench.tracker.isIdle, true);
  }
});

Deno.test("a metric joins an event within ten seconds of the last that joined it", () => {
  const bench = new Bench();
  bench.at(1, evidence("a", 1));
  bench.at(11, evidence("a", 1), evidence("b", 0.8));
  assertEquals(bench.joined, ["b"]);
  bench.at(21, evidence("a", 1), evidence("c", 0.8));
  assertEquals(bench.joined, ["c"]);
  assertEquals(bench.at(32, evidence("a", 1), evidence("d", 1)), ["2-r open d low"]);
  assertEquals([bench.tracker.joinedMs("b"), bench.tracker.joinedMs("d")], [11_000, 32_000]);
  assertEquals(bench.tracker.joinedMs("e"), undefined);
});

Deno.test("eight events may be open at a time; what comes then is held back until it has been quiet", () => {
  const bench = new Bench();
  const names = Array.from({ length: 8 }, (_, i) => `m${i}`);
  let second = 0;
  for (const name of names) {
    second += 11;
    // All of them go on.
    const going = names.slice(0, names.indexOf(name)).map((each) => evidence(each, 0.8));
    bench.at(second - 5, ...going);
    bench.at(second, ...going, evidence(name, 1));
  }
  const all = names.map((name) => evidence(name, 0.8));
  const { tracker } = bench;
  second += 11;
  bench.at(second - 5, ...all);
  assertEquals([bench.at(second, ...all, evidence("x", 2)), tracker.openEvents], [[], 8]);
  assertEquals([tracker.opened, tracker.heldBack], [8, 1]);
  // One closes: what is held back stays so, and is not drawn into the next event as it opens.
  const rest = all.slice(1);
  for (let i = 1; i <= 4; i++) bench.at(second + 3 * i, ...rest, evidence("x", 2));
  assertEquals(tracker.openEvents, 7);
  assertEquals(bench.at(second + 14, ...rest, evidence("y", 1)), ["9-r open y low"]);
  assertEquals(tracker.heldBack, 1);
});

Deno.test("an event names 32 metrics at most; the next one is another event", () => {
  const bench = new Bench();
  bench.at(1, ...Array.from({ length: 40 }, (_, i) => evidence(`m${i}`, i === 0 ? 2 : 0.8)));
  assertEquals(bench.told.map(({ metrics }) => metrics.length), [32]);
  assertEquals(bench.at(2, evidence("late", 1)).length, 1);
  assertEquals(bench.told[0]!.metrics.includes("late"), true);
  assertEquals(bench.told[0]!.metrics.length <= 32 && bench.told[0]!.id === "2-r", true);
});

Deno.test("what is kept of an event over a restart: since when, the metrics and how long each is in it, the peak", () => {
  const bench = new Bench();
  bench.at(1, evidence("a", 1.6, { sinceMs: 500, value: 9 }));
  bench.at(4, evidence("a", 1), evidence("b", 1));
  assertEquals(bench.save(10), [{
    id: "1-r",
    since_wall_ms: WALL_MS + 500,
    metrics: ["a", "b"].sort((x) => x === "a" ? 1 : -1),
    joined_ms: [6_000, 9_000],
    peak: { metric: "a", value: 9, score: 6.4 },
    strength: 1.6,
  }]);
});

/** An event that was saved 60 s before second 0 of another run. */
function restored(saved: SavedEvent[]): Bench {
  const later = new Bench(100, "later");
  later.tracker.restore(saved, 60_000, { monoMs: 0, wallMs: WALL_MS + 70_000 });
  return later;
}

Deno.test("a restart goes on with an event where it was: nothing is told again, nothing weaker counts, a new run's ids differ", () => {
  const bench = new Bench();
  bench.at(1, evidence("a", 1.6, { value: 9 }), evidence("b", 1));
  const later = restored(bench.save(10));
  assertEquals(later.tracker.openEvents, 1);
  assertEquals(later.tracker.joinedMs("a"), -69_000, "time away counts to what is learned");
  assertEquals(later.at(6, evidence("a", 1.2, { value: 5 })), []);
  assertEquals(later.at(7, evidence("c", 1)), ["1-later open c low"], "it began long ago");
  assertEquals(later.at(8, evidence("a", 3, { value: 6 })), ["1-r update a+b high"]);
  assertEquals(later.told[0]!.peak.value, 6);
  assertEquals([later.told[0]!.since_wall_ms, later.told[0]!.since_mono_ms], [WALL_MS, -70_000]);
});

Deno.test("an event that is restored has its quiet time from the start on, and closes then", () => {
  const bench = new Bench();
  bench.at(1, evidence("a", 1.6));
  const later = restored(bench.save(10));
  assertEquals(later.at(9), []);
  assertEquals(later.at(10), ["1-r close a medium"]);
});

Deno.test("of saved events no more are taken up than may be open", () => {
  const bench = new Bench();
  bench.at(1, evidence("a", 1));
  const [saved] = bench.save(1) as [SavedEvent];
  const many = Array.from({ length: 12 }, (_, i) => ({ ...saved, id: `${i}`, metrics: [`m${i}`] }));
  assertEquals(restored(many).tracker.openEvents, 8);
  assertEquals(restored([{ ...saved, metrics: [] }]).tracker.openEvents, 0);
});
