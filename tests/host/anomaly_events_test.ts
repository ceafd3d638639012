import { assertEquals } from "@std/assert";
import { AnomalyEvents } from "../../lib/host/anomaly_events.ts";
import type { Node } from "../../lib/host/registry.ts";
import type { AnomalyEvent, TelemetryRecord } from "../../lib/protocol/record.ts";
import { EPOCH, telemetry } from "../messages.ts";

const EVENT: AnomalyEvent = {
  id: "1-x",
  state: "open",
  severity: "high",
  metrics: ["temp_c", "rail_v"],
  since_wall_ms: 77,
  since_mono_ms: 1_000,
  duration_ms: 0,
  peak: { metric: "temp_c", value: 80, score: 9 },
  around: [],
};

function recordOf(nodeId: string, events: readonly Partial<AnomalyEvent>[]): TelemetryRecord {
  const anomaly = { is_anomaly: true, score: 9, metrics: {}, events };
  const moment = { ts_wall_ms: 1, ts_mono_ms: 1 };
  return telemetry(nodeId, 5, moment, {}, { anomaly }) as unknown as TelemetryRecord;
}

Deno.test("AnomalyEvents: each node has ids of its own, and each growth of an event is told once", () => {
  const anomalies = new AnomalyEvents("*");
  const told = (nodeId: string, event: Partial<AnomalyEvent>) =>
    anomalies.eventsOf(
      { node_id: nodeId, boot_id: "b" } as Node,
      recordOf(nodeId, [{ ...EVENT, ...event }]),
      1,
    ).map(({ kind, detail }) => [kind, detail.state, detail.duration_ms, detail.seq, detail.epoch]);
  const opened = [["anomaly_open", "open", 0, 5, EPOCH]];
  assertEquals([told("a", {}), told("b", {}), told("a", {})], [opened, opened, []]);
  const grown = (duration_ms: number) => told("a", { state: "update", duration_ms });
  assertEquals(grown(100), [["anomaly_update", "update", 100, 5, EPOCH]]);
  assertEquals(grown(200), [["anomaly_update", "update", 200, 5, EPOCH]]);
  assertEquals(grown(100), []);
  assertEquals(told("a", { id: "2-x" }), opened);
});

Deno.test("AnomalyEvents: of one record all events are told, in order; one without any tells nothing", () => {
  const anomalies = new AnomalyEvents("*");
  const node = { node_id: "a", boot_id: "b" } as Node;
  const found = anomalies.eventsOf(node, recordOf("a", [{ ...EVENT, id: "1" }, EVENT, EVENT]), 1);
  assertEquals(found.map(({ detail }) => detail.id), ["1", "1-x"]);
  const quiet = telemetry("a", 6, { ts_wall_ms: 1, ts_mono_ms: 1 }, {});
  assertEquals(anomalies.eventsOf(node, quiet as unknown as TelemetryRecord, 1), []);
});

Deno.test("AnomalyEvents remembers the last 4,096 tellings, the oldest goes first", () => {
  const anomalies = new AnomalyEvents("*");
  const node = { node_id: "a", boot_id: "b" } as Node;
  const tell = (n: number) =>
    anomalies.eventsOf(node, recordOf("a", [{ ...EVENT, id: `${n}`, state: "close" }]), 1).length;
  for (let n = 0; n < 4_096; n++) assertEquals(tell(n), 1);
  assertEquals(tell(0), 0);
  assertEquals([tell(4_096), tell(1), tell(0)], [1, 0, 1]);
});

Deno.test("AnomalyEvents: only what opens makes an event of the fleet, with the metric that moved first", () => {
  const anomalies = new AnomalyEvents("*");
  const say = (state: AnomalyEvent["state"]) => {
    for (const id of ["a", "b", "c"]) {
      const node = { node_id: id, boot_id: "b", clock_offset_ms: 50_000 } as Node;
      anomalies.eventsOf(node, recordOf(id, [{ ...EVENT, state, duration_ms: 400 }]), 51_500);
    }
    return anomalies.tick(60_000, 3);
  };
  assertEquals([say("update"), say("close")], [[], []]);
  const [fleet, ...others] = say("open");
  assertEquals(others, []);
  assertEquals(fleet?.detail.since_wall_ms, 51_000, "when it began");
  assertEquals([fleet?.detail.metrics, fleet?.detail.ids, fleet?.detail.connected], [
    ["temp_c"],
    ["1-x", "1-x", "1-x"],
    3,
  ]);
});

Deno.test("AnomalyEvents: a node whose clock was never compared is placed by its wall clock", () => {
  const anomalies = new AnomalyEvents("*");
  for (const id of ["a", "b", "c"]) {
    anomalies.eventsOf({ node_id: id, boot_id: "b" } as Node, recordOf(id, [EVENT]), 500);
  }
  assertEquals(anomalies.tick(60_000, 3)[0]?.detail.since_wall_ms, 77);
});
