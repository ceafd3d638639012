import { assertEquals } from "@std/assert";
import { Recorder, type RecorderParts } from "../../lib/node/recorder.ts";

Deno.test("Recorder: records are durable up to the last one before the first unsynced, however many wait", () => {
  let seq = 0;
  const wal = {
    append: () => ++seq,
    syncedSeq: 0,
    highAcked: 0,
    backlog: 0,
    ringRecords: 100,
    bytes: 0,
    bytesMax: 100,
    writable: false,
    stats: { appended_bytes: 0 },
  };
  const quiet = { is_anomaly: false, score: 0, metrics: {} };
  const recorder = new Recorder(
    {
      wal,
      bank: { observe: () => quiet },
      diagnostics: { judge: () => ({}) },
      recent: { add: () => {} },
      recentEvents: { add: () => {} },
      bootId: "b",
      downsampleMax: () => 1,
      diskFreeBytes: () => 1,
      onEvent: () => {},
      onAppended: () => {},
    } as unknown as RecorderParts,
    0,
    0,
  );
  for (let at = 1; at <= 5_000; at++) {
    const moment = { wallMs: at, monoMs: at, missedTicks: 0 };
    recorder.record({
      ...moment,
      metrics: { temp_c: 1 },
      problems: {},
      repeated: new Set<string>(),
      injected: [],
    });
  }
  assertEquals(recorder.durableUntil(9_999), 1);
});
