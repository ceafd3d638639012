import { assertEquals } from "@std/assert";
import { Activity } from "../../lib/host/activity.ts";
import type { Node } from "../../lib/host/registry.ts";

const MINUTE_MS = 60_000;

Deno.test("Activity counts the anomalies of the last hour, whether it is asked each minute or seldom", () => {
  const node = { node_id: "pump-7" } as Node;
  for (const everyMinutes of [1, 7, 59]) {
    const activity = new Activity();
    activity.anomalyOpened("pump-7", MINUTE_MS / 2);
    for (let minute = 0; minute <= 180; minute += everyMinutes) {
      const { anomalies_hour } = activity.of(node, 0, minute * MINUTE_MS);
      assertEquals(anomalies_hour, minute < 60 ? 1 : 0, `minute ${minute}`);
    }
  }
});
