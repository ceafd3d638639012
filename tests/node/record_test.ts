/** From a reading to a record: what is in it, what it is urgent for, what the recorder knows of the log. */
import { assertEquals } from "@std/assert";
import type { AnomalyBlock } from "../../lib/anomaly/bank.ts";
import type { AnomalyEvent } from "../../lib/anomaly/events.ts";
import { Diagnostics } from "../../lib/node/diagnostics.ts";
import { Recent, RecentEvents } from "../../lib/node/recent.ts";
import { Recorder, type RecorderParts } from "../../lib/node/recorder.ts";
import type { RecordContent } from "../../lib/protocol/record.ts";

const QUIET: AnomalyBlock = { is_anomaly: false, score: 0, metrics: {} };
const WALL_MS = 1_000_000;

function event(id: string, state: AnomalyEvent["state"]): AnomalyEvent {
  return {
    id,
    state,
    severity: "low",
    metrics: ["a"],
    since_wall_ms: 1,
    since_mono_ms: 1,
    duration_ms: 0,
    peak: { metric: "a", value: 1, score: 4 },
    around: [],
  };
}

/** A recorder on a log that a test moves, and what came out of it. */
class Bench {
  readonly records: RecordContent[] = [];
  readonly urgent: boolean[] = [];
  readonly recent = new Recent();
  readonly recentEvents = new RecentEvents();
  readonly diagnostics = new Diagnostics({
    rail_metric: "rail_v",
    rail_low_v: 4.75,
    temp_metric: "temp_c",
    temp_high_c: 80,
    stuck_s: 0,
    rules: ["high:node.backlog_part:above=0.5:hold=0s"],
  });
  saves = 0;
  verdict: AnomalyBlock = QUIET;
  diskFreeBytes: number | undefined;
  wal = {
    append: (payload: Uint8Array): number =>
      this.records.push(JSON.parse(new TextDecoder().decode(payload))),
    syncedSeq: 0,
    highAcked: 0,
    backlog: 0,
    ringRecords: 100,
    bytes: 0,
    bytesMax: 1_000,
    writable: true,
    stats: { appended_bytes: 0 },
  };
  readonly recorder = new Recorder(
    {
      wal: this.wal,
      bank: { observe: () => this.verdict },
      diagnostics: this.diagnostics,
      recent: this.recent,
      recentEvents: this.recentEvents,
      bootId: "boot",
      downsampleMax: () => 8,
      diskFreeBytes: () => this.diskFreeBytes,
      onEvent: () => this.saves++,
      onAppended: (_: number, urgent: boolean) => this.urgent.push(urgent),
    } as unknown as RecorderParts,
    3,
    0,
  );

  at(monoMs: number, verdict = QUIET, more: { injected?: string[]; missedTicks?: number } = {}) {
    this.verdict = verdict;
    this.recorder.record({
      wallMs: WALL_MS + monoMs,
      monoMs,
      metrics: { a: monoMs, b: 1 },
      repeated: new Set<string>(),
      problems: {},
      injected: [],
      missedTicks: 0,
      ...more,
    });
  }
}

const FLAGGED: AnomalyBlock = {
  is_anomaly: true,
  score: 9,
  metrics: { a: { z: 9, mean: 0, std: 1 } },
};

Deno.test("a record says when and in which run it was sampled, under which configuration, and what was found", () => {
  const bench = new Bench();
  bench.at(1_234.567, FLAGGED, { injected: ["a"], missedTicks: 2 });
  bench.recorder.cfgVersion = 4;
  bench.at(2_000);
  assertEquals(bench.records[0], {
    ts_wall_ms: WALL_MS + 1_234.567,
    ts_mono_ms: 1_234.6,
    boot_id: "boot",
    metrics: { a: 1_234.567, b: 1 },
    anomaly: FLAGGED,
    diagnostics: { rail_low: false, missed_ticks: 2, sim_injected: ["a"] },
    degraded: false,
    cfg_version: 3,
  });
  assertEquals(bench.records[1]!.cfg_version, 4);
});

Deno.test("a record is sent at once if it is anomalous or tells of an event, and only then", () => {
  const bench = new Bench();
  bench.at(0);
  bench.at(100, FLAGGED);
  bench.at(200, { ...QUIET, events: [event("1", "update")] });
  bench.at(300);
  assertEquals(bench.urgent, [false, true, true, false]);
  assertEquals(bench.recorder.anomalies, 1);
});

Deno.test("what is normal is saved soon when an event opens or closes, not each time that it grows", () => {
  const bench = new Bench();
  const states = ["open", "update", "close"] as const;
  const saves = states.map((state) => {
    bench.at(100, { ...QUIET, events: [event("1", state)] });
    return bench.saves;
  });
  bench.at(200);
  assertEquals([saves, bench.saves], [[1, 1, 2], 2]);
});

Deno.test("the node's own page has each value, marked where its metric was flagged, and the events", () => {
  const bench = new Bench();
  bench.at(100, { ...FLAGGED, events: [event("7", "open")] });
  const { t, metrics } = bench.recent.read();
  assertEquals(t, [WALL_MS + 100]);
  assertEquals([metrics.a!.flagged, metrics.b!.flagged], [[1], [0]]);
  assertEquals(bench.recentEvents.read().map(({ id }) => id), ["7"]);
});

Deno.test("the state of the log and the disk is judged at each tick", () => {
  const bench = new Bench();
  bench.at(0);
  assertEquals(bench.records[0]!.diagnostics, { rail_low: false });
  Object.assign(bench.wal, { backlog: 95, writable: false });
  bench.diskFreeBytes = 1_000;
  bench.at(100, FLAGGED);
  assertEquals(bench.records[1]!.diagnostics, {
    rail_low: false,
    wal_not_writable: true,
    disk_nearly_full: true,
    backlog_high: true,
    rules: ["high node.backlog_part"],
  });
});

Deno.test("pressure thins from the sample on at which it is there, the records say so, and none is left behind", () => {
  const bench = new Bench();
  bench.at(0);
  bench.wal.backlog = 90;
  for (const at of [100, 200, 300]) bench.at(at);
  assertEquals([bench.recorder.isDegraded, bench.recorder.samplesPerRecord], [true, 2]);
  const seen = () => bench.records.map(({ degraded, agg }) => [degraded, agg?.n]);
  assertEquals(seen(), [[false, undefined], [true, 2]]);
  bench.recorder.flush();
  assertEquals(seen().at(-1), [true, undefined]);
  Object.assign(bench.wal, { backlog: 0, bytes: 810 });
  bench.at(400);
  assertEquals(bench.recorder.samplesPerRecord, 4, "by the bytes of the log");
  bench.wal.bytes = 0;
  bench.at(500);
  assertEquals([bench.recorder.isDegraded, bench.recorder.samplesPerRecord], [false, 1]);
  assertEquals(seen().slice(3), [[true, undefined], [false, undefined]]);
});

Deno.test("everything is durable up to the first record that neither a sync nor the host covers", () => {
  const bench = new Bench();
  assertEquals(bench.recorder.durableUntil(9e9), 9e9);
  for (const at of [100, 200, 300]) bench.at(at);
  assertEquals(bench.recorder.durableUntil(9e9), WALL_MS + 100);
  bench.wal.syncedSeq = 1;
  assertEquals(bench.recorder.durableUntil(9e9), WALL_MS + 200);
  bench.wal.highAcked = 2;
  assertEquals(bench.recorder.durableUntil(9e9), WALL_MS + 300);
  bench.wal.syncedSeq = 3;
  assertEquals(bench.recorder.durableUntil(9e9), 9e9);
});

Deno.test("how fast the log grows is measured over a minute each; before the first, since the start", () => {
  const bench = new Bench();
  bench.wal.stats.appended_bytes = 500;
  assertEquals(bench.recorder.writtenPerMs(1_000), 0.5);
  bench.wal.stats.appended_bytes = 6_000;
  bench.at(59_999);
  assertEquals(bench.recorder.writtenPerMs(60_000), 0.1, "since the start");
  bench.at(60_000);
  bench.wal.stats.appended_bytes = 18_000;
  assertEquals(bench.recorder.writtenPerMs(60_000), 0.1);
  bench.at(120_000);
  assertEquals(bench.recorder.writtenPerMs(120_000), 0.2);
});
