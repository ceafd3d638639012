/**
 * Surprise: how unlike its own past a series is, looked at in several ways at once. For general use: one threshold
 * serves all metrics, whatever their unit and noise.
 *
 * Four views say how far the present is from the past, and each is held against all that it has said before: what
 * counts is how rare that was (`rarity.ts`).
 *
 * | view | finds |
 * | --- | --- |
 * | value | spikes, dips |
 * | mean of the last 10 values | shifts that last |
 * | mean of the last 100 values | drifts, small shifts |
 * | how much calmer the last 10 values are than the last 1,000 | gone flat |
 *
 * Together they are one number. Once told it has to be exceeded to be told again, for some hundred values: what lasts is
 * said once. Beside that ranges are kept: of the value, of its short mean, and of how far the value is from what is usual at
 * this hour of the day. Leaving one counts by how far, and as the range then widens, once.
 */
import { bounded, type Detector, floorAt, numbersIn, SCORE_MAX, type Verdict } from "./detector.ts";
import { Rarity, RARITY_NUMBERS } from "./rarity.ts";
import { distance, Hours, Range, Track } from "./track.ts";

/** Options of {@linkcode Surprise}. */
export interface SurpriseOptions {
  /** Score above it is an anomaly, in parts of what follows from `alertsPerDay`; 0 for 1. */
  readonly threshold: number;
  /** False alarms a day that are accepted; 0 for 1. */
  readonly alertsPerDay: number;
  /** Part of the way to the mean that a range's ends go back at each value, of those that come each five minutes. */
  readonly creep: number;
  /** Values seen before the first judgement. */
  readonly warmup: number;
}

/** Weights of a new value in the means of all, of the last thousand, hundred and ten. */
const ALL = 2e-5, SLOW = 1e-3, LONG = 1e-2, SHORT = 0.1;
/** How much the long mean counts beside the other views. */
const LONG_PART = 0.7;
/** Values that a mean needs before it says anything. */
const MEAN_MIN = 10, CALM_MIN = 20;
/** What leaving the range counts: GAIN * log10(1 + SCALE * widths). */
const GAIN = 8, SCALE = 100;
/** A range counts in full once so many decades of values made it, or as many as one alarm stands for. */
const KNOWN_MAX = 7.5;
/** Values that come faster than this fill an hour's level anew each time: then it says nothing. */
const SEASON_STEP_MS = 10_000;
/** What is unusual at its hour alone counts less: days differ. */
const HOUR_PART = 0.6;
/** What was told must be exceeded by this factor at first, which fades over so many values. */
const HOLD = 1.25, HOLD_SPAN = 400;
/**
 * What flags at one alarm a day where values come each five minutes, and what ten times as many values a day for each
 * alarm add: more than the one that rarity itself asks for, as values near each other are alike.
 */
const FLAG_AT_288 = 3.76, FLAG_A_DECADE = 1.7, VALUES_A_DAY = 288;
/** The more often values come the slower a range goes back, in parts of that. */
const CREEP_PART = 0.75;
const DAY_MS = 86_400_000;
const STEP_UNKNOWN_MS = 100;
const STEP_WEIGHT = 0.01;

const VIEWS = 4, RANGES = 3;
const TRACK_NUMBERS = 3, RANGE_NUMBERS = 4, OTHERS = 7;
const NUMBERS = VIEWS * (RARITY_NUMBERS + TRACK_NUMBERS) + RANGES * RANGE_NUMBERS +
  Hours.NUMBERS + OTHERS;
type Others = [number, number, number, number, number, number, number];
/** Of what is saved: more would say nothing more. */
const DIGITS = 6;

/** See the head of the file. */
export class Surprise implements Detector {
  #options: SurpriseOptions;
  #rarities = Array.from({ length: VIEWS }, () => new Rarity());
  #tracks = [ALL, SLOW, LONG, SHORT].map((weight) => new Track(weight));
  #ranges = Array.from({ length: RANGES }, () => new Range());
  /** Only where values come so slowly that it counts. */
  #hours: Hours | undefined;
  #count = 0;
  #lastMs = 0;
  #stepMs = 0;
  /** What was told last, as it must be exceeded now. */
  #held = 0;
  #creep = 0;
  #last = 0;
  #step = 0;
  #flag = FLAG_AT_288;

  constructor(options: SurpriseOptions) {
    this.#options = options;
  }

  update(given: number, tMs: number, wallMs: number = tMs): Verdict {
    const value = bounded(given);
    this.#noteTime(tMs);
    const [all, slow, long, short] = this.#tracks as [Track, Track, Track, Track];
    const mean = all.mean, variance = all.variance;
    const spread = this.#noteStep(value) / 2;
    const far = all.count > 1 ? distance(value, all, spread) : 0;
    short.add(value);
    long.add(value);
    const isKnown = all.count > MEAN_MIN;
    const shortFar = isKnown ? distance(short.mean, all, spread) : 0;
    const longFar = isKnown ? distance(long.mean, all, spread) : 0;
    all.add(value);
    slow.add(value);
    const calm = slow.count < CALM_MIN ? 0 : Math.max(0, calmer(short, slow));
    const rare = Math.hypot(
      this.#rarities[0]!.rate(far),
      this.#rarities[1]!.rate(shortFar),
      this.#rarities[2]!.rate(calm),
      LONG_PART * this.#rarities[3]!.rate(longFar),
    );
    return this.#say(
      this.#news(rare) + this.#left(value, short.mean, wallMs),
      value,
      mean,
      variance,
    );
  }

  /** What of `rare` is more than was told lately. */
  #news(rare: number): number {
    const held = this.#held * (1 - 1 / HOLD_SPAN);
    this.#held = rare > held ? HOLD * rare : held;
    return rare > held ? rare : 0;
  }

  /** What it counts that the value or its short mean leaves its range: less while few values made that. */
  #left(value: number, mean: number, wallMs: number): number {
    const [range, meanRange, hourRange] = this.#ranges as [Range, Range, Range];
    const creep = this.#creep, least = this.#step;
    let reach = range.reach(value, creep, least);
    if (this.#count > CALM_MIN) reach = Math.max(reach, meanRange.reach(mean, creep, least));
    if (this.#stepMs >= SEASON_STEP_MS) {
      const usual = (this.#hours ??= new Hours()).usual(value, wallMs);
      if (usual !== undefined) {
        reach = Math.max(reach, HOUR_PART * hourRange.reach(value - usual, creep, least));
      }
    }
    const known = Math.min(1, Math.log10(1 + this.#count) / Math.min(this.#flag, KNOWN_MAX));
    return known * GAIN * Math.log10(1 + SCALE * reach);
  }

  /** The smallest step of the value so far: what is rounded to it varies by no less, and 0 before the first. */
  #noteStep(value: number): number {
    const step = Math.abs(value - this.#last);
    if (this.#count > 1 && step > 0 && (this.#step === 0 || step < this.#step)) this.#step = step;
    this.#last = value;
    return this.#step;
  }

  #noteTime(tMs: number): void {
    const stepMs = tMs - this.#lastMs;
    if (this.#count++ > 0 && stepMs > 0) {
      const weight = Math.max(STEP_WEIGHT, 1 / (this.#count - 1));
      this.#stepMs += weight * (Math.min(stepMs, DAY_MS) - this.#stepMs);
    }
    this.#lastMs = tMs;
    const { creep } = this.#options, alertsPerDay = this.#options.alertsPerDay || 1;
    const perDay = DAY_MS / (this.#stepMs > 0 ? this.#stepMs : STEP_UNKNOWN_MS);
    const often = Math.max(1, perDay / VALUES_A_DAY);
    this.#flag = FLAG_AT_288 + FLAG_A_DECADE * Math.log10(Math.max(1, often / alertsPerDay));
    this.#creep = creep / often ** CREEP_PART;
  }

  #say(found: number, value: number, mean: number, variance: number): Verdict {
    const { threshold, warmup } = this.#options;
    const score = this.#count <= warmup ? 0 : Math.min(SCORE_MAX, found / this.#flag);
    const std = Math.sqrt(variance);
    const z = (value - mean) / Math.max(std, floorAt(mean));
    const limited = Math.max(-SCORE_MAX, Math.min(SCORE_MAX, z));
    return { score, is_anomaly: score > (threshold || 1), z: limited, mean, std };
  }

  save(): unknown {
    const numbers = [
      ...this.#rarities.flatMap((rarity) => rarity.save()),
      ...this.#tracks.flatMap((track) => track.save()),
      ...this.#ranges.flatMap((range) => range.save()),
      ...(this.#hours ?? new Hours()).save(),
      ...[this.#count, this.#stepMs, this.#held, this.#creep, this.#last, this.#step],
    ];
    return numbers.map((number) => Number(number.toPrecision(DIGITS))).concat(this.#lastMs);
  }

  restore(state: unknown): boolean {
    const numbers = numbersIn(state, NUMBERS);
    if (numbers === undefined) return false;
    let at = 0;
    const next = (count: number) => numbers.slice(at, at += count);
    for (const rarity of this.#rarities) rarity.restore(next(RARITY_NUMBERS));
    for (const track of this.#tracks) track.restore(next(TRACK_NUMBERS));
    for (const range of this.#ranges) range.restore(next(RANGE_NUMBERS));
    const hours = next(Hours.NUMBERS);
    this.#hours = hours.some((number) => number !== 0) ? new Hours() : undefined;
    this.#hours?.restore(hours);
    [this.#count, this.#stepMs, this.#held, this.#creep, this.#last, this.#step, this.#lastMs] =
      next(OTHERS) as Others;
    return true;
  }
}

/** ln of how much smaller the spread of `short` is than that of `slow`. */
function calmer(short: Track, slow: Track): number {
  const floor = floorAt(slow.mean) ** 2;
  return 0.5 * Math.log((slow.variance + floor) / (short.variance + floor));
}
