/**
 * Seasonal: the usual course of a day, apart for working days and weekends, in a fixed number of places. Each
 * place keeps an exponentially weighted mean and variance of the values at that time of day; what is judged
 * is the distance from the place's mean. Times are UTC: a place is a place wherever the device is.
 *
 * Memory: 2 x places x 3 numbers; 4.6 KB with 96 places (15 minutes each).
 */
import {
  bounded,
  type Detector,
  floorAt,
  noVerdict,
  numbersIn,
  type Verdict,
  verdictAt,
} from "./detector.ts";
import { WeightedMoments } from "./ewma.ts";

/** Options of {@linkcode Seasonal}. */
export interface SeasonalOptions {
  readonly threshold: number;
  /** Places a day. */
  readonly places: number;
  /** Days that the memory spans. */
  readonly days: number;
  /** Days to be seen before a place judges. */
  readonly warmup: number;
}

const DAY_MS = 86_400_000;
/** 1970-01-01 was a Thursday: days 2 and 3 after it were a weekend. */
const SATURDAY = 2;

/** One time of day. Values of one pass through it are averaged, so that their number doesn't matter. */
interface Place {
  readonly moments: WeightedMoments;
  day: number;
  sum: number;
  count: number;
  days: number;
}

/** See the head of the file. */
export class Seasonal implements Detector {
  #options: SeasonalOptions;
  #places: Place[];
  /** Spread of the distances, over all places. */
  #residual: WeightedMoments;

  constructor(options: SeasonalOptions) {
    this.#options = options;
    this.#places = Array.from({ length: 2 * options.places }, () => ({
      moments: new WeightedMoments(options.days),
      day: -1,
      sum: 0,
      count: 0,
      days: 0,
    }));
    this.#residual = new WeightedMoments(options.places * options.days);
  }

  update(given: number, tMs: number, wallMs: number = tMs): Verdict {
    const value = bounded(given);
    const { places, warmup, threshold } = this.#options;
    const day = Math.floor(wallMs / DAY_MS);
    const isWeekend = (((day - SATURDAY) % 7) + 7) % 7 < 2;
    const index = Math.floor((wallMs - day * DAY_MS) / DAY_MS * places);
    const place = this.#places[(isWeekend ? places : 0) + Math.min(places - 1, index)];
    if (place === undefined) return noVerdict(value);
    if (place.day !== day) this.#close(place, day);
    const { mean } = place.moments;
    const std = Math.max(this.#residual.std, place.moments.std);
    const floor = floorAt(mean);
    const distance = value - mean;
    const z = Math.abs(distance) <= floor ? 0 : distance / Math.max(std, floor);
    const isReady = place.days >= warmup && this.#residual.count > places;
    if (place.days > 0) {
      const reach = isReady ? 4 * Math.max(std, floor) : Infinity;
      this.#residual.add(Math.max(-reach, Math.min(reach, distance)));
    }
    place.sum += value;
    place.count++;
    return isReady ? verdictAt(z, threshold, mean, std) : noVerdict(mean);
  }

  /** The pass through a place is over: its mean is one value of the place. */
  #close(place: Place, day: number): void {
    if (place.count > 0) {
      place.moments.add(place.sum / place.count);
      place.days++;
    }
    Object.assign(place, { day, sum: 0, count: 0 });
  }

  save(): unknown {
    const round = (value: number) => Number(value.toPrecision(9));
    return [
      ...this.#residual.save(),
      ...this.#places.flatMap(({ moments, days }) => [...moments.save().map(round), days]),
    ];
  }

  restore(state: unknown): boolean {
    const numbers = numbersIn(state, 3 + 4 * this.#places.length);
    if (numbers === undefined || !this.#residual.restore(numbers.slice(0, 3))) return false;
    this.#places.forEach((place, index) => {
      const at = 3 + 4 * index;
      place.moments.restore(numbers.slice(at, at + 3));
      Object.assign(place, { days: numbers[at + 3], day: -1, sum: 0, count: 0 });
    });
    return true;
  }
}
