import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { Welcome } from "../../lib/protocol/message.ts";
import { World } from "../sim/world.ts";
import { greeting, logWith, open, welcome } from "./uplinks.ts";

Deno.test("uplink: credit is never exceeded, nothing is sent twice, nothing above what may be sent", () => {
  const step = fc.record({
    kind: fc.constantFrom("append", "urgent", "send", "ack", "sync"),
    n: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), fc.nat(60), (steps, backlog) => {
    const log = logWith(backlog);
    const credit = 16;
    const uplink = open(log, welcome(credit));
    const sent = new Set<number>();
    let now = 0;
    for (const { kind, n } of steps) {
      now += 100;
      if (kind === "append" || kind === "urgent") {
        uplink.appended(log.nextSeq++, kind === "urgent", now);
        log.sendableThrough = Math.max(log.sendableThrough, log.nextSeq - 1 - n);
      } else if (kind === "sync") log.sendableThrough = log.nextSeq - 1;
      else if (kind === "ack") {
        let high = log.highAcked;
        while (sent.has(high + 1) && high < log.highAcked + n) high++;
        log.highAcked = high;
        uplink.receive({ type: "ack", high_acked: high }, now);
      } else {
        const plan = uplink.plan(now);
        const { from = 1, to = 0, records = 0 } = plan.backlog ?? {};
        const old = Array.from({ length: Math.min(records, to - from + 1) }, (_, i) => from + i);
        for (const seq of [...plan.fresh, ...old]) {
          assert(!sent.has(seq), `${seq} twice`);
          assert(seq <= log.sendableThrough);
          sent.add(seq);
          uplink.sent(seq, 100);
        }
        assert(uplink.inFlight <= credit, `${uplink.inFlight} in flight`);
      }
    }
  }));
});

Deno.test("uplink: the backlog leaves a share of the credit to fresh records, and anomalous ones go at once", () => {
  const log = logWith(1_000);
  const uplink = open(log, welcome(80));
  const plan = uplink.plan(0);
  assertEquals(plan.backlog?.records, 70);
  for (let seq = 1; seq <= 70; seq++) uplink.sent(seq, 100);
  uplink.appended(log.nextSeq++, false, 1);
  log.sendableThrough = 1_001;
  assertEquals(uplink.plan(2).fresh, []);
  uplink.appended(log.nextSeq++, true, 3);
  log.sendableThrough = 1_002;
  assertEquals(uplink.plan(3).fresh, [1_001, 1_002]);
});

Deno.test("uplink: the backlog leaves a share of the credit's bytes to fresh records, too", () => {
  const log = logWith(1_000);
  const uplink = open(log, welcome(100_000, { credit: { records: 100_000, bytes: 80_000 } }));
  assertEquals(uplink.plan(0).backlog?.bytes, 70_000);
  for (let seq = 1; seq <= 69; seq++) uplink.sent(seq, 1_000);
  assertEquals(uplink.plan(1).backlog?.bytes, 1_000);
});

/** How often a node connects within ten minutes to a host that answers each hello so, or not at all. */
async function connectionsTo(answer: string | undefined): Promise<number> {
  const world = new World(5, { nodes: 1 });
  let connections = 0;
  world.network.transport = () => ({
    listen: () => Promise.reject(new Error("nobody listens")),
    connect: () => {
      connections++;
      const closed = Promise.withResolvers<undefined>();
      const answers = answer === undefined ? [] : [new TextEncoder().encode(`${answer}\n`)];
      return Promise.resolve({
        peer: "host",
        read: () => answers.length > 0 ? Promise.resolve(answers.shift()) : closed.promise,
        write: () => Promise.resolve(),
        close: () => closed.resolve(undefined),
      });
    },
  });
  await world.startNode(world.devices[0]!);
  await world.run(600);
  world.stop();
  return connections;
}

Deno.test("a host that asks for short waits is still come back to ever more rarely", async () => {
  const refusal = { type: "error", code: "busy", message: "m", retry_after_ms: 1 };
  const connections = await connectionsTo(JSON.stringify(refusal));
  // Full jitter up to 30 s: 15 s on average.
  assert(connections >= 20 && connections < 90, `${connections} connections in ten minutes`);
});

Deno.test("a host that takes connections and never answers is come back to ever more rarely", async () => {
  const connections = await connectionsTo(undefined);
  // Ten seconds of waiting for its answer, then 15 s on average.
  assert(connections >= 12 && connections < 40, `${connections} connections in ten minutes`);
});

Deno.test("uplink: the host's higher numbers of this run make it renumber, those it sent itself don't", () => {
  const log = { ...logWith(10), runFirstSeq: 5 };
  const effectOf = (maxSeq: number, sent: number) => {
    const uplink = greeting(log, { runMaxSent: sent });
    const effect = uplink.receive(welcome(10, { max_seq: maxSeq }), 0);
    return effect.kind === "open" ? effect.renumberAbove : "not open";
  };
  assertEquals(effectOf(4, 0), undefined);
  assertEquals(effectOf(7, 0), 7);
  assertEquals(effectOf(7, 7), undefined);
});

Deno.test("uplink: an ack of what was never there and a message out of order end the session", () => {
  const uplink = open(logWith(10), welcome(10));
  assertEquals(uplink.receive({ type: "ack", high_acked: 11 }, 0).kind, "closed");
  const early = open(logWith(10), welcome(10));
  assertEquals(early.receive(welcome(10), 0).kind, "closed");
});

Deno.test("uplink: bytes in flight stay within the credit in both lanes; one line may always go alone", () => {
  const log = logWith(50);
  const uplink = open(log, welcome(1_000, { credit: { records: 1_000, bytes: 1_000 } }));
  const send = (seqs: Iterable<number>, bytes: number) => {
    let count = 0;
    for (const seq of seqs) {
      if (!uplink.maySend(seq, bytes)) break;
      uplink.sent(seq, bytes);
      count++;
    }
    return count;
  };
  assertEquals(send([1, 2, 3, 4, 5], 300), 3);
  for (let i = 0; i < 5; i++) uplink.appended(log.nextSeq++, true, 10);
  log.sendableThrough = log.nextSeq - 1;
  assertEquals(send(uplink.plan(10).fresh, 300), 0, "fresh records keep to it, too");
  assertMatch(String(assertThrows(() => uplink.sent(51, 300))), /assertion/);
  uplink.receive({ type: "ack", high_acked: 0, ranges: [[2, 2]] }, 10);
  assertEquals(uplink.inFlight, 2);
  assertEquals(
    send(uplink.plan(11).fresh, 300),
    1,
    "each acked record gives its bytes back at once",
  );
  log.highAcked = 3;
  uplink.receive({ type: "ack", high_acked: 3, ranges: [[51, 51]] }, 12);
  assertEquals(send([4, 5], 5_000), 1);
});

Deno.test("uplink: what is declared lost is never planned beside it", () => {
  const log = { ...logWith(100), gaps: [{ from_seq: 1, to_seq: 40, reason: "evicted" as const }] };
  const uplink = open(log, welcome(1_000));
  const plan = uplink.plan(0);
  assertEquals(plan.gaps.length, 1);
  assertEquals(plan.backlog, undefined);
  uplink.declared(plan.gaps[0]!);
  assert(!uplink.maySend(40, 10));
  assertEquals(uplink.plan(0).backlog?.from, 41);
});

Deno.test("uplink: the host's own interval says when it is silent, and it is told", () => {
  const short = { line_bytes_max: 65_536, heartbeat_ms: 600, broadcast_ms: 600 };
  const uplink = open(logWith(1), welcome(10, { limits: short }));
  assertEquals(uplink.silentAtMs, 1_800);
  assertEquals(uplink.checkSilence(1_799).kind, "none");
  const end = uplink.checkSilence(1_800);
  assertEquals(end.kind === "closed" && end.tell, "timeout");
});

Deno.test("uplink: a host can neither blind it nor keep it away for ever, nor drive its numbers up", () => {
  const limits = { line_bytes_max: 65_536, heartbeat_ms: 2 ** 52, broadcast_ms: 2 ** 52 };
  const uplink = open(logWith(1), welcome(10, { limits }));
  assert(uplink.silentAtMs <= 3 * 3_600_000);
  const error = { type: "error", code: "busy", message: "", retry_after_ms: 2 ** 52 } as const;
  const end = uplink.receive(error, 0);
  assert(end.kind === "closed" && end.retryAfterMs! <= 600_000);
  const bad: Partial<Welcome>[] = [
    { max_seq: 2 ** 47 },
    { high_acked: 2 ** 47, max_seq: 2 ** 47 },
    { high_acked: 5, max_seq: 4 },
    { ranges: [[5, 3]], max_seq: 9 },
  ];
  for (const more of bad) {
    const refused = open(logWith(10), welcome(10, more));
    assertEquals(refused.state, "closed", JSON.stringify(more));
  }
});

Deno.test("after an outage fresh records are stored within two seconds while the backlog still drains", async () => {
  const world = new World(5, {
    nodes: 1,
    settings: { sample_hz: 10, wal_bytes_max: 64 << 20, reconnect_ms_max: 500 },
  });
  const [device] = world.devices;
  await world.startNode(device!);
  await world.run(600);
  await world.startHost();
  world.store!.commitMs = 300;
  let connected: number | undefined;
  for (let i = 0; i < 100 && connected === undefined; i++) {
    await world.run(0.1);
    if ((await device!.node!.status()).link.state === "connected") {
      connected = device!.node!.wal.nextSeq;
    }
  }
  await world.run(2);
  const state = world.durable.epochs.get(`${device!.id} ${device!.node!.wal.epoch}`)!;
  assert(
    state.max_seq >= connected!,
    `stored up to ${state.max_seq}, connected at ${connected}`,
  );
  assertEquals((await device!.node!.status()).missed_ticks, 0);
  world.stop();
});

Deno.test("uplink: fresh records that left memory are sent with the backlog, the last of them too", () => {
  const log = logWith(0);
  const uplink = open(log, welcome(100));
  log.nextSeq = 11;
  log.sendableThrough = 10;
  uplink.appended(1, true, 1);
  for (const seq of uplink.plan(10).fresh) {
    if (seq <= 4) uplink.leaveToBacklog(seq);
    else uplink.sent(seq, 100);
  }
  const plan = uplink.plan(20);
  const { from, to } = plan.backlog!;
  assertEquals([plan.fresh, from, to], [[], 1, 4]);
});

Deno.test("uplink: a host counts as silent after three of its broadcasts, however often we speak", () => {
  const limits = { line_bytes_max: 65_536, heartbeat_ms: 1_000, broadcast_ms: 20_000 };
  assertEquals(open(logWith(0), welcome(100, { limits })).silentAtMs, 60_000);
});
