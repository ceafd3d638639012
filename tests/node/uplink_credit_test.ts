/** What an uplink plans to send, when, and how much of it: the credit, the two lanes, the intervals. */
import { assert, assertEquals } from "@std/assert";
import type { Uplink } from "../../lib/node/uplink.ts";
import type { HostMessage } from "../../lib/protocol/message.ts";
import { greeting, type Log, logWith, open, welcome } from "./uplinks.ts";

/** Appends records that are synced at once; their seqs. */
function append(log: Log, uplink: Uplink, count: number, nowMs: number, urgent = false): number[] {
  return Array.from({ length: count }, () => {
    const seq = log.nextSeq++;
    log.sendableThrough = seq;
    uplink.appended(seq, urgent, nowMs);
    return seq;
  });
}

function send(uplink: Uplink, seqs: Iterable<number>, bytes = 100): void {
  for (const seq of seqs) uplink.sent(seq, bytes);
}

const seqs = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

Deno.test("a hello says who the node is, what it has, and which configuration is in force", () => {
  const log = { ...logWith(9), firstSeq: 4, highAcked: 6 };
  const hello = greeting(log, { cfgVersion: () => 3, encodings: ["block", "ndjson"] }).hello(
    11,
    22,
  );
  assertEquals(hello, {
    type: "hello",
    proto: [1],
    node_id: "a",
    epoch: log.epoch,
    boot_id: "b",
    version: "1",
    first_seq: 4,
    next_seq: 10,
    cfg_version: 3,
    encodings: ["block", "ndjson"],
    ts_wall_ms: 11,
    ts_mono_ms: 22,
  });
});

Deno.test("a credit that an ack names counts from then on, be it more or less", () => {
  const uplink = open(logWith(1_000), welcome(8));
  assertEquals(uplink.plan(0).backlog?.records, 7);
  uplink.receive({ type: "ack", high_acked: 0, credit: { records: 80, bytes: 8_000 } }, 1);
  const { records, bytes } = uplink.plan(1).backlog!;
  assertEquals([records, bytes], [70, 7_000]);
  send(uplink, seqs(1, 10));
  uplink.receive({ type: "ack", high_acked: 0, credit: { records: 10, bytes: 8_000 } }, 2);
  assertEquals([uplink.plan(2).backlog, uplink.maySend(11, 1)], [undefined, false]);
  uplink.receive({ type: "ack", high_acked: 4 }, 3);
  assertEquals(uplink.plan(3).backlog?.records, 2);
});

Deno.test("an ack that comes soon lets more of the backlog go at once, not with the next ack", () => {
  const uplink = open(logWith(1_000), welcome(1_000));
  uplink.plan(0);
  send(uplink, seqs(1, 5), 100_000);
  const before = uplink.plan(10).backlog!.bytes;
  uplink.receive({ type: "ack", high_acked: 1 }, 50);
  const more = uplink.plan(50).backlog!.bytes - before;
  assert(more > 100_000, `${more} bytes more, of which the acked record left 100,000`);
});

Deno.test("whatever the host sends shows that it lives", () => {
  const messages: HostMessage[] = [
    { type: "ack", high_acked: 0 },
    { type: "broadcast", host_id: "h", ts_wall_ms: 1, cfg_version: 0 },
    { type: "config_update", cfg_version: 1, config: {} },
  ];
  for (const message of messages) {
    const uplink = open(logWith(1), welcome(10));
    uplink.receive(message, 29_999);
    assertEquals(uplink.checkSilence(59_998).kind, "none", message.type);
    assertEquals(uplink.checkSilence(59_999).kind, "closed", message.type);
  }
});

Deno.test("a host that doesn't answer the hello is given up after ten seconds, and told", () => {
  const uplink = greeting(logWith(1));
  assertEquals([uplink.plan(0).deadlineMs, uplink.checkSilence(9_999).kind], [10_000, "none"]);
  const end = uplink.checkSilence(10_000);
  assertEquals(end.kind === "closed" && end.tell, "timeout");
});

Deno.test("a session that is over takes nothing in, ends once, and sends nothing", () => {
  const uplink = open(logWith(5), welcome(10));
  const end = uplink.receive({ type: "error", code: "busy", message: "m", retry_after_ms: 7 }, 0);
  assertEquals(end, { kind: "closed", reason: "host says busy: m", retryAfterMs: 7 });
  assertEquals(uplink.receive({ type: "ack", high_acked: 5 }, 0).kind, "none");
  assertEquals(uplink.checkSilence(1e9).kind, "none");
  const { fresh, gaps, heartbeat, backlog } = uplink.plan(1e9);
  assertEquals([fresh, gaps, heartbeat, backlog], [[], [], false, undefined]);
  assertEquals(uplink.maySend(1, 1), false);
});

Deno.test("fresh records wait for company as long as the first of them may, each time anew", () => {
  const log = logWith(0);
  const uplink = open(log, welcome(100));
  uplink.plan(0);
  for (const at of [100, 600, 1_000]) append(log, uplink, 1, at);
  assertEquals(uplink.plan(1_099).fresh, []);
  assertEquals(uplink.plan(1_099).deadlineMs, 1_100);
  assertEquals(uplink.plan(1_100).fresh, [1, 2, 3]);
  send(uplink, [1, 2, 3]);
  append(log, uplink, 1, 5_000);
  assertEquals([uplink.plan(5_001).fresh, uplink.plan(5_001).deadlineMs], [[], 6_000]);
  assertEquals(uplink.plan(6_000).fresh, [4]);
});

Deno.test("heartbeats keep to the host's interval for them, the first right after the welcome", () => {
  const limits = { line_bytes_max: 65_536, heartbeat_ms: 2_000, broadcast_ms: 9_000 };
  const uplink = open(logWith(0), welcome(10, { limits }));
  const at = [0, 0, 1_999, 2_000, 2_001, 4_000].map((ms) => uplink.plan(ms).heartbeat);
  assertEquals(at, [true, false, false, true, false, true]);
  assertEquals(uplink.plan(4_001).deadlineMs, 6_000);
});

Deno.test("where the credit doesn't suffice for all, the anomalous records go first", () => {
  const log = logWith(0);
  const uplink = open(log, welcome(3));
  append(log, uplink, 5, 0);
  append(log, uplink, 2, 1, true);
  assertEquals(uplink.plan(1).fresh, [6, 7]);
  send(uplink, [6, 7]);
  assertEquals(uplink.plan(1_000).fresh, [1]);
  send(uplink, [1]);
  append(log, uplink, 1, 1_001, true);
  const full = uplink.plan(1_001);
  assertEquals(full.fresh, []);
  assert(full.deadlineMs > 1_001, "it is an ack that makes room, not asking again");
});

Deno.test("an anomalous record that is not synced yet pulls no other along", () => {
  const log = logWith(0);
  const uplink = open(log, welcome(100));
  append(log, uplink, 1, 0);
  uplink.appended(log.nextSeq++, true, 1);
  const plan = uplink.plan(1);
  assertEquals(plan.fresh, []);
  assert(plan.deadlineMs <= 101, "it looks again soon whether it is synced");
});

Deno.test("anomalous records go at once however many there were before in the session", () => {
  const log = logWith(0);
  const uplink = open(log, welcome(5_000));
  for (let i = 0; i < 3; i++) {
    append(log, uplink, 1_000, i, true);
    const { fresh } = uplink.plan(i);
    assertEquals(fresh.length, 1_000);
    send(uplink, fresh);
  }
});

Deno.test("without room for a byte no fresh record is planned, and nobody asks again at once", () => {
  const log = logWith(0);
  const uplink = open(log, welcome(100, { credit: { records: 100, bytes: 1_000 } }));
  uplink.plan(0);
  append(log, uplink, 4, 0);
  send(uplink, [1, 2], 500);
  const plan = uplink.plan(2_000);
  assertEquals([plan.fresh, plan.backlog], [[], undefined]);
  assert(plan.deadlineMs > 2_000);
});

Deno.test("records take from the credit one by one, however small they are", () => {
  const log = logWith(0);
  const uplink = open(log, welcome(2));
  append(log, uplink, 3, 0);
  send(uplink, [1, 2], 1);
  assertEquals([uplink.inFlight, uplink.maySend(3, 1)], [2, false]);
});

Deno.test("one write carries a bounded piece of the backlog, so that fresh records wait behind little", () => {
  const { records, bytes } = open(logWith(100_000), welcome(100_000)).plan(0).backlog!;
  assertEquals([records, bytes], [1_024, 524_288]);
});

Deno.test("nothing of the backlog is planned that is not synced", () => {
  const log = { ...logWith(1_000), sendableThrough: 300 };
  const uplink = open(log, welcome(10_000));
  const { from, to } = uplink.plan(0).backlog!;
  assertEquals([from, to], [1, 300]);
  send(uplink, seqs(1, 300));
  assertEquals(uplink.plan(1).backlog, undefined);
  log.sendableThrough = 1_000;
  assertEquals(uplink.plan(2).backlog?.from, 301);
});

Deno.test("what the host has above high_acked is not sent again, and is no backlog", () => {
  const log = logWith(10);
  const uplink = open(log, welcome(100, { high_acked: 2, ranges: [[4, 6]], max_seq: 6 }), 6);
  log.highAcked = 2;
  assertEquals(uplink.ackedAbove, 3);
  const found: [number, number][] = [];
  for (let plan = uplink.plan(0); plan.backlog !== undefined; plan = uplink.plan(0)) {
    const { from, to } = plan.backlog;
    found.push([from, to]);
    send(uplink, seqs(from, to));
  }
  assertEquals(found, [[3, 3], [7, 10]]);
});

Deno.test("an ack whose ranges were never given out ends the session", () => {
  const uplink = open(logWith(10), welcome(10));
  const end = uplink.receive({ type: "ack", high_acked: 0, ranges: [[9, 11]] }, 0);
  assertEquals(end.kind === "closed" && end.tell, "bad_message");
});

Deno.test("a gap is declared once a session with its own reason, as far as the host lacks it, and then the rest is sent", () => {
  const gaps = [
    { from_seq: 1, to_seq: 9, reason: "evicted" as const },
    { from_seq: 15, to_seq: 16, reason: "corrupt" as const },
  ];
  const uplink = open({ ...logWith(20), gaps }, welcome(100, { ranges: [[3, 4]], max_seq: 4 }), 4);
  const plan = uplink.plan(50);
  assertEquals(plan.gaps.map(({ from_seq, to_seq, reason }) => [from_seq, to_seq, reason]), [
    [1, 2, "evicted"],
    [5, 9, "evicted"],
    [15, 16, "corrupt"],
  ]);
  assertEquals(plan.deadlineMs, 50, "what may be sent beside them is asked for at once");
  for (const gap of plan.gaps) uplink.declared(gap);
  const next = uplink.plan(50);
  assertEquals([next.gaps, next.backlog?.from, next.backlog?.to], [[], 10, 14]);
});

Deno.test("the highest seq that this run sent or declared goes on to the next session", () => {
  const gaps = [{ from_seq: 8, to_seq: 9, reason: "evicted" as const }];
  const uplink = open({ ...logWith(9), gaps }, welcome(100), 3);
  assertEquals(uplink.maxSent, 3);
  uplink.declared(uplink.plan(0).gaps[0]!);
  assertEquals(uplink.maxSent, 9);
  const other = open(logWith(9), welcome(100), 3);
  send(other, [5, 4]);
  assertEquals(other.maxSent, 5);
});

Deno.test("a session is drained once the host has all, and not before the host said so", () => {
  const log = { ...logWith(3), highAcked: 3 };
  assertEquals(greeting(log).drained, false);
  const uplink = open(log, welcome(10, { high_acked: 3, max_seq: 3 }), 3);
  assertEquals(uplink.drained, true);
  append(log, uplink, 1, 0);
  assertEquals(uplink.drained, false);
});

Deno.test("a configuration in the welcome is handed on", () => {
  const config = { cfg_version: 4, config: { sample_hz: 2 } };
  const effect = greeting(logWith(0)).receive(welcome(10, { config }), 0);
  assertEquals(effect.kind === "open" && effect.config, config);
});

Deno.test("fresh records that left memory one by one are all found in the log", () => {
  const log = logWith(0);
  const uplink = open(log, welcome(100));
  append(log, uplink, 3, 0);
  for (const seq of uplink.plan(1_000).fresh) uplink.leaveToBacklog(seq);
  const { fresh, backlog } = uplink.plan(2_000);
  assertEquals([fresh, backlog?.from, backlog?.to], [[], 1, 3]);
});
