/**
 * Surprise: how far a series leaves the range that it has shown so far, looked at in several ways at once.
 * For general use: one threshold serves all metrics, whatever their unit and noise.
 *
 * Each view of the series keeps the lowest and highest it has been, both creeping slowly back towards the
 * mean. A view's score is how far it is outside, in widths of that range; the series' score is that of its
 * most surprised view. As the range then widens, an anomaly is said once and not at each of its values, and a
 * lasting new level is learned. What follows a score within a few values must exceed it to be said again.
 *
 * | view | finds |
 * | --- | --- |
 * | value | spikes, dips |
 * | mean of the last 8 values | small shifts that last |
 * | change from the value before | jumps and runaways at an ordinary level |
 * | log of the mean size of recent changes | gone flat, gone wild |
 * | distance of the short mean from what is usual at this hour of the day | what is wrong only now |
 */
import { bounded, type Detector, floorAt, numbersIn, SCORE_MAX, type Verdict } from "./detector.ts";

/** Options of {@linkcode Surprise}. */
export interface SurpriseOptions {
  /** Score above it is an anomaly; 0: derived from `alerts_per_day`. */
  readonly threshold: number;
  /** False alarms a day that are accepted where `threshold` is 0. */
  readonly alertsPerDay: number;
  /** Part of the way to the mean that a range's ends go back at each value. */
  readonly creep: number;
  /** Values seen before a view counts in full. */
  readonly warmup: number;
}

const SHORT = 8;
const HOURS = 24;
const HOUR_MS = 3_600_000;
/** Values that the recent size of changes, and the quiet after a score, span. */
const ACTIVITY_SPAN = 24;
const QUIET_SPAN = 24;
/** Values between two notes of the size of changes; eight of them span its memory. */
const ACTIVITY_LAG = 3;
const MEAN_SPAN = 1_000;
/** An hour's usual level learns from about this many values, and counts once it has seen a few. */
const LEVEL_SPAN = 50;
const LEVEL_MIN = 6;
/** Values that come faster than this fill an hour's level anew each time: then it says nothing. */
const SEASON_STEP_MS = 10_000;
/**
 * The threshold that keeps one alarm a day on white noise: measured with `bench/detectors.ts`. A score
 * TAIL higher is e times as rare.
 */
const THRESHOLD_AT_288 = 0.4;
const TAIL = 0.09;
const STEP_UNKNOWN_MS = 100;

/** What a view keeps of its range, at its place in the state: lowest, highest, mean, count. */
const LOW = 0, HIGH = 1, MEAN = 2, COUNT = 3;
const RANGE = 4;

/** How far `value` lies outside of the range at `at`, in widths. */
function scoreIn(state: Float64Array, at: number, value: number, warmup: number): number {
  const low = state[at + LOW]!, high = state[at + HIGH]!, count = state[at + COUNT]!;
  if (count < 2) return 0;
  const width = Math.max(high - low, floorAt(state[at + MEAN]!));
  const outside = Math.max(value - high, low - value, 0);
  return Math.min(SCORE_MAX, outside / width) * Math.min(1, count / warmup);
}

function learnIn(state: Float64Array, at: number, value: number, creep: number): void {
  const count = ++state[at + COUNT]!;
  if (count === 1) state[at + LOW] = state[at + HIGH] = state[at + MEAN] = value;
  const low = state[at + LOW]!, high = state[at + HIGH]!, mean = state[at + MEAN]!;
  state[at + HIGH] = value > high ? value : high - creep * (high - mean);
  state[at + LOW] = value < low ? value : low + creep * (mean - low);
  state[at + MEAN] = mean + Math.max(1 / MEAN_SPAN, 1 / count) * (value - mean);
}

/** Of what is saved: more would say nothing more. */
const DIGITS = 8;
const VIEWS = 5;
/** Places in the state: the ranges; the last values, and what the short mean was at each; sizes of changes. */
const VALUES = RANGE * VIEWS;
const MEANS = VALUES + SHORT;
const ACTIVITIES = MEANS + SHORT;
const STATE = ACTIVITIES + SHORT;
const NUMBERS = STATE + 2 * HOURS + 7;

/** See the head of the file. */
export class Surprise implements Detector {
  #options: SurpriseOptions;
  #state = new Float64Array(STATE);
  /** Usual level of each hour, then how often it was seen; only where values come so slowly that it counts. */
  #hours: Float64Array | undefined;
  #count = 0;
  #last = 0;
  #lastMs = 0;
  #stepMs = 0;
  #activity = 0;
  #size = 0;
  #quiet = 0;

  constructor(options: SurpriseOptions) {
    this.#options = options;
  }

  update(given: number, tMs: number, wallMs: number = tMs): Verdict {
    const value = bounded(given);
    const place = this.#count % SHORT;
    this.#count++;
    this.#noteTime(tMs);
    const state = this.#state;
    state[VALUES + place] = value;
    const known = Math.min(this.#count, SHORT);
    let sum = 0;
    for (let i = 0; i < known; i++) sum += state[VALUES + i]!;
    const mean = sum / known;
    const change = this.#count > 1 ? value - this.#last : 0;
    this.#last = value;
    this.#size += Math.max(1 / MEAN_SPAN, 1 / this.#count) * (Math.abs(value) - this.#size);
    this.#activity += Math.max(1 / ACTIVITY_SPAN, 1 / this.#count) *
      (Math.abs(change) - this.#activity);
    const activity = Math.log(this.#activity + 1e-3 * this.#size + 1e-9);
    // These ranges learn what is behind the present window, or they would grow along with what they judge.
    const olderMean = this.#count > SHORT ? state[MEANS + place]! : mean;
    state[MEANS + place] = mean;
    const slot = ACTIVITIES + Math.floor(this.#count / ACTIVITY_LAG) % SHORT;
    const olderActivity = this.#count > SHORT * ACTIVITY_LAG ? state[slot]! : activity;
    if (this.#count % ACTIVITY_LAG === ACTIVITY_LAG - 1) state[slot] = activity;
    let score = Math.max(
      this.#view(0, value, value),
      this.#view(1, mean, olderMean),
      this.#view(2, change, change),
      this.#view(3, activity, olderActivity),
    );
    const distance = this.#fromUsual(value, mean, wallMs);
    if (distance !== undefined) score = Math.max(score, this.#view(4, distance, distance));
    return this.#say(score, value, mean);
  }

  #noteTime(tMs: number): void {
    const stepMs = tMs - this.#lastMs;
    if (this.#count > 1 && stepMs > 0) {
      const weight = Math.max(0.01, 1 / (this.#count - 1));
      this.#stepMs += weight * (Math.min(stepMs, 864e5) - this.#stepMs);
    }
    this.#lastMs = tMs;
  }

  #view(index: number, value: number, learned: number): number {
    const { warmup, creep } = this.#options;
    const score = scoreIn(this.#state, RANGE * index, value, warmup);
    learnIn(this.#state, RANGE * index, learned, creep);
    return score;
  }

  /** Distance of the short mean from what is usual at this hour, in UTC. */
  #fromUsual(value: number, mean: number, wallMs: number): number | undefined {
    if (this.#stepMs < SEASON_STEP_MS) return undefined;
    const hour = ((Math.floor(wallMs / HOUR_MS) % HOURS) + HOURS) % HOURS;
    const hours = this.#hours ??= new Float64Array(2 * HOURS);
    const seen = hours[HOURS + hour]!++;
    const level = hours[hour]!;
    hours[hour] = level + Math.max(1 / LEVEL_SPAN, 1 / (seen + 1)) * (value - level);
    return seen < LEVEL_MIN ? undefined : mean - level;
  }

  #say(found: number, value: number, mean: number): Verdict {
    const score = found > this.#quiet ? found : 0;
    this.#quiet = Math.max(found, this.#quiet * (1 - 1 / QUIET_SPAN));
    const width = Math.max(this.#activity, floorAt(mean));
    const z = Math.max(-SCORE_MAX, Math.min(SCORE_MAX, (value - mean) / width));
    return { score, is_anomaly: score > this.#threshold, z, mean, std: this.#activity };
  }

  get #threshold(): number {
    const { threshold, alertsPerDay } = this.#options;
    if (threshold > 0) return threshold;
    const perDay = 864e5 / (this.#stepMs > 0 ? this.#stepMs : STEP_UNKNOWN_MS);
    return THRESHOLD_AT_288 + TAIL * Math.log(Math.max(1, perDay / (288 * alertsPerDay)));
  }

  save(): unknown {
    return [
      ...this.#state,
      ...this.#hours ?? new Float64Array(2 * HOURS),
      ...[this.#count, this.#last, this.#stepMs, this.#activity, this.#size, this.#quiet],
    ].map((number) => Number(number.toPrecision(DIGITS))).concat(this.#lastMs);
  }

  restore(state: unknown): boolean {
    const numbers = numbersIn(state, NUMBERS);
    if (numbers === undefined) return false;
    const hours = numbers.slice(STATE, STATE + 2 * HOURS);
    this.#state.set(numbers.slice(0, STATE));
    this.#hours = hours.some((number) => number !== 0) ? new Float64Array(hours) : undefined;
    [this.#count, this.#last, this.#stepMs, this.#activity, this.#size, this.#quiet, this.#lastMs] =
      numbers.slice(STATE + 2 * HOURS) as [number, number, number, number, number, number, number];
    return true;
  }
}
