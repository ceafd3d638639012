/** The host's state at a glance, as `/status` shows it: the first lines answer 'is my data safe?'. */
import type { Clock } from "../platform/platform.ts";
import type { Host, NodeSummary } from "./host.ts";
import type { NodeInfo } from "./registry.ts";

/** See the head of the file. Times by the host's clock. */
export interface HostStatus {
  safe: boolean;
  /** Why not, or what to look at; empty when all is well. */
  attention: string[];
  nodes_connected: number;
  nodes_known: number;
  /** Records that connected nodes have and the host has not. */
  backlog: number;
  /** Everything received up to then is on disk. */
  durable_until_wall_ms: number;
  uncommitted_records: number;
  store: { ok: boolean; error: string | undefined; bytes: number; records: number };
  counters: Host["counters"];
  host_id: string;
  version: string;
  listen: string;
  uptime_s: number;
  now_wall_ms: number;
  faults: readonly { kind: string; hits: number }[];
  nodes: NodeSummary[];
}

/** Nodes whose state asks for somebody's attention, each with the reason. */
function concerns(node: NodeInfo): string[] {
  const found: string[] = [];
  if (!node.connected && !node.stopped) found.push("is not connected");
  if (node.duplicate_id) found.push("has a name that two nodes use");
  if (node.degraded) found.push("is degraded and thins its records");
  if (node.config_error !== undefined) {
    found.push(`refused its configuration: ${node.config_error}`);
  }
  if (node.gap_records > 0) found.push(`lost ${node.gap_records} records for good`);
  return found.map((text) => `${node.node_id} ${text}`);
}

/** Builds the status. Rejects only where the store is closed. */
export async function hostStatus(host: Host, clock: Clock): Promise<HostStatus> {
  const now = clock.wallMs();
  const nodes = host.summaries();
  const connected = nodes.filter((node) => node.connected);
  const { last_error } = host.commitStats;
  const size = await host.store.size();
  const attention = [
    ...(last_error === undefined ? [] : [`the store can't commit: ${last_error}`]),
    ...nodes.flatMap(concerns),
  ];
  return {
    safe: last_error === undefined,
    attention,
    nodes_connected: connected.length,
    nodes_known: nodes.length,
    backlog: connected.reduce((sum, node) => sum + node.backlog, 0),
    durable_until_wall_ms: host.waitingRecords === 0
      ? now
      : host.commitStats.last_commit_wall_ms ?? host.startedWallMs,
    uncommitted_records: host.waitingRecords,
    store: { ok: last_error === undefined, error: last_error, ...size },
    counters: host.counters,
    host_id: host.hostId,
    version: host.version,
    listen: host.address,
    uptime_s: (now - host.startedWallMs) / 1_000,
    now_wall_ms: now,
    faults: host.faults.active.map(({ kind, hits }) => ({ kind, hits })),
    nodes,
  };
}
