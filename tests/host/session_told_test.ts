/** What a node hears of its host in a session: all that it needs, each thing once, nothing before its time. */
import { assertEquals } from "@std/assert";
import { Session } from "../../lib/host/session.ts";
import { ACK_RANGES_MAX, FRAME_BYTES_MAX, WELCOME_RANGES_MAX } from "../../lib/limits.ts";
import type { Encoding, VersionedConfig } from "../../lib/protocol/message.ts";
import type { Range } from "../../lib/protocol/ranges.ts";
import { hello, telemetry } from "../messages.ts";

const MOMENT = { ts_wall_ms: 0, ts_mono_ms: 0 };
const LIMITS = { hostId: "h1", handshakeMs: 9_000, heartbeatMs: 1_000, broadcastMs: 400 };
const CREDIT = { records: 100, bytes: 10_000 };
const HEARTBEAT = {
  type: "heartbeat",
  ...MOMENT,
  next_seq: 4,
  backlog: 3,
  wal_bytes: 1,
  wal_bytes_max: 2,
  degraded: false,
  cfg_version: 0,
  missed_ticks: 0,
};
const GAP = { type: "gap", from_seq: 5, to_seq: 5, reason: "evicted" };
const APPLIED = { type: "config_applied", cfg_version: 3, cfg_version_applied: 2, ok: false };
const RECORD = telemetry("pump-7", 1, MOMENT, {});
const ERROR = { type: "error", code: "internal", message: "no disk" };

function durable(highAcked: number, ranges: Range[] = []) {
  const maxSeq = Math.max(highAcked, ...ranges.map(([, to]) => to));
  return { highAcked, maxSeq, ranges: (count: number) => ranges.slice(0, count) };
}

function say(session: Session, message: unknown, nowMs = 0) {
  return session.receive(JSON.stringify(message), nowMs);
}

function greeted(more: Record<string, unknown> = {}): Session {
  const session = new Session(LIMITS, undefined, 0);
  say(session, hello("pump-7", MOMENT, more));
  return session;
}

function welcome(
  session: Session,
  of = durable(0),
  config: VersionedConfig | undefined = undefined,
) {
  return session.welcome(of, "ndjson", CREDIT, config, 0);
}

function opened(): Session {
  const session = greeted();
  welcome(session);
  return session;
}

Deno.test("Session: a welcome says all that the node needs to go on", () => {
  const config = { cfg_version: 4, config: { sample_hz: 5 } };
  const session = greeted({ cfg_version: 3 });
  assertEquals(session.welcome(durable(3, [[5, 9]]), "block", CREDIT, config, 0), {
    type: "welcome",
    proto: 1,
    encoding: "block",
    host_id: "h1",
    high_acked: 3,
    ranges: [[5, 9]],
    max_seq: 9,
    credit: CREDIT,
    limits: { line_bytes_max: 65_536, heartbeat_ms: 1_000, broadcast_ms: 400 },
    config,
  });
});

Deno.test("Session: a welcome says the highest seq, also where it can't name each range, or none", () => {
  const many = Array.from({ length: 600 }, (_, i): Range => [10 * i + 10, 10 * i + 12]);
  assertEquals(welcome(greeted(), durable(7, many)).max_seq, 6_002);
  assertEquals(welcome(greeted(), { ...durable(7), maxSeq: 9 }).max_seq, 9);
});

Deno.test("Session: what the welcome said is no news, neither acks nor credit nor configuration", () => {
  const many = Array.from({ length: 600 }, (_, i): Range => [10 * i + 10, 10 * i + 12]);
  const config = { cfg_version: 4, config: {} };
  const session = greeted();
  const { ranges } = welcome(session, durable(7, many), config);
  assertEquals(ranges, many.slice(0, WELCOME_RANGES_MAX));
  assertEquals(session.ack(durable(7, many), CREDIT), undefined);
  assertEquals(session.configUpdate(config), undefined);
  const fewer = many.slice(1);
  assertEquals(session.ack(durable(12, fewer), CREDIT), {
    type: "ack",
    high_acked: 12,
    ranges: fewer.slice(0, ACK_RANGES_MAX),
  });
});

Deno.test("Session: each of high_acked, ranges and credit alone is worth an ack, and told once", () => {
  const less = { records: 50, bytes: 5_000 };
  const session = opened();
  assertEquals(session.ack(durable(1), CREDIT), { type: "ack", high_acked: 1 });
  const ranges: Range[] = [[5, 5]];
  assertEquals(session.ack(durable(1, ranges), CREDIT), { type: "ack", high_acked: 1, ranges });
  assertEquals(session.ack(durable(1, ranges), less)?.credit, less);
  assertEquals(session.ack(durable(1, ranges), less), undefined);
  assertEquals(session.ack(durable(2), less), { type: "ack", high_acked: 2 });
});

Deno.test("Session: a credit that shrinks little by little is told once it is far from what was told", () => {
  const session = opened();
  const told = [9_000, 8_100, 7_900, 7_000, 6_400, 6_300].map((bytes) => {
    session.repeated();
    return session.ack(durable(0), { records: 1, bytes })?.credit?.bytes;
  });
  assertEquals(told, [undefined, undefined, 7_900, undefined, undefined, 6_300]);
});

Deno.test("Session: an ack that is owed for a repeat is sent once, also where it brings news", () => {
  const session = opened();
  session.repeated();
  assertEquals(session.ack(durable(0), CREDIT), { type: "ack", high_acked: 0 });
  assertEquals(session.ack(durable(0), CREDIT), undefined);
  session.repeated();
  assertEquals(session.ack(durable(3), CREDIT)?.high_acked, 3);
  assertEquals(session.ack(durable(3), CREDIT), undefined);
});

Deno.test("Session: a node may fill the largest credit that it was granted, and what was on its way", () => {
  const most = CREDIT.bytes + FRAME_BYTES_MAX;
  const refused = (session: Session, bytes: number) => {
    const effect = session.checkCredit(bytes);
    return effect?.kind === "refuse" ? effect.code : undefined;
  };
  const session = opened();
  assertEquals([refused(session, most), refused(session, most + 1)], [undefined, "over_credit"]);
  session.ack(durable(0), { records: 10, bytes: 1_000 });
  assertEquals([refused(session, most), refused(session, most + 1)], [undefined, "over_credit"]);
  session.ack(durable(0), { records: 1_000, bytes: 100_000 });
  const more = most + 90_000;
  assertEquals([refused(session, more), refused(session, more + 1)], [undefined, "over_credit"]);
});

Deno.test("Session: nothing is told to a node before its welcome", () => {
  for (const session of [new Session(LIMITS, undefined, 0), greeted()]) {
    assertEquals(session.isOpen, false);
    assertEquals(session.ack(durable(3), CREDIT), undefined);
    assertEquals(session.configUpdate({ cfg_version: 9, config: {} }), undefined);
    assertEquals(session.broadcast(1, 0), undefined);
  }
  const session = opened();
  assertEquals(session.isOpen, true);
  assertEquals(session.broadcast(77, 5), {
    type: "broadcast",
    host_id: "h1",
    ts_wall_ms: 77,
    cfg_version: 5,
  });
});

Deno.test("Session: an older configuration is never sent, whoever knows the newer one", () => {
  const update = (session: Session, cfg_version: number) =>
    session.configUpdate({ cfg_version, config: {} })?.cfg_version;
  const told = greeted();
  welcome(told, durable(0), { cfg_version: 4, config: {} });
  const ahead = greeted({ cfg_version: 4 });
  welcome(ahead, durable(0), { cfg_version: 2, config: {} });
  for (const session of [told, ahead]) {
    assertEquals([3, 4, 5].map((version) => update(session, version)), [undefined, undefined, 5]);
  }
});

for (const message of [HEARTBEAT, RECORD, GAP, APPLIED]) {
  Deno.test(`Session: a ${message.type} is a sign of life, and reaches the host as it was said`, () => {
    const session = opened();
    const effect = say(session, message, 2_000) as unknown as Record<string, unknown>;
    const name = message.type === "telemetry" ? "record" : message.type as string;
    assertEquals(effect.kind, name);
    assertEquals(effect[name === "config_applied" ? "applied" : name], message);
    assertEquals(session.checkSilence(4_999), undefined);
    assertEquals(session.checkSilence(5_000)?.kind, "refuse");
  });
}

Deno.test("Session: silence is a timeout, whether before the hello or later", () => {
  for (const [session, at] of [[new Session(LIMITS, undefined, 0), 9_000], [opened(), 3_000]]) {
    const effect = (session as Session).checkSilence(at as number);
    assertEquals(effect?.kind === "refuse" && effect.code, "timeout");
  }
});

Deno.test("Session: between hello and welcome nothing is in order but an error, and nobody is silent", () => {
  for (const message of [HEARTBEAT, RECORD, GAP, APPLIED, hello("pump-7", MOMENT)]) {
    const effect = say(greeted(), message);
    assertEquals(effect.kind === "refuse" && effect.code, "bad_order");
  }
  for (const session of [new Session(LIMITS, undefined, 0), greeted(), opened()]) {
    assertEquals(say(session, ERROR).kind, "ended");
  }
  assertEquals(greeted().checkSilence(1e9), undefined);
});

const CHOICES: [offered: string[], chosen: Encoding][] = [
  [["ndjson", "block"], "ndjson"],
  [["block", "ndjson"], "block"],
  [["zip", "block"], "block"],
  [["zip"], "ndjson"],
  [[], "ndjson"],
];
for (const [encodings, chosen] of CHOICES) {
  Deno.test(`Session: of the encodings [${encodings}] it takes ${chosen}`, () => {
    const session = new Session(LIMITS, "pump-7", 0);
    const effect = say(session, hello("pump-7", MOMENT, { encodings, proto: [9, 1] }));
    assertEquals(effect.kind === "hello" && effect.encoding, chosen);
  });
}

Deno.test("Session: what stands for the authorities is told once, and when it changes", () => {
  const session = opened();
  const told = (ca?: string) => session.broadcast(1, 0, ca)?.ca;
  assertEquals([told("a"), told("a"), told("b"), told(), told("b")], [
    "a",
    undefined,
    "b",
    undefined,
    undefined,
  ]);
});
