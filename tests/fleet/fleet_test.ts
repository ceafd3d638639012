/** One verdict: states, concerns and sentences, as all who show them get them. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { CONCERN_KINDS, CONCERNS } from "../../lib/fleet/concerns.ts";
import { deviceConcerns, type DeviceState, deviceVerdict } from "../../lib/fleet/device.ts";
import { isNodeSummary, newNodeInfo, restoreNodeInfo } from "../../lib/fleet/node_info.ts";
import { RECONNECTING_MS, STATES } from "../../lib/fleet/states.ts";
import { bytesText, exact, spanText } from "../../lib/fleet/texts.ts";
import { attentionLines, fleetVerdict } from "../../lib/fleet/verdict.ts";
import { summary } from "./summary.ts";

const NOW = 1_800_000_000_000;
const OK = { ok: true };

const away = (ms: number) => ({ connected: false, last_seen_wall_ms: NOW - ms });
const lost = (ms: number) => ({
  lost_lately: {
    records: 7,
    since_wall_ms: NOW - ms,
    last_wall_ms: NOW - ms,
    reasons: ["evicted"],
  },
});

const CASES: [what: string, more: Record<string, unknown>, state: string, kinds: string[]][] = [
  ["a quiet node", {}, "live", []],
  ["one that is away for a moment", away(RECONNECTING_MS - 1), "reconnecting", []],
  ["one that is away for long", away(RECONNECTING_MS), "silent", ["silent"]],
  ["one that said goodbye", { ...away(9e6), stopped: true }, "stopped", []],
  ["one that thins", { degraded: true, backlog: 9 }, "degraded", ["degraded"]],
  ["one that catches up", { replaying: true }, "replaying", []],
  ["two of one name", { duplicate_id: true, takeovers: 3 }, "duplicate", ["duplicate"]],
  ["a full log", { wal_bytes: 80, wal_bytes_max: 100 }, "live", ["wal"]],
  ["a log that is not full", { wal_bytes: 79, wal_bytes_max: 100 }, "live", []],
  ["a loss of today", lost(1_000), "live", ["gap"]],
  ["a loss of yesterday", lost(86_400_000), "live", []],
  ["a clock that is off", { clock_error_ms: -5_001 }, "live", ["clock"]],
  ["a refused configuration", { config_error: "no", cfg_version_desired: 2 }, "live", ["refused"]],
  [
    "a configuration on its way",
    {
      cfg_version_desired: 2,
      config_pending_since_wall_ms: NOW - 9_000,
    },
    "live",
    [],
  ],
  [
    "a configuration that is late",
    {
      cfg_version_desired: 2,
      config_pending_since_wall_ms: NOW - 11_000,
    },
    "live",
    ["config"],
  ],
];
for (const [what, more, state, kinds] of CASES) {
  Deno.test(`fleet: ${what} is ${state}, with concerns [${kinds}]`, () => {
    const node = summary("a", NOW, more);
    assertEquals(node.state, state);
    assertEquals(node.concerns.map(({ kind }) => kind), kinds);
    assert(isNodeSummary(node));
    assert(node.verdict.text.length > 0);
  });
}

Deno.test("fleet: the headline, the list of /status and the concerns say the same of who needs attention", () => {
  const nodes = CASES.map(([, more], i) => summary(`n${i}`, NOW, more));
  const verdict = fleetVerdict(nodes, OK);
  const troubled = nodes.filter(({ concerns }) => concerns.length > 0);
  assertEquals(verdict.attention, troubled.length);
  const lines = attentionLines(nodes, OK);
  assertEquals(
    new Set(lines.map((line) => line.split(":")[0])),
    new Set(troubled.map((n) => n.node_id)),
  );
  assertEquals(verdict.safe, false);
  assertMatch(verdict.safety, /^7 records were lost/);
});

Deno.test("fleet: losses and a failing store are unsafe, silence alone is not, nothing at all is fine", () => {
  assertEquals(fleetVerdict([summary("a", NOW)], OK).safety, "All data safe.");
  assertEquals(fleetVerdict([summary("a", NOW, away(9e6))], OK).safe, true);
  assertEquals(fleetVerdict([summary("a", NOW)], { ok: false, error: "full" }).safe, false);
  assertMatch(attentionLines([], { ok: false, error: "full" })[0]!, /can't commit: full/);
});

Deno.test("fleet: every state and concern has its words, and every concern says what to do", () => {
  for (const { word, help } of Object.values(STATES)) assert(word !== "" && help !== "");
  for (const kind of CONCERN_KINDS) assert(CONCERNS[kind].todo.length > 20, kind);
});

Deno.test("fleet: what a disk says of a node never stops a start, and keeps what makes sense", () => {
  fc.assert(fc.property(fc.anything(), (known) => {
    assert(isSound(restoreNodeInfo("a", known, NOW)));
  }));
  const known = { ...newNodeInfo("b", 5), records: 42, backlog: "many", connected: true, junk: 1 };
  const restored = restoreNodeInfo("a", known, NOW);
  assertEquals(restored.node_id, "a");
  assertEquals(restored.records, 42);
  assertEquals(restored.backlog, 0);
  assertEquals(restored.connected, false);
  assert(!("junk" in restored));
});

function isSound(info: ReturnType<typeof restoreNodeInfo>): boolean {
  return isNodeSummary(summary(info.node_id, NOW, info));
}

const DEVICE: DeviceState = {
  connected: true,
  link_error: undefined,
  link_since_wall_ms: NOW,
  writable: true,
  disk_error: undefined,
  gaps: [],
  lost_records: 0,
  degraded: false,
  samples_per_record: 1,
  backlog: 0,
  oldest_unacked_ms: 0,
  wal_bytes: 1,
  wal_bytes_max: 100,
  seconds_until_full: undefined,
  config_error: undefined,
};

Deno.test("fleet: a device that lost records says so also once the host knows of it", () => {
  assertEquals(deviceVerdict(DEVICE).safe, true);
  const verdict = deviceVerdict({ ...DEVICE, lost_records: 143 });
  assertEquals(verdict.safe, false);
  assertEquals(verdict.text, "143 records were lost");
});

Deno.test("fleet: a device lists what is wrong, the gravest first", () => {
  const concerns = deviceConcerns({
    ...DEVICE,
    connected: false,
    link_error: "nothing listens there",
    writable: false,
    disk_error: "no space left",
    gaps: [{ from_seq: 1, to_seq: 3, reason: "evicted" }],
    degraded: true,
  });
  assertEquals(concerns.map(({ kind }) => kind), ["disk", "gap", "link", "degraded"]);
});

Deno.test("fleet: numbers read as people say them", () => {
  assertEquals(exact(1_234_567), "1,234,567");
  assertEquals(bytesText(268_435_456), "268 MB");
  assertEquals([5_400, 42_000, 252_000, 90 * 60_000, 3 * 86_400_000].map(spanText), [
    "5.4 s",
    "42 s",
    "4 min 12 s",
    "1 h 30 min",
    "3 d",
  ]);
});
