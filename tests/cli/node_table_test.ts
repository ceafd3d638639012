import { strict as assert } from "node:assert";
import {
  type NodeSummary,
  sorted,
  SORTS,
  summaryOf,
  tableLines,
  verdictOf,
} from "../../lib/cli/node_table.ts";
import { plain, widthOf } from "../../lib/cli/terminal_text.ts";

const NOW = 1_800_000_000_000;

function node(node_id: string, more: Record<string, unknown> = {}): NodeSummary {
  return summaryOf({ node_id, connected: true, last_seen_wall_ms: NOW - 300, rate: 10, ...more })!;
}

Deno.test("summaryOf() takes what it knows and nothing that could harm", () => {
  assert.equal(summaryOf(null), undefined);
  assert.equal(summaryOf({ node_id: 7 }), undefined);
  const read = summaryOf({
    node_id: "a\x1b[2J",
    connected: "yes",
    backlog: "many",
    lag_ms: null,
    config_error: "bad\r\n\u009bvalue",
  })!;
  assert.equal(read.node_id, "a\ufffd[2J");
  assert.deepEqual([read.connected, read.backlog, read.lag_ms], [false, 0, undefined]);
  assert.equal(read.config_error, "bad\ufffd\ufffd\ufffdvalue");
});

Deno.test("the worst node is first: duplicate, silent, full log, degraded, refused, clock, pending", () => {
  const nodes = [
    node("live"),
    node("stopped", { connected: false, stopped: true }),
    node("replaying", { replaying: true }),
    node("pending", { cfg_version_desired: 7, cfg_version_applied: 5 }),
    node("clock", { clock_error_ms: -42_000 }),
    node("refused", { cfg_version_desired: 7, cfg_version_applied: 5, config_error: "no" }),
    node("degraded", { degraded: true }),
    node("full", { wal_bytes: 93, wal_bytes_max: 100 }),
    node("silent", { connected: false }),
    node("duplicate", { duplicate_id: true }),
  ];
  const names = nodes.map(({ node_id }) => node_id).reverse();
  assert.deepEqual(sorted(nodes, "worst").map(({ node_id }) => node_id), names);
  assert.deepEqual(verdictOf(nodes[4]!).notes, ["clock 42 s behind"]);
  assert.deepEqual(verdictOf(nodes[7]!).notes, ["log 93 % full"]);
});

Deno.test("sorted() puts pump-2 before pump-10 and the largest value first", () => {
  const nodes = [node("pump-10", { backlog: 5 }), node("pump-2"), node("pump-1", { backlog: 9 })];
  const by = (sort: typeof SORTS[number]) => sorted(nodes, sort).map(({ node_id }) => node_id);
  assert.deepEqual(by("node"), ["pump-1", "pump-2", "pump-10"]);
  assert.deepEqual(by("backlog"), ["pump-1", "pump-10", "pump-2"]);
});

Deno.test("tableLines() stand under each other and in the width", () => {
  const nodes = [
    node("pump-17", { connected: false, backlog: 2_520, last_seen_wall_ms: NOW - 252_000 }),
    node("油田-3", { lag_ms: 640, anomalies_hour: 3, cfg_version_applied: 5 }),
    node("x".repeat(64), { config_error: "long ".repeat(40), cfg_version_desired: 2 }),
  ];
  assert.deepEqual(tableLines(nodes.slice(0, 1), NOW, Infinity, plain), [
    "NODE     STATE             LAG  BACKLOG   REC/S  ANOM/H  CONFIG     SEEN  NOTE",
    "pump-17  Silent              -     2520       -       0  -         4 min",
  ]);
  for (const width of [1, 10, 40, 80, 132]) {
    const lines = tableLines(nodes, NOW, width, plain);
    assert.equal(lines.length, 4);
    assert.ok(lines.every((line) => widthOf(line) <= width), String(width));
  }
  const at = tableLines(nodes, NOW, 132, plain).map((line) =>
    widthOf(line.slice(0, line.search(/ {2}(STATE|Silent|Live)/)))
  );
  assert.equal(new Set(at).size, 1);
});
