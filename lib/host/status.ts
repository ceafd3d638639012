/** The host's state at a glance, as `/status` shows it: the first lines answer 'is my data safe?'. */
import type { NodeSummary } from "../fleet/node_info.ts";
import { attentionLines, fleetVerdict } from "../fleet/verdict.ts";
import type { Clock } from "../platform/platform.ts";
import type { Host, HostCounters } from "./host.ts";

/** See the head of the file. Times by the host's clock. */
export interface HostStatus {
  safe: boolean;
  /** The fleet in two sentences. */
  verdict: string;
  /** Why not, or what to look at, a line each; empty when all is well. */
  attention: string[];
  nodes_connected: number;
  nodes_known: number;
  /** Records that connected nodes have and the host has not. */
  backlog: number;
  /** Everything received up to then is on disk. */
  durable_until_wall_ms: number;
  uncommitted_records: number;
  store: {
    ok: boolean;
    error: string | undefined;
    bytes: number;
    records: number;
    retained_away_records: number;
    unsummed_records: number;
  };
  counters: HostCounters;
  host_id: string;
  version: string;
  listen: string;
  /** Without TLS beyond this machine. */
  insecure: boolean;
  uptime_s: number;
  now_wall_ms: number;
  faults: readonly { kind: string; hits: number }[];
  nodes: NodeSummary[];
}

/** Builds the status. Rejects only where the store is closed or takes too long. */
export async function hostStatus(host: Host, clock: Clock): Promise<HostStatus> {
  const now = clock.wallMs();
  const nodes = host.summaries();
  const connected = nodes.filter((node) => node.connected);
  const { last_error } = host.commitStats;
  const health = { ok: last_error === undefined, error: last_error };
  const { safe, connection, safety } = fleetVerdict(nodes, health);
  return {
    safe,
    verdict: `${connection} ${safety}`.trim(),
    attention: [
      ...attentionLines(nodes, health),
      ...host.strangers === undefined ? [] : [host.strangers],
    ],
    nodes_connected: connected.length,
    nodes_known: nodes.length,
    backlog: connected.reduce((sum, node) => sum + node.backlog, 0),
    durable_until_wall_ms: host.waitingRecords === 0
      ? now
      : host.commitStats.last_commit_wall_ms ?? host.startedWallMs,
    uncommitted_records: host.waitingRecords,
    store: { ...health, ...await host.store.size() },
    counters: host.counters,
    host_id: host.hostId,
    version: host.version,
    listen: host.address,
    insecure: host.isInsecure,
    uptime_s: (now - host.startedWallMs) / 1_000,
    now_wall_ms: now,
    faults: host.faults.active.map(({ kind, hits }) => ({ kind, hits })),
    nodes,
  };
}
