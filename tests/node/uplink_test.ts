import { strict as assert } from "node:assert";
import fc from "fast-check";
import { Uplink, type UplinkLog } from "../../lib/node/uplink.ts";
import type { Welcome } from "../../lib/protocol/message.ts";
import { World } from "../sim/world.ts";

interface Log extends UplinkLog {
  highAcked: number;
  nextSeq: number;
  sendableThrough: number;
}

function logWith(backlog: number): Log {
  return {
    epoch: "9f2c4e11a0b3d5c7",
    firstSeq: 1,
    nextSeq: backlog + 1,
    highAcked: 0,
    sendableThrough: backlog,
    runFirstSeq: 1,
    gaps: [],
  };
}

function welcome(records: number, extra: Partial<Welcome> = {}): Welcome {
  return {
    type: "welcome",
    proto: 1,
    encoding: "ndjson",
    host_id: "h",
    high_acked: 0,
    max_seq: 0,
    credit: { records, bytes: 1 << 30 },
    limits: { line_bytes_max: 65_536, heartbeat_ms: 10_000, broadcast_ms: 10_000 },
    ...extra,
  };
}

function open(log: UplinkLog, message: Welcome, runMaxSent = 0): Uplink {
  const uplink = new Uplink(log, {
    nodeId: "a",
    bootId: "b",
    version: "1",
    encodings: ["ndjson"],
    sendIntervalMs: () => 1_000,
    cfgVersion: () => 0,
    runMaxSent,
  }, 0);
  uplink.receive(message, 0);
  uplink.start(0);
  return uplink;
}

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
          assert.ok(!sent.has(seq), `${seq} twice`);
          assert.ok(seq <= log.sendableThrough);
          sent.add(seq);
          uplink.sent(seq, seq, 100);
        }
        assert.ok(uplink.inFlight <= credit, `${uplink.inFlight} in flight`);
      }
    }
  }));
});

Deno.test("uplink: the backlog leaves a share of the credit to fresh records, and anomalous ones go at once", () => {
  const log = logWith(1_000);
  const uplink = open(log, welcome(80));
  const plan = uplink.plan(0);
  assert.equal(plan.backlog?.records, 70);
  for (let seq = 1; seq <= 70; seq++) uplink.sent(seq, seq, 100);
  uplink.appended(log.nextSeq++, false, 1);
  log.sendableThrough = 1_001;
  assert.deepEqual(uplink.plan(2).fresh, []);
  uplink.appended(log.nextSeq++, true, 3);
  log.sendableThrough = 1_002;
  assert.deepEqual(uplink.plan(3).fresh, [1_001, 1_002]);
});

Deno.test("uplink: the host's higher numbers of this run make it renumber, those it sent itself don't", () => {
  const log = { ...logWith(10), runFirstSeq: 5 };
  const effectOf = (maxSeq: number, sent: number) => {
    const uplink = new Uplink(log, {
      nodeId: "a",
      bootId: "b",
      version: "1",
      encodings: [],
      sendIntervalMs: () => 0,
      cfgVersion: () => 0,
      runMaxSent: sent,
    }, 0);
    const effect = uplink.receive(welcome(10, { max_seq: maxSeq }), 0);
    return effect.kind === "open" ? effect.renumberAbove : "not open";
  };
  assert.equal(effectOf(4, 0), undefined);
  assert.equal(effectOf(7, 0), 7);
  assert.equal(effectOf(7, 7), undefined);
});

Deno.test("uplink: an ack of what was never there and a message out of order end the session", () => {
  const uplink = open(logWith(10), welcome(10));
  assert.equal(uplink.receive({ type: "ack", high_acked: 11 }, 0).kind, "closed");
  const early = open(logWith(10), welcome(10));
  assert.equal(early.receive(welcome(10), 0).kind, "closed");
});

Deno.test("after an outage fresh records are stored within two seconds while the backlog still drains", async () => {
  const world = new World(5, 1, { sample_hz: 10, wal_bytes_max: 64 << 20, reconnect_ms_max: 500 });
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
  assert.ok(
    state.max_seq >= connected!,
    `stored up to ${state.max_seq}, connected at ${connected}`,
  );
  assert.equal((await device!.node!.status()).missed_ticks, 0);
  world.stop();
});
