/** Where events of several nodes are one, and where they are not: the boundaries. */
import { assert, assertEquals } from "@std/assert";
import { FleetCorrelation, NAMED_MAX } from "../../lib/host/correlation.ts";

const NOW = 1_000_000;

/** Opens an event on each of the nodes n0, n1 …, at its time, all arriving at `arrivedMs`. */
function openedAt(times: readonly number[], arrivedMs = NOW, metric = "rail_v") {
  const fleet = new FleetCorrelation();
  times.forEach((atMs, i) =>
    fleet.opened({ nodeId: `n${i}`, id: `id-${i}`, metric, atMs }, arrivedMs)
  );
  return fleet;
}

const GROUPS: [what: string, times: number[], connected: number, counts: number[]][] = [
  ["three nodes are enough", [0, 0, 0], 3, [3]],
  ["two are not", [0, 0], 2, []],
  ["a quarter of the connected is enough", [0, 0, 0], 12, [3]],
  ["less is not", [0, 0, 0], 13, []],
  ["ten seconds between two are together", [0, 10_000, 20_000], 3, [3]],
  ["more are apart", [0, 10_000, 20_001], 3, []],
  ["two groups are two events", [0, 1, 2, 30_000, 30_001, 30_002, 30_003], 7, [3, 4]],
];
for (const [what, times, connected, counts] of GROUPS) {
  Deno.test(`FleetCorrelation: ${what}`, () => {
    const fleet = openedAt(times.map((ms) => NOW + ms));
    const told = fleet.tick(NOW + 30_003, connected);
    assertEquals(told.map(({ nodes_count }) => nodes_count), counts);
    assertEquals(fleet.tick(NOW + 1e9, connected), [], "told once");
  });
}

const WAITS: [what: string, agoMs: number, waitMs: number][] = [
  ["of now wait five seconds for company", 0, 5_000],
  ["of a minute ago, too", 60_000, 5_000],
  ["of longer ago a minute, as nodes return one by one", 60_001, 60_000],
];
for (const [what, agoMs, waitMs] of WAITS) {
  Deno.test(`FleetCorrelation: events ${what}, from the last arrival`, () => {
    const at = NOW - agoMs;
    const fleet = openedAt([at, at], NOW - 3_000);
    fleet.opened({ nodeId: "late", id: "x", metric: "rail_v", atMs: at }, NOW);
    assertEquals(fleet.tick(NOW + waitMs - 1, 3), []);
    assertEquals(fleet.tick(NOW + waitMs, 3).length, 1);
  });
}

Deno.test("FleetCorrelation: whether a group is of the past, its last event says", () => {
  const fleet = openedAt([NOW - 70_000, NOW - 65_000, NOW - 60_000]);
  assertEquals(fleet.tick(NOW + 5_000, 3).length, 1);
});

Deno.test("FleetCorrelation: a host's clock that was set back makes nothing wait for ever", () => {
  assertEquals(openedAt([NOW, NOW, NOW]).tick(NOW - 60_000, 3), []);
  assertEquals(openedAt([NOW, NOW, NOW]).tick(NOW - 60_001, 3).length, 1);
});

Deno.test("FleetCorrelation: one that is complete is told while another one still waits", () => {
  const fleet = openedAt([NOW, NOW, NOW]);
  for (const nodeId of ["x", "y", "z"]) {
    fleet.opened({ nodeId, id: nodeId, metric: "temp_c", atMs: NOW + 60_000 }, NOW + 60_000);
  }
  assertEquals(fleet.tick(NOW + 60_001, 3).map(({ metrics }) => metrics), [["rail_v"]]);
  assertEquals(fleet.tick(NOW + 65_000, 3).map(({ metrics }) => metrics), [["temp_c"]]);
});

Deno.test("FleetCorrelation names a hundred nodes, who led, and ten metrics, the most frequent first", () => {
  const fleet = new FleetCorrelation();
  for (let i = 0; i < 150; i++) {
    const metric = `m${i % 12}`;
    fleet.opened({ nodeId: `n${i}`, id: `id-${i}`, metric, atMs: NOW + 20 * i }, NOW);
  }
  const [event] = fleet.tick(NOW + 10_000, 150);
  assert(event !== undefined);
  assertEquals([event.nodes_count, event.nodes.length, event.ids.length], [
    150,
    NAMED_MAX,
    NAMED_MAX,
  ]);
  assertEquals([event.nodes[99], event.ids[99]], ["n99", "id-99"]);
  assertEquals([event.since_wall_ms, event.spread_ms], [NOW, 149 * 20]);
  assertEquals([event.led.length, event.led.at(-1)], [51, "n50"], "within a second");
  assertEquals(event.metrics, Array.from({ length: 10 }, (_, i) => `m${i}`));
});

Deno.test("FleetCorrelation: a node counts with its first event, whatever it opens later", () => {
  const fleet = openedAt([NOW, NOW + 1, NOW + 2]);
  for (let i = 0; i < 5; i++) {
    fleet.opened({ nodeId: "n0", id: `more-${i}`, metric: "other", atMs: NOW + 5_000 }, NOW);
  }
  const [event] = fleet.tick(NOW + 20_000, 3);
  assertEquals([event?.nodes_count, event?.metrics, event?.spread_ms], [3, ["rail_v"], 2]);
});

Deno.test("FleetCorrelation: what is told first of the metrics is what moved on most nodes", () => {
  const fleet = new FleetCorrelation();
  for (const [i, metric] of ["a", "b", "b", "c", "c", "c"].entries()) {
    fleet.opened({ nodeId: `n${i}`, id: "x", metric, atMs: NOW }, NOW);
  }
  assertEquals(fleet.tick(NOW + 5_000, 6)[0]?.metrics, ["c", "b", "a"]);
});

Deno.test("FleetCorrelation: ten thousand events wait, and no more", () => {
  const fleet = openedAt(Array.from({ length: 10_001 }, () => NOW));
  assertEquals(fleet.tick(NOW + 5_000, 1)[0]?.nodes_count, 10_000);
  fleet.opened({ nodeId: "x", id: "x", metric: "m", atMs: NOW }, NOW);
  for (const nodeId of ["y", "z"]) {
    fleet.opened({ nodeId, id: "x", metric: "m", atMs: NOW }, NOW);
  }
  assertEquals(fleet.tick(NOW + 5_000, 1)[0]?.nodes_count, 3, "there is room again");
});
