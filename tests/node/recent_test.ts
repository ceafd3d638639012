/** The last minutes of each metric, as the node's page draws them. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { EVENTS, METRICS_MAX, Recent, RecentEvents, SECONDS } from "../../lib/node/recent.ts";

const START = 1_700_000_000_000;

function add(recent: Recent, monoMs: number, metrics: Record<string, number>, flagged = ""): void {
  recent.add(metrics, (name) => name === flagged, { monoMs, wallMs: START + monoMs });
}

Deno.test("a second holds its lowest, highest and last value, and whether one was flagged", () => {
  const recent = new Recent();
  add(recent, 100, { temp_c: 41 });
  add(recent, 200, { temp_c: 48, flow_lpm: 3 }, "temp_c");
  add(recent, 300, { temp_c: 40 });
  add(recent, 1_100, { temp_c: 42 });
  assertEquals(recent.read(), {
    t: [START + 100, START + 1_100],
    metrics: {
      temp_c: { min: [40, 42], max: [48, 42], last: [40, 42], flagged: [1, 0] },
      flow_lpm: { min: [3, null], max: [3, null], last: [3, null], flagged: [0, 0] },
    },
  });
  assertEquals(Object.keys(recent.read("flow_lpm").metrics), ["flow_lpm"]);
  assertEquals(recent.read(undefined, 1).t, [START + 1_100]);
});

Deno.test("it agrees with a model for any course of time, and never holds more than its seconds", () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 90_000 }), fc.integer()), {
    maxLength: 400,
  });
  fc.assert(fc.property(steps, (steps) => {
    const recent = new Recent();
    const model = new Map<number, { t: number; values: number[] }>();
    let monoMs = 0;
    for (const [step, value] of steps) {
      monoMs += step;
      add(recent, monoMs, { x: value });
      const second = Math.floor(monoMs / 1_000);
      if (!model.has(second)) model.set(second, { t: START + monoMs, values: [] });
      model.get(second)!.values.push(value);
    }
    const newest = Math.floor(monoMs / 1_000);
    const wanted = [...model].filter(([second]) => newest - second < SECONDS).map(([, row]) => row);
    const { t, metrics } = recent.read();
    assertEquals(t, wanted.map((row) => row.t));
    assertEquals(metrics.x?.min ?? [], wanted.map(({ values }) => Math.min(...values)));
    assertEquals(metrics.x?.max ?? [], wanted.map(({ values }) => Math.max(...values)));
    assertEquals((metrics.x?.last ?? []) as unknown, wanted.map(({ values }) => values.at(-1)));
  }));
});

Deno.test("metrics beyond the limit have no line until one that is gone makes room", () => {
  const recent = new Recent();
  const names = Array.from({ length: METRICS_MAX + 8 }, (_, i) => `m${i}`);
  add(recent, 0, Object.fromEntries(names.map((name) => [name, 1])));
  assertEquals(Object.keys(recent.read().metrics).length, METRICS_MAX);
  add(recent, SECONDS * 1_000 + 1, { another: 2 });
  const { metrics } = recent.read();
  assertEquals(Object.keys(metrics).length, METRICS_MAX);
  assertEquals(metrics.another?.last, [2]);
});

Deno.test("a line is given up only for a metric that was not seen for as long as the lines reach", () => {
  const recent = new Recent();
  const names = Array.from({ length: METRICS_MAX }, (_, i) => `m${i}`);
  const all = Object.fromEntries(names.map((name) => [name, 1]));
  add(recent, 0, all);
  add(recent, 5_000, { ...all, another: 2 });
  const { m0: _, ...others } = all;
  add(recent, 6_000, others);
  add(recent, 5_000 + (SECONDS - 1) * 1_000, { ...others, another: 2 });
  assertEquals(recent.read().metrics.another, undefined);
  add(recent, 5_000 + SECONDS * 1_000, { ...others, another: 2 });
  const { metrics } = recent.read();
  assertEquals([metrics.m0, metrics.another?.last.at(-1)], [undefined, 2]);
});

Deno.test("what was flagged five minutes ago marks nothing that is here now", () => {
  const recent = new Recent();
  add(recent, 1_000, { a: 1 }, "a");
  add(recent, 1_000 + SECONDS * 1_000, { a: 2 });
  assertEquals(recent.read().metrics.a?.flagged, [0]);
});

Deno.test("the last events are kept, each as it was told of last, without the values around it", () => {
  const events = new RecentEvents();
  const event = (id: number, state: "open" | "close") =>
    events.add({
      id: `e${id}`,
      state,
      severity: "low",
      metrics: ["temp_c"],
      since_wall_ms: START,
      since_mono_ms: 0,
      duration_ms: 0,
      peak: { metric: "temp_c", value: 1, score: 2 },
      around: [[0, 1]],
    });
  for (let id = 0; id < EVENTS + 5; id++) event(id, "open");
  event(EVENTS + 4, "close");
  const kept = events.read();
  assertEquals(kept.map(({ id }) => id).slice(0, 2), [`e${EVENTS + 4}`, `e${EVENTS + 3}`]);
  assertEquals(kept.length, EVENTS);
  assertEquals([kept[0]!.state, "around" in kept[0]!], ["close", false]);
});
