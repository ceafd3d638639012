import { assertEquals } from "@std/assert";
import { Activity, WATCH_MAX } from "../../lib/host/activity.ts";
import type { Node } from "../../lib/host/registry.ts";
import type { TelemetryRecord } from "../../lib/protocol/record.ts";
import { telemetry } from "../messages.ts";

const MINUTE_MS = 60_000;
const NODE = { node_id: "pump-7" } as Node;

Deno.test("Activity counts the anomalies of the last hour, whether it is asked each minute or seldom", () => {
  for (const everyMinutes of [1, 7, 59, 60, 61]) {
    const activity = new Activity();
    activity.anomalyOpened("pump-7", MINUTE_MS / 2);
    for (let minute = 0; minute <= 180; minute += everyMinutes) {
      const { anomalies_hour } = activity.of(NODE, 0, minute * MINUTE_MS);
      assertEquals(anomalies_hour, minute < 60 ? 1 : 0, `minute ${minute}`);
    }
  }
});

Deno.test("Activity: of anomalies each counts for its node and its minute", () => {
  const activity = new Activity();
  const hour = (nodeId: string, minute: number) =>
    activity.of({ node_id: nodeId } as Node, 0, minute * MINUTE_MS).anomalies_hour;
  for (const minute of [0, 0, 1, 30]) activity.anomalyOpened("pump-7", minute * MINUTE_MS);
  activity.anomalyOpened("pump-8", 30 * MINUTE_MS);
  assertEquals([hour("pump-7", 59), hour("pump-8", 59), hour("pump-9", 59)], [4, 1, 0]);
  assertEquals([hour("pump-7", 60), hour("pump-7", 61), hour("pump-7", 90)], [2, 1, 0]);
  activity.anomalyOpened("pump-7", 500 * MINUTE_MS);
  assertEquals(hour("pump-7", 500), 1, "what a minute of an earlier hour held is gone");
});

/** A record of boot `b`, sampled at so many ms of the device's monotonic clock. */
function take(activity: Activity, seq: number, more: Record<string, unknown> = {}): string {
  const moment = { ts_wall_ms: 9_000 + 100 * seq, ts_mono_ms: 100 * seq };
  const record = telemetry("pump-7", seq, moment, { temp_c: seq }, more);
  const line = `line ${seq}`;
  activity.record(record as unknown as TelemetryRecord, line);
  return line;
}

Deno.test("Activity shows the newest values of a node, also while a replay brings older ones", () => {
  const activity = new Activity();
  const last = () => activity.of(NODE, 0, 0).last;
  assertEquals(last(), {});
  for (const [seq, shown] of [[5, 5], [3, 5], [6, 6], [4, 6]] as const) {
    take(activity, seq);
    assertEquals(last(), { temp_c: shown });
  }
  take(activity, 1, { epoch: "00000000000000ff" });
  assertEquals(last(), { temp_c: 1 }, "a new epoch begins anew");
  take(activity, 2, { epoch: "00000000000000ff", metrics: { rail_v: 5 } });
  assertEquals(last(), { rail_v: 5 }, "no value outlives its record");
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`m${i}`, i]));
  take(activity, 3, { epoch: "00000000000000ff", metrics: many });
  assertEquals(Object.keys(last()).length, 16);
  assertEquals(activity.of({ node_id: "pump-8" } as Node, 0, 0).last, {});
});

Deno.test("Activity: how old the newest sample is follows from the device's monotonic clock, in its boot", () => {
  const activity = new Activity();
  const of = (more: Partial<Node>, wallMs: number) => {
    const { lag_ms, clock_error_ms } = activity.of({ ...NODE, ...more } as Node, wallMs, 0);
    return [lag_ms, clock_error_ms];
  };
  const known = { boot_id: "b", clock_offset_ms: 50_000 };
  assertEquals(of(known, 1), [undefined, undefined]);
  take(activity, 7);
  take(activity, 2);
  assertEquals(of(known, 51_000), [300, -41_000]);
  assertEquals(of(known, 50_600), [0, -41_000], "never below 0");
  assertEquals(of({ ...known, boot_id: "c" }, 51_000), [undefined, undefined]);
  assertEquals(of({ boot_id: "b" }, 51_000), [undefined, undefined]);
});

Deno.test("Activity forgets a node with all that it saw of it", () => {
  const activity = new Activity();
  take(activity, 5);
  activity.anomalyOpened("pump-7", 0);
  activity.forget("pump-7");
  assertEquals(activity.of(NODE, 0, 0), { last: {}, anomalies_hour: 0 });
});

Deno.test("Activity: each watch gets the new records of its node, the newest fifty, each once", () => {
  const activity = new Activity();
  take(activity, 1);
  const [first, second, other] = ["pump-7", "pump-7", "pump-8"].map((id) => activity.watch(id));
  const replayed = [take(activity, 5), take(activity, 2)];
  assertEquals([first!.take(), first!.take(), other!.take()], [replayed, [], []]);
  const lines = Array.from({ length: WATCH_MAX + 1 }, (_, i) => take(activity, 3 + i));
  assertEquals(second!.take(), lines.slice(1));
  assertEquals(first!.take(), lines.slice(1));
  first!.close();
  take(activity, 1_000);
  assertEquals([first!.take(), second!.take()], [[], ["line 1000"]]);
  second!.close();
  const third = activity.watch("pump-7");
  second!.close();
  take(activity, 1_001);
  assertEquals([second!.take(), third.take()], [[], ["line 1001"]]);
});
