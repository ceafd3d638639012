/** Every setting of the node. Nothing else defines one. */

import { parseAllowance } from "./allow_remote.ts";
import { parseDetector, parseMetricDetector } from "./detector_spec.ts";
import { LOG_SETTINGS } from "./log_settings.ts";
import { parseRule } from "./rule_spec.ts";
import type { SettingTable, ValuesOf } from "./setting.ts";
import { wrongIn } from "./spec.ts";

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** `host:port`, with an IPv6 address in brackets. */
export const ADDRESS: RegExp = /^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+):\d{1,5}$/;
const ADDRESSES =
  /^(\[[0-9A-Fa-f:.]+\]|[^\s:[\],]+):\d{1,5}(,(\[[0-9A-Fa-f:.]+\]|[^\s:[\],]+):\d{1,5})*$/;
const ADDRESS_OR_OFF = /^(off|(\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+):\d{1,5})$/;

/** A setting that is a token. */
export const SECRET = {
  kind: "text",
  default: "",
  secret: true,
  pattern: /^(|[!-~]{16,256})$/,
  expected: "16 to 256 printable characters",
  placeholder: "TOKEN",
} as const;

/** The node's table; see {@linkcode SettingTable}. */
export const NODE_SETTINGS = {
  id: {
    kind: "text",
    group: "Identity and link",
    default: "",
    pattern: ID,
    expected: "1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit",
    placeholder: "NAME",
    help:
      "Name of this node; unique among the nodes of a host. Without it, the machine's host name.",
  },
  host: {
    kind: "text",
    group: "Identity and link",
    default: "127.0.0.1:7400",
    pattern: ADDRESSES,
    expected: "host:port, several separated by commas",
    placeholder: "HOST:PORT[,...]",
    help:
      "Where the host listens. With several, the node walks the list until one answers. Beyond loopback it needs tls_ca, or insecure.",
  },
  insecure: {
    kind: "flag",
    group: "Identity and link",
    default: false,
    help:
      "Lets the link and http go without TLS beyond loopback, as in a network that is encrypted itself.",
  },
  encoding: {
    kind: "choice",
    group: "Identity and link",
    default: "block",
    choices: ["block", "ndjson"],
    help:
      "How messages go over the link: compressed blocks, about a thirtieth of the bytes, or plain lines that netcat shows.",
  },
  send_interval_ms: {
    kind: "integer",
    group: "Identity and link",
    default: 1_000,
    min: 0,
    max: 60_000,
    unit: "ms",
    runtime: true,
    help:
      "How long fresh records may wait to be sent together. Anomalous records never wait. Longer costs fewer bytes.",
  },
  reconnect_ms_max: {
    kind: "integer",
    group: "Identity and link",
    default: 30_000,
    min: 100,
    max: 3_600_000,
    unit: "ms",
    help:
      "Longest wait between two attempts to connect. Waits start below 0.5 s, double at each failure and are drawn at random, so that a fleet doesn't come back at once.",
  },
  tls_ca: {
    kind: "text",
    group: "Identity and link",
    default: "",
    placeholder: "FILE",
    help:
      "PEM file of the authority that signed the host's certificate; /etc/ssl/certs/ca-certificates.crt for public ones. Given, the link uses TLS.",
  },
  tls_cert: {
    kind: "text",
    group: "Identity and link",
    default: "",
    placeholder: "FILE",
    help: "PEM file of this node's certificate; its common name must be the node's id.",
  },
  tls_key: {
    kind: "text",
    group: "Identity and link",
    default: "",
    placeholder: "FILE",
    help: "PEM file of the private key of tls_cert.",
  },
  token: {
    ...SECRET,
    group: "Identity and link",
    help:
      "By which the host knows this node where it has no certificate: what host token create --role node printed. Better given by environment or file than by flag.",
  },
  http: {
    kind: "text",
    group: "Identity and link",
    default: "127.0.0.1:7481",
    pattern: ADDRESS_OR_OFF,
    expected: "host:port or off",
    placeholder: "HOST:PORT|off",
    help:
      "Where the page, /status, /healthz and /metrics are served; off for none. It only reads. Beyond loopback it needs http_token, and TLS or insecure.",
  },
  http_mtls: {
    kind: "flag",
    group: "Identity and link",
    default: false,
    help:
      "Serves http with TLS, and asks whoever connects for a certificate that tls_ca signed, before anything else.",
  },
  http_token: {
    ...SECRET,
    group: "Identity and link",
    help:
      "What whoever asks over http must show: on the page, or as bearer token. Better given by environment or file than by flag.",
  },
  allow_remote: {
    kind: "list",
    group: "Identity and link",
    default: [],
    max: 64,
    placeholder: "WHAT",
    check: (entry) => wrongIn(() => parseAllowance(entry)),
    help:
      "What the host may change of the settings that are the owner's: sensors=linux,sim, exec:/opt/read (that program, with any arguments behind those given), file:/sys/class/hwmon (that file, or any below it), wal_bytes_max. Without it a configuration that touches them is refused whole.",
  },
  data: {
    kind: "text",
    group: "Storage",
    default: "node-data",
    placeholder: "DIR",
    help:
      "Directory for the write-ahead log and the applied configuration; made if it isn't there.",
  },
  wal_bytes_max: {
    kind: "integer",
    group: "Storage",
    default: 256 * 1024 * 1024,
    min: 128 * 1024,
    max: 1024 ** 4,
    unit: "bytes",
    runtime: true,
    owner: true,
    help:
      "Most bytes that the write-ahead log may take. Near it records are thinned; at it the oldest are evicted and declared as a gap.",
  },
  wal_sync: {
    kind: "choice",
    group: "Storage",
    default: "interval",
    choices: ["interval", "always"],
    help:
      "When appended records are made durable: every wal_sync_interval_ms, or at each tick. A killed process loses nothing either way; a power cut loses at most the interval.",
  },
  wal_sync_interval_ms: {
    kind: "integer",
    group: "Storage",
    default: 2_000,
    min: 10,
    max: 60_000,
    unit: "ms",
    help:
      "Longest time for which a record is neither at the host nor synced to the disk: what a power cut takes at most. What the host acks within it never goes to the disk where there is wal_memory, so let it be longer than send_interval_ms. Shorter loses less and wears flash more.",
  },
  wal_memory: {
    kind: "text",
    group: "Storage",
    default: "auto",
    pattern: /^(auto|off|\/.+)$/,
    expected: "auto, off or an absolute path",
    placeholder: "auto|off|DIR",
    help:
      "Memory-backed storage in which records wait for the host's ack: a killed process leaves them there, and the disk is spared. auto takes the first tmpfs of $RUNTIME_DIRECTORY, /run/user and /dev/shm; off writes every record to the disk, as wal_sync=always does.",
  },
  ring_records: {
    kind: "integer",
    group: "Storage",
    default: 18_000,
    min: 64,
    max: 1_000_000,
    unit: "records",
    help:
      "Newest records kept in memory (about 400 bytes each). When that many are not acked, the node is degraded: it thins records until the backlog drains.",
  },
  downsample_max: {
    kind: "integer",
    group: "Storage",
    default: 64,
    min: 1,
    max: 10_000,
    unit: "samples",
    runtime: true,
    help:
      "Most samples that one record may stand for while degraded (mean, min and max are kept; anomalous samples stay whole). 1 never thins.",
  },
  sample_hz: {
    kind: "number",
    group: "Sampling",
    default: 10,
    min: 0.001,
    max: 1_000,
    unit: "Hz",
    runtime: true,
    help: "Samples per second.",
  },
  sensors: {
    kind: "list",
    group: "Sampling",
    default: ["sim"],
    max: 64,
    placeholder: "KIND[:KEY=VALUE,...]",
    runtime: true,
    owner: true,
    help:
      "Sources of values, several at once: sim, linux, file:name=temp_c,path=/sys/...,scale=0.001,unit=C or exec:cmd='/opt/read --all',every_ms=1000,timeout_ms=500.",
  },
  detector: {
    kind: "text",
    group: "Detection",
    default: "zscore",
    placeholder: "KIND[:KEY=VALUE,...]",
    runtime: true,
    check: (text) => wrongIn(() => parseDetector(text)),
    help:
      "Detector that flags single values, in the record, of every metric that has none of its own, for example zscore:threshold=4,window=600.",
  },
  event_detector: {
    kind: "text",
    group: "Detection",
    default: "surprise",
    placeholder: "KIND[:KEY=VALUE,...]",
    runtime: true,
    check: (text) => wrongIn(() => parseDetector(text)),
    help:
      "Detector that anomaly events are told by, for every metric that has none of its own; none for no events.",
  },
  relations: {
    kind: "flag",
    group: "Detection",
    default: true,
    runtime: true,
    help:
      "Also judges all metrics together, up to 64: an event where they leave their usual relation to each other.",
  },
  relation_groups: {
    kind: "list",
    group: "Detection",
    default: [],
    max: 16,
    placeholder: "METRIC,METRIC[,...]",
    runtime: true,
    check: (text) =>
      /^\s*[A-Za-z_][\w.]*(\s*,\s*[A-Za-z_][\w.]*)+\s*$/.test(text)
        ? undefined
        : "expected two metrics or more, separated by commas",
    help:
      "Metrics that are judged together, group by group, for example pressure_bar,flow_lpm; none: all of them.",
  },
  detectors: {
    kind: "list",
    group: "Detection",
    default: [],
    max: 256,
    placeholder: "METRIC=KIND[:KEY=VALUE,...]",
    runtime: true,
    check: (entry) => wrongIn(() => parseMetricDetector(entry)),
    help:
      "Detectors of single metrics, for flags and events, for example temp_c=ewma:threshold=5; none switches one off.",
  },
  alerts_per_day: {
    kind: "number",
    group: "Detection",
    default: 1,
    min: 0.01,
    max: 10_000,
    unit: "alerts",
    runtime: true,
    help:
      "False alarms a day that you accept of each metric. The score that opens an anomaly event follows from it and from how the metric behaves; flags of single values stay as they are.",
  },
  events_per_hour_max: {
    kind: "integer",
    group: "Detection",
    default: 12,
    min: 0,
    max: 10_000,
    unit: "events",
    runtime: true,
    help: "Most anomaly events that open within an hour, all metrics together. 0 opens none.",
  },
  learn_anomalies_s: {
    kind: "number",
    group: "Detection",
    default: 1_800,
    min: 0,
    max: 604_800,
    unit: "s",
    runtime: true,
    help:
      "How long an anomaly must last until it is learned as the new normal. 0 lets detectors learn it at once.",
  },
  rules: {
    kind: "list",
    group: "Detection",
    default: [],
    max: 64,
    placeholder: "KIND:METRIC:KEY=VALUE[:...]",
    runtime: true,
    check: (text) => wrongIn(() => parseRule(text)),
    help:
      "Rules whose names stand in the diagnostics while they are broken: range:rail_v:min=4.75V:max=5.25V, low:rail_v:below=4.8V, high:temp_c:above=80:for=5s, rate:level_m:max=0.5/s, stuck:temp_c:for=60s, missing:temp_c:for=10s, disagree:temp_a,temp_b:by=2. Options for all: for (how long it must be so), hold (how long not before it clears, 1 s), and for limits clear (how far inside, 2 %). The node's own state can be used as node.disk_free_bytes, node.backlog_part, node.missed_ticks and node.wal_writable.",
  },
  rail_metric: {
    kind: "text",
    group: "Detection",
    default: "rail_v",
    placeholder: "METRIC",
    runtime: true,
    help: "Metric that is the supply voltage for the diagnostic rail_low.",
  },
  rail_low_v: {
    kind: "number",
    group: "Detection",
    default: 4.75,
    min: 0,
    max: 1_000,
    unit: "V",
    runtime: true,
    help: "Below it the diagnostic rail_low is set; it clears 2 % above.",
  },
  temp_metric: {
    kind: "text",
    group: "Detection",
    default: "temp_c",
    placeholder: "METRIC",
    runtime: true,
    help: "Metric that is the temperature for the diagnostic temp_high.",
  },
  temp_high_c: {
    kind: "number",
    group: "Detection",
    default: 80,
    min: -273,
    max: 2_000,
    unit: "°C",
    runtime: true,
    help: "Above it the diagnostic temp_high is set; it clears 2 degrees below.",
  },
  stuck_s: {
    kind: "number",
    group: "Detection",
    default: 0,
    min: 0,
    max: 604_800,
    unit: "s",
    runtime: true,
    help:
      "A metric that keeps exactly one value for that long is named in the diagnostic stuck; 0 is off.",
  },
  stop_grace_ms: {
    kind: "integer",
    group: "Running",
    default: 5_000,
    min: 0,
    max: 600_000,
    unit: "ms",
    help: "On SIGTERM, the longest time to send what is left. What is not sent stays in the log.",
  },
  led: {
    kind: "text",
    group: "Running",
    default: "",
    // No separator and no leading dot: the name can't leave led_path.
    pattern: /^([A-Za-z0-9][A-Za-z0-9:._-]{0,63})?$/,
    expected: "the name of an LED, such as ACT, or nothing",
    placeholder: "NAME",
    help:
      "LED of the device that shows the node's health, a name in led_path such as ACT or led0; without it none. See docs/led.md.",
  },
  led_path: {
    kind: "text",
    group: "Running",
    default: "/sys/class/leds",
    pattern: /^\/.*$/,
    expected: "an absolute path",
    placeholder: "DIR",
    help: "Where the kernel shows its LEDs.",
  },
  ...LOG_SETTINGS,
} as const satisfies SettingTable;

/** The node's settings after validation. */
export type NodeSettings = ValuesOf<typeof NODE_SETTINGS>;
