/**
 * From 'false alarms per day that I accept' to a score that an alarm needs, for one metric.
 *
 * Two estimates work together, both in a handful of numbers and constant time:
 * - The tail of the scores while all is normal. A level that one score in a hundred exceeds is tracked by
 *   stochastic approximation (H. Robbins and S. Monro, "A stochastic approximation method", Annals of
 *   Mathematical Statistics 22, 1951), and beyond it the mean excess. By the exponential limit of threshold
 *   excesses (J. Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 3,
 *   1975, with shape 0) the score that one in n samples exceeds is then level + excess * ln(n / 100). For
 *   Gaussian noise that lies a little above the truth, which is the quiet side.
 * - The alarms themselves. Where the tail is heavier than that, or where something happens each day, each
 *   alarm raises the bar by a fixed factor and each accepted alarm's share of a day lowers it by the same. So
 *   alarms in the long run are never more than accepted, whatever the signal is, and the first ones of a
 *   metric that was quiet are never held back.
 */
import { SCORE_MAX } from "./detector.ts";

/** One score in that many is taken for the tail. */
const TAIL_PART = 100;
/** Weight of what was assumed at first, in excesses. */
const ASSUMED_EXCESSES = 20;
/** Excesses that the mean excess remembers. */
const EXCESSES = 500;
/** Smallest step of the level, in mean excesses. */
const STEP_MIN = 0.02;
/** An excess counts at most as that many mean ones, so that an oddity doesn't teach the tail. */
const EXCESS_MAX = 5;
/** ln of the factor by which an alarm raises the bar, and the most that alarms together raise it. */
const RAISE = 0.15;
const RAISE_MAX = 3.4;
/** Scores above that many times the flag count by their logarithm: a changed constant scores a million. */
const SOFT_FROM = 4;
const DAY_MS = 86_400_000;

/** See the head of the file. */
export class AlertBudget {
  #flag: number;
  #level: number;
  #excess: number;
  #scores = 0;
  #excesses = 0;
  /** ln of the factor that alarms have raised the bar by. */
  #raised = 0;

  /** `flag` is the score from which the detector flags, above 0: the unit of all that is assumed at first. */
  constructor(flag: number) {
    this.#flag = flag;
    // As Gaussian noise has it where |z| > 3 flags.
    this.#level = 0.86 * flag;
    this.#excess = 0.105 * flag;
  }

  /** The score from which the detector flags. */
  get flag(): number {
    return this.#flag;
  }

  /** A score as this class and its callers compare it: above a few flags by its logarithm. */
  soften(score: number): number {
    const from = SOFT_FROM * this.#flag;
    return score <= from ? score : from * (1 + Math.log(score / from));
  }

  /** The score that softens to `soft`: for people, who see the detector's scores. */
  hardened(soft: number): number {
    const from = SOFT_FROM * this.#flag;
    return soft <= from ? soft : Math.min(SCORE_MAX, from * Math.exp(soft / from - 1));
  }

  /** Takes in a (softened) score of a normal time. */
  learn(score: number): void {
    const seen = ++this.#scores;
    const step = this.#excess * Math.max(STEP_MIN, 1 / (1 + seen / TAIL_PART));
    const over = score - this.#level;
    if (over <= 0) {
      this.#level = Math.max(0, this.#level - step / TAIL_PART);
      return;
    }
    this.#level += step * (1 - 1 / TAIL_PART);
    const weight = 1 / Math.min(EXCESSES, ASSUMED_EXCESSES + ++this.#excesses);
    this.#excess += weight * (Math.min(over, EXCESS_MAX * this.#excess) - this.#excess);
    this.#excess = Math.max(this.#excess, 0.01 * this.#flag);
  }

  /** The (softened) score that one in `samples` samples of normal times exceeds; never below the flag. */
  tail(samples: number): number {
    const tail = this.#excess * Math.log(Math.max(1, samples / TAIL_PART));
    return Math.max(this.#flag, this.#level + tail);
  }

  /** `score` with the bar that alarms have raised: from {@linkcode tail}, the one that an alarm needs. */
  raised(score: number): number {
    return this.#raised === 0 ? score : score * Math.exp(this.#raised);
  }

  /** The (softened) score that an alarm needs where one alarm in `samples` samples is accepted. */
  threshold(samples: number): number {
    return this.raised(this.tail(samples));
  }

  /** An alarm was raised. */
  alarmed(): void {
    this.#raised = Math.min(RAISE_MAX, this.#raised + RAISE);
  }

  /** Time passes: accepted alarms become free again. */
  elapse(ms: number, alertsPerDay: number): void {
    if (this.#raised === 0) return;
    this.#raised = Math.max(0, this.#raised - (RAISE * alertsPerDay * ms) / DAY_MS);
  }

  /** All that it knows, as six numbers. */
  save(): number[] {
    return [
      this.#flag,
      this.#level,
      this.#excess,
      this.#scores,
      this.#excesses,
      this.#raised,
    ];
  }

  /** Takes back what `save` gave; false, and nothing changed, where it doesn't fit. */
  restore(state: unknown): boolean {
    if (!Array.isArray(state) || state.length !== 6) return false;
    if (!state.every((value) => typeof value === "number" && value >= 0 && value < 1e15)) {
      return false;
    }
    const [flag, level, excess, scores, excesses, raised] = state as number[];
    if (flag !== this.#flag || excess! <= 0) return false;
    this.#level = level!;
    this.#excess = excess!;
    this.#scores = scores!;
    this.#excesses = excesses!;
    this.#raised = Math.min(RAISE_MAX, raised!);
    return true;
  }

  /** The samples come at another pace from here on: what the tail is like is to be learned faster again. */
  loosen(): void {
    this.#scores = Math.min(this.#scores, TAIL_PART);
    this.#excesses = Math.min(this.#excesses, ASSUMED_EXCESSES);
  }
}

/** At most so many alarms an hour, whatever happens. */
export class HourlyCap {
  #times: number[] = [];

  /** Whether one more may be raised at `nowMs`; if so it counts. `max` per hour. */
  take(nowMs: number, max: number): boolean {
    while (this.#times.length > 0 && nowMs - this.#times[0]! >= 3_600_000) this.#times.shift();
    if (this.#times.length >= max) return false;
    this.#times.push(nowMs);
    return true;
  }
}
