/** The node over HTTP: status, health and metrics. It only reads. */
import { Hono } from "hono";
import { NODE_METRICS as M } from "../metrics.ts";
import type { NodeStatus } from "../node/status.ts";
import { expose, METRICS_TYPE } from "./exposition.ts";

/** What the app shows. */
export interface NodeSource {
  status(): Promise<NodeStatus>;
  /** Why the node is not well, or `undefined`. */
  health(): string | undefined;
  /** Resident memory of the process in bytes. */
  memoryBytes(): number;
}

/** Makes the app; nothing listens. */
export function createNodeApp(source: NodeSource): Hono {
  const app = new Hono();
  app.onError((error, c) => c.json({ error: error.message.split("\n")[0] }, 500));
  app.notFound((c) => c.json({ error: `there is no ${c.req.path}` }, 404));
  app.get("/status", async (c) => c.json(await source.status()));
  app.get("/healthz", (c) => {
    const problem = source.health();
    return problem === undefined ? c.text("ok\n") : c.text(`${problem}\n`, 503);
  });
  app.get("/metrics", async (c) => {
    const text = metricsText(await source.status(), source.memoryBytes());
    return c.body(text, 200, { "content-type": METRICS_TYPE });
  });
  return app;
}

function metricsText(status: NodeStatus, memoryBytes: number): string {
  const { link, wal, wal_stats } = status;
  const one = (value: number) => [{ value }];
  const metrics = Object.entries(status.metrics);
  return expose([
    [M.info, [{ value: 1, labels: { node_id: status.node_id, version: status.version } }]],
    [M.up_seconds, one(status.uptime_s)],
    [M.memory, one(memoryBytes)],
    [M.connected, one(link.state === "connected" ? 1 : 0)],
    [M.sessions, one(link.sessions)],
    [M.sent_records, one(link.sent_records)],
    [M.sent_bytes, one(link.sent_bytes)],
    [M.received_bytes, one(link.received_bytes)],
    [M.samples, one(status.samples)],
    [M.missed_ticks, one(status.missed_ticks)],
    [M.records, one(wal_stats.appended_records ?? 0)],
    [M.anomalies, one(status.anomalies)],
    [M.backlog, one(status.backlog)],
    [M.oldest, one(status.oldest_unacked_ms / 1_000)],
    [M.gap_records, one(status.gaps.reduce((n, gap) => n + gap.to_seq - gap.from_seq + 1, 0))],
    [M.degraded, one(status.degraded ? 1 : 0)],
    [M.downsample, one(status.downsample_n)],
    [M.wal_bytes, one(wal.bytes)],
    [M.wal_limit, one(wal.bytes_max)],
    [M.wal_writable, one(wal.writable ? 1 : 0)],
    [M.wal_written, one(wal.written_bytes)],
    [M.wal_syncs, one(wal_stats.syncs ?? 0)],
    [M.wal_failures, one((wal_stats.sync_failures ?? 0) + (wal_stats.write_failures ?? 0))],
    [M.wal_evicted, one(wal_stats.evicted_records ?? 0)],
    [M.wal_corrupt, one(wal_stats.corrupt_records ?? 0)],
    [M.config, one(status.cfg_version)],
    [M.value, metrics.map(([metric, { value }]) => ({ value, labels: { metric } }))],
    [M.z, metrics.map(([metric, { z }]) => ({ value: z ?? 0, labels: { metric } }))],
  ]);
}
