/** From connection to connection: which host, when again, what is remembered, and how a node that stops drains. */
import { assertEquals } from "@std/assert";
import { Backoff } from "../../lib/node/backoff.ts";
import { UplinkDriver } from "../../lib/node/uplink_driver.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import type { Random } from "../../lib/platform/platform.ts";
import { Wal } from "../../lib/wal/wal.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";
import { Link, quiet } from "./links.ts";
import { welcome } from "./uplinks.ts";

const encoder = new TextEncoder();
/** Draws the longest wait each time. */
const LONGEST: Random = { below: (n) => n - 1, bytes: (count) => new Uint8Array(count) };
const WALL_MS = 5_000_000;

/** A driver, a log with `records`, and hosts that a test plays. */
class Bench {
  readonly kernel = new Kernel();
  readonly clock = new MachineClock(this.kernel, WALL_MS);
  readonly stop = new AbortController();
  /** Attempts to connect: when, and to whom. */
  readonly attempts: [ms: number, host: string][] = [];
  readonly links: Link[] = [];
  /** What becomes of an attempt. */
  answer: "accept" | "refuse" | "nothing" = "accept";
  sendIntervalMs = 1_000;
  wal!: Wal;
  driver!: UplinkDriver;

  async start(records = 0, hosts = ["one:1"]): Promise<this> {
    const { clock } = this;
    this.wal = await Wal.open({
      disk: new SimDisk(),
      clock,
      random: seededRandom(1),
      osBootId: "boot",
      ringRecords: 1_000,
      bytesMax: 1 << 20,
      sync: "interval",
      syncIntervalMs: 1_000,
    });
    for (let i = 0; i < records; i++) this.wal.append(encoder.encode(`{"n":${i}}`));
    await this.wal.sync();
    this.driver = new UplinkDriver({
      nodeId: "a",
      bootId: "b",
      version: "1",
      token: "",
      encodings: ["ndjson"],
      sendIntervalMs: () => this.sendIntervalMs,
      cfgVersion: () => 0,
      wal: this.wal,
      clock,
      random: LONGEST,
      hosts,
      reconnectMsMax: 30_000,
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
      transport: {
        listen: () => Promise.reject(new Error("a node doesn't listen")),
        connect: (host, signal) => {
          this.attempts.push([this.kernel.nowMs, host]);
          if (this.answer === "refuse") return Promise.reject(new Error("refused"));
          if (this.answer === "nothing") {
            return new Promise((_, reject) =>
              signal.addEventListener("abort", () => reject(new Error("took too long")))
            );
          }
          const link = new Link();
          this.links.push(link);
          return Promise.resolve(link);
        },
      },
    });
    this.driver.run(this.stop.signal);
    await quiet();
    return this;
  }

  get link(): Link {
    return this.links.at(-1)!;
  }

  async run(ms: number): Promise<void> {
    await this.kernel.runUntil(this.kernel.nowMs + ms);
    await quiet();
  }

  /** The waits between the attempts since the last call. */
  waits(): number[] {
    const times = this.attempts.map(([ms]) => ms);
    return times.slice(1).map((ms, i) => ms - times[i]!);
  }
}

Deno.test("Backoff waits up to half a second, twice as long at each failure, never longer than the longest", () => {
  const backoff = new Backoff(LONGEST, 3_000);
  const next = (count: number) => Array.from({ length: count }, () => backoff.next());
  assertEquals(next(5), [500, 1_000, 2_000, 3_000, 3_000]);
  backoff.reset();
  assertEquals(next(2), [500, 1_000]);
  assertEquals(new Backoff(LONGEST, 100).next(), 100);
  const bounds: number[] = [];
  const drawn = new Backoff({ ...LONGEST, below: (n) => bounds.push(n) && 0 }, 60_000);
  assertEquals([drawn.next(), drawn.next(), drawn.next()], [0, 0, 0]);
  assertEquals(bounds, [501, 1_001, 2_001]);
});

Deno.test("hosts are tried in turn, ever more rarely while none answers", async () => {
  const bench = new Bench();
  bench.answer = "refuse";
  await bench.start(0, ["one:1", "two:2"]);
  await bench.run(100_000);
  assertEquals(bench.waits(), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assertEquals(bench.attempts.slice(0, 3).map(([, host]) => host), ["one:1", "two:2", "one:1"]);
  const { state, host, last_error, since_wall_ms } = bench.driver.status();
  assertEquals([state, host, last_error], ["waiting", "one:1", "refused"]);
  assertEquals(since_wall_ms, WALL_MS, "the link is down since the start, attempts or not");
});

Deno.test("a host that doesn't take the connection within ten seconds is left", async () => {
  const bench = new Bench();
  bench.answer = "nothing";
  await bench.start();
  await bench.run(9_999);
  assertEquals(bench.driver.status().state, "connecting");
  await bench.run(1);
  assertEquals([bench.driver.status().state, bench.waits()], ["waiting", []]);
  await bench.run(500);
  assertEquals(bench.waits(), [10_500]);
});

Deno.test("waiting starts anew after a session of ten seconds, and after that one only", async () => {
  const bench = new Bench();
  bench.answer = "refuse";
  await bench.start();
  await bench.run(3_499);
  bench.answer = "accept";
  await bench.run(1);
  await bench.link.say(welcome(10));
  await bench.run(9_999);
  bench.link.close();
  await bench.run(3_999);
  assertEquals(bench.attempts.length, 4, "9.999 s were too short");
  await bench.run(1);
  await bench.link.say(welcome(10));
  await bench.run(10_000);
  bench.answer = "refuse";
  const closedMs = bench.kernel.nowMs;
  bench.link.close();
  await bench.run(8_000);
  const later = bench.attempts.map(([ms]) => ms - closedMs).filter((ms) => ms > 0);
  assertEquals(later, [500, 1_500, 3_500, 7_500]);
});

Deno.test("a host that asks to stay away is not come back to before", async () => {
  const bench = await new Bench().start();
  await bench.link.say({ type: "error", code: "busy", message: "m", retry_after_ms: 60_000 });
  await bench.run(59_999);
  assertEquals(bench.attempts.length, 1);
  await bench.run(1);
  assertEquals(bench.attempts.length, 2);
});

Deno.test("what an earlier session sent is no reason to give records new numbers", async () => {
  const bench = await new Bench().start();
  await bench.link.say(welcome(1_000));
  for (let n = 1; n <= 3; n++) {
    bench.driver.notify(bench.wal.append(encoder.encode(`{"n":${n}}`)), true);
  }
  await quiet();
  assertEquals(bench.link.heardOf("telemetry").length, 3);
  for (let session = 2; session <= 3; session++) {
    bench.link.close();
    await bench.run(3_000);
    assertEquals(bench.links.length, session);
    await bench.link.say(welcome(1_000, { high_acked: 2, max_seq: 3 }));
    assertEquals(bench.link.heardOf("telemetry").map(({ seq }) => seq), [3]);
  }
  assertEquals(bench.wal.stats.renumbered_records, 0);
});

Deno.test("the status tells of the link: since when, with whom, how much, what went wrong last", async () => {
  const bench = await new Bench().start(4);
  await bench.run(5_000);
  assertEquals(bench.driver.status().since_wall_ms, WALL_MS);
  bench.link.close();
  await bench.run(1_000);
  assertEquals(bench.driver.status().last_error, "host closed the connection");
  await bench.link.say(welcome(3, { host_id: "h1" }));
  const open = bench.driver.status();
  assertEquals(
    [open.state, open.host_id, open.encoding, open.sessions, open.in_flight, open.sent_records],
    ["connected", "h1", "ndjson", 1, 2, 2],
  );
  assertEquals([open.last_error, open.last_ack_wall_ms], [undefined, undefined]);
  const upSince = open.since_wall_ms;
  assertEquals(upSince, WALL_MS + 6_000);
  await bench.run(2_000);
  await bench.link.say({ type: "ack", high_acked: 2 });
  const acked = bench.driver.status();
  assertEquals([acked.last_ack_wall_ms, acked.since_wall_ms], [bench.clock.wallMs(), upSince]);
  assertEquals([acked.sent_records, acked.received_bytes > open.received_bytes], [4, true]);
  assertEquals(acked.sent_bytes, bench.links.reduce((sum, { written }) => sum + written, 0));
  bench.answer = "refuse";
  bench.link.close();
  await quiet();
  const downSince = bench.clock.wallMs();
  await bench.run(20_000);
  const down = bench.driver.status();
  assertEquals([down.state, down.since_wall_ms, down.in_flight], ["waiting", downSince, 0]);
  bench.stop.abort();
  await bench.run(1);
  assertEquals(bench.driver.status().state, "stopped");
});

Deno.test("a node that stops sends what waits for company at once, and is done when the host has it", async () => {
  const bench = await new Bench().start();
  bench.sendIntervalMs = 60_000;
  await bench.link.say(welcome(100));
  bench.driver.notify(bench.wal.append(encoder.encode(`{"n":1}`)), false);
  await bench.run(1_000);
  assertEquals(bench.link.heardOf("telemetry"), []);
  const startMs = bench.kernel.nowMs;
  let drained: boolean | undefined;
  bench.driver.drain(startMs + 5_000).then((all) => drained = all);
  await bench.run(100);
  assertEquals(bench.link.heardOf("telemetry").map(({ seq }) => seq), [1]);
  assertEquals(drained, undefined);
  await bench.link.say({ type: "ack", high_acked: 1 });
  await bench.run(100);
  assertEquals(drained, true);
});

Deno.test("a node that stops tries five times within a second to reach somebody, however often it failed before", async () => {
  const bench = new Bench();
  bench.answer = "refuse";
  await bench.start(1);
  await bench.run(100_000);
  const before = bench.attempts.length;
  let drained: boolean | undefined;
  bench.driver.drain(bench.kernel.nowMs + 60_000).then((all) => drained = all);
  await bench.run(900);
  assertEquals([drained, bench.attempts.length - before], [undefined, 4]);
  await bench.run(400);
  assertEquals(drained, false);
});
