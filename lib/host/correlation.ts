/**
 * Anomalies of several nodes at once: when enough nodes open an event within seconds of each other, that is
 * one event of the fleet, told once, with the nodes in the order in which they moved. Pure: (what opened, now)
 * in, what to tell out.
 */

/** An event that a node opened. */
export interface NodeEvent {
  readonly nodeId: string;
  readonly id: string;
  /** Metric that moved first. */
  readonly metric: string;
  /** When it moved, by the host's clock as far as that can be told. */
  readonly atMs: number;
}

/** What is told of several nodes at once. */
export interface FleetEvent {
  /** Number of nodes, and of those that are connected. */
  readonly nodes_count: number;
  readonly connected: number;
  /** The nodes in the order in which they moved, at most {@linkcode NAMED_MAX}. */
  readonly nodes: string[];
  /** Those that moved within a second of the first. */
  readonly led: string[];
  /** The metrics that moved first on the nodes, most frequent first, at most ten. */
  readonly metrics: string[];
  readonly since_wall_ms: number;
  /** From the first node to the last. */
  readonly spread_ms: number;
  /** Ids of the nodes' own events, in the order of `nodes`. */
  readonly ids: string[];
}

/** Nodes named in one event. */
export const NAMED_MAX = 100;
/** Least nodes, and least part of the connected ones. */
const NODES_MIN = 3;
const PART_MIN = 0.25;
/** Nodes that moved within that time of each other moved together. */
const TOGETHER_MS = 10_000;
/**
 * Nothing more is expected that long after the last arrival: records with events are sent at once. What is
 * older than PAST_MS comes after an outage, when nodes return one by one.
 */
const ARRIVAL_MS = 5_000;
const PAST_MS = 60_000;
const PAST_ARRIVAL_MS = 60_000;
const LED_MS = 1_000;
const METRICS_MAX = 10;
/** Events that wait; more are left out, so that memory is bounded. */
const WAITING_MAX = 10_000;

/** See the head of the file. */
export class FleetCorrelation {
  #waiting: Waiting[] = [];

  /** A node opened an event; `nowMs` by the host's clock. */
  opened(event: NodeEvent, nowMs: number): void {
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push({ ...event, arrivedMs: nowMs });
  }

  /** To be called every second or so: what is to be told now. `connected` is the number of nodes. */
  tick(nowMs: number, connected: number): FleetEvent[] {
    if (this.#waiting.length === 0) return [];
    const complete: NodeEvent[][] = [];
    const incomplete: Waiting[] = [];
    for (const group of groupsOf(this.#waiting)) {
      if (isComplete(group, nowMs)) complete.push(group);
      else incomplete.push(...group);
    }
    this.#waiting = incomplete;
    return complete.map((group) => fleetEventOf(group, connected)).filter(({ nodes_count }) =>
      nodes_count >= NODES_MIN && nodes_count >= PART_MIN * connected
    );
  }
}

interface Waiting extends NodeEvent {
  readonly arrivedMs: number;
}

function isComplete(group: readonly Waiting[], nowMs: number): boolean {
  const last = group.reduce((most, { arrivedMs }) => Math.max(most, arrivedMs), -Infinity);
  const waitMs = last - group.at(-1)!.atMs > PAST_MS ? PAST_ARRIVAL_MS : ARRIVAL_MS;
  // A clock that was set back must not keep events waiting for ever.
  return nowMs - last >= waitMs || nowMs < last - PAST_MS;
}

/** Parts events where none moved for a while. */
function groupsOf(events: readonly Waiting[]): Waiting[][] {
  const groups: Waiting[][] = [];
  let last = -Infinity;
  for (const event of events.toSorted((a, b) => a.atMs - b.atMs)) {
    if (event.atMs - last > TOGETHER_MS) groups.push([]);
    groups.at(-1)!.push(event);
    last = event.atMs;
  }
  return groups;
}

function fleetEventOf(group: readonly NodeEvent[], connected: number): FleetEvent {
  const firsts = new Map<string, NodeEvent>();
  const metrics = new Map<string, number>();
  for (const event of group) {
    if (firsts.has(event.nodeId)) continue;
    firsts.set(event.nodeId, event);
    metrics.set(event.metric, (metrics.get(event.metric) ?? 0) + 1);
  }
  const events = [...firsts.values()];
  const since = events[0]!.atMs;
  const named = events.slice(0, NAMED_MAX);
  return {
    nodes_count: events.length,
    connected,
    nodes: named.map(({ nodeId }) => nodeId),
    led: named.filter(({ atMs }) => atMs - since <= LED_MS).map(({ nodeId }) => nodeId),
    metrics: [...metrics].sort(([, a], [, b]) => b - a).slice(0, METRICS_MAX)
      .map(([metric]) => metric),
    since_wall_ms: since,
    spread_ms: events.at(-1)!.atMs - since,
    ids: named.map(({ id }) => id),
  };
}
