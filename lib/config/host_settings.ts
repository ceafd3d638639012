/** Every setting of the host. Nothing else defines one. */

import { LOG_SETTINGS } from "./log_settings.ts";
import { ADDRESS, SECRET } from "./node_settings.ts";
import type { SettingTable, ValuesOf } from "./setting.ts";

/** The host's table; see {@linkcode SettingTable}. */
export const HOST_SETTINGS = {
  listen: {
    kind: "text",
    group: "Listeners",
    default: "127.0.0.1:7400",
    pattern: ADDRESS,
    expected: "host:port",
    placeholder: "HOST:PORT",
    help: "Where nodes connect. Beyond loopback it needs TLS, or insecure.",
  },
  http: {
    kind: "text",
    group: "Listeners",
    default: "127.0.0.1:7480",
    pattern: /^(off|(\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+):\d{1,5})$/,
    expected: "host:port or off",
    placeholder: "HOST:PORT|off",
    help:
      "Where the pages, the API and the metrics are served; off for none. Beyond loopback it needs TLS, or insecure, and whoever asks a token.",
  },
  insecure: {
    kind: "flag",
    group: "Listeners",
    default: false,
    help:
      "Lets listen and http go without TLS beyond loopback, as in a network that is encrypted itself or behind a proxy that ends TLS.",
  },
  http_mtls: {
    kind: "flag",
    group: "Listeners",
    default: false,
    help:
      "Serves http with TLS, and asks whoever connects for a certificate that tls_ca signed (host pki sign --kind person), before any token.",
  },
  http_token: {
    ...SECRET,
    group: "Listeners",
    help:
      "A token that lets in as an admin, for scripts of this machine; people get their own from host token. Where there is any token, nobody is let in without one. Better given by environment or file than by flag.",
  },
  tls_ca: {
    kind: "text",
    group: "Listeners",
    default: "",
    placeholder: "FILE",
    help:
      "PEM file of the authority that signs the nodes' certificates. With tls_cert and tls_key it switches TLS on: a node is then who its certificate says, and http beyond loopback is https.",
  },
  tls_cert: {
    kind: "text",
    group: "Listeners",
    default: "",
    placeholder: "FILE",
    help: "PEM file of the host's certificate. Those that host pki made are found without.",
  },
  tls_key: {
    kind: "text",
    group: "Listeners",
    default: "",
    placeholder: "FILE",
    help: "PEM file of the private key of tls_cert.",
  },
  certificate_days: {
    kind: "integer",
    group: "Listeners",
    default: 180,
    min: 1,
    max: 3_650,
    unit: "days",
    help:
      "How long certificates count that the host's own authority gives (host pki). They renew themselves when a third of it is left.",
  },
  renew_late_days: {
    kind: "integer",
    group: "Listeners",
    default: 400,
    min: 0,
    max: 7_300,
    unit: "days",
    help:
      "How long after its end a node's certificate can still be renewed with the same key, as by a device that was off.",
  },
  data: {
    kind: "text",
    group: "Storage",
    default: "host-data",
    placeholder: "DIR",
    help: "Directory for everything that the host keeps; made if it isn't there.",
  },
  retention_age_s: {
    kind: "integer",
    group: "Storage",
    default: 0,
    min: 0,
    max: 3_155_760_000,
    unit: "s",
    help: "Records received longer ago than this are deleted; 0 keeps them.",
  },
  retention_bytes: {
    kind: "integer",
    group: "Storage",
    default: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    unit: "bytes",
    help: "When the store is larger than this, the oldest records are deleted; 0 sets no limit.",
  },
  commit_interval_ms: {
    kind: "integer",
    group: "Storage",
    default: 250,
    min: 0,
    max: 10_000,
    unit: "ms",
    help:
      "Least time between two commits, unless commit_records_max wait. Longer means fewer disk syncs, and later acks where many nodes send.",
  },
  commit_records_max: {
    kind: "integer",
    group: "Storage",
    default: 2_000,
    min: 1,
    max: 100_000,
    unit: "records",
    help: "A commit starts at once when that many records wait.",
  },
  connections_max: {
    kind: "integer",
    group: "Limits",
    default: 1_000,
    min: 1,
    max: 100_000,
    unit: "connections",
    help: "Most connections at once; further ones are told to come back later.",
  },
  newcomers_per_address_max: {
    kind: "integer",
    group: "Limits",
    default: 256,
    min: 1,
    max: 100_000,
    unit: "connections",
    help:
      "Most connections of one address, or network of 64 bits, that haven't said hello yet; the oldest makes room for a newer one. The last tenth of connections_max is for nodes that are known.",
  },
  nodes_max: {
    kind: "integer",
    group: "Limits",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: "nodes",
    help: "Most nodes that are remembered; an unknown one beyond it is refused.",
  },
  epochs_per_node_max: {
    kind: "integer",
    group: "Limits",
    default: 256,
    min: 2,
    max: 100_000,
    unit: "epochs",
    help:
      "Most epochs of one node, as each new log directory makes one. Beyond it those without records are forgotten, then the node is refused.",
  },
  handshake_timeout_ms: {
    kind: "integer",
    group: "Limits",
    default: 5_000,
    min: 100,
    max: 600_000,
    unit: "ms",
    help: "A connection that has not said hello by then is closed.",
  },
  unprocessed_bytes_max: {
    kind: "integer",
    group: "Limits",
    default: 1_048_576,
    min: 65_536,
    max: 1_073_741_824,
    unit: "bytes",
    help: "Most received bytes of one connection that may wait for the store; reading stops there.",
  },
  inflight_bytes_total: {
    kind: "integer",
    group: "Limits",
    default: 16_777_216,
    min: 1_048_576,
    max: 1_099_511_627_776,
    unit: "bytes",
    help:
      "Most bytes of records from all nodes together that are received and not stored yet, as they are held in memory; and the credit that nodes which replay share fairly.",
  },
  heartbeat_ms: {
    kind: "integer",
    group: "Limits",
    default: 10_000,
    min: 100,
    max: 3_600_000,
    unit: "ms",
    help: "How often nodes must show that they live; after three missed ones a session is closed.",
  },
  broadcast_ms: {
    kind: "integer",
    group: "Limits",
    default: 10_000,
    min: 100,
    max: 3_600_000,
    unit: "ms",
    help: "How often the host shows its nodes that it lives.",
  },
  metrics_per_node: {
    kind: "flag",
    group: "Running",
    default: true,
    help: "Whether /metrics has series for each node, or only totals.",
  },
  allow_faults: {
    kind: "flag",
    group: "Faults",
    default: false,
    help: "Lets faults be injected, by flag and over HTTP. For tests only.",
  },
  fault: {
    kind: "list",
    group: "Faults",
    default: [],
    max: 32,
    placeholder: "KIND[:KEY=VALUE,...]",
    help: "Fault to inject from the start, for example drop:every=30s. Needs allow_faults.",
  },
  fault_seed: {
    kind: "integer",
    group: "Faults",
    default: 1,
    min: 0,
    max: 4_294_967_295,
    help: "Seed of everything that is random about faults.",
  },
  ...LOG_SETTINGS,
} as const satisfies SettingTable;

/** The host's settings after validation. */
export type HostSettings = ValuesOf<typeof HOST_SETTINGS>;
