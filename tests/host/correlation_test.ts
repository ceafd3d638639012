import { assertEquals } from "@std/assert";
import { AnomalyEvents } from "../../lib/host/anomaly_events.ts";
import { FleetCorrelation } from "../../lib/host/correlation.ts";
import type { Node } from "../../lib/host/registry.ts";
import type { AnomalyEvent, TelemetryRecord } from "../../lib/protocol/record.ts";

const opened = (nodeId: string, atMs: number, metric = "rail_v") => ({
  nodeId,
  id: `1-${nodeId}`,
  metric,
  atMs,
});

Deno.test("nodes that move together are one event, named in the order in which they moved", () => {
  const fleet = new FleetCorrelation();
  fleet.opened(opened("c", 103_000), 103_200);
  fleet.opened(opened("b", 100_500), 103_300);
  fleet.opened(opened("a", 100_000), 103_400);
  fleet.opened(opened("a", 104_000, "temp_c"), 104_000);
  assertEquals(fleet.tick(105_000, 8), [], "more may come");
  const [event] = fleet.tick(109_000, 8);
  assertEquals(event, {
    nodes_count: 3,
    connected: 8,
    nodes: ["a", "b", "c"],
    led: ["a", "b"],
    metrics: ["rail_v"],
    since_wall_ms: 100_000,
    spread_ms: 3_000,
    ids: ["1-a", "1-b", "1-c"],
  });
  assertEquals(fleet.tick(200_000, 8), [], "told once");
});

Deno.test("few nodes, a small part of them, and nodes that move at different times are no fleet event", () => {
  const tell = (events: [string, number][], connected: number) => {
    const fleet = new FleetCorrelation();
    for (const [node, atMs] of events) fleet.opened(opened(node, atMs), atMs);
    return fleet.tick(1e6, connected).length;
  };
  assertEquals(tell([["a", 1], ["b", 2]], 2), 0);
  assertEquals(tell([["a", 1], ["a", 2], ["a", 3]], 1), 0);
  assertEquals(tell([["a", 1], ["b", 2], ["c", 3]], 13), 0);
  assertEquals(tell([["a", 1], ["b", 20_000], ["c", 40_000]], 3), 0);
  assertEquals(tell([["a", 1], ["b", 2], ["c", 3]], 12), 1);
});

Deno.test("after an outage nodes return one by one: their events are still one", () => {
  const fleet = new FleetCorrelation();
  let told = 0;
  for (let second = 0; second < 200; second++) {
    const now = 1_000_000 + 1_000 * second;
    if (second % 30 === 0 && second < 120) fleet.opened(opened(`n${second}`, 500_000), now);
    for (const { nodes_count } of fleet.tick(now, 4)) {
      assertEquals(nodes_count, 4);
      told++;
    }
  }
  assertEquals(told, 1);
});

function record(nodeId: string, events: AnomalyEvent[], bootId = "b"): TelemetryRecord {
  return {
    type: "telemetry",
    node_id: nodeId,
    epoch: "9f2c4e11a0b3d5c7",
    seq: 5,
    ts_wall_ms: 1,
    ts_mono_ms: 1,
    boot_id: bootId,
    metrics: {},
    anomaly: { is_anomaly: true, score: 9, metrics: {}, events },
    diagnostics: {},
    degraded: false,
    cfg_version: 0,
  };
}
const EVENT: AnomalyEvent = {
  id: "1-x",
  state: "open",
  severity: "high",
  metrics: ["temp_c", "rail_v"],
  since_wall_ms: 77,
  since_mono_ms: 1_000,
  duration_ms: 0,
  peak: { metric: "temp_c", value: 80, score: 9 },
  around: [[900, 40], [1_000, 80]],
};

Deno.test("events in records become the host's, each once, also where a record is sent again", () => {
  const anomalies = new AnomalyEvents("*");
  const node = { node_id: "a", boot_id: "b" } as Node;
  const [first] = anomalies.eventsOf(node, record("a", [EVENT]), 2_000);
  assertEquals(first?.kind, "anomaly_open");
  assertEquals(first?.nodeId, "a");
  assertEquals(first?.detail, { ...EVENT, seq: 5, epoch: "9f2c4e11a0b3d5c7" });
  assertEquals(anomalies.eventsOf(node, record("a", [EVENT]), 3_000), []);
  const closed = { ...EVENT, state: "close" as const, duration_ms: 5_000 };
  assertEquals(
    anomalies.eventsOf(node, record("a", [closed]), 4_000).map(({ kind }) => kind),
    ["anomaly_close"],
  );
  // A node that was killed before it saved that closes it again after its restart.
  assertEquals(anomalies.eventsOf(node, record("a", [closed], "c"), 5_000), []);
});

Deno.test("nodes are held against each other by the host's clock, whatever theirs say", () => {
  const anomalies = new AnomalyEvents("*");
  for (const [index, id] of ["a", "b", "c"].entries()) {
    const node = { node_id: id, boot_id: "b", clock_offset_ms: 50_000 + index } as Node;
    const event = { ...EVENT, since_wall_ms: 1e9 * index };
    anomalies.eventsOf(node, record(id, [event]), 51_500);
  }
  const [fleet] = anomalies.tick(57_000, 3);
  assertEquals(fleet?.kind, "anomaly_fleet");
  assertEquals(fleet?.nodeId, "*");
  assertEquals(fleet?.detail.nodes, ["a", "b", "c"]);
  assertEquals(fleet?.detail.since_wall_ms, 51_000);
});

Deno.test("an event of an earlier boot is placed by the node's wall clock, as its other clock began anew", () => {
  const anomalies = new AnomalyEvents("*");
  for (const id of ["a", "b", "c"]) {
    const node = { node_id: id, boot_id: "later", clock_offset_ms: 9e9 } as Node;
    anomalies.eventsOf(node, record(id, [{ ...EVENT, since_wall_ms: 51_000 }]), 51_500);
  }
  assertEquals(anomalies.tick(57_000, 3)[0]?.detail.since_wall_ms, 51_000);
});
