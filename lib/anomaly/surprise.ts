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

/** Lowest and highest of one view so far, as a state of four numbers. */
class Range {
  #low = 0;
  #high = 0;
  #mean = 0;
  #count = 0;

  /** How far `value` lies outside, in widths. */
  score(value: number, warmup: number): number {
    if (this.#count < 2) return 0;
    const width = Math.max(this.#high - this.#low, floorAt(this.#mean));
    const outside = Math.max(value - this.#high, this.#low - value, 0);
    return Math.min(SCORE_MAX, outside / width) * Math.min(1, this.#count / warmup);
  }

  learn(value: number, creep: number): void {
    if (this.#count++ === 0) this.#low = this.#high = this.#mean = value;
    this.#high = value > this.#high ? value : this.#high - creep * (this.#high - this.#mean);
    this.#low = value < this.#low ? value : this.#low + creep * (this.#mean - this.#low);
    this.#mean += Math.max(1 / MEAN_SPAN, 1 / this.#count) * (value - this.#mean);
  }

  save(): number[] {
    return [this.#low, this.#high, this.#mean, this.#count];
  }

  restore([low, high, mean, count]: number[]): void {
    this.#low = low!;
    this.#high = high!;
    this.#mean = mean!;
    this.#count = count!;
  }
}

/** Of what is saved: more would say nothing more. */
const DIGITS = 8;
const VIEWS = 5;
const NUMBERS = 4 * VIEWS + 3 * SHORT + 2 * HOURS + 7;

/** See the head of the file. */
export class Surprise implements Detector {
  #options: SurpriseOptions;
  #ranges = Array.from({ length: VIEWS }, () => new Range());
  /** The last values, and what the short mean was at each. */
  #values = new Float64Array(SHORT);
  #means = new Float64Array(SHORT);
  /** The size of changes, noted once in a few values. */
  #activities = new Float64Array(SHORT);
  #levels = new Float64Array(HOURS);
  #seen = new Float64Array(HOURS);
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
    this.#values[place] = value;
    const known = Math.min(this.#count, SHORT);
    let sum = 0;
    for (let i = 0; i < known; i++) sum += this.#values[i]!;
    const mean = sum / known;
    const change = this.#count > 1 ? value - this.#last : 0;
    this.#last = value;
    this.#size += Math.max(1 / MEAN_SPAN, 1 / this.#count) * (Math.abs(value) - this.#size);
    this.#activity += Math.max(1 / ACTIVITY_SPAN, 1 / this.#count) *
      (Math.abs(change) - this.#activity);
    const activity = Math.log(this.#activity + 1e-3 * this.#size + 1e-9);
    // These ranges learn what is behind the present window, or they would grow along with what they judge.
    const olderMean = this.#count > SHORT ? this.#means[place]! : mean;
    this.#means[place] = mean;
    const slot = Math.floor(this.#count / ACTIVITY_LAG) % SHORT;
    const olderActivity = this.#count > SHORT * ACTIVITY_LAG ? this.#activities[slot]! : activity;
    if (this.#count % ACTIVITY_LAG === ACTIVITY_LAG - 1) this.#activities[slot] = activity;
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
    const range = this.#ranges[index]!;
    const score = range.score(value, this.#options.warmup);
    range.learn(learned, this.#options.creep);
    return score;
  }

  /** Distance of the short mean from what is usual at this hour, in UTC. */
  #fromUsual(value: number, mean: number, wallMs: number): number | undefined {
    if (this.#stepMs < SEASON_STEP_MS) return undefined;
    const hour = ((Math.floor(wallMs / HOUR_MS) % HOURS) + HOURS) % HOURS;
    const seen = this.#seen[hour]!++;
    const level = this.#levels[hour]!;
    this.#levels[hour] = level + Math.max(1 / LEVEL_SPAN, 1 / (seen + 1)) * (value - level);
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
      ...this.#ranges.flatMap((range) => range.save()),
      ...[...this.#values, ...this.#means, ...this.#activities, ...this.#levels, ...this.#seen],
      ...[this.#count, this.#last, this.#stepMs, this.#activity, this.#size, this.#quiet],
    ].map((number) => Number(number.toPrecision(DIGITS))).concat(this.#lastMs);
  }

  restore(state: unknown): boolean {
    const numbers = numbersIn(state, NUMBERS);
    if (numbers === undefined) return false;
    let at = 0;
    const take = (count: number) => numbers.slice(at, at += count);
    for (const range of this.#ranges) range.restore(take(4));
    this.#values.set(take(SHORT));
    this.#means.set(take(SHORT));
    this.#activities.set(take(SHORT));
    this.#levels.set(take(HOURS));
    this.#seen.set(take(HOURS));
    [this.#count, this.#last, this.#stepMs] = take(3) as [number, number, number];
    [this.#activity, this.#size, this.#quiet] = take(3) as [number, number, number];
    this.#lastMs = numbers[at]!;
    return true;
  }
}
