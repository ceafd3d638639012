import { assert, assertEquals } from "@std/assert";
import {
  type NodeSummary,
  sorted,
  SORTS,
  summaryOf,
  tableLines,
  verdictOf,
} from "../../lib/cli/node_table.ts";
import { plain, widthOf } from "../../lib/cli/terminal_text.ts";

import { summary } from "../fleet/summary.ts";

const NOW = 1_800_000_000_000;

function node(node_id: string, more: Record<string, unknown> = {}): NodeSummary {
  return summaryOf(summary(node_id, NOW, more))!;
}

Deno.test("summaryOf() takes what it knows and nothing that could harm", () => {
  assertEquals(summaryOf(null), undefined);
  assertEquals(summaryOf({ node_id: 7 }), undefined);
  assertEquals(summaryOf({ ...summary("a", NOW), backlog: "many" }), undefined);
  const error = { config_error: "bad\r\n\u009bvalue" };
  const read = summaryOf({ ...summary("a", NOW, error), node_id: "a\x1b[2J" })!;
  assertEquals(read.node_id, "a\ufffd[2J");
  assertEquals(read.config_error, "bad\ufffd\ufffd\ufffdvalue");
});

Deno.test("the worst node is first, in the order of the fleet's concerns, then of its states", () => {
  const pending = { cfg_version_desired: 7, cfg_version_applied: 5 };
  const nodes = [
    node("live"),
    node("stopped", { connected: false, stopped: true }),
    node("replaying", { replaying: true }),
    node("clock", { clock_error_ms: -42_000 }),
    node("pending", { ...pending, config_pending_since_wall_ms: NOW - 60_000 }),
    node("degraded", { degraded: true }),
    node("refused", { ...pending, config_error: "no" }),
    node("full", { wal_bytes: 93, wal_bytes_max: 100 }),
    node("duplicate", { duplicate_id: true }),
    node("silent", { connected: false, last_seen_wall_ms: NOW - 60_000 }),
  ];
  const names = nodes.map(({ node_id }) => node_id).reverse();
  assertEquals(sorted(nodes, "worst").map(({ node_id }) => node_id), names);
  assertEquals(verdictOf(nodes[3]!).notes, ["Clock off, 42 s behind"]);
  assertEquals(verdictOf(nodes[7]!).notes, ["Log nearly full, 93 % of 100 B"]);
});

Deno.test("sorted() puts pump-2 before pump-10 and the largest value first", () => {
  const nodes = [node("pump-10", { backlog: 5 }), node("pump-2"), node("pump-1", { backlog: 9 })];
  const by = (sort: typeof SORTS[number]) => sorted(nodes, sort).map(({ node_id }) => node_id);
  assertEquals(by("node"), ["pump-1", "pump-2", "pump-10"]);
  assertEquals(by("backlog"), ["pump-1", "pump-10", "pump-2"]);
});

Deno.test("tableLines() stand under each other and in the width", () => {
  const nodes = [
    node("pump-17", { connected: false, backlog: 2_520, last_seen_wall_ms: NOW - 252_000 }),
    node("油田-3", { lag_ms: 640, anomalies_hour: 3, cfg_version_applied: 5 }),
    node("x".repeat(64), { config_error: "long ".repeat(40), cfg_version_desired: 2 }),
  ];
  assertEquals(tableLines(nodes.slice(0, 1), NOW, Infinity, plain), [
    "NODE     STATE             LAG  BACKLOG   REC/S  ANOM/H  CONFIG     SEEN  NOTE",
    "pump-17  Silent              -     2520       -       0  -         4 min  Silent, 2,520 records or more only on the device",
  ]);
  for (const width of [1, 10, 40, 80, 132]) {
    const lines = tableLines(nodes, NOW, width, plain);
    assertEquals(lines.length, 4);
    assert(lines.every((line) => widthOf(line) <= width), String(width));
  }
  const at = tableLines(nodes, NOW, 132, plain).map((line) =>
    widthOf(line.slice(0, line.search(/ {2}(STATE|Silent|Live)/)))
  );
  assertEquals(new Set(at).size, 1);
});
