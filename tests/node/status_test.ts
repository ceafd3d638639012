/** What the node says of its own state: how long, how much, how safe. */
import { assertEquals } from "@std/assert";
import { type StatusParts, StatusSource } from "../../lib/node/status.ts";

const WALL_MS = 1_000_000_000;
const DAY_MS = 86_400_000;

/** A status on parts that a test moves. */
function bench() {
  const reads: number[] = [];
  const wal = {
    backlog: 0,
    highAcked: 0,
    firstSeq: 1,
    nextSeq: 1,
    bytes: 100,
    bytesMax: 1_100,
    writable: true,
    lastError: undefined as string | undefined,
    gaps: [],
    lostRecords: 0,
    epoch: "e",
    stats: { written_bytes: 0 },
    tail: { in_memory: true, bytes: 30, error: undefined as string | undefined },
    /** Record n was sampled n seconds after the start. */
    read: (seq: number) => {
      reads.push(seq);
      const payload = new TextEncoder().encode(`{"ts_wall_ms":${WALL_MS + 1_000 * seq}}`);
      return Promise.resolve([{ seq, payload }]);
    },
  };
  const clock = {
    monoMs: 5_000,
    monotonicMs: () => clock.monoMs,
    wallMs: () => WALL_MS + clock.monoMs,
  };
  const link = {
    state: "connected",
    last_error: undefined as string | undefined,
    since_wall_ms: 1,
  };
  const parts = {
    wal,
    clock,
    bank: {
      events: { opened: 1, open: 0, held_back: 0 },
      last: new Map([["a", {
        score: 1,
        is_anomaly: false,
        z: -1,
        mean: 3,
        std: 2,
        alert_score: 5,
      }]]),
    },
    sampler: { samples: 7, missedTicks: 2, lastMetrics: { a: 1, b: 9 } },
    recorder: {
      isDegraded: false,
      samplesPerRecord: 1,
      anomalies: 4,
      durableUntil: (now: number) => now - 10,
      writtenPerMs: (uptimeMs: number) => wal.stats.written_bytes / uptimeMs,
    },
    diagnostics: { current: { rail_low: false }, rules: [] },
    recentEvents: { read: () => [] },
    config: { version: 3, config: { sample_hz: 1 }, lastError: undefined as string | undefined },
    uplink: { status: () => link },
    blocks: undefined as number | undefined,
    blockWrites: () => parts.blocks,
    memoryPlace: () => "/run/holdfast",
    nodeId: "n",
    bootId: "b",
    version: "v",
    isInsecure: false,
  };
  const source = new StatusSource(parts as unknown as StatusParts);
  return { wal, clock, link, parts, reads, read: () => source.read() };
}

Deno.test("status: the age of the oldest record that the host lacks, read once, and anew when the host has it", async () => {
  const { wal, clock, reads, read } = bench();
  assertEquals([(await read()).oldest_unacked_ms, reads], [0, []]);
  Object.assign(wal, { backlog: 2, nextSeq: 3 });
  clock.monoMs = 20_000;
  assertEquals((await read()).oldest_unacked_ms, 19_000);
  clock.monoMs = 30_000;
  assertEquals([(await read()).oldest_unacked_ms, reads], [29_000, [1]]);
  Object.assign(wal, { backlog: 1, highAcked: 1 });
  assertEquals([(await read()).oldest_unacked_ms, reads], [28_000, [1, 2]]);
  clock.monoMs = 0;
  assertEquals(
    (await read()).oldest_unacked_ms,
    0,
    "never negative, as after a clock was set back",
  );
  Object.assign(wal, { backlog: 0, highAcked: 2 });
  assertEquals((await read()).oldest_unacked_ms, 0);
});

Deno.test("status: how long there is room for an outage, and how much is written a day, from the time of this run", async () => {
  const { wal, clock, read } = bench();
  const early = (await read()).wal;
  assertEquals([early.seconds_until_full, early.written_bytes_per_day], [undefined, 0]);
  wal.stats.written_bytes = 500;
  clock.monoMs += 100_000;
  const { wal: log, uptime_s } = await read();
  // 500 bytes in 100 s, 1000 bytes of room.
  assertEquals([log.seconds_until_full, log.written_bytes_per_day, uptime_s], [200, 432_000, 100]);
  assertEquals([log.bytes, log.bytes_max, log.written_bytes], [100, 1_100, 500]);
});

Deno.test("status: losses make it unsafe for a day from the last of them, all of them together", async () => {
  const { wal, clock, read } = bench();
  const lost = async () => {
    const { safe, verdict } = await read();
    return safe ? 0 : Number.parseInt(verdict.text);
  };
  assertEquals(await lost(), 0);
  wal.lostRecords = 5;
  assertEquals(await lost(), 5);
  clock.monoMs += DAY_MS / 2;
  wal.lostRecords = 8;
  assertEquals(await lost(), 8);
  clock.monoMs += DAY_MS;
  assertEquals(await lost(), 8);
  clock.monoMs += 1;
  assertEquals(await lost(), 0);
  wal.lostRecords = 9;
  assertEquals(await lost(), 1, "what was lost before is not counted again");
});

Deno.test("status: each metric has its value beside its judgement, also where there is none", async () => {
  const { metrics } = await bench().read();
  assertEquals(metrics, {
    a: { value: 1, score: 1, is_anomaly: false, z: -1, mean: 3, std: 2, alert_score: 5 },
    b: { value: 9 },
  });
});

Deno.test("status: what there is to look at comes from link, disk, configuration and pressure as they are now", async () => {
  const { wal, link, parts, read } = bench();
  assertEquals([(await read()).safe, (await read()).attention], [true, []]);
  Object.assign(link, { state: "waiting", last_error: "refused" });
  parts.config.lastError = "no such sensor";
  Object.assign(parts.recorder, { isDegraded: true, samplesPerRecord: 4 });
  wal.bytes = 1_000;
  assertEquals((await read()).attention, [
    "log is 90 % of 1.1 KB",
    "no host is connected: refused",
    "configuration refused: no such sensor",
    "degraded: a record stands for 4 samples",
  ]);
  Object.assign(wal, { writable: false, lastError: "disk is full" });
  const { safe, attention, wal: log } = await read();
  assertEquals([safe, attention[0], log.writable, log.error], [
    false,
    "records are in memory only: disk is full",
    false,
    "disk is full",
  ]);
});

Deno.test("status: counters and identity are told as they are", async () => {
  const { wal, clock, read } = bench();
  Object.assign(wal, { nextSeq: 12, highAcked: 9, backlog: 2 });
  const now = WALL_MS + clock.monoMs;
  const {
    backlog,
    durable_until_wall_ms,
    now_wall_ms,
    next_seq,
    high_acked,
    samples,
    missed_ticks,
    anomalies,
    cfg_version,
    config,
    node_id,
    epoch,
    boot_id,
    version,
  } = await read();
  assertEquals([backlog, next_seq, high_acked], [2, 12, 9]);
  assertEquals([durable_until_wall_ms, now_wall_ms], [now - 10, now]);
  assertEquals([samples, missed_ticks, anomalies], [7, 2, 4]);
  assertEquals([cfg_version, config], [3, { sample_hz: 1 }]);
  assertEquals([node_id, epoch, boot_id, version], ["n", "e", "b", "v"]);
});

Deno.test("status: where records wait for acks and why, and what the kernel counts as written to storage", async () => {
  const { wal, clock, parts, read } = bench();
  assertEquals((await read()).wal.tail, {
    in: "memory",
    directory: "/run/holdfast",
    bytes: 30,
    error: undefined,
  });
  Object.assign(wal.tail, { in_memory: false, bytes: 0, error: "it is full" });
  assertEquals((await read()).wal.tail, {
    in: "disk",
    directory: undefined,
    bytes: 0,
    error: "it is full",
  });
  wal.stats.written_bytes = 500;
  parts.blocks = 8_192;
  clock.monoMs += 100_000;
  const { block_bytes, written_bytes, written_bytes_per_day } = (await read()).wal;
  assertEquals([block_bytes, written_bytes], [8_192, 500]);
  assertEquals(written_bytes_per_day, Math.round(8_192 * DAY_MS / 100_000));
});
