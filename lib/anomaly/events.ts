/**
 * From evidence to events: an event opens where one metric's evidence suffices, takes in the metrics that move
 * within seconds of it, tells when it grows, and closes after a quiet time. Pure: (evidence, now) in, what to
 * tell out.
 *
 * ```
 *            strength >= 1, cap not reached                quiet for quietMs
 *   (calm) ───────────────────────────────▶ open ─────────────────────────────▶ (calm)
 *                                           │  ▲ strength >= STRONG: goes on; another metric joins;
 *                                           └──┘ severity or metrics grew: an update, at most each 5 s
 * ```
 */
import { HourlyCap } from "./budget.ts";
import { TOGETHER_MS } from "./evidence.ts";

/** How much an event matters. */
export type Severity = "low" | "medium" | "high";

/** What is told of an event, as records carry it. */
export interface AnomalyEvent {
  /** Unique among the events of a node. */
  id: string;
  state: "open" | "update" | "close";
  severity: Severity;
  /** The metrics that are in it; the first is the one that moved first. */
  metrics: string[];
  /** It opened as metrics left their usual relation to each other, not as one left its own range. */
  relation?: true;
  since_wall_ms: number;
  since_mono_ms: number;
  /** Until the last strong evidence. */
  duration_ms: number;
  /** The strongest evidence: the value and the detector's score of it. */
  peak: { metric: string; value: number; score: number };
  /** The latest values of the first metric, oldest first: monotonic time and value. */
  around: [number, number][];
}

/** Strong evidence on one metric at a tick. */
export interface StrongEvidence {
  readonly metric: string;
  /** At least STRONG of `evidence.ts`; 1 and more opens an event. */
  readonly strength: number;
  /** When it began, by the monotonic clock. */
  readonly sinceMs: number;
  readonly value: number;
  readonly score: number;
  /** It isn't the metric alone that is unusual, but what it does together with others. */
  readonly isRelation?: boolean;
}

/** A moment by both clocks. */
export interface Instant {
  readonly monoMs: number;
  readonly wallMs: number;
}

/** What an {@linkcode EventTracker} needs at each tick. */
export interface TrackerLimits {
  /** Events without strong evidence for that long close, the longest of those of their metrics. */
  readonly quietMs: (metric: string) => number;
  /** Most events that open within an hour. */
  readonly perHourMax: number;
}

/** Least time between two things told of one event while it is open. */
const UPDATE_MS = 5_000;
/** Most events open at a time, and metrics named in one. */
const OPEN_MAX = 8;
const METRICS_MAX = 32;
const SEVERITIES: readonly Severity[] = ["low", "medium", "high"];
/** Strength from which an event matters more, and number of metrics that adds one step. */
const STRONGER = [1.5, 3];
const MANY_METRICS = 3;
/** What goes on for so long adds one step, too. */
const LONG_MS = 600_000;

interface OpenEvent {
  readonly id: string;
  readonly isRelation: boolean;
  sinceMs: number;
  sinceWallMs: number;
  lastMs: number;
  /** When each metric joined. */
  joined: Map<string, number>;
  /** The metrics by when their evidence began. */
  order: { metric: string; sinceMs: number }[];
  peak: AnomalyEvent["peak"];
  strength: number;
  toldMs: number;
  toldSeverity: number;
  toldMetrics: number;
}

/** An open event as it is kept over a restart. */
export interface SavedEvent {
  readonly id: string;
  readonly since_wall_ms: number;
  readonly metrics: readonly string[];
  readonly relation?: true;
  /** How long each of them has been in it. */
  readonly joined_ms: readonly number[];
  readonly peak: AnomalyEvent["peak"];
  readonly strength: number;
}

/** See the head of the file. */
export class EventTracker {
  #idTail: string;
  #open: OpenEvent[] = [];
  #cap = new HourlyCap();
  /** Strong metrics outside of events: those that may join the next one, and those that the cap holds back. */
  #recent = new Map<string, { evidence: StrongEvidence; lastMs: number; held: boolean }>();
  /** Events opened since the start, and those that the cap held back. */
  opened = 0;
  heldBack = 0;

  /** `run` tells the ids of this run from those of others. */
  constructor(run: string) {
    this.#idTail = run;
  }

  /** When a metric joined its open event; `undefined` where it is in none. */
  joinedMs(metric: string): number | undefined {
    for (const event of this.#open) {
      const joined = event.joined.get(metric);
      if (joined !== undefined) return joined;
    }
    return undefined;
  }

  /** Events that are open. */
  get openEvents(): number {
    return this.#open.length;
  }

  /** Whether a tick without strong evidence changes nothing, so that it may be left out. */
  get isIdle(): boolean {
    return this.#open.length === 0 && this.#recent.size === 0;
  }

  /**
   * Takes in the strong evidence of one tick. Returns what is to be told, in order, and the metrics that
   * came into an event. `around` gives a metric's latest values.
   */
  tick(
    strong: readonly StrongEvidence[],
    now: Instant,
    limits: TrackerLimits,
    around: (metric: string) => [number, number][],
  ): { events: AnomalyEvent[]; joined: string[] } {
    const events: AnomalyEvent[] = [];
    const joined: string[] = [];
    const tell = (event: OpenEvent, state: AnomalyEvent["state"]) => {
      event.toldMs = now.monoMs;
      event.toldSeverity = severityOf(event);
      event.toldMetrics = event.order.length;
      events.push(contentOf(event, state, around));
    };
    for (const evidence of strong) this.#take(evidence, now, joined);
    for (const evidence of strong) {
      const waiting = this.#recent.get(evidence.metric);
      if (waiting === undefined || waiting.held || evidence.strength < 1) continue;
      const isAllowed = this.#open.length < OPEN_MAX &&
        this.#cap.take(now.monoMs, limits.perHourMax);
      if (!isAllowed) {
        waiting.held = true;
        this.heldBack++;
        continue;
      }
      tell(this.#openWith(evidence, now, joined), "open");
    }
    for (const event of [...this.#open]) {
      if (now.monoMs - event.lastMs >= quietOf(event, limits)) {
        this.#open.splice(this.#open.indexOf(event), 1);
        tell(event, "close");
      } else if (now.monoMs - event.toldMs >= UPDATE_MS && hasGrown(event)) tell(event, "update");
    }
    for (const [metric, { lastMs }] of this.#recent) {
      if (now.monoMs - lastMs >= TOGETHER_MS) this.#recent.delete(metric);
    }
    return { events, joined };
  }

  /** The open events, to be kept over a restart. */
  save(now: Instant): SavedEvent[] {
    return this.#open.map((event) => ({
      id: event.id,
      since_wall_ms: event.sinceWallMs,
      metrics: event.order.map(({ metric }) => metric),
      ...(event.isRelation ? { relation: true as const } : {}),
      joined_ms: event.order.map(({ metric }) =>
        Math.max(0, Math.round(now.monoMs - event.joined.get(metric)!))
      ),
      peak: event.peak,
      strength: event.strength,
    }));
  }

  /** Goes on with events that were open `agoMs` ago, before a restart. What doesn't fit is left out. */
  restore(saved: readonly SavedEvent[], agoMs: number, now: Instant): void {
    for (const { id, since_wall_ms, metrics, relation, joined_ms, peak, strength } of saved) {
      if (this.#open.length >= OPEN_MAX || metrics.length === 0) continue;
      const sinceMs = now.monoMs - Math.max(0, now.wallMs - since_wall_ms);
      const event: OpenEvent = {
        id,
        isRelation: relation === true,
        sinceMs,
        sinceWallMs: since_wall_ms,
        lastMs: now.monoMs,
        joined: new Map(
          metrics.map((metric, i) => [metric, now.monoMs - agoMs - (joined_ms[i] ?? 0)]),
        ),
        order: metrics.map((metric) => ({ metric, sinceMs })),
        peak,
        strength,
        toldMs: now.monoMs,
        toldSeverity: 0,
        toldMetrics: metrics.length,
      };
      event.toldSeverity = severityOf(event);
      this.#open.push(event);
    }
  }

  /** Evidence goes to the metric's event, to one that has just begun, or waits. */
  #take(evidence: StrongEvidence, now: Instant, joined: string[]): void {
    const { metric } = evidence;
    const own = this.#open.find((event) => event.joined.has(metric));
    if (own !== undefined) return goOn(own, evidence, now);
    const young = this.#open.findLast((event) =>
      now.monoMs - lastJoin(event) <= TOGETHER_MS && event.order.length < METRICS_MAX
    );
    if (young !== undefined) {
      this.#recent.delete(metric);
      join(young, evidence, now, joined);
      return goOn(young, evidence, now);
    }
    const waiting = this.#recent.get(metric);
    const held = waiting?.held ?? false;
    const best = waiting !== undefined && waiting.evidence.strength > evidence.strength
      ? waiting.evidence
      : evidence;
    this.#recent.set(metric, { evidence: best, lastMs: now.monoMs, held });
  }

  /** Opens an event with a metric and all that moved shortly before. */
  #openWith(evidence: StrongEvidence, now: Instant, joined: string[]): OpenEvent {
    const event: OpenEvent = {
      id: `${++this.opened}-${this.#idTail}`,
      isRelation: evidence.isRelation === true,
      sinceMs: evidence.sinceMs,
      sinceWallMs: 0,
      lastMs: now.monoMs,
      joined: new Map(),
      order: [],
      peak: { metric: evidence.metric, value: evidence.value, score: evidence.score },
      strength: evidence.strength,
      toldMs: now.monoMs,
      toldSeverity: 0,
      toldMetrics: 0,
    };
    join(event, evidence, now, joined);
    for (const [metric, { evidence: other, held }] of this.#recent) {
      if (held || metric === evidence.metric || event.order.length >= METRICS_MAX) continue;
      join(event, other, now, joined);
      if (other.strength > event.strength) goOn(event, other, now);
    }
    for (const { metric } of event.order) this.#recent.delete(metric);
    event.sinceMs = event.order[0]!.sinceMs;
    event.sinceWallMs = now.wallMs - (now.monoMs - event.sinceMs);
    this.#open.push(event);
    return event;
  }
}

function quietOf({ order }: OpenEvent, { quietMs }: TrackerLimits): number {
  return Math.max(...order.map(({ metric }) => quietMs(metric)));
}

function join(event: OpenEvent, evidence: StrongEvidence, now: Instant, joined: string[]): void {
  const { metric, sinceMs } = evidence;
  event.joined.set(metric, now.monoMs);
  event.order.push({ metric, sinceMs });
  event.order.sort((a, b) => a.sinceMs - b.sinceMs);
  joined.push(metric);
}

function goOn(event: OpenEvent, evidence: StrongEvidence, now: Instant): void {
  const { metric, value, score, strength } = evidence;
  event.lastMs = now.monoMs;
  if (strength <= event.strength) return;
  event.strength = strength;
  event.peak = { metric, value, score };
}

function lastJoin(event: OpenEvent): number {
  let last = -Infinity;
  for (const time of event.joined.values()) last = Math.max(last, time);
  return last;
}

/** By how rare it is, how many metrics are in it, and how long it goes on. */
function severityOf({ strength, order, sinceMs, lastMs }: OpenEvent): number {
  const byStrength = STRONGER.filter((from) => strength >= from).length;
  const byMetrics = order.length >= MANY_METRICS ? 1 : 0;
  const byTime = lastMs - sinceMs >= LONG_MS ? 1 : 0;
  return Math.min(SEVERITIES.length - 1, byStrength + byMetrics + byTime);
}

function hasGrown(event: OpenEvent): boolean {
  return severityOf(event) > event.toldSeverity || event.order.length > event.toldMetrics;
}

/** Significant digits of values and scores: more would be noise on a metered link. */
const DIGITS = 6;

function contentOf(
  event: OpenEvent,
  state: AnomalyEvent["state"],
  around: (metric: string) => [number, number][],
): AnomalyEvent {
  const { metric, value, score } = event.peak;
  const metrics = event.order.map((entry) => entry.metric);
  const tenth = (ms: number) => Math.round(10 * ms) / 10;
  return {
    id: event.id,
    state,
    severity: SEVERITIES[severityOf(event)]!,
    metrics,
    ...(event.isRelation ? { relation: true as const } : {}),
    since_wall_ms: tenth(event.sinceWallMs),
    since_mono_ms: tenth(event.sinceMs),
    duration_ms: Math.max(0, tenth(event.lastMs - event.sinceMs)),
    peak: {
      metric,
      value: Number(value.toPrecision(DIGITS)),
      score: Number(score.toPrecision(DIGITS)),
    },
    around: around(metrics[0]!).map(([at, seen]) => [tenth(at), Number(seen.toPrecision(DIGITS))]),
  };
}
