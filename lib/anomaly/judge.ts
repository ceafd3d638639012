/**
 * All that is known of one metric: what flags its values one by one, and what tells whether something is happening,
 * which are one detector or two.
 */
import { Baseline } from "./baseline.ts";
import type { Detector, Verdict } from "./detector.ts";
import { Evidence } from "./evidence.ts";
import { Pace } from "./pace.ts";

/**
 * A detector as it was chosen: the spec names it, `flag` is the score from which it flags, and with `isCertain` what
 * it flags is an anomaly whatever else is known of the metric.
 */
export interface ChosenDetector {
  readonly spec: string;
  readonly flag: number;
  readonly isCertain: boolean;
  /** See {@linkcode Evidence}. */
  readonly isCalibrated: boolean;
  readonly make: () => Detector;
}

/** The detectors of a metric. */
export interface ChosenDetectors {
  /** Flags each value; the record says so. */
  readonly flags: ChosenDetector | undefined;
  /** What events are told by. The same object where one detector does both. */
  readonly events: ChosenDetector | undefined;
}

/** What one metric's judgement knows, as it is kept over a restart. */
export interface SavedMetric {
  readonly metric: string;
  /** Of the detectors that it is of. */
  readonly spec: string;
  readonly detector: unknown;
  readonly budget: readonly number[];
  /** What the detector that flags has learned, where it is another one. */
  readonly flags?: unknown;
}

/** Latest values kept of each metric. */
const AROUND = 16;

/** What identifies the detectors of a metric. */
export function specOf({ flags, events }: ChosenDetectors): string {
  const names = [flags, events].map((chosen) => chosen?.spec ?? "none");
  return flags === events ? names[0]! : names.join(" ");
}

/** See the head of the file. */
export class Judge {
  readonly spec: string;
  /** What events are told by; `undefined` where none are. */
  readonly evidence: Evidence | undefined;
  baseline: Baseline | undefined;
  #flags: Detector | undefined;
  /** The last verdicts: of what flags, and of what tells events. */
  flagged: Verdict | undefined;
  last: Verdict | undefined;
  /** When it was there last, be it with a reading or one that is told again. */
  lastMs: number | undefined;
  #pace: Pace;
  #around = new Float64Array(2 * AROUND);
  #values = 0;

  /** `index` spreads the work of several; `periodMs`: how often readings come until that is known. */
  constructor(chosen: ChosenDetectors, index: number, periodMs: number) {
    const { flags, events } = chosen;
    this.spec = specOf(chosen);
    this.#pace = new Pace(periodMs);
    if (events !== undefined) {
      this.baseline = new Baseline(events.make(), index);
      this.evidence = new Evidence(events.flag, events.isCertain, events.isCalibrated);
    }
    if (flags !== events) this.#flags = flags?.make();
  }

  /** Judges a reading, `guarded`: by what was normal before the event that is open. Returns what is flagged. */
  judge(value: number, nowMs: number, wallMs: number, guarded: boolean): Verdict | undefined {
    this.last = this.baseline?.update(value, nowMs, wallMs, guarded);
    this.flagged = this.#flags === undefined ? this.last : this.#flags.update(value, nowMs, wallMs);
    const at = 2 * (this.#values++ % AROUND);
    this.#around[at] = nowMs;
    this.#around[at + 1] = value;
    this.#pace.note(nowMs);
    this.lastMs = nowMs;
    return this.flagged;
  }

  /** The latest values, oldest first. */
  get around(): [number, number][] {
    const from = Math.max(0, this.#values - AROUND);
    return Array.from({ length: this.#values - from }, (_, i) => {
      const at = 2 * ((from + i) % AROUND);
      return [this.#around[at]!, this.#around[at + 1]!];
    });
  }

  /** The level may have moved unseen. */
  settle(): void {
    this.evidence?.settle();
    this.baseline?.letGo();
    this.#pace.pause();
  }

  /** Usual time between two readings, in ms, and from when on they have a gap. */
  get periodMs(): number {
    return this.#pace.periodMs;
  }
  get gapMs(): number {
    return this.#pace.gapMs;
  }

  /** Readings come at another pace from here on: what was learned of windows of them is of other times. */
  changePace({ flags, events }: ChosenDetectors, periodMs: number): void {
    this.#pace = new Pace(periodMs);
    if (events !== undefined) this.baseline = new Baseline(events.make());
    if (flags !== events) this.#flags = flags?.make();
    this.evidence?.budget.loosen();
  }

  /** What is worth keeping over a restart; `undefined` before a calm time. */
  save(metric: string): SavedMetric | undefined {
    const { baseline, evidence, spec } = this;
    if (baseline?.saved === undefined) return undefined;
    const kept = { metric, spec, detector: baseline.saved, budget: evidence!.budget.save() };
    return this.#flags === undefined ? kept : { ...kept, flags: this.#flags.save() };
  }

  /** Goes on from what was saved; as it was made where that doesn't fit. */
  restore(saved: SavedMetric, seenMs: number): void {
    if (saved.spec !== this.spec || this.baseline?.restore(saved.detector) !== true) return;
    this.evidence!.budget.restore(saved.budget);
    this.#flags?.restore(saved.flags);
    this.lastMs = seenMs;
  }
}
