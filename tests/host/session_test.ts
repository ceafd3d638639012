import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { LinesBuilder, type Run } from "../../lib/codec/lines.ts";
import { Session } from "../../lib/host/session.ts";
import type { Range } from "../../lib/protocol/ranges.ts";
import { hello, telemetry } from "../messages.ts";

const LIMITS = { hostId: "h1", handshakeMs: 1_000, heartbeatMs: 1_000, broadcastMs: 1_000 };
const CREDIT = { records: 100, bytes: 10_000 };

function durable(highAcked: number, ranges: Range[] = []) {
  const maxSeq = Math.max(highAcked, ...ranges.map(([, to]) => to));
  return { highAcked, maxSeq, ranges: (count: number) => ranges.slice(0, count) };
}

function welcome(session: Session, nowMs: number) {
  return session.welcome(durable(0), "ndjson", CREDIT, undefined, nowMs);
}

function opened(): Session {
  const session = new Session(LIMITS, undefined, 0);
  session.receive(JSON.stringify(HELLO), 0);
  welcome(session, 0);
  return session;
}

const HELLO = hello("pump-7", { ts_wall_ms: 0, ts_mono_ms: 0 });

const REFUSALS: [name: string, identity: string | undefined, lines: unknown[], code: string][] = [
  ["anything before the hello", undefined, [{
    type: "gap",
    from_seq: 1,
    to_seq: 1,
    reason: "evicted",
  }], "bad_order"],
  ["a second hello", undefined, [HELLO, HELLO], "bad_order"],
  ["a protocol version it does not speak", undefined, [{ ...HELLO, proto: [9] }], "unsupported"],
  ["a node_id that is not the certificate's", "pump-8", [HELLO], "forbidden"],
  ["a node_id in other letters than the certificate's", "Pump-7", [HELLO], "forbidden"],
  ["a record of another node", undefined, [HELLO, {
    ...telemetry("pump-8", 1, { ts_wall_ms: 0, ts_mono_ms: 0 }, {}),
    epoch: HELLO.epoch,
  }], "bad_message"],
  ["a record of another epoch", undefined, [HELLO, {
    ...telemetry("pump-7", 1, { ts_wall_ms: 0, ts_mono_ms: 0 }, {}),
    epoch: "00000000000000ff",
  }], "bad_message"],
  ["what is not JSON", undefined, ["hello"], "bad_message"],
  ["a gap that ends before it starts", undefined, [HELLO, {
    type: "gap",
    from_seq: 5,
    to_seq: 1,
    reason: "evicted",
  }], "bad_message"],
];
for (const [name, identity, lines, code] of REFUSALS) {
  Deno.test(`Session refuses ${name} with ${code}`, () => {
    const session = new Session(LIMITS, identity, 0);
    let last;
    for (const line of lines) {
      last = session.receive(typeof line === "string" ? line : JSON.stringify(line), 0);
      if (last.kind === "hello") welcome(session, 0);
    }
    assertEquals(last?.kind === "refuse" ? last.code : last?.kind, code);
  });
}

Deno.test("Session counts a node as gone after three silent heartbeats, and a mute one after the handshake time", () => {
  const session = new Session({ ...LIMITS, handshakeMs: 500 }, undefined, 0);
  assertEquals(session.checkSilence(499), undefined);
  assertEquals(session.checkSilence(500)?.kind, "refuse");
  session.receive(JSON.stringify(HELLO), 100);
  welcome(session, 100);
  assertEquals(session.checkSilence(3_099), undefined);
  assertEquals(session.checkSilence(3_100)?.kind, "refuse");
  // What the host takes to welcome a node is not the node's silence.
  const late = new Session(LIMITS, undefined, 0);
  late.receive(JSON.stringify(HELLO), 100);
  welcome(late, 9_000);
  assertEquals(late.checkSilence(11_999), undefined);
  assertEquals(late.checkSilence(12_000)?.kind, "refuse");
});

Deno.test("Session takes records in columns for a sign of life, as it does lines", () => {
  const session = opened();
  const builder = new LinesBuilder();
  builder.addText(JSON.stringify(telemetry("pump-7", 1, { ts_wall_ms: 0, ts_mono_ms: 0 }, {})));
  const [run] = builder.done().runs() as Iterable<Run>;
  assertEquals(session.receiveColumns(run!, 2_000)?.seq.numbers, Float64Array.of(1));
  assertEquals(session.checkSilence(4_999), undefined);
  assertEquals(session.checkSilence(5_000)?.kind, "refuse");
});

Deno.test("Session acks what moved, once, and again each time that something comes which is known", () => {
  const session = opened();
  assertEquals(session.ack(durable(0), CREDIT), undefined);
  assertEquals(session.ack(durable(3, [[5, 6]]), CREDIT), {
    type: "ack",
    high_acked: 3,
    ranges: [[5, 6]],
  });
  assertEquals(session.ack(durable(3, [[5, 6]]), CREDIT), undefined);
  for (let i = 0; i < 3; i++) {
    session.repeated();
    assertEquals(session.ack(durable(3, [[5, 6]]), CREDIT)?.high_acked, 3);
  }
  assertMatch(String(assertThrows(() => session.ack(durable(2), CREDIT))), /assertion/);
});

Deno.test("Session tells a credit only when it changed by much", () => {
  const session = opened();
  assertEquals(session.ack(durable(1), { records: 101, bytes: 10_100 })?.credit, undefined);
  const less = { records: 50, bytes: 5_000 };
  assertEquals(session.ack(durable(1), less)?.credit, less);
});

Deno.test("Session tells a configuration once, and none that the node is ahead of", () => {
  const session = new Session(LIMITS, undefined, 0);
  session.receive(JSON.stringify({ ...HELLO, cfg_version: 3 }), 0);
  const old = { cfg_version: 3, config: {} };
  assertEquals(session.welcome(durable(0), "ndjson", CREDIT, old, 0).config, undefined);
  assertEquals(session.configUpdate(old), undefined);
  const newer = { cfg_version: 4, config: {} };
  assertEquals(session.configUpdate(newer)?.cfg_version, 4);
  assertEquals(session.configUpdate(newer), undefined);
});

Deno.test("Session refuses a node that keeps much more in flight than it was ever granted", () => {
  const session = opened();
  assertEquals(session.checkCredit(CREDIT.bytes + 1_000_000), undefined);
  assertEquals(session.checkCredit(CREDIT.bytes + 3_000_000)?.kind, "refuse");
});

Deno.test("Session counts three of the node's heartbeats, however often the host speaks", () => {
  const session = new Session({ ...LIMITS, broadcastMs: 100 }, undefined, 0);
  session.receive(JSON.stringify(HELLO), 0);
  welcome(session, 0);
  assertEquals(session.checkSilence(2_999), undefined);
  assertEquals(session.checkSilence(3_000)?.kind, "refuse");
});
