/** What becomes of a record and of a gap: each is stored, counted, told and shown once. */
import { assert, assertEquals } from "@std/assert";
import { LinesBuilder, type Run } from "../../lib/codec/lines.ts";
import { Activity } from "../../lib/host/activity.ts";
import { AnomalyEvents } from "../../lib/host/anomaly_events.ts";
import type { CommitQueue } from "../../lib/host/commit_queue.ts";
import type { EventLog } from "../../lib/host/event_log.ts";
import { Intake } from "../../lib/host/intake.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import { Registry } from "../../lib/host/registry.ts";
import { HELD_RANGES_MAX, SEQ_JUMP_MAX } from "../../lib/limits.ts";
import type { Gap, Hello } from "../../lib/protocol/message.ts";
import type { TelemetryRecord } from "../../lib/protocol/record.ts";
import { RecordShapes } from "../../lib/protocol/record_columns.ts";
import type { Store } from "../../lib/store/store.ts";
import { EPOCH, hello, telemetry } from "../messages.ts";
import { ManualClock, START } from "../web/test_host.ts";

/** The device's clocks: its wall clock is wrong. */
const MOMENT = { ts_wall_ms: 5_000, ts_mono_ms: 700 };

function setUp(nodesMax = 10) {
  const clock = new ManualClock();
  const store = { state: { host_id: "h", nodes: new Map(), configs: [] } } as unknown as Store;
  const registry = new Registry(store, clock, nodesMax);
  const activity = new Activity();
  const told: unknown[][] = [];
  const added: unknown[][] = [];
  const intake = new Intake({
    clock,
    registry,
    activity,
    anomalies: new AnomalyEvents("*"),
    events: { add: (...event: unknown[]) => told.push(event) } as unknown as EventLog,
    commits: {
      added: (_ledger: Ledger, ...what: unknown[]) => added.push(what),
    } as unknown as CommitQueue,
    heldBytesMax: 1,
    heldBytesTotalMax: 1,
  });
  const join = (nodeId: string) =>
    registry.connected(hello(nodeId, MOMENT) as unknown as Hello, {
      peer: "p",
      encoding: "ndjson",
      highAcked: 0,
      configVersion: 0,
    });
  const ledger = new Ledger({ node_id: "a", epoch: EPOCH, high_acked: 0, ranges: [], max_seq: 0 });
  const node = join("a");
  const record = (seq: number, more: Record<string, unknown> = {}, of = node) => {
    const message = telemetry(of.node_id, seq, MOMENT, { temp_c: seq }, more);
    const line = JSON.stringify(message) + " ";
    return intake.record(of, ledger, message as unknown as TelemetryRecord, line);
  };
  const lineOf = (seq: number, more: Record<string, unknown> = {}) =>
    JSON.stringify(telemetry("a", seq, MOMENT, { temp_c: seq }, more));
  /** The same records in columns. */
  const records = (seqs: readonly number[], more?: Record<string, unknown>, of = node) => {
    const builder = new LinesBuilder();
    for (const seq of seqs) builder.addText(lineOf(seq, more));
    const [run] = builder.done().runs() as Iterable<Run>;
    const columns = new RecordShapes("a", EPOCH).columnsOf(run!)!;
    return intake.records(of, ledger, columns, run!.from, run!.to);
  };
  const gap = (from_seq: number, to_seq: number, of = node) =>
    intake.gap(of, ledger, { type: "gap", from_seq, to_seq, reason: "evicted" } as Gap);
  return {
    clock,
    registry,
    activity,
    intake,
    told,
    added,
    join,
    ledger,
    node,
    record,
    records,
    lineOf,
    gap,
  };
}

function eventOf(state: string, id = "1-x") {
  return {
    id,
    state,
    severity: "high",
    metrics: ["temp_c"],
    since_wall_ms: 5_000,
    since_mono_ms: 700,
    duration_ms: 0,
    peak: { metric: "temp_c", value: 80, score: 9 },
    around: [],
  };
}
function anomaly(...events: unknown[]) {
  return { anomaly: { is_anomaly: true, score: 9, metrics: {}, events } };
}

Deno.test("Intake: a record goes to the store as its line, with its own times, and once", () => {
  const { record, ledger, added, intake, registry, activity, node, told } = setUp();
  assertEquals(record(1, { anomaly: { is_anomaly: true, score: 4, metrics: {} } }), "new");
  assertEquals(added, [[1, ledger.heldBytes]]);
  const watch = activity.watch("a");
  assertEquals([record(1), watch.take()], ["known", []]);
  assertEquals(added.length, 1);
  const [row, ...others] = ledger.beginCommit().records;
  assertEquals([row?.ts_wall_ms, row?.ts_mono_ms, others.length], [5_000, 700, 0]);
  assertEquals([row?.is_anomaly, row?.score], [true, 4]);
  assertEquals(row?.payload.endsWith("} "), true, "byte for byte");
  assertEquals(intake.counters, { records: 1, duplicates: 1, gap_records: 0 });
  const { records, duplicates, anomalies } = registry.get("a")!;
  assertEquals([records, duplicates, anomalies], [1, 1, 1]);
  assertEquals(activity.of(node, 0, 0).last, { temp_c: 1 });
  assertEquals(told, []);
});

Deno.test("Intake: records in columns are each stored, counted and shown once, as lines are", () => {
  const { records, lineOf, ledger, added, intake, registry, activity, node } = setUp();
  assertEquals(records([3, 4], { anomaly: { is_anomaly: true, score: 4, metrics: {} } }), "new");
  const watch = activity.watch("a");
  assertEquals(records([1, 4, 9]), "known");
  assertEquals(records([9, 1]), "known");
  assertEquals(added.map(([count]) => count), [2, 2]);
  assertEquals(added.reduce((sum, [, bytes]) => sum + (bytes as number), 0), ledger.heldBytes);
  assertEquals(watch.take(), [lineOf(1), lineOf(9)], "whoever watches sees each");
  const stored = ledger.beginCommit().records;
  assertEquals(stored.map(({ seq, is_anomaly, score }) => [seq, is_anomaly, score]), [
    [3, true, 4],
    [4, true, 4],
    [1, false, 0],
    [9, false, 0],
  ]);
  assertEquals(stored.at(-1)!.payload, lineOf(9));
  assertEquals([stored[0]!.ts_wall_ms, stored[0]!.ts_mono_ms], [5_000, 700]);
  assertEquals(intake.counters, { records: 4, duplicates: 3, gap_records: 0 });
  const info = registry.get("a")!;
  assertEquals([info.records, info.duplicates, info.anomalies], [4, 3, 2]);
  assertEquals(activity.of(node, 0, 0).last, { temp_c: 9 });
});

Deno.test("Intake: of records in columns the newest is shown, wherever it stands", () => {
  const { records, activity, node } = setUp();
  records([3, 9, 4]);
  assertEquals(activity.of(node, 0, 0).last, { temp_c: 9 });
});

Deno.test("Intake: of records in columns those before a refused one are stored, and none behind it", () => {
  const far = setUp();
  assertEquals(far.records([1, 2, SEQ_JUMP_MAX + 3, 3]), "too_far");
  assertEquals(far.ledger.beginCommit().records.map(({ seq }) => seq), [1, 2]);
  assertEquals(far.intake.counters.records, 2);
  const scattered = setUp();
  const apart = Array.from({ length: HELD_RANGES_MAX + 2 }, (_, i) => 3 + 2 * i);
  assertEquals(scattered.records([...apart, 1]), "too_scattered");
  assertEquals(scattered.ledger.waitingRecords, HELD_RANGES_MAX + 1);
  const full = setUp(1);
  full.record(1);
  const other = full.join("b");
  assertEquals(full.records([2, 3], {}, other), "no_room");
  assertEquals([full.ledger.waitingRecords, full.registry.get("b")?.records], [1, 0]);
});

Deno.test("Intake: records in columns count with all that they keep in memory, once", () => {
  const { records, added, ledger } = setUp();
  const seqs = Array.from({ length: 1_000 }, (_, i) => i + 1);
  records(seqs);
  const ofAll = ledger.heldBytes;
  assertEquals(added, [[1_000, ofAll]]);
  // One of them alone is new, but the numbers of all stay with it.
  records([...seqs.slice(1), 1_001]);
  const { source } = ledger.beginCommit().records.at(-1)!;
  const kept = source!.columns.columns.reduce((sum, { numbers }) => sum + numbers.byteLength, 0);
  assert(ledger.heldBytes - ofAll >= kept, `${ledger.heldBytes - ofAll} counted, ${kept} kept`);
  assert(ledger.heldBytes <= 2 * ofAll, "no more than if all were new");
});

Deno.test("Intake: a long text that records in columns have in common counts, as it does in lines", () => {
  const { records, ledger } = setUp();
  const note = "x".repeat(50_000);
  records([1, 2], { note });
  assert(ledger.heldBytes > note.length, `${ledger.heldBytes}`);
  assert(ledger.heldBytes < 2 * note.length, "once for all that share it");
});

Deno.test("Intake: each record that waits adds its own memory, also behind others", () => {
  const { record, gap, added, ledger } = setUp();
  for (const seq of [1, 2, 3]) record(seq);
  gap(7, 9);
  assertEquals(added.map(([records]) => records), [1, 1, 1, 0]);
  assertEquals(added.reduce((sum, [, bytes]) => sum + (bytes as number), 0), ledger.heldBytes);
});

Deno.test("Intake: only a jump of the device's clock counts as one, only what is flagged as an anomaly", () => {
  const { record, registry } = setUp();
  record(1, { diagnostics: { clock_jump_ms: 0 } });
  record(2, { diagnostics: { clock_jump_ms: "fast" } });
  record(3, { anomaly: { is_anomaly: false, score: 2, metrics: {} } });
  assertEquals([registry.get("a")?.clock_jumps, registry.get("a")?.anomalies], [undefined, 0]);
  record(4, { diagnostics: { clock_jump_ms: -900 } });
  record(5, { diagnostics: { clock_jump_ms: 900 } });
  assertEquals(registry.get("a")?.clock_jumps, 2);
});

Deno.test("Intake: a power cut counts as the records that it can have taken, not as its numbers", () => {
  const { record, node, ledger, intake, registry } = setUp();
  record(2_000);
  const gap = { type: "gap", from_seq: 2, to_seq: 4_097, reason: "unsynced" } as const;
  assertEquals(intake.gap(node, ledger, { ...gap, records_max: 25 }), "new");
  assertEquals([intake.counters.gap_records, registry.get("a")?.gap_records], [25, 25]);
  const after = { ...gap, from_seq: 4_098, to_seq: 4_100 };
  assertEquals(intake.gap(node, ledger, { ...after, records_max: 25 }), "new");
  assertEquals(registry.get("a")?.lost_lately?.records, 28);
});

Deno.test("Intake: of a gap only what is really lost is counted and told", () => {
  const { record, gap, told, intake, registry, added, ledger } = setUp();
  record(3);
  assertEquals(gap(2, 5), "new");
  const reason = "evicted";
  assertEquals(told, [
    ["gap", "a", { from_seq: 2, to_seq: 2, reason }],
    ["gap", "a", { from_seq: 4, to_seq: 5, reason }],
  ]);
  assertEquals([intake.counters.gap_records, registry.get("a")?.gap_records], [3, 3]);
  assertEquals(registry.get("a")?.lost_lately?.records, 3);
  assertEquals([gap(2, 5), told.length, added.length], ["known", 2, 2]);
  assertEquals(intake.counters, { records: 1, duplicates: 0, gap_records: 3 });
  assertEquals(ledger.beginCommit().gaps.length, 2);
});

Deno.test("Intake: what lies too far above all others is refused, and makes nobody known", async () => {
  const { record, gap, ledger, registry, intake } = setUp(1);
  assertEquals(record(SEQ_JUMP_MAX + 1), "too_far");
  assertEquals(gap(1, SEQ_JUMP_MAX + 1), "too_far");
  assertEquals([ledger.isDirty, intake.counters.records], [false, 0]);
  registry.disconnected(registry.get("a")!);
  assertEquals(registry.nodes, []);
  await registry.save();
});

Deno.test("Intake: where as many nodes are known as may be, a further one can leave nothing", () => {
  const { record, gap, join, ledger } = setUp(1);
  assertEquals(record(1), "new");
  const b = join("b");
  assertEquals([record(2, {}, b), gap(2, 3, b)], ["no_room", "no_room"]);
  assertEquals(ledger.waitingRecords, 1);
  assertEquals(gap(2, 3), "new");
});

Deno.test("Intake: gaps alone make a node known, too", () => {
  const { gap, join } = setUp(1);
  assertEquals(gap(2, 3), "new");
  assertEquals(gap(5, 6, join("b")), "no_room");
});

Deno.test("Intake: too many separate ranges are refused, whether records or gaps make them", () => {
  for (const kind of ["record", "gap"] as const) {
    const { record, gap } = setUp();
    for (let i = 1; i <= HELD_RANGES_MAX; i++) assertEquals(gap(10 * i, 10 * i), "new");
    const next = 10 * HELD_RANGES_MAX + 10;
    assertEquals(kind === "gap" ? gap(next, next) : record(next), "too_scattered");
  }
});

Deno.test("Intake: events of a record are told; those that open count, in the hour in which they came", () => {
  const { record, told, registry, activity, node, clock } = setUp();
  clock.ms = 3 * 3_600_000;
  record(1, anomaly(eventOf("open"), eventOf("open", "2-x")));
  record(2, anomaly(eventOf("update"), eventOf("close")));
  record(2, anomaly(eventOf("open", "3-x")));
  assertEquals(told.map(([kind, nodeId]) => `${kind} ${nodeId}`), [
    "anomaly_open a",
    "anomaly_open a",
    "anomaly_update a",
    "anomaly_close a",
  ]);
  assertEquals(registry.get("a")?.anomaly_events, 2);
  const hour = (ms: number) => activity.of(node, clock.wallMs(), ms).anomalies_hour;
  assertEquals([hour(clock.ms), hour(clock.ms + 3_600_000)], [2, 0]);
});

Deno.test("Intake: events are told also of a record that is not flagged", () => {
  const { record, told } = setUp();
  record(1, { anomaly: { is_anomaly: false, score: 0, metrics: {}, events: [eventOf("close")] } });
  assertEquals(told.map(([kind]) => kind), ["anomaly_close"]);
});

Deno.test("Intake: events of several nodes at once are told for all, by the host's clock", () => {
  const { record, told, intake, join, node, clock, registry } = setUp();
  for (const [index, of] of [node, join("b"), join("c")].entries()) {
    record(index + 1, anomaly(eventOf("open")), of);
  }
  assertEquals(registry.nodes.map(({ records }) => records), [1, 1, 1]);
  told.length = 0;
  clock.ms = 4_999;
  intake.tick(3);
  assertEquals(told, []);
  clock.ms = 5_000;
  intake.tick(3);
  assertEquals(told.map(([kind, nodeId]) => [kind, nodeId]), [["anomaly_fleet", "*"]]);
  const { since_wall_ms, connected } = told[0]![2] as Record<string, number>;
  assertEquals([since_wall_ms, connected], [START, 3]);
});
