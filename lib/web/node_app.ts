/** The node over HTTP: page, status, health and metrics. It only reads. */
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { lostRecords } from "../fleet/device.ts";
import { oneLine } from "../errors.ts";
import { NODE_METRICS as M } from "../metrics.ts";
import type { Recent } from "../node/recent.ts";
import type { NodeStatus } from "../node/status.ts";
import type { Clock } from "../platform/platform.ts";
import { certified, type Door, guard, personOf, secureHeaders } from "./access.ts";
import { expose, METRICS_TYPE } from "./exposition.ts";
import { addLogin } from "./login.ts";
import { nodePage } from "./pages/node_page.ts";
import { eventText, Streams } from "./streams.ts";

/** Most live pages at once: a device is looked at by few. */
export const CLIENTS_MAX = 16;
/** It takes nothing but a token. */
const BODY_BYTES_MAX = 4_096;

/** What the app shows. */
export interface NodeSource {
  status(): Promise<NodeStatus>;
  /** The last minutes of each metric. */
  readonly recent: Recent;
  /** Why the node is not well, or `undefined`. */
  health(): string | undefined;
  /** Resident memory of the process in bytes. */
  memoryBytes(): number;
}

/** What the app needs beside the node. */
export interface NodeAppOptions {
  readonly clock: Clock;
  readonly door: Door;
  /** Served over TLS. */
  readonly isSecure: boolean;
  /** Where whoever asks is asked for a certificate: who is told of those who aren't let in. */
  readonly onUncertified?: ((address: string, reason: string) => void) | undefined;
}

/** Makes the app; nothing listens. Throws where a file of the page is missing. */
export function createNodeApp(source: NodeSource, options: NodeAppOptions): Hono {
  const app = new Hono();
  const page = nodePage();
  const { isSecure } = options;
  const access = { ...options, cookie: "holdfast_node" };
  const live = liveStatus(source, options.clock);
  app.use(secureHeaders(isSecure));
  const { onUncertified } = options;
  // Which are revoked a host alone knows.
  if (onUncertified) app.use(certified({ isRevoked: () => false, onRefused: onUncertified }));
  app.use(guard(access));
  app.use(bodyLimit({ maxSize: BODY_BYTES_MAX }));
  addLogin(app, access, {
    title: "Holdfast node",
    hint: "It is this node's setting",
    code: "http_token",
  });
  app.onError((error, c) => c.json({ error: oneLine(error) }, 500));
  app.notFound((c) => c.json({ error: `there is no ${c.req.path}` }, 404));
  app.get("/", async (c) => c.body(page.html(await source.status()), 200, page.headers));
  app.get("/status", async (c) => c.json(await source.status()));
  app.get("/api/recent", (c) => c.json(source.recent.read(c.req.query("metric"))));
  app.get("/api/live", (c) => {
    const full = `${CLIENTS_MAX} pages are live already: close one`;
    return live.open(() => undefined, () => personOf(c)!.isValid()) ?? c.json({ error: full }, 503);
  });
  app.get("/healthz", (c) => {
    const problem = source.health();
    if (problem === undefined) return c.text("ok\n");
    return c.text(personOf(c) === undefined ? "not well\n" : `${problem}\n`, 503);
  });
  app.get("/metrics", async (c) => {
    const text = metricsText(await source.status(), source.memoryBytes());
    return c.body(text, 200, { "content-type": METRICS_TYPE });
  });
  return app;
}

/** Tells, once a second, what changed in the status, and the last seconds of the lines. */
function liveStatus(source: NodeSource, clock: Clock): Streams<undefined> {
  let told: Record<string, string> = {};
  let everything = "", changes = "";
  const prepare = async () => {
    // The newest second is still being filled: the ones before it are told again, whole.
    const recent = eventText("recent", JSON.stringify(source.recent.read(undefined, 3)));
    try {
      const now: Record<string, string> = {};
      for (const [name, value] of Object.entries(await source.status())) {
        now[name] = JSON.stringify(value);
      }
      const changed = Object.keys(now).filter((name) => now[name] !== told[name]);
      everything = statusEvent(now, Object.keys(now)) + recent;
      changes = statusEvent(now, changed) + recent;
      told = now;
    } catch {
      everything = changes = ""; // The log can't be read: the page says that it hears nothing.
    }
  };
  const text = (_: undefined, isCurrent: boolean) => isCurrent ? changes : everything;
  return new Streams({ prepare, text, closed: () => {} }, clock, CLIENTS_MAX);
}

/** The fields of those names, already in JSON. */
function statusEvent(fields: Readonly<Record<string, string>>, names: readonly string[]): string {
  return eventText("status", `{${names.map((name) => `"${name}":${fields[name]}`).join(",")}}`);
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
    [M.events, one(status.events.opened)],
    [M.events_open, one(status.events.open)],
    [M.events_held, one(status.events.held_back)],
    [
      M.rules,
      status.rules.map(({ rule, active }) => ({ value: active ? 1 : 0, labels: { rule } })),
    ],
    [M.backlog, one(status.backlog)],
    [M.oldest, one(status.oldest_unacked_ms / 1_000)],
    [M.gap_records, one(status.gaps.reduce((n, gap) => n + lostRecords(gap), 0))],
    [M.degraded, one(status.degraded ? 1 : 0)],
    [M.downsample, one(status.downsample_n)],
    [M.wal_bytes, one(wal.bytes)],
    [M.wal_limit, one(wal.bytes_max)],
    [M.wal_writable, one(wal.writable ? 1 : 0)],
    [M.wal_written, one(wal.written_bytes)],
    [M.wal_block_bytes, wal.block_bytes === undefined ? [] : one(wal.block_bytes)],
    [M.wal_tail_in_memory, one(wal.tail.in === "memory" ? 1 : 0)],
    [M.wal_tail_bytes, one(wal.tail.bytes)],
    [M.wal_syncs, one(wal_stats.syncs ?? 0)],
    [M.wal_failures, one((wal_stats.sync_failures ?? 0) + (wal_stats.write_failures ?? 0))],
    [M.wal_evicted, one(wal_stats.evicted_records ?? 0)],
    [M.wal_corrupt, one(wal_stats.corrupt_records ?? 0)],
    [M.config, one(status.cfg_version)],
    [M.value, metrics.map(([metric, { value }]) => ({ value, labels: { metric } }))],
    [M.z, metrics.map(([metric, { z }]) => ({ value: z ?? 0, labels: { metric } }))],
  ]);
}
