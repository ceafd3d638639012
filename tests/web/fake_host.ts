/**
 * A host that is not one: the same routes as `docs/http-api.md`, with as many nodes as wanted and values made
 * up from the time. For tests of the page at sizes and in states that real nodes take hours to reach.
 */
import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { NodeSummary } from "../../lib/fleet/node_info.ts";
import { fleetVerdict } from "../../lib/fleet/verdict.ts";
import { addHostPages } from "../../lib/web/pages/host_pages.ts";
import { summary } from "../fleet/summary.ts";

const METRICS: Record<string, { base: number; noise: number; wave: number }> = {
  temp_c: { base: 41, noise: 0.15, wave: 4 },
  rail_v: { base: 5.02, noise: 0.008, wave: 0 },
  pressure_bar: { base: 3.4, noise: 0.02, wave: 0.1 },
  flow_lpm: { base: 120, noise: 1.2, wave: 15 },
  vibration_g: { base: 0.3, noise: 0.02, wave: 0.05 },
};
const SAMPLE_MS = 100;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Every so many samples one is a spike. */
const SPIKE_EVERY = 900;

/** A fraction from 0 to 1 that depends on nothing but `n`. */
function chance(n: number): number {
  const x = Math.sin(n * 12.9898) * 43758.5453;
  return x - Math.floor(x);
}

function valueAt(node: number, metric: string, ms: number): { value: number; isSpike: boolean } {
  const { base, noise, wave } = METRICS[metric]!;
  const tick = Math.floor(ms / SAMPLE_MS);
  const isSpike = metric === "temp_c" && (tick + node * 131) % SPIKE_EVERY === 0;
  const phase = node + ms / HOUR_MS;
  const rough = chance(tick * 0.37 + node * 7.1 + metric.length) - 0.5;
  const value = base + wave * Math.sin(phase) +
    noise * (2 * rough + 2 * Math.sin(ms / 9_000 + node)) +
    (isSpike ? 18 * noise : 0);
  return { value: Number(value.toFixed(4)), isSpike };
}

/** What is wrong with node `i`: most are well. */
function trouble(i: number, now: number): Record<string, unknown> {
  switch (i) {
    case 16:
      return { connected: false, last_seen_wall_ms: now - 252_000, backlog: 2_520 };
    case 200:
      return { connected: false, last_seen_wall_ms: now - 2 * DAY_MS, backlog: 120 };
    case 8:
      return { wal_bytes: 250e6, degraded: true, backlog: 184_220 };
    case 41:
      return {
        cfg_version_desired: 7,
        cfg_version_applied: 5,
        config_pending_since_wall_ms: now - DAY_MS,
      };
    case 57:
      return {
        cfg_version_desired: 7,
        config_error: "sample_hz: 500 is more than this board can do",
      };
    case 77:
      return { clock_error_ms: -42_000 };
    case 120:
      return { duplicate_id: true, takeovers: 5 };
    case 2:
      return {
        gap_records: 1_204,
        lost_lately: {
          records: 1_204,
          since_wall_ms: now - HOUR_MS,
          last_wall_ms: now - HOUR_MS,
          reasons: ["evicted"],
        },
      };
    case 300:
      return { connected: false, stopped: true, last_seen_wall_ms: now - 3 * HOUR_MS, backlog: 0 };
    default:
      return i % 97 === 5 ? { replaying: true, backlog: 12_000 + i } : {};
  }
}

function nodeSummary(i: number, now: number): NodeSummary {
  const seq = Math.floor(now / SAMPLE_MS) % 10_000_000;
  const isCalm = i !== 41 && i !== 57;
  return summary(`pump-${i + 1}`, now, {
    connected: true,
    peer: `10.0.${Math.floor(i / 250)}.${i % 250 + 1}:51234`,
    epoch: "3f9a0c1d2e4b5a67",
    boot_id: "b1",
    version: i % 9 === 0 ? "0.1.0" : "0.2.0",
    encoding: "block",
    first_seen_wall_ms: now - 40 * DAY_MS,
    last_seen_wall_ms: now - (i % 7) * 130,
    connected_wall_ms: now - 5 * HOUR_MS,
    high_acked: seq - 6,
    next_seq: seq,
    backlog: i % 11,
    replaying: false,
    degraded: false,
    stopped: false,
    wal_bytes: 4e6 + (i % 40) * 1e6,
    wal_bytes_max: 268_435_456,
    missed_ticks: 0,
    cfg_version_desired: isCalm ? 5 : 7,
    cfg_version_applied: 5,
    clock_error_ms: (i % 13) * 10,
    lag_ms: 300 + (i % 9) * 90,
    records: seq,
    duplicates: 3,
    gap_records: 0,
    anomalies: 40,
    anomalies_hour: i % 17 === 0 ? i % 5 + 1 : 0,
    rate: 9.8 + (i % 5) / 10,
    takeovers: 0,
    duplicate_id: false,
    last: Object.fromEntries(Object.keys(METRICS).map((m) => [m, valueAt(i, m, now).value])),
    ...trouble(i, now),
  });
}

function recordAt(i: number, ms: number): Record<string, unknown> {
  const at = Math.ceil(ms / SAMPLE_MS) * SAMPLE_MS;
  const metrics = Object.keys(METRICS).map((m) => [m, valueAt(i, m, at)] as const);
  const flagged = metrics.filter(([, { isSpike }]) => isSpike);
  return {
    type: "telemetry",
    node_id: `pump-${i + 1}`,
    epoch: "3f9a0c1d2e4b5a67",
    seq: Math.floor(at / SAMPLE_MS) % 10_000_000,
    ts_wall_ms: at,
    ts_mono_ms: at % DAY_MS,
    boot_id: "b1",
    metrics: Object.fromEntries(metrics.map(([m, { value }]) => [m, value])),
    anomaly: {
      is_anomaly: flagged.length > 0,
      score: flagged.length > 0 ? 17.9 : 0.8,
      metrics: Object.fromEntries(flagged.map(([m]) => [m, { z: 17.9, mean: 41.02, std: 0.15 }])),
    },
    diagnostics: { rail_low: false },
    degraded: false,
    cfg_version: 5,
    received_wall_ms: at + 640,
  };
}

function series(i: number, c: Context): Record<string, unknown> {
  const metric = c.req.query("metric")!;
  const [from, to, points] = ["from", "to", "points"].map((name) => Number(c.req.query(name)));
  const step = Math.max(SAMPLE_MS, Math.ceil((to! - from!) / points!));
  const start = Math.ceil(from! / step) * step;
  const out: Record<string, number[]> = { t: [], min: [], mean: [], max: [], n: [], anomalies: [] };
  for (let t = start; t < Math.min(to!, Date.now()); t += step) {
    if (inGap(i, t)) continue;
    const { value } = valueAt(i, metric, t);
    const samples = Math.round(step / SAMPLE_MS);
    const noise = samples > 1 ? METRICS[metric]!.noise * 2 : 0;
    const tick = Math.floor(t / SAMPLE_MS) + i * 131;
    const untilSpike = (SPIKE_EVERY - tick % SPIKE_EVERY) % SPIKE_EVERY;
    const isSpike = metric === "temp_c" && untilSpike < samples;
    out.t!.push(t);
    out.mean!.push(value);
    out.min!.push(value - noise * (0.5 + chance(t)));
    out.max!.push(
      value + noise * (0.5 + chance(t + 1)) + (isSpike ? 18 * METRICS.temp_c!.noise : 0),
    );
    out.n!.push(samples);
    out.anomalies!.push(isSpike ? Math.ceil(samples / SPIKE_EVERY) : 0);
  }
  return { metric, from_ms: start, to_ms: to, step_ms: step, ...out };
}

const startedMs = Date.now();

function gapsOf(i: number): { from_wall_ms: number; to_wall_ms: number }[] {
  return i !== 2 ? [] : [{ from_wall_ms: startedMs - 400_000, to_wall_ms: startedMs - 280_000 }];
}

function inGap(i: number, ms: number): boolean {
  return gapsOf(i).some(({ from_wall_ms, to_wall_ms }) => ms > from_wall_ms && ms < to_wall_ms);
}

const SETTINGS = [
  {
    name: "sample_hz",
    type: "number",
    default: 10,
    min: 0.001,
    max: 1_000,
    unit: "Hz",
    help: "Samples per second.",
  },
  {
    name: "send_interval_ms",
    type: "integer",
    default: 1_000,
    min: 0,
    max: 60_000,
    unit: "ms",
    help: "How long fresh records may wait to be sent together. Anomalous records never wait.",
  },
  {
    name: "wal_bytes_max",
    type: "integer",
    default: 268_435_456,
    min: 131_072,
    max: 1_099_511_627_776,
    unit: "bytes",
    help: "Most bytes that the write-ahead log may take. Near it records are thinned.",
  },
  {
    name: "detector",
    type: "text",
    default: "zscore",
    help:
      "Detector for every metric that has none of its own, for example zscore:threshold=4,window=600.",
  },
  {
    name: "detectors",
    type: "list",
    default: [],
    help:
      "Detectors of single metrics, for example temp_c=ewma:threshold=5; none switches one off.",
  },
  {
    name: "rail_low_v",
    type: "number",
    default: 4.75,
    min: 0,
    max: 1_000,
    unit: "V",
    help: "Below it the diagnostic rail_low is set; it clears 2 % above.",
  },
];

/** How the fake behaves, and what was asked of it. */
export interface FakeHost {
  readonly app: Hono;
  /** Set to refuse streams and cut those that are open. */
  isDown: boolean;
  /** Set to something to require it as bearer token of changes. */
  token: string;
  readonly configs: Map<string, { cfg_version: number; config: Record<string, unknown> }>;
  /** Streams that are open. */
  streams: number;
  /** Configurations that were sent, by target. */
  readonly sent: [string, Record<string, unknown>][];
}

/** Makes a fake with that many nodes; nothing listens. */
export function createFakeHost(count: number): FakeHost {
  const app = new Hono();
  const fake: FakeHost = {
    app,
    isDown: false,
    token: "",
    configs: new Map(),
    streams: 0,
    sent: [],
  };
  fake.configs.set("pump-1", {
    cfg_version: 5,
    config: { sample_hz: 10, detector: "zscore:threshold=4" },
  });
  let version = 7;
  const changed = new Map<number, Record<string, unknown>>();
  const nodes = (now: number) =>
    Array.from({ length: count }, (_, i) => ({ ...nodeSummary(i, now), ...changed.get(i) }));
  const index = (c: Context) => Number(c.req.param("id")?.slice("pump-".length)) - 1;
  addHostPages(app);

  app.use(async (c, next) => {
    if (c.req.method === "GET" || fake.token === "") return await next();
    if (c.req.header("authorization") === `Bearer ${fake.token}`) return await next();
    return c.json({ error: "a valid bearer token is needed" }, 401);
  });
  app.get("/api/live", (c) => {
    if (fake.isDown) return c.text("down", 503);
    const node = c.req.query("node");
    return streamSSE(c, async (stream) => {
      let isOpen = true;
      let sentUntil = Date.now() - 1_000;
      fake.streams++;
      stream.onAbort(() => void (isOpen = false));
      for (; isOpen && !fake.isDown; await stream.sleep(1_000)) {
        const now = Date.now();
        const host = {
          now_wall_ms: now,
          verdict: fleetVerdict(nodes(now), { ok: true }),
          host_id: "fake",
          version: "0.2.0",
          allow_faults: true,
          nodes_known: count,
          nodes_connected: count - 3,
          store: { ok: true, bytes: 13_214_500_000, records: 45_012_311 },
        };
        await stream.writeSSE({ event: "host", data: JSON.stringify(host) });
        await stream.writeSSE({ event: "nodes", data: JSON.stringify(nodes(now)) });
        if (node !== undefined) {
          const i = Number(node.slice("pump-".length)) - 1;
          const fresh = [];
          for (let t = sentUntil; t < now; t += SAMPLE_MS) fresh.push(recordAt(i, t));
          sentUntil = now;
          await stream.writeSSE({ event: "records", data: JSON.stringify(fresh) });
        }
      }
      fake.streams--;
    });
  });
  app.get("/api/nodes", (c) => c.json(nodes(Date.now())));
  app.get("/api/nodes/:id/metrics", (c) => c.json(Object.keys(METRICS).map((name) => ({ name }))));
  app.get("/api/nodes/:id/series", (c) => c.json(series(index(c), c)));
  app.get("/api/nodes/:id/records", (c) => {
    const from = Number(c.req.query("from") ?? Date.now());
    const after = c.req.query("after_seq");
    const base = Math.floor(Date.now() / (SAMPLE_MS * 1e7)) * 1e7;
    let ms = after === undefined ? from : (base + Number(after) + 1) * SAMPLE_MS;
    if (c.req.query("anomalies") === "1") {
      for (let i = 0; i < SPIKE_EVERY && !valueAt(index(c), "temp_c", ms).isSpike; i++) {
        ms += SAMPLE_MS;
      }
    }
    return c.json([recordAt(index(c), ms)]);
  });
  const gapRows = (i: number) =>
    gapsOf(i).map((gap) => ({
      node_id: `pump-${i + 1}`,
      epoch: "3f9a0c1d2e4b5a67",
      from_seq: 501_204,
      to_seq: 502_407,
      reason: "wal_full",
      declared_wall_ms: gap.to_wall_ms + 4_000,
      ...gap,
    }));
  app.get("/api/gaps", (c) => c.json(gapRows(2)));
  app.get("/api/nodes/:id/gaps", (c) => c.json(gapRows(index(c))));
  app.get("/api/nodes/:id/events", (c) => {
    const now = Date.now();
    const event = (ago: number, kind: string, detail: Record<string, unknown>) => ({
      id: ago,
      node_id: c.req.param("id"),
      at_wall_ms: now - ago,
      kind,
      detail,
    });
    return c.json([
      event(32_000, "anomaly_close", {
        severity: "medium",
        metrics: ["temp_c"],
        since_wall_ms: now - 36_000,
        duration_ms: 3_800,
        peak: { metric: "temp_c", value: 43.71, score: 17.9 },
      }),
      event(36_000, "anomaly_open", {
        severity: "medium",
        metrics: ["temp_c"],
        since_wall_ms: now - 36_000,
        duration_ms: 0,
        peak: { metric: "temp_c", value: 43.71, score: 17.9 },
      }),
      event(600_000, "config_applied", { cfg_version: 5, cfg_version_applied: 5 }),
      event(601_000, "config_wanted", { cfg_version: 5 }),
      event(5 * HOUR_MS, "replayed", { high_acked: 501_204 }),
      event(5.1 * HOUR_MS, "connected", {
        peer: "10.0.0.1:51234",
        version: "0.2.0",
        encoding: "block",
        backlog: 2_210,
      }),
      event(5.4 * HOUR_MS, "disconnected", { high_acked: 498_994 }),
      event(30 * HOUR_MS, "restarted", {
        peer: "10.0.0.1:40112",
        version: "0.2.0",
        encoding: "block",
        backlog: 0,
      }),
    ]);
  });
  app.get("/api/settings", (c) => c.json(SETTINGS));
  app.get("/api/nodes/:id/config", (c) => {
    const desired = fake.configs.get(c.req.param("id")) ?? null;
    return c.json({ desired, cfg_version_applied: desired?.cfg_version ?? 0, error: null });
  });
  app.post("/api/config/check", async (c) => {
    const config = await c.req.json();
    const isBad = typeof config.detector === "string" && !config.detector.startsWith("zscore");
    const problem = {
      setting: "detector",
      expected: "one of zscore, ewma",
      received: JSON.stringify(config.detector),
    };
    return c.json(isBad ? { ok: false, problems: [problem] } : { ok: true });
  });
  app.put("/api/nodes/:id/config", async (c) => {
    const config = await c.req.json();
    const cfg_version = ++version;
    fake.configs.set(c.req.param("id"), { cfg_version, config });
    fake.sent.push([c.req.param("id"), config]);
    changed.set(index(c), { cfg_version_desired: cfg_version });
    setTimeout(
      () =>
        changed.set(index(c), {
          cfg_version_desired: cfg_version,
          cfg_version_applied: cfg_version,
        }),
      1_500,
    );
    return c.json({ target: c.req.param("id"), cfg_version });
  });
  const faults: Record<string, unknown>[] = [];
  app.get("/api/faults", (c) => c.json({ active: faults, struck: { drop: faults.length } }));
  app.post("/api/faults", async (c) => {
    const { fault } = await c.req.json();
    faults.push({ kind: fault.split(":")[0], p: 1, every_ms: 30_000, hits: 0 });
    return c.json(faults.at(-1));
  });
  app.delete("/api/faults", (c) => c.json({ active: faults.splice(0) && [] }));
  return fake;
}

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? 1_000);
  Deno.serve(
    { port: Number(Deno.args[1] ?? 7_999), hostname: "127.0.0.1" },
    createFakeHost(count).app.fetch,
  );
}
