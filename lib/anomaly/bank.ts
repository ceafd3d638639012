/** One detector for each metric of a node, and the events that their verdicts add up to. */
import { SCORE_MAX, type Verdict } from "./detector.ts";
import {
  type AnomalyEvent,
  EventTracker,
  type Instant,
  type SavedEvent,
  type StrongEvidence,
} from "./events.ts";
import { STRONG } from "./evidence.ts";
import { Together } from "./together.ts";
import { type ChosenDetectors, Judge, type SavedMetric, specOf } from "./judge.ts";

export type { SavedMetric };

/** What a sample's values look like together, as the record carries it. */
export interface AnomalyBlock {
  is_anomaly: boolean;
  /** Highest score of any metric. */
  score: number;
  /** The flagged metrics. */
  metrics: Record<string, { z: number; mean: number; std: number }>;
  /** What is to be told of events; absent where there is nothing. */
  events?: AnomalyEvent[];
}

/** Chooses the detectors of a metric; `undefined` where it is not to be judged. */
export type DetectorChoice = (metric: string) => ChosenDetectors | undefined;

/** See the settings of the same names. */
export interface EventSettings {
  readonly sample_hz: number;
  /** False alarms a day and metric that are accepted. */
  readonly alerts_per_day: number;
  readonly events_per_hour_max: number;
  /** How long an anomaly must last until it is learned as the new normal; 0 learns it at once. */
  readonly learn_anomalies_s: number;
  /** Whether what metrics do together is judged, too; of all, or of each of these groups. */
  readonly relations?: boolean;
  readonly relation_groups?: readonly string[];
}

/** The last verdict on a metric by what flags it; `score` is that of what tells events. */
export interface Judgement extends Verdict {
  /** Lowest and highest that are usual now. */
  readonly usual: readonly [number, number];
  /** The score that an event needs at present. */
  readonly alert_score: number;
}

/** Metrics beyond this number are not judged: memory is bounded whatever a sensor yields. */
export const METRICS_MAX = 256;

const DEFAULTS: EventSettings = {
  sample_hz: 10,
  alerts_per_day: 1,
  events_per_hour_max: 12,
  learn_anomalies_s: 1_800,
};
/** What is within so many standard deviations of the mean is usual. */
const USUAL_STDS = 3;
/** Significant digits in the record: more would be noise on a metered link. */
const DIGITS = 6;
const DAY_MS = 86_400_000;
/** Events close after that long, and that many periods, without strong evidence. */
const QUIET_MS = 10_000;
const QUIET_PERIODS = 10;
/** Rates further apart than this factor make windows of samples mean other times. */
const RATE_FACTOR = 1.5;

function round(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

/** Time between two samples, in ms. */
function periodOf({ sample_hz }: Pick<EventSettings, "sample_hz">): number {
  return 1_000 / sample_hz;
}

/** Whether what was learned at one rate of samples holds at another. */
export function isSamePace(oneHz: number, otherHz: number): boolean {
  return Math.max(oneHz, otherHz) <= RATE_FACTOR * Math.min(oneHz, otherHz);
}

const NO_REPEATS: ReadonlySet<string> = new Set();

/** Metrics that are judged together. */
interface Group {
  readonly together: Together;
  readonly has: (metric: string) => boolean;
}

/** The groups that are named, else one of all. */
function groupsOf(settings: EventSettings): Group[] {
  const named = (settings.relation_groups ?? []).map((text) => {
    const names = new Set(text.split(",").map((name) => name.trim()));
    return (metric: string) => names.has(metric);
  });
  return (named.length > 0 ? named : [() => true]).map((has) => ({
    together: new Together(periodOf(settings)),
    has,
  }));
}

/** See the head of the file. */
export class MetricBank {
  #choice: DetectorChoice;
  #settings: EventSettings;
  #judges = new Map<string, Judge>();
  #tracker: EventTracker;
  #strong: StrongEvidence[] = [];
  #groups: Group[];
  #restorable = new Map<string, { saved: SavedMetric; seenMs: number }>();
  #elapsedMs: number | undefined;

  /** `run` tells the event ids of this run from those of others. */
  constructor(choice: DetectorChoice, settings: EventSettings = DEFAULTS, run = "run") {
    this.#choice = choice;
    this.#settings = settings;
    this.#tracker = new EventTracker(run);
    this.#groups = groupsOf(settings);
  }

  /** Judges the values of one sample and learns from them; those that are told again, `repeated`, are left out. */
  observe(
    metrics: Readonly<Record<string, number>>,
    now: Instant,
    repeated: ReadonlySet<string> = NO_REPEATS,
  ): AnomalyBlock {
    const block: AnomalyBlock = { is_anomaly: false, score: 0, metrics: {} };
    this.#elapse(now.monoMs);
    this.#strong.length = 0;
    for (const name in metrics) {
      if (repeated.has(name)) {
        const known = this.#judges.get(name);
        if (known !== undefined) known.lastMs = now.monoMs;
        continue;
      }
      const judge = this.#judge(name);
      if (judge === undefined) continue;
      const verdict = this.#judgeValue(name, judge, metrics[name]!, now);
      if (verdict === undefined) continue;
      if (verdict.score > block.score) block.score = verdict.score;
      if (!verdict.is_anomaly) continue;
      block.is_anomaly = true;
      block.metrics[name] = {
        z: round(verdict.z),
        mean: round(verdict.mean),
        std: round(verdict.std),
      };
    }
    if (this.#settings.relations === true) this.#relate(metrics, now, repeated);
    block.score = round(block.score);
    const events = this.#track(now);
    if (events.length > 0) block.events = events;
    return block;
  }

  /** The last judgement on each metric, for status and pages. */
  get last(): Map<string, Judgement> {
    const last = new Map<string, Judgement>();
    for (const [name, judge] of this.#judges) {
      const { last: told, flagged = told, evidence } = judge;
      if (flagged === undefined) continue;
      const { score } = told ?? flagged, { mean, std } = flagged;
      const alertScore = evidence?.alertScore(this.#readingsPerAlert(judge)) ?? SCORE_MAX;
      const usual = [round(mean - USUAL_STDS * std), round(mean + USUAL_STDS * std)] as const;
      last.set(name, { ...flagged, score, usual, alert_score: round(alertScore) });
    }
    return last;
  }

  /** Events since the start: opened, open now, and held back by the cap per hour. */
  get events(): { readonly opened: number; readonly open: number; readonly held_back: number } {
    const { opened, openEvents, heldBack } = this.#tracker;
    return { opened, open: openEvents, held_back: heldBack };
  }

  /**
   * Detectors and events chosen anew; what a metric's unchanged detector has learned stays, unless samples
   * come at another rate from here on: then what a window holds is of another time.
   */
  reconfigure(choice: DetectorChoice, settings: EventSettings = this.#settings): void {
    const before = periodOf(this.#settings), after = periodOf(settings);
    const isSame = isSamePace(1 / before, 1 / after);
    const grouped = String(this.#settings.relation_groups);
    this.#choice = choice;
    this.#settings = settings;
    for (const [name, judge] of this.#judges) {
      const chosen = choice(name);
      if (chosen === undefined || specOf(chosen) !== judge.spec) this.#judges.delete(name);
      else if (!isSame) {
        // What is new less often than it is sampled keeps its own pace.
        const isSampled = isSamePace(1 / judge.periodMs, 1 / before);
        const paceMs = isSampled ? after : Math.max(after, judge.periodMs);
        if (!isSamePace(1 / judge.periodMs, 1 / paceMs)) judge.changePace(chosen, paceMs);
      }
    }
    if (!isSame) this.#restorable.clear();
    if (!isSame || String(settings.relation_groups) !== grouped) this.#groups = groupsOf(settings);
  }

  /** The metrics may mean something else from here on, as after a change of sensors: no events from that. */
  settle(): void {
    for (const judge of this.#judges.values()) judge.settle();
    this.#groups = groupsOf(this.#settings);
  }

  /** What is worth keeping over a restart, metric by metric. */
  *saved(): Generator<SavedMetric> {
    for (const [metric, judge] of this.#judges) {
      const saved = judge.save(metric);
      if (saved !== undefined) yield saved;
    }
  }
  /** The open events, to be kept as well. */
  savedEvents(now: Instant): SavedEvent[] {
    return this.#tracker.save(now);
  }

  /**
   * Goes on with what was saved `ageMs` ago. Each metric's part is used when the metric is first seen, and
   * only with the same detector; what doesn't fit is left out.
   */
  restore(
    saved: Iterable<SavedMetric>,
    events: readonly SavedEvent[],
    ageMs: number,
    now: Instant,
  ): void {
    for (const part of saved) {
      if (this.#restorable.size >= METRICS_MAX) break;
      this.#restorable.set(part.metric, { saved: part, seenMs: now.monoMs - ageMs });
    }
    this.#tracker.restore(events, ageMs, now);
  }

  #judgeValue(
    name: string,
    judge: Judge,
    value: number,
    { monoMs: nowMs, wallMs }: Instant,
  ): Verdict | undefined {
    const { learn_anomalies_s } = this.#settings;
    if (judge.lastMs !== undefined && nowMs - judge.lastMs > judge.gapMs) judge.settle();
    const joinedMs = this.#tracker.joinedMs(name);
    const lasts = joinedMs !== undefined && nowMs - joinedMs >= 1_000 * learn_anomalies_s;
    if (lasts) judge.baseline?.letGo();
    const isInEvent = joinedMs !== undefined;
    const flagged = judge.judge(value, nowMs, wallMs, isInEvent && !lasts);
    const { evidence, last } = judge;
    if (evidence === undefined || last === undefined) return flagged;
    evidence.take(last, value, nowMs, this.#readingsPerAlert(judge), isInEvent);
    const { strength, sinceMs } = evidence;
    if (strength >= STRONG) {
      this.#strong.push({ metric: name, strength, sinceMs, value, score: last.score });
    }
    return flagged;
  }

  /** Readings of a metric of which one may be a false alarm. */
  #readingsPerAlert({ periodMs }: Judge): number {
    return DAY_MS / (periodMs * this.#settings.alerts_per_day);
  }

  /** What the metrics do together, for those whose events are told. */
  #relate(
    metrics: Readonly<Record<string, number>>,
    { monoMs }: Instant,
    repeated: ReadonlySet<string>,
  ): void {
    const { alerts_per_day: alertsPerDay, learn_anomalies_s } = this.#settings;
    const limits = { alertsPerDay, learnMs: 1_000 * learn_anomalies_s };
    const isNew = (metric: string) => !repeated.has(metric);
    for (const { together, has } of this.#groups) {
      const judged: Record<string, number> = {};
      for (const name in metrics) {
        const isJudged = this.#judges.get(name)?.evidence !== undefined;
        if (isJudged && has(name)) judged[name] = metrics[name]!;
      }
      this.#strong.push(...together.observe(judged, isNew, monoMs, limits));
    }
  }

  #track(now: Instant): AnomalyEvent[] {
    if (this.#strong.length === 0 && this.#tracker.isIdle) return [];
    const limits = {
      quietMs: (metric: string) =>
        Math.max(QUIET_MS, QUIET_PERIODS * (this.#judges.get(metric)?.periodMs ?? 0)),
      perHourMax: this.#settings.events_per_hour_max,
    };
    const around = (metric: string) => this.#judges.get(metric)?.around ?? [];
    const { events, joined } = this.#tracker.tick(this.#strong, now, limits, around);
    for (const metric of joined) this.#judges.get(metric)?.evidence?.budget.alarmed();
    return events;
  }

  /** Once a second is often enough for what changes within hours. */
  #elapse(nowMs: number): void {
    const passed = nowMs - (this.#elapsedMs ??= nowMs);
    if (passed < 1_000) return;
    this.#elapsedMs = nowMs;
    for (const { evidence } of this.#judges.values()) {
      evidence?.budget.elapse(passed, this.#settings.alerts_per_day);
    }
  }

  #judge(name: string): Judge | undefined {
    const known = this.#judges.get(name);
    if (known !== undefined) return known;
    if (this.#judges.size >= METRICS_MAX) return undefined;
    const chosen = this.#choice(name);
    if (chosen === undefined) return undefined;
    const made = new Judge(chosen, this.#judges.size, periodOf(this.#settings));
    const kept = this.#restorable.get(name);
    this.#restorable.delete(name);
    if (kept !== undefined) made.restore(kept.saved, kept.seenMs);
    this.#judges.set(name, made);
    return made;
  }
}
