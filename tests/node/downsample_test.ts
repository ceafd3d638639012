import { assertEquals } from "@std/assert";
import { Downsampler } from "../../lib/node/downsample.ts";
import type { RecordContent } from "../../lib/protocol/record.ts";

function sample(metrics: Record<string, number>): RecordContent {
  return {
    ts_wall_ms: 1,
    ts_mono_ms: 1,
    boot_id: "b",
    metrics,
    anomaly: { is_anomaly: false, score: 0, metrics: {} },
    diagnostics: {},
    degraded: true,
    cfg_version: 0,
  };
}

Deno.test("Downsampler: a metric's mean is over the samples that have it", () => {
  const downsampler = new Downsampler();
  downsampler.push(sample({ temp_c: 10 }), 2);
  const [record] = downsampler.push(sample({ temp_c: 20, level_m: 30 }), 2);
  assertEquals(record!.metrics, { temp_c: 15, level_m: 30 });
});
