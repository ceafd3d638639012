/** Every metric of both executables, once: name, kind, help. Units are in the names. */

/** A metric of which the values are given elsewhere. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
}

function gauge(name: string, help: string): MetricDefinition {
  return { name: `holdfast_${name}`, type: "gauge", help };
}
function counter(name: string, help: string): MetricDefinition {
  return { name: `holdfast_${name}_total`, type: "counter", help };
}

/** Metrics of the host. */
export const HOST_METRICS = {
  info: gauge("host_info", "Always 1; the version is in the label."),
  up_seconds: gauge("host_uptime_seconds", "Time since the host started."),
  memory: gauge("host_resident_memory_bytes", "Resident memory of the process."),
  connections: gauge("host_connections", "Connections at present."),
  connections_total: counter("host_connections_accepted", "Connections accepted."),
  refused: counter("host_connections_refused", "Connections refused at the limit."),
  untrusted: counter(
    "host_connections_untrusted",
    "Connections refused as their certificate can't be trusted.",
  ),
  logins_failed: counter(
    "host_logins_failed",
    "Tokens that were shown over HTTP and are wrong, expired or revoked.",
  ),
  logins_slowed: counter(
    "host_logins_slowed",
    "Requests over HTTP that were refused unseen, as too many tokens from there were wrong.",
  ),
  nodes: gauge("host_nodes", "Nodes known, by whether they are connected."),
  records: counter("host_records", "New records received."),
  duplicates: counter("host_duplicate_records", "Records received again and not stored again."),
  bad_lines: counter("host_bad_messages", "Lines that broke the protocol and ended a session."),
  commits: counter("host_commits", "Commits of the store that succeeded."),
  commit_failures: counter("host_commit_failures", "Commits of the store that failed."),
  overtaken: counter(
    "host_overtaken",
    "Epochs that another host claimed while this one held them.",
  ),
  commit_seconds: gauge("host_last_commit_seconds", "Duration of the last commit."),
  waiting: gauge("host_uncommitted_records", "Records received and not yet durable."),
  store_bytes: gauge("host_store_bytes", "Size of the store."),
  store_records: gauge("host_store_records", "Records in the store."),
  faults: counter("host_faults", "Injected faults that struck, by kind."),
  node_connected: gauge("node_connected", "1 while the node is connected."),
  node_stopped: gauge("node_stopped", "1 once the node said that it stops, until it is back."),
  node_last_seen: gauge("node_last_seen_timestamp_seconds", "When the node was last heard of."),
  node_backlog: gauge("node_backlog_records", "Records that the node has and the host has not."),
  node_degraded: gauge("node_degraded", "1 while the node thins records."),
  node_wal_bytes: gauge("node_wal_bytes", "Bytes of the node's write-ahead log."),
  node_wal_bytes_max: gauge("node_wal_limit_bytes", "Limit of the node's write-ahead log."),
  node_records: counter("node_records", "New records received from the node."),
  node_gap_records: counter("node_gap_records", "Records of the node that are lost for good."),
  node_anomalies: counter("node_anomalies", "Anomalous records received from the node."),
  node_events: counter("node_anomaly_events", "Anomaly events that the node opened."),
  node_clock_jumps: counter("node_clock_jumps", "Jumps of the node's wall clock."),
  node_config: gauge("node_config_pending", "1 while the node has not applied what it should."),
  node_duplicate_id: gauge("node_duplicate_id", "1 while two nodes seem to use this name."),
} as const satisfies Record<string, MetricDefinition>;

/** Metrics of the node. */
export const NODE_METRICS = {
  info: gauge("agent_info", "Always 1; id and version are in the labels."),
  up_seconds: gauge("agent_uptime_seconds", "Time since the node started."),
  memory: gauge("agent_resident_memory_bytes", "Resident memory of the process."),
  connected: gauge("agent_connected", "1 while a host is connected."),
  sessions: counter("agent_sessions", "Sessions opened with a host."),
  sent_records: counter("agent_sent_records", "Records sent, repetitions included."),
  sent_bytes: counter("agent_sent_bytes", "Bytes sent to hosts."),
  received_bytes: counter("agent_received_bytes", "Bytes received from hosts."),
  samples: counter("agent_samples", "Samples taken."),
  missed_ticks: counter("agent_missed_ticks", "Ticks at which no sample could be taken."),
  records: counter("agent_records", "Records appended to the log."),
  anomalies: counter("agent_anomalies", "Records with an anomaly."),
  events: counter("agent_anomaly_events", "Anomaly events opened."),
  events_open: gauge("agent_open_anomaly_events", "Anomaly events that are open."),
  events_held: counter("agent_held_back_anomaly_events", "Anomaly events beyond the cap per hour."),
  rules: gauge("agent_rule_active", "1 while a rule of the settings is broken, by rule."),
  backlog: gauge("agent_backlog_records", "Records not acknowledged yet."),
  oldest: gauge("agent_oldest_unacked_seconds", "Age of the oldest record not acknowledged."),
  gap_records: gauge("agent_gap_records", "Records lost for good and not acknowledged yet."),
  degraded: gauge("agent_degraded", "1 while records are thinned."),
  downsample: gauge("agent_downsample_samples", "Samples that a record stands for."),
  wal_bytes: gauge("agent_wal_bytes", "Bytes of the write-ahead log."),
  wal_limit: gauge("agent_wal_limit_bytes", "Limit of the write-ahead log."),
  wal_writable: gauge("agent_wal_writable", "1 while the disk takes records."),
  wal_written: counter("agent_wal_written_bytes", "Bytes written to the log."),
  wal_block_bytes: counter("agent_block_written_bytes", "Bytes that storage was asked to write."),
  wal_tail_in_memory: gauge("agent_wal_tail_in_memory", "1 while records wait for acks in memory."),
  wal_tail_bytes: gauge("agent_wal_tail_bytes", "Bytes of the log's tail in memory."),
  wal_syncs: counter("agent_wal_syncs", "Syncs of the log."),
  wal_failures: counter("agent_wal_failures", "Writes and syncs of the log that failed."),
  wal_evicted: counter("agent_wal_evicted_records", "Records evicted at the limit."),
  wal_corrupt: counter("agent_wal_corrupt_records", "Records that could not be read again."),
  config: gauge("agent_config_version", "Version of the configuration in force."),
  value: gauge("agent_metric_value", "Last value of each metric."),
  z: gauge("agent_metric_z", "Distance of each metric from its mean in standard deviations."),
} as const satisfies Record<string, MetricDefinition>;
