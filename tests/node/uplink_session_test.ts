/** A session on a connection, with a real log: what it says, in which order, and what it makes of the answers. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { SessionEnd, SessionOptions } from "../../lib/node/uplink_session.ts";
import { UplinkSession } from "../../lib/node/uplink_session.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import type { VersionedConfig, Welcome } from "../../lib/protocol/message.ts";
import { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";
import { Link, quiet } from "./links.ts";
import { welcome } from "./uplinks.ts";

const encoder = new TextEncoder();

/** A session with all that it stands on. */
class Bench {
  readonly kernel = new Kernel();
  readonly clock = new MachineClock(this.kernel, 1_000_000);
  readonly link = new Link();
  wal!: Wal;
  session!: UplinkSession;
  acks = 0;
  traffic = { records: 0, sent: 0, received: 0 };
  readonly opened: string[] = [];
  end: SessionEnd | undefined;

  async start(
    records: number,
    more: Partial<SessionOptions> & { ring?: number; acked?: number; synced?: boolean } = {},
  ): Promise<this> {
    const { clock } = this;
    this.wal = await Wal.open({
      disk: new SimDisk(),
      clock,
      random: seededRandom(1),
      osBootId: "boot",
      ringRecords: more.ring ?? 1_000,
      bytesMax: 1 << 20,
      segmentBytes: 4_000,
      sync: "interval",
      syncIntervalMs: 1_000,
    });
    this.append(records);
    if (more.synced ?? true) await this.wal.sync();
    if (more.acked !== undefined) this.wal.ack(more.acked);
    this.session = new UplinkSession(this.link, {
      nodeId: "a",
      bootId: "b",
      version: "1",
      token: "",
      encodings: ["block", "ndjson"],
      sendIntervalMs: () => 1_000,
      cfgVersion: () => 0,
      runMaxSent: records,
      wal: this.wal,
      clock,
      heartbeat: () => ({
        next_seq: this.wal.nextSeq,
        backlog: this.wal.backlog,
        wal_bytes: 1,
        wal_bytes_max: 2,
        degraded: false,
        cfg_version: 0,
        missed_ticks: 0,
      }),
      onConfig: ({ cfg_version }) =>
        Promise.resolve({ cfg_version, cfg_version_applied: cfg_version, ok: true }),
      onOpen: (encoding, hostId) => this.opened.push(`${encoding} ${hostId}`),
      onTraffic: (records, sent, received) => {
        this.traffic.records += records;
        this.traffic.sent += sent;
        this.traffic.received += received;
      },
      onAck: () => this.acks++,
      ...more,
    });
    this.session.run().then((end) => this.end = end);
    await quiet();
    return this;
  }

  append(count: number): number {
    for (let i = 0; i < count; i++) this.wal.append(encoder.encode(`{"n":${this.wal.nextSeq}}`));
    return this.wal.nextSeq - 1;
  }

  /** Appends a record as the recorder does. */
  async sample(urgent = false): Promise<void> {
    this.session.appended(this.append(1), urgent);
    await quiet();
  }

  async run(ms: number): Promise<void> {
    await this.kernel.runUntil(this.kernel.nowMs + ms);
    await quiet();
  }
}

const seqs = (messages: Record<string, unknown>[]) =>
  messages.filter(({ type }) => type === "telemetry").map(({ seq }) => seq);
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const known = (records: number, more: Partial<Welcome> = {}) =>
  welcome(1_000, { max_seq: records, ...more });

Deno.test("in either encoding a session says hello, heartbeat and records, and hears acks", async () => {
  for (const encoding of ["ndjson", "block"] as const) {
    const bench = await new Bench().start(3);
    assertEquals(bench.link.heard().map(({ type }) => type), ["hello"]);
    await bench.link.say(known(3, { encoding }));
    const said = bench.link.heard();
    assertEquals(said.map(({ type }) => type), ["heartbeat", ...Array(3).fill("telemetry")]);
    assertEquals(said[1], {
      type: "telemetry",
      node_id: "a",
      epoch: bench.wal.epoch,
      seq: 1,
      n: 1,
    });
    assertEquals([said[0]!.ts_wall_ms, said[0]!.ts_mono_ms], [1_000_000, 0]);
    await bench.link.say({ type: "ack", high_acked: 3 });
    assertEquals([bench.wal.highAcked, bench.acks, bench.session.inFlight], [3, 1, 0]);
    assertEquals(bench.opened, [`${encoding} h`]);
    assertEquals([bench.traffic.records, bench.traffic.sent], [3, bench.link.written]);
    assert(bench.traffic.received > 0);
  }
});

Deno.test("what comes in one piece with the welcome counts", async () => {
  for (const encoding of ["ndjson", "block"] as const) {
    const bench = await new Bench().start(3);
    await bench.link.say(known(3, { encoding }), { type: "ack", high_acked: 2 });
    assertEquals(bench.wal.highAcked, 2, encoding);
  }
});

Deno.test("each ack makes room for the next records at once", async () => {
  const bench = await new Bench().start(6);
  await bench.link.say(welcome(2, { max_seq: 6 }));
  const sent = seqs(bench.link.heard());
  for (let acked = 1; acked <= 6; acked++) {
    await bench.link.say({ type: "ack", high_acked: acked });
    sent.push(...seqs(bench.link.heard()));
  }
  assertEquals([sent, bench.kernel.nowMs], [range(1, 6), 0]);
});

Deno.test("an anomalous record leaves at once, another one with its company", async () => {
  const bench = await new Bench().start(0);
  await bench.link.say(known(0));
  bench.link.heard();
  await bench.sample();
  assertEquals(seqs(bench.link.heard()), []);
  await bench.sample(true);
  assertEquals(seqs(bench.link.heard()), [1, 2]);
  await bench.sample();
  await bench.run(999);
  assertEquals(seqs(bench.link.heard()), []);
  await bench.run(1);
  assertEquals(seqs(bench.link.heard()), [3]);
});

Deno.test("fresh records that left memory before their turn are read from the log", async () => {
  const bench = await new Bench().start(0, { ring: 8 });
  await bench.link.say(known(0));
  for (let i = 0; i < 20; i++) bench.session.appended(bench.append(1), false);
  await bench.run(1_500);
  assertEquals(seqs(bench.link.heard()).sort((a, b) => Number(a) - Number(b)), range(1, 20));
});

Deno.test("of a log that isn't synced no more is sent than the reserve, and the rest once it is", async () => {
  const bench = await new Bench().start(600, { synced: false });
  await bench.link.say(known(600));
  assertEquals(seqs(bench.link.heard()), range(1, 256));
  await bench.wal.sync();
  await bench.run(200);
  assertEquals(seqs(bench.link.heard()), range(257, 600));
});

Deno.test("a host that lost what it acked gets again what is left", async () => {
  const bench = await new Bench().start(6, { acked: 5 });
  await bench.link.say(known(6, { high_acked: 2 }));
  assertEquals(bench.wal.highAcked, 2);
  assertEquals(seqs(bench.link.heard()), range(3, 6));
});

Deno.test("where the host has other records under the same numbers, ours get new ones before anything is sent", async () => {
  const bench = await new Bench().start(5, { runMaxSent: 0 });
  await bench.link.say(welcome(1_000, { max_seq: 300, high_acked: 2 }));
  await bench.wal.sync();
  await bench.run(500);
  const said = bench.link.heard();
  assertEquals(said.find(({ type }) => type === "gap"), {
    type: "gap",
    from_seq: 3,
    to_seq: 300,
    reason: "unsynced",
  });
  const sent = said.filter(({ type }) => type === "telemetry");
  assertEquals(sent.map(({ seq, n }) => [seq, n]), range(1, 5).map((n) => [300 + n, n]));
});

Deno.test("the backlog that a heartbeat tells leaves out what the host has above high_acked", async () => {
  const bench = await new Bench().start(10);
  await bench.link.say(known(10, { high_acked: 1, ranges: [[4, 7]] }));
  assertEquals(bench.link.heardOf("heartbeat")[0]!.backlog, 9 - 4);
});

Deno.test("configurations are applied one after the other, of those that come meanwhile the newest; each is answered", async () => {
  const applied: { config: VersionedConfig; done: () => void }[] = [];
  const bench = await new Bench().start(0, {
    onConfig: (config) =>
      new Promise((resolve) => {
        const { cfg_version } = config;
        const done = () => resolve({ cfg_version, cfg_version_applied: cfg_version, ok: true });
        applied.push({ config, done });
      }),
  });
  const versions = () => applied.map(({ config }) => config.cfg_version);
  await bench.link.say(known(0, { config: { cfg_version: 1, config: { sample_hz: 1 } } }));
  for (const cfg_version of [2, 4, 3]) {
    await bench.link.say({ type: "config_update", cfg_version, config: {} });
  }
  assertEquals([versions(), bench.link.heardOf("config_applied")], [[1], []]);
  assertEquals(applied[0]!.config.config, { sample_hz: 1 });
  applied[0]!.done();
  await quiet();
  assertEquals(versions(), [1, 4]);
  assertEquals(bench.link.heardOf("config_applied"), [
    { type: "config_applied", cfg_version: 1, cfg_version_applied: 1, ok: true },
  ]);
  applied[1]!.done();
  await quiet();
  await bench.link.say({ type: "config_update", cfg_version: 5, config: {} });
  assertEquals(versions(), [1, 4, 5]);
  assertEquals(bench.link.heardOf("config_applied").map(({ cfg_version }) => cfg_version), [4]);
});

Deno.test("acks are not kept waiting by a configuration that is being applied", async () => {
  const bench = await new Bench().start(2, { onConfig: () => new Promise(() => {}) });
  await bench.link.say(known(2, { config: { cfg_version: 1, config: {} } }));
  await bench.link.say({ type: "ack", high_acked: 2 });
  assertEquals(bench.wal.highAcked, 2);
});

Deno.test("a host that falls silent is told so after three of its own short intervals", async () => {
  const bench = await new Bench().start(0);
  const limits = { line_bytes_max: 65_536, heartbeat_ms: 600, broadcast_ms: 600 };
  await bench.link.say(known(0, { limits }));
  await bench.run(1_799);
  assertEquals([bench.end, bench.link.isClosed], [undefined, false]);
  await bench.run(1);
  assertEquals(bench.end?.reason, "host fell silent");
  assertEquals(bench.link.heardOf("error").map(({ code }) => code), ["timeout"]);
});

Deno.test("what ends a session is told to the host, and the first reason is the one that counts", async () => {
  const cases: [string, (link: Link) => Promise<void>][] = [
    ["bad_message", (link) => link.say({ type: "ack", high_acked: 9 })],
    ["bad_message", (link) => link.raw(encoder.encode('{"type":"ack"}\n'))],
    ["bad_message", (link) => link.raw(encoder.encode("nonsense\n"))],
    ["bad_order", (link) => link.say(known(3))],
    ["too_long", (link) => link.raw(new Uint8Array(70_000).fill(0x20))],
  ];
  for (const [code, say] of cases) {
    const bench = await new Bench().start(3);
    await bench.link.say(known(3));
    bench.link.heard();
    await say(bench.link);
    assertEquals(bench.link.heardOf("error").map((error) => error.code), [code]);
    assert(bench.link.isClosed);
    bench.session.close({ reason: "later" });
    assertMatch(bench.end!.reason, /^host('s| sent)/);
  }
});

Deno.test("nothing that comes behind an error of the host counts, and it isn't answered", async () => {
  const bench = await new Bench().start(3);
  await bench.link.say(known(3));
  bench.link.heard();
  const error = { type: "error", code: "busy", message: "m", retry_after_ms: 9_000 } as const;
  await bench.link.say(error, { type: "ack", high_acked: 3 });
  assertEquals([bench.wal.highAcked, bench.link.heard()], [0, []]);
  assertEquals(bench.end?.retryAfterMs, 9_000);
});

Deno.test("a node that stops says so in its last heartbeat, where there is a session", async () => {
  const bench = await new Bench().start(0);
  bench.link.heard();
  await bench.session.finalHeartbeat();
  assertEquals(bench.link.heard(), [], "before the welcome only a hello may be said");
  await bench.link.say(known(0));
  await bench.session.finalHeartbeat();
  assertEquals(bench.link.heardOf("heartbeat").map(({ final }) => final), [undefined, true]);
});
