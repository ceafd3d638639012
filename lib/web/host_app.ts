/** The host over HTTP: status, metrics and API, as a function from request to response. */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { parseFault } from "../host/faults.ts";
import { ALL_NODES, type Host } from "../host/host.ts";
import { hostStatus } from "../host/status.ts";
import { HOST_METRICS as M } from "../metrics.ts";
import type { Clock } from "../platform/platform.ts";
import { guardChanges } from "./access.ts";
import { expose, METRICS_TYPE } from "./exposition.ts";

/** See the settings of the same names. */
export interface HostAppOptions {
  readonly clock: Clock;
  /** Token that changes need; empty on a listener on loopback. */
  readonly token: string;
  /** Whether `/metrics` has series for each node. */
  readonly metricsPerNode: boolean;
}

const BODY_BYTES_MAX = 65_536;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

function wholeNumber(c: Context, name: string, standard: number, max: number): number {
  const value = Number(c.req.query(name) ?? standard);
  return Number.isInteger(value) && value >= 0 ? Math.min(value, max) : standard;
}

/** Makes the app. It only talks to `host`; nothing listens. */
export function createHostApp(host: Host, options: HostAppOptions): Hono {
  const app = new Hono();
  app.use(guardChanges(options.token));
  app.use(bodyLimit({
    maxSize: BODY_BYTES_MAX,
    onError: (c) => c.json({ error: `a body may have at most ${BODY_BYTES_MAX} bytes` }, 413),
  }));
  app.onError((error, c) => c.json({ error: error.message.split("\n")[0] }, 500));
  app.notFound((c) => c.json({ error: `there is no ${c.req.path}` }, 404));
  addStatus(app, host, options);
  addNodes(app, host);
  addFaults(app, host);
  return app;
}

function addStatus(app: Hono, host: Host, options: HostAppOptions): void {
  app.get("/status", async (c) => c.json(await hostStatus(host, options.clock)));
  app.get("/healthz", (c) => {
    const error = host.commitStats.last_error;
    return error === undefined ? c.text("ok\n") : c.text(`store: ${error}\n`, 503);
  });
  app.get("/metrics", async (c) => {
    const text = await metricsText(host, options);
    return c.body(text, 200, { "content-type": METRICS_TYPE });
  });
}

function addNodes(app: Hono, host: Host): void {
  app.get("/api/nodes", (c) => c.json(host.registry.nodes));
  app.get("/api/nodes/:id", (c) => {
    const node = host.registry.get(c.req.param("id"));
    return node === undefined ? unknownNode(c) : c.json(node);
  });
  app.get("/api/nodes/:id/config", (c) => {
    const id = c.req.param("id");
    const node = host.registry.get(id);
    const desired = host.configs.desired(id);
    if (node === undefined && desired === undefined) return unknownNode(c);
    return c.json({
      desired: desired ?? null,
      cfg_version_applied: node?.cfg_version_applied ?? null,
      error: node?.config_error ?? null,
    });
  });
  const put = async (c: Context, target: string) => {
    const config = await c.req.json().catch(() => undefined);
    if (typeof config !== "object" || config === null || Array.isArray(config)) {
      return c.json({ error: "the body must be a JSON object of settings" }, 400);
    }
    const result = await host.setConfig(target, config);
    if (!result.ok) return c.json({ error: result.error }, 400);
    return c.json({ target, cfg_version: result.row.cfg_version });
  };
  app.put("/api/nodes/:id/config", (c) => put(c, c.req.param("id")));
  app.put("/api/config", (c) => put(c, ALL_NODES));
  app.get("/api/nodes/:id/records", async (c) => {
    const epoch = c.req.query("epoch");
    const rows = await host.store.records({
      node_id: c.req.param("id"),
      ...(epoch === undefined ? {} : { epoch }),
      after_seq: wholeNumber(c, "after_seq", 0, Number.MAX_SAFE_INTEGER),
      anomalies_only: c.req.query("anomalies") === "1",
      newest_first: c.req.query("order") === "newest",
      limit: wholeNumber(c, "limit", LIMIT_DEFAULT, LIMIT_MAX),
    });
    return c.json(rows.map(({ payload, received_wall_ms }) => ({
      ...JSON.parse(payload),
      received_wall_ms,
    })));
  });
  app.get(
    "/api/nodes/:id/gaps",
    async (c) =>
      c.json(await host.store.gaps(c.req.param("id"), wholeNumber(c, "limit", 100, LIMIT_MAX))),
  );
  app.get(
    "/api/nodes/:id/events",
    async (c) =>
      c.json(await host.store.events(c.req.param("id"), wholeNumber(c, "limit", 100, LIMIT_MAX))),
  );
}

function addFaults(app: Hono, host: Host): void {
  if (!host.allowFaults) return;
  app.get("/api/faults", (c) => c.json({ active: host.faults.active, struck: host.faults.struck }));
  app.post("/api/faults", async (c) => {
    const body = await c.req.json().catch(() => undefined) as { fault?: unknown } | undefined;
    if (typeof body?.fault !== "string") {
      return c.json({ error: 'the body must be {"fault": "drop:every=30s"} or the like' }, 400);
    }
    try {
      return c.json(host.addFault(parseFault(body.fault)));
    } catch (error) {
      return c.json({ error: (error as Error).message }, 400);
    }
  });
  app.delete("/api/faults", (c) => {
    host.faults.clear();
    return c.json({ active: [] });
  });
}

function unknownNode(c: Context): Response {
  return c.json({ error: `no node "${c.req.param("id")}" is known` }, 404);
}

async function metricsText(host: Host, options: HostAppOptions): Promise<string> {
  const status = await hostStatus(host, options.clock);
  const commits = host.commitStats;
  const { counters } = host;
  const connected = status.nodes_connected;
  const nodes = options.metricsPerNode ? status.nodes : [];
  const each = (value: (node: typeof nodes[number]) => number) =>
    nodes.map((node) => ({ value: value(node), labels: { node_id: node.node_id } }));
  return expose([
    [M.info, [{ value: 1, labels: { version: host.version } }]],
    [M.up_seconds, [{ value: status.uptime_s }]],
    [M.connections, [{ value: host.connections }]],
    [M.connections_total, [{ value: counters.connections }]],
    [M.refused, [{ value: counters.refused_connections }]],
    [M.nodes, [
      { value: connected, labels: { state: "connected" } },
      { value: status.nodes_known - connected, labels: { state: "away" } },
    ]],
    [M.records, [{ value: counters.records }]],
    [M.duplicates, [{ value: counters.duplicates }]],
    [M.bad_lines, [{ value: counters.bad_lines }]],
    [M.commits, [{ value: commits.commits }]],
    [M.commit_failures, [{ value: commits.failures }]],
    [M.commit_seconds, [{ value: commits.last_commit_ms / 1_000 }]],
    [M.waiting, [{ value: status.uncommitted_records }]],
    [M.store_bytes, [{ value: status.store.bytes }]],
    [M.store_records, [{ value: status.store.records }]],
    [
      M.faults,
      host.allowFaults
        ? Object.entries(host.faults.struck).map(([kind, value]) => ({ value, labels: { kind } }))
        : [],
    ],
    [M.node_connected, each((node) => node.connected ? 1 : 0)],
    [M.node_last_seen, each((node) => node.last_seen_wall_ms / 1_000)],
    [M.node_backlog, each((node) => node.backlog)],
    [M.node_degraded, each((node) => node.degraded ? 1 : 0)],
    [M.node_wal_bytes, each((node) => node.wal_bytes)],
    [M.node_wal_bytes_max, each((node) => node.wal_bytes_max)],
    [M.node_records, each((node) => node.records)],
    [M.node_gap_records, each((node) => node.gap_records)],
    [M.node_anomalies, each((node) => node.anomalies)],
    [M.node_config, each((node) => node.cfg_version_desired > node.cfg_version_applied ? 1 : 0)],
    [M.node_duplicate_id, each((node) => node.duplicate_id ? 1 : 0)],
  ]);
}
