/** What a number has been: small things that look back in constant time and memory. */

/** Below this part of a value's size a distance is rounding noise. */
const TINY = 1e-9;
const Z_MAX = 1e6;

/**
 * Distance of `value` from `mean` in standard deviations, without its sign; `spread` is the least that counts for one.
 * Large, but finite, where all were equal.
 */
export function distance(value: number, { mean, variance }: Track, spread = 0): number {
  const far = Math.abs(value - mean), floor = TINY * (1 + Math.abs(mean));
  return far <= floor ? 0 : Math.min(Z_MAX, far / Math.max(Math.sqrt(variance), spread, floor));
}

/** Mean and variance in which what is older counts less: by a constant weight, and of the first values by 1/n. */
export class Track {
  readonly weight: number;
  count = 0;
  mean = 0;
  variance = 0;

  /** `weight` of a new value. */
  constructor(weight: number) {
    this.weight = weight;
  }

  add(value: number): void {
    const weight = Math.max(this.weight, 1 / ++this.count);
    const delta = value - this.mean;
    this.mean += weight * delta;
    this.variance = (1 - weight) * (this.variance + weight * delta * delta);
  }

  save(): number[] {
    return [this.count, this.mean, this.variance];
  }
  restore([count, mean, variance]: readonly number[]): void {
    this.count = Math.max(0, count!);
    this.mean = mean!;
    this.variance = Math.max(0, variance!);
  }
}

/** How far beyond a value the end of a range moves, in widths. */
const MARGIN = 0.1;

/**
 * The range in which a number has been. Its ends creep back towards the mean; a value outside moves an end beyond it,
 * so that the same height is told once.
 */
export class Range {
  low = 0;
  high = 0;
  #mean = new Track(0);

  /**
   * How far `value` is outside, in widths of the range, of which `least` is the smallest that counts; then it is
   * inside. `creep`: part of the way back at each value.
   */
  reach(value: number, creep: number, least = 0): number {
    const mean = this.#mean;
    if (mean.count === 0) {
      this.low = this.high = value;
      mean.add(value);
      return 0;
    }
    const { low, high } = this;
    const width = Math.max(high - low, least, TINY * (1 + Math.abs(high)));
    mean.count++;
    mean.mean += Math.max(creep, 1 / mean.count) * (value - mean.mean);
    this.high -= creep * (high - mean.mean);
    this.low += creep * (mean.mean - low);
    if (value > high) this.high = value + MARGIN * width;
    else if (value < low) this.low = value - MARGIN * width;
    return Math.min(Z_MAX, Math.max(value - high, low - value, 0) / width);
  }

  save(): number[] {
    return [this.low, this.high, this.#mean.count, this.#mean.mean];
  }
  restore([low, high, count, mean]: readonly number[]): void {
    this.low = Math.min(low!, high!);
    this.high = high!;
    this.#mean.count = Math.max(0, count!);
    this.#mean.mean = mean!;
  }
}

/** Hours of a day, in UTC. */
const HOURS = 24;
const HOUR_MS = 3_600_000;
/** An hour's usual level learns from about this many values, and counts once it has seen a few. */
const LEVEL_SPAN = 50, LEVEL_MIN = 6;

/** The usual level of a number at each hour. */
export class Hours {
  #levels = new Float32Array(HOURS);
  #counts = new Uint8Array(HOURS);
  /** How many numbers {@linkcode save} gives. */
  static readonly NUMBERS: number = 2 * HOURS;

  /** The usual level at that time, `undefined` before it is known; then `value` is learned. */
  usual(value: number, wallMs: number): number | undefined {
    const place = ((Math.floor(wallMs / HOUR_MS) % HOURS) + HOURS) % HOURS;
    const level = this.#levels[place]!, count = this.#counts[place]!;
    if (count < LEVEL_SPAN) this.#counts[place] = count + 1;
    this.#levels[place] = level + (value - level) / Math.min(LEVEL_SPAN, count + 1);
    return count < LEVEL_MIN ? undefined : level;
  }

  save(): number[] {
    return [...this.#levels, ...this.#counts];
  }
  restore(numbers: readonly number[]): void {
    this.#levels.set(numbers.slice(0, HOURS));
    this.#counts.set(
      numbers.slice(HOURS).map((count) => Math.max(0, Math.min(LEVEL_SPAN, count))),
    );
  }
}
