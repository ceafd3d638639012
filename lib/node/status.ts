/** The node's state at a glance, as `/status` shows it: the first lines answer 'is my data safe?'. */
import type { LostRange } from "../wal/wal.ts";
import type { RuleStatus } from "./diagnostics.ts";
import type { RecentEvent } from "./recent.ts";
import type { LinkStatus } from "./uplink_driver.ts";

/** A metric at a glance. */
export interface MetricStatus {
  value: number;
  z?: number;
  mean?: number;
  std?: number;
  score?: number;
  is_anomaly?: boolean;
  alert_score?: number;
}

/** See the head of the file. Times by the node's clock. */
export interface NodeStatus {
  /** Whether everything sampled is on disk here or at the host. */
  safe: boolean;
  /** Why not, or what to look at; empty when all is well. */
  attention: string[];
  link: LinkStatus;
  /** Records that the host has not acknowledged. */
  backlog: number;
  /** Age of the oldest of them; 0 where there is none. */
  oldest_unacked_ms: number;
  /** Everything sampled up to then survives a power cut of this device. */
  durable_until_wall_ms: number;
  wal: {
    bytes: number;
    bytes_max: number;
    writable: boolean;
    error: string | undefined;
    /**
     * If nothing were acknowledged from now on, at the rate of the last minute: how long an outage there is
     * room for. Absent before the first write.
     */
    seconds_until_full: number | undefined;
    written_bytes: number;
    written_bytes_per_day: number;
  };
  degraded: boolean;
  /** Samples that one record stands for at present. */
  downsample_n: number;
  /** Lost for good and not acknowledged yet. */
  gaps: readonly LostRange[];
  cfg_version: number;
  samples: number;
  missed_ticks: number;
  anomalies: number;
  /** Anomaly events: opened since the start, open now, and held back by the cap per hour. */
  events: { readonly opened: number; readonly open: number; readonly held_back: number };
  /** The last events of this run, newest first, each as it was told of last. */
  last_events: readonly RecentEvent[];
  /** Each metric's last value and judgement; `alert_score` is what opens an event at present. */
  metrics: Record<string, MetricStatus>;
  diagnostics: Record<string, unknown>;
  /** The rules of the settings, and which of them are active. */
  rules: RuleStatus[];
  node_id: string;
  epoch: string;
  boot_id: string;
  next_seq: number;
  high_acked: number;
  version: string;
  uptime_s: number;
  now_wall_ms: number;
  wal_stats: Readonly<Record<string, number>>;
  config: Readonly<Record<string, unknown>>;
}
