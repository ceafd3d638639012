/** The host's `/metrics`. */
import type { Host } from "../host/host.ts";
import type { People } from "../host/people.ts";
import { hostStatus } from "../host/status.ts";
import { HOST_METRICS as M } from "../metrics.ts";
import type { Clock } from "../platform/platform.ts";
import { expose } from "./exposition.ts";

/** What the text is made from. */
export interface HostMetricsOptions {
  readonly clock: Clock;
  readonly people: Pick<People, "refused">;
  /** Whether there are series for each node. */
  readonly metricsPerNode: boolean;
  /** Resident memory of the process in bytes. */
  readonly memoryBytes: () => number;
}

/** The text in the format of Prometheus. */
export async function hostMetrics(host: Host, options: HostMetricsOptions): Promise<string> {
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
    [M.memory, [{ value: options.memoryBytes() }]],
    [M.connections, [{ value: host.connections }]],
    [M.connections_total, [{ value: counters.connections }]],
    [M.refused, [{ value: counters.refused_connections }]],
    [M.untrusted, [{ value: counters.untrusted_connections }]],
    [M.logins_failed, [{ value: options.people.refused.failures }]],
    [M.logins_slowed, [{ value: options.people.refused.slowed }]],
    [M.nodes, [
      { value: connected, labels: { state: "connected" } },
      { value: status.nodes_known - connected, labels: { state: "away" } },
    ]],
    [M.records, [{ value: counters.records }]],
    [M.duplicates, [{ value: counters.duplicates }]],
    [M.bad_lines, [{ value: counters.bad_lines }]],
    [M.commits, [{ value: commits.commits }]],
    [M.commit_failures, [{ value: commits.failures }]],
    [M.overtaken, [{ value: commits.overtaken }]],
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
    [M.node_stopped, each((node) => node.stopped ? 1 : 0)],
    [M.node_last_seen, each((node) => node.last_seen_wall_ms / 1_000)],
    [M.node_backlog, each((node) => node.backlog)],
    [M.node_degraded, each((node) => node.degraded ? 1 : 0)],
    [M.node_wal_bytes, each((node) => node.wal_bytes)],
    [M.node_wal_bytes_max, each((node) => node.wal_bytes_max)],
    [M.node_records, each((node) => node.records)],
    [M.node_gap_records, each((node) => node.gap_records)],
    [M.node_anomalies, each((node) => node.anomalies)],
    [M.node_events, each((node) => node.anomaly_events ?? 0)],
    [M.node_clock_jumps, each((node) => node.clock_jumps ?? 0)],
    [M.node_config, each((node) => node.cfg_version_desired > node.cfg_version_applied ? 1 : 0)],
    [M.node_duplicate_id, each((node) => node.duplicate_id ? 1 : 0)],
  ]);
}
