import { assert, assertEquals, assertMatch } from "@std/assert";
import { ansi, plain, widthOf } from "../../lib/cli/terminal_text.ts";
import {
  isAnomalousRecord,
  isAnomalyEvent,
  jsonLine,
  recordKey,
  Seen,
  TailView,
} from "../../lib/cli/tail_view.ts";

const AT = Date.UTC(2026, 10, 24, 5, 24, 22, 377);

function record(seq: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    type: "telemetry",
    node_id: "pump-7",
    epoch: "3f9a0c1d2e4b5a67",
    seq,
    ts_wall_ms: AT - 640,
    received_wall_ms: AT,
    metrics: { temp_c: 41.2, rail_v: 5.0213 },
    anomaly: { is_anomaly: false, score: 0.8, metrics: {} },
    ...more,
  };
}

const FLAGGED = {
  anomaly: { is_anomaly: true, score: 17.9, metrics: { temp_c: { z: 17.9, mean: 41, std: 0.1 } } },
};
const EVENT = {
  id: 12,
  at_wall_ms: AT,
  node_id: "pump-7",
  kind: "anomaly_open",
  detail: {
    severity: "high",
    metrics: ["temp_c", "rail_v"],
    duration_ms: 4_200,
    peak: { metric: "temp_c", value: 62.1, score: 17.9 },
  },
};

Deno.test("a record's line has time, node, seq and aligned values", () => {
  const view = new TailView(plain, ["pump-7", "pump-11"]);
  const lines = [record(9), record(10, { metrics: { temp_c: -0.123456789, rail_v: 5 } })]
    .map((item) => view.record(item, Infinity));
  assertEquals(lines, [
    "05:24:22.377   pump-7   #9                temp_c 41.2      rail_v 5.0213",
    "05:24:22.377   pump-7   #10               temp_c -0.123457  rail_v 5",
  ]);
});

Deno.test("an anomaly is marked in words and signs, not by colour alone", () => {
  const line = new TailView(plain).record(record(9, FLAGGED), Infinity);
  assertMatch(line, /^05:24:22\.377 ! pump-7 .* temp_c 41\.2 +\(z 17\.9\) /);
  const painted = new TailView(ansi).record(record(9, FLAGGED), Infinity);
  assertMatch(painted, /\p{Cc}\[1;31m!\p{Cc}\[0m/u);
  assertEquals([isAnomalousRecord(record(1)), isAnomalousRecord(record(1, FLAGGED))], [
    ...[false, true],
  ]);
});

Deno.test("a record that was kept for long says so, and one that stands for several", () => {
  const old = record(9, { ts_wall_ms: AT - 252_000, agg: { n: 4, min: {}, max: {} } });
  assertMatch(new TailView(plain).record(old, Infinity), / mean of 4 {2}4 min old$/);
});

Deno.test("an event's line tells what an anomaly is about, and anything of another kind", () => {
  const view = new TailView(plain);
  assertEquals(
    view.event(EVENT, Infinity),
    "05:24:22.377 ! pump-7        anomaly_open      high temp_c, rail_v, peak temp_c 62.1 (score 17.9), 4.2 s",
  );
  const other = { ...EVENT, kind: "disconnected", detail: { reason: "silent", n: 3 } };
  assertEquals(
    view.event(other, Infinity),
    "05:24:22.377   pump-7        disconnected      reason=silent n=3",
  );
  assertEquals([isAnomalyEvent(EVENT), isAnomalyEvent(other)], [true, false]);
});

Deno.test("lines keep to the width, and nothing in them is a command to the terminal", () => {
  const hostile = "\x1b]0;owned\x07\u009b2J\r\n\u202e";
  const view = new TailView(plain, [hostile]);
  const items = [
    record(1, {
      node_id: hostile,
      seq: hostile,
      metrics: { [hostile]: 1 },
      anomaly: { is_anomaly: true, events: [{ state: hostile, metrics: [hostile] }] },
    }),
    record(2, { metrics: hostile, anomaly: null, ts_wall_ms: hostile, received_wall_ms: 1e300 }),
  ];
  const events = [
    { ...EVENT, node_id: hostile, kind: hostile, detail: { [hostile]: hostile } },
    { ...EVENT, detail: { metrics: [hostile], severity: hostile, peak: { metric: hostile } } },
    { id: 1 },
  ];
  const lines = [
    ...items.map((item) => view.record(item, Infinity)),
    ...events.map((event) => view.event(event, Infinity)),
    ...items.map((item) => jsonLine(item, "record")),
    ...events.map((event) => jsonLine(event, "event")),
  ];
  for (const line of lines) assertEquals(/[\p{Cc}\p{Cf}]/u.test(line), false, JSON.stringify(line));
  for (const width of [1, 20, 60]) {
    assert(widthOf(view.event(EVENT, width)) <= width);
    assert(widthOf(view.record(record(1), width)) <= width);
  }
});

Deno.test("JSON lines are the items as they came; events say that they are some", () => {
  assertEquals(JSON.parse(jsonLine(record(9), "record")), record(9));
  assertEquals(JSON.parse(jsonLine(EVENT, "event")), { type: "event", ...EVENT });
});

Deno.test("Seen knows what was shown, and forgets the oldest instead of growing", () => {
  const seen = new Seen();
  assertEquals([1, 2, 1].map((seq) => seen.isNew(recordKey(record(seq)))), [true, true, false]);
  for (let seq = 3; seq < 10_000; seq++) seen.isNew(recordKey(record(seq)));
  assertEquals(seen.isNew(recordKey(record(9_999))), false);
  assertEquals(seen.isNew(recordKey(record(1))), true);
});
