/** What the host says of a node follows from what happened, and from nothing older. */
import { assert, assertEquals } from "@std/assert";
import { type Node, Registry } from "../../lib/host/registry.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import type { ConfigApplied, Heartbeat, Hello } from "../../lib/protocol/message.ts";
import type { Store } from "../../lib/store/store.ts";
import { EPOCH, hello } from "../messages.ts";
import { ManualClock, START } from "../web/test_host.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function setUp({ known = new Map<string, unknown>(), nodesMax = 10 } = {}) {
  const clock = new ManualClock();
  const saved: Map<string, Record<string, unknown>>[] = [];
  const disk = { isFull: false };
  const store = {
    state: { host_id: "h", nodes: known, configs: [] },
    putNodes: (nodes: Map<string, Record<string, unknown>>) => {
      if (disk.isFull) return Promise.reject(new Error("disk full"));
      saved.push(nodes);
      return Promise.resolve();
    },
  };
  const registry = new Registry(store as unknown as Store, clock, nodesMax);
  const connect = (
    nodeId: string,
    more: Record<string, unknown> = {},
    { highAcked = 0, configVersion = 0 } = {},
  ) => {
    const moment = { ts_wall_ms: 5, ts_mono_ms: clock.ms + 1_000 };
    return registry.connected(hello(nodeId, moment, more) as unknown as Hello, {
      peer: `p:${clock.ms}`,
      encoding: "block",
      highAcked,
      configVersion,
    });
  };
  const beat = (nodeId: string, more: Partial<Heartbeat> = {}) =>
    registry.heartbeat(registry.get(nodeId)!, {
      type: "heartbeat",
      ts_wall_ms: 5,
      ts_mono_ms: clock.ms + 1_000,
      next_seq: 1,
      backlog: 0,
      wal_bytes: 0,
      wal_bytes_max: 100,
      degraded: false,
      cfg_version: 0,
      missed_ticks: 0,
      ...more,
    } as Heartbeat);
  const saves = async () => {
    saved.length = 0;
    await registry.save();
    return saved.flatMap((nodes) => [...nodes.keys()]);
  };
  return { registry, clock, saved, disk, connect, beat, saves };
}

function assertSays(node: Node, what: Partial<Node>): void {
  const names = Object.keys(what) as (keyof Node)[];
  assertEquals(Object.fromEntries(names.map((name) => [name, node[name]])), what);
}

function ledgerAt(high_acked: number, max_seq = high_acked): Ledger {
  return new Ledger({ node_id: "a", epoch: EPOCH, high_acked, ranges: [], max_seq });
}

Deno.test("Registry: a connection is all that is known of the present, whatever was before", () => {
  const { registry, clock, connect, beat } = setUp();
  registry.register(connect("a"));
  clock.ms = 4_000;
  beat("a", { final: true, next_seq: 9 });
  registry.disconnected(registry.get("a")!);
  clock.ms = 9_000;
  const epoch = "00000000000000ff";
  const more = { epoch, boot_id: "c", version: "2", next_seq: 51, cfg_version: 3 };
  connect("a", more, { highAcked: 20, configVersion: 4 });
  assertSays(registry.get("a")!, {
    connected: true,
    stopped: false,
    peer: "p:9000",
    encoding: "block",
    epoch,
    boot_id: "c",
    version: "2",
    last_seen_wall_ms: START + 9_000,
    connected_wall_ms: START + 9_000,
    high_acked: 20,
    next_seq: 51,
    backlog: 30,
    replaying: true,
    rate: 0,
    cfg_version_applied: 3,
    cfg_version_desired: 4,
    config_pending_since_wall_ms: START + 9_000,
    clock_offset_ms: START - 1_000,
  });
});

Deno.test("Registry: a heartbeat says how the node is now, and since when things hold", () => {
  const { registry, clock, connect, beat } = setUp();
  connect("a", {}, { configVersion: 2 });
  clock.ms = 1_000;
  const heard = {
    next_seq: 8,
    wal_bytes: 80,
    wal_bytes_max: 100,
    degraded: true,
    missed_ticks: 4,
  };
  beat("a", { ...heard, cfg_version: 1 });
  const since = (ms: number) => ({
    degraded_since_wall_ms: START + ms,
    wal_full_since_wall_ms: START + ms,
  });
  const info = () => registry.get("a")!;
  assertSays(info(), {
    ...heard,
    ...since(1_000),
    last_seen_wall_ms: START + 1_000,
    cfg_version_applied: 1,
    config_pending_since_wall_ms: START,
    stopped: false,
  });
  clock.ms = 2_000;
  beat("a", heard);
  assertSays(info(), since(1_000));
  beat("a", { final: true, wal_bytes: 79, cfg_version: 2 });
  const { stopped, degraded, missed_ticks } = info();
  assertEquals([stopped, degraded, missed_ticks], [true, false, 0]);
  for (const name of ["degraded_since", "wal_full_since", "config_pending_since"]) {
    assert(!(`${name}_wall_ms` in info()), name);
  }
  clock.ms = 3_000;
  beat("a", heard);
  assertSays(info(), since(3_000));
  beat("a", { wal_bytes: 0 });
  assertEquals([info().wal_bytes, info().wal_full_since_wall_ms], [0, undefined]);
});

Deno.test("Registry: what a node that leaves was doing is over, what it has is remembered", () => {
  const { registry, clock, connect, beat } = setUp();
  for (const id of ["a", "b"]) registry.register(connect(id, { next_seq: 41 }));
  registry.received(registry.get("a")!, { isAnomaly: false, clockJumped: false });
  registry.tick();
  assertEquals(registry.replaying, 2);
  beat("a", { final: true, degraded: true, next_seq: 41 });
  clock.ms = 700;
  registry.disconnected(registry.get("a")!);
  const { connected, replaying, rate, last_seen_wall_ms } = registry.get("a")!;
  assertEquals([connected, replaying, rate], [false, false, 0]);
  assertSays(registry.get("a")!, { stopped: true, degraded: true, backlog: 40, next_seq: 41 });
  assertEquals(last_seen_wall_ms, START + 700);
  assertEquals(registry.replaying, 1);
});

Deno.test("Registry: a replay begins at twenty records, and is over once, with the last of them", () => {
  const { registry, clock, connect } = setUp();
  connect("few", { next_seq: 20 });
  assertEquals(registry.replaying, 0);
  const node = connect("a", { next_seq: 31 }, { highAcked: 10 });
  connect("a", { next_seq: 31 }, { highAcked: 10 });
  assertEquals(registry.replaying, 1, "once, however often it comes");
  clock.ms = 3_000;
  assertEquals(registry.committed(node, ledgerAt(29)), false);
  const { high_acked, next_seq, backlog, last_seen_wall_ms } = node;
  assertEquals([high_acked, next_seq, backlog], [29, 31, 1]);
  assertEquals(last_seen_wall_ms, START + 3_000);
  assertEquals(registry.committed(node, ledgerAt(30, 40)), true);
  assertEquals([node.next_seq, node.backlog, node.replaying], [41, 10, false]);
  assertEquals(registry.committed(node, ledgerAt(40)), false);
  assertEquals([node.backlog, registry.replaying], [0, 0]);
  connect("a", { next_seq: 70 }, { highAcked: 40 });
  assertEquals(registry.committed(node, ledgerAt(60)), false, "a new replay has an end of its own");
});

Deno.test("Registry: a connection in the midst of a replay says anew how long that is", () => {
  const { registry, connect } = setUp();
  connect("a", { next_seq: 100 });
  const node = connect("a", { next_seq: 31, epoch: "00000000000000ff" });
  assertEquals([registry.committed(node, ledgerAt(29)), registry.committed(node, ledgerAt(30))], [
    false,
    true,
  ]);
  connect("a", { next_seq: 100 });
  connect("a", { next_seq: 100 }, { highAcked: 90 });
  assertEquals([registry.replaying, node.replaying, node.backlog], [0, false, 9]);
});

Deno.test("Registry: the losses of a day without a further one are forgotten, not those that go on", () => {
  const { registry, clock, connect } = setUp();
  const node = connect("a");
  registry.lost(node, 3, "evicted");
  clock.ms = DAY_MS - 1;
  registry.lost(node, 4, "corrupt");
  registry.lost(node, 1, "evicted");
  const since_wall_ms = START, last_wall_ms = START + DAY_MS - 1;
  const reasons = ["evicted", "corrupt"];
  assertEquals(node.lost_lately, { records: 8, since_wall_ms, last_wall_ms, reasons });
  clock.ms = 2 * DAY_MS - 2;
  registry.lost(node, 1, "evicted");
  assertEquals(node.lost_lately?.records, 9);
  clock.ms = 3 * DAY_MS - 2;
  registry.lost(node, 5, "unsynced");
  assertEquals(node.lost_lately, {
    records: 5,
    since_wall_ms: START + clock.ms,
    last_wall_ms: START + clock.ms,
    reasons: ["unsynced"],
  });
  assertEquals(node.gap_records, 14);
  for (let i = 0; i < 20; i++) registry.lost(node, 1, `reason_${i}`);
  assertEquals(node.lost_lately?.reasons.length, 16);
});

Deno.test("Registry counts records, anomalies, jumps, repeats and events of each node for itself", () => {
  const { registry, connect } = setUp();
  const [a, b] = [connect("a"), connect("b")];
  for (const isAnomaly of [true, false, true, true, false]) {
    registry.received(a, { isAnomaly, clockJumped: !isAnomaly });
    registry.repeated(a);
    registry.anomalyOpened(a);
  }
  const counts = (node: typeof a) => [
    node.records,
    node.anomalies,
    node.clock_jumps,
    node.duplicates,
    node.anomaly_events,
  ];
  assertEquals(counts(a), [5, 3, 2, 5, 5]);
  assertEquals(counts(b), [0, 0, undefined, 0, undefined]);
});

Deno.test("Registry: a rate is that of the last seconds, and begins at nothing with each connection", () => {
  const { registry, connect } = setUp({ known: new Map([["a", { records: 1_000 }]]) });
  registry.tick();
  assertEquals(registry.get("a")!.rate, 0, "what came before a restart is no rate");
  const node = connect("a");
  const second = (records: number) => {
    for (let i = 0; i < records; i++) {
      registry.received(node, { isAnomaly: false, clockJumped: false });
    }
    registry.tick();
    return node.rate;
  };
  assertEquals(Math.round(100 * second(10)), 200);
  assertEquals(Math.round(100 * second(10)), 360);
  assertEquals(Math.round(100 * second(0)), 288);
  registry.received(node, { isAnomaly: false, clockJumped: false });
  connect("a");
  assertEquals(second(0), 0);
});

Deno.test("Registry: three takeovers within five minutes mean two nodes of one name, for five minutes", () => {
  const { registry, clock, connect } = setUp();
  const node = connect("a");
  const takeOver = (atMs: number) => {
    clock.ms = atMs;
    return registry.tookOver("a");
  };
  assertEquals([0, 1, 5 * MINUTE_MS].map(takeOver), [false, false, false]);
  assertEquals([node.takeovers, node.duplicate_id], [2, false]);
  const since = 5 * MINUTE_MS + 1;
  assertEquals(takeOver(since - 1), true);
  clock.ms = 8 * MINUTE_MS;
  assertEquals(takeOver(clock.ms), true);
  const held = () => [node.duplicate_id, node.duplicate_since_wall_ms];
  assertEquals([node.takeovers, ...held()], [3, true, START + since - 1]);
  clock.ms = 13 * MINUTE_MS;
  registry.tick();
  assertEquals(held(), [true, START + since - 1]);
  clock.ms++;
  registry.tick();
  assertEquals(held(), [false, undefined]);
});

Deno.test("Registry: of very many takeovers the last ones count", () => {
  const { registry, clock, connect } = setUp();
  const node = connect("a");
  for (let i = 0; i < 20; i++) {
    clock.ms = 10_000 * i;
    registry.tookOver("a");
  }
  for (const [ms, isDuplicate] of [[490_000, true], [490_001, false]] as const) {
    clock.ms = ms;
    registry.tick();
    assertEquals(node.duplicate_id, isDuplicate);
  }
});

Deno.test("Registry: two nodes of one name are no longer told of after a restart of the host", () => {
  const known = new Map([["a", { duplicate_id: true, duplicate_since_wall_ms: 5 }]]);
  const { registry } = setUp({ known });
  registry.tick();
  const { duplicate_id, duplicate_since_wall_ms } = registry.get("a")!;
  assertEquals([duplicate_id, duplicate_since_wall_ms], [false, undefined]);
});

Deno.test("Registry: a refused configuration is told with its reason until one is applied", () => {
  const { registry, clock, connect } = setUp();
  const node = connect("a", { cfg_version: 1 }, { configVersion: 2 });
  const answer = (ok: boolean, cfg_version_applied: number, error?: string) =>
    registry.configApplied(node, { ok, cfg_version_applied, error } as unknown as ConfigApplied);
  const said = () => [node.config_error, node.config_error_since_wall_ms];
  clock.ms = 1_000;
  answer(false, 1, "sample_hz is too high");
  assertEquals(said(), ["sample_hz is too high", START + 1_000]);
  assertEquals([node.cfg_version_applied, node.config_pending_since_wall_ms], [1, START]);
  clock.ms = 2_000;
  answer(false, 1);
  assertEquals(said(), ["refused without a reason", START + 2_000]);
  answer(true, 2);
  assertEquals(said(), [undefined, undefined]);
  assertEquals([node.cfg_version_applied, node.config_pending_since_wall_ms], [2, undefined]);
});

Deno.test("Registry: a configuration is pending since it was wanted, not where the node is ahead", () => {
  const { registry, clock, connect } = setUp();
  const node = connect("a", { cfg_version: 3 }, { configVersion: 2 });
  assertEquals(node.config_pending_since_wall_ms, undefined);
  for (const [ms, version, since] of [[1_000, 3], [2_000, 4, 2_000], [3_000, 5, 2_000]] as const) {
    clock.ms = ms;
    registry.configWanted("a", version);
    assertEquals(node.cfg_version_desired, version);
    assertEquals(node.config_pending_since_wall_ms, since === undefined ? since : START + since);
  }
});

Deno.test("Registry: a clock is off from five seconds, ahead or behind, since it was found so", () => {
  const { registry, clock, connect } = setUp();
  const node = connect("a");
  const since = (errorMs: number | undefined) => {
    clock.ms += 1_000;
    registry.clockError(node, errorMs);
    return node.clock_off_since_wall_ms && node.clock_off_since_wall_ms - START;
  };
  const errors = [5_000, 5_001, 9_000, undefined, -5_000, -5_001, -7_000, 0];
  assertEquals(
    errors.map(since),
    [undefined, 2_000, 2_000, undefined, undefined, 6_000, 6_000, undefined],
  );
});

Deno.test("Registry: the clock of a node is compared anew with each boot, not with each connection", () => {
  const { registry, clock, connect, beat } = setUp();
  const offset = () => registry.get("a")!.clock_offset_ms! - START;
  connect("a");
  assertEquals(offset(), -1_000);
  clock.ms = 500;
  beat("a", { ts_mono_ms: 1_400 });
  assertEquals(offset(), -1_000, "a message that was slow says nothing");
  connect("a", { ts_mono_ms: 1_400 });
  assertEquals(offset(), -1_000);
  connect("a", { boot_id: "c", ts_mono_ms: 20 });
  assertEquals(offset(), 480);
  clock.ms = 1_000;
  beat("a", { ts_mono_ms: 720 });
  assertEquals(offset(), 280);
  assert(registry.get("a")!.clock_offset_error_ms! > 0);
});

Deno.test("Registry: as many nodes are remembered as may be, those of before the restart included", () => {
  const known = new Map([["a", {}], ["b", {}]]);
  const { registry, connect } = setUp({ known, nodesMax: 3 });
  const [c, d] = [connect("c"), connect("d")];
  assertEquals([registry.register(c), registry.register(c)], [true, true]);
  assertEquals(registry.register(d), false);
  assertEquals(registry.register(registry.get("a")!), true);
  registry.forget("d");
  assertEquals(
    registry.register(connect("d")),
    false,
    "one of which nothing is stored took no place",
  );
  registry.forget("b");
  assertEquals(registry.register(connect("d")), true);
  assertEquals(registry.nodes.map(({ node_id }) => node_id), ["a", "c", "d"]);
});

Deno.test("Registry: a node of which nothing is stored is gone with its connection, and never saved", async () => {
  const { registry, connect, saves, beat } = setUp();
  const node = connect("a");
  beat("a");
  assertEquals(await saves(), []);
  registry.disconnected(node);
  assertEquals([registry.get("a"), await saves()], [undefined, []]);
  registry.register(connect("b"));
  connect("a");
  assertEquals(await saves(), ["b"]);
  registry.register(registry.get("a")!);
  assertEquals(await saves(), ["a"], "all that is known by now");
  registry.disconnected(registry.get("a")!);
  assertEquals([registry.get("a")?.connected, await saves()], [false, ["a"]]);
});

Deno.test("Registry: whatever is learned of a node is saved, once; what the disk refuses, later", async () => {
  const { registry, connect, beat, saves, disk, saved } = setUp({ known: new Map([["a", {}]]) });
  const node = registry.get("a")!;
  const changes: Record<string, () => unknown> = {
    connected: () => connect("a"),
    heartbeat: () => beat("a", { missed_ticks: 7 }),
    committed: () => registry.committed(node, ledgerAt(3)),
    configApplied: () =>
      registry.configApplied(node, { ok: false, cfg_version_applied: 0 } as ConfigApplied),
    disconnected: () => registry.disconnected(node),
  };
  assertEquals(await saves(), []);
  for (const [name, change] of Object.entries(changes)) {
    change();
    disk.isFull = true;
    assertEquals(await saves(), []);
    disk.isFull = false;
    assertEquals([await saves(), await saves()], [["a"], []], name);
  }
  beat("a", { missed_ticks: 8 });
  await registry.save();
  beat("a", { missed_ticks: 9 });
  assertEquals(saved.at(-1)?.get("a")?.missed_ticks, 8, "what was given to the store stays");
  registry.forget("a");
  assertEquals(await saves(), []);
});

Deno.test("Registry: while the disk fails, what changes is saved later, and who is forgotten is not", async () => {
  const known = new Map(["a", "b", "c"].map((id) => [id, {}]));
  const { registry, connect, saves, disk } = setUp({ known });
  connect("a");
  connect("b");
  disk.isFull = true;
  const saving = registry.save();
  registry.forget("a");
  connect("c");
  await saving;
  disk.isFull = false;
  assertEquals((await saves()).sort(), ["b", "c"]);
});

Deno.test("Registry: after a restart it knows what it knew, but nobody is connected", () => {
  const { registry, connect, beat } = setUp();
  const node = connect("a", { next_seq: 41 }, { configVersion: 2 });
  beat("a", { degraded: true, wal_bytes: 90, next_seq: 41 });
  registry.lost(node, 3, "evicted");
  registry.received(node, { isAnomaly: true, clockJumped: true });
  const known = new Map([["a", JSON.parse(JSON.stringify(node))]]);
  const again = setUp({ known }).registry;
  assertEquals(again.get("a"), { ...node, connected: false, replaying: false, rate: 0 });
  assertEquals(again.replaying, 0);
});
