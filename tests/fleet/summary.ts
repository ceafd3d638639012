/** Summaries of nodes as a host makes them, for tests of what shows them. */
import { newNodeInfo, type NodeSummary } from "../../lib/fleet/node_info.ts";
import { summarize } from "../../lib/fleet/verdict.ts";

/** A quiet connected node, last heard of just before `now`; `more` wins over what stands here. */
export function summary(
  node_id: string,
  now: number,
  more: Readonly<Record<string, unknown>> = {},
): NodeSummary {
  const info = {
    ...newNodeInfo(node_id, now - 86_400_000),
    connected: true,
    last_seen_wall_ms: now - 300,
    rate: 10,
    ...more,
  };
  const { lag_ms, clock_error_ms, last, anomalies_hour } = more as Partial<NodeSummary>;
  return summarize(info, {
    last: last ?? {},
    anomalies_hour: anomalies_hour ?? 0,
    ...(lag_ms === undefined ? {} : { lag_ms }),
    ...(clock_error_ms === undefined ? {} : { clock_error_ms }),
  }, now);
}
