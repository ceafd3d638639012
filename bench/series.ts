/**
 * Series with known truth, from seeds: the kinds of signal that monitoring sees, each with anomalies of the
 * kinds that matter. Shapes follow what public corpora hold (machine metrics at 5 minutes, traffic counts,
 * temperatures, advertisement prices), numbers are made up.
 */
import { seededRandom } from "../lib/platform/seeded_random.ts";

/** A labelled series. */
export interface Series {
  readonly name: string;
  readonly stepMs: number;
  readonly values: Float64Array;
  /** Where an anomaly is to be found: first and last index, inclusive. */
  readonly windows: readonly (readonly [from: number, to: number])[];
}

type Chance = ReturnType<typeof chanceOf>;

function chanceOf(seed: number) {
  const random = seededRandom(seed);
  const uniform = () => (random.below(2 ** 31) + 0.5) / 2 ** 31;
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const poisson = (mean: number): number => {
    if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal()));
    let count = 0;
    for (let p = uniform(); p > Math.exp(-mean); p *= uniform()) count++;
    return count;
  };
  return { uniform, normal, poisson, below: (n: number) => random.below(n) };
}

const STEP_MS = 300_000;
const DAY = 288;

function daily(index: number): number {
  const day = (index / DAY) % 7;
  const weekend = Math.floor(day) >= 5 ? 0.6 : 1;
  return weekend * (0.55 - 0.45 * Math.cos(2 * Math.PI * (index % DAY) / DAY));
}

/** The ordinary course of each kind, at an index. */
const KINDS: Record<string, (chance: Chance) => (index: number) => number> = {
  white: (c) => () => 50 + 5 * c.normal(),
  drift: (c) => (i) => 20 + i / 400 + 2 * c.normal(),
  random_walk: (c) => {
    let level = 100;
    return () => (level += 0.02 * (100 - level) + c.normal()) + 0.3 * c.normal();
  },
  pink: (c) => {
    const rows = new Float64Array(8);
    return (i) => {
      for (let row = 0; row < 8; row++) if (i % (1 << row) === 0) rows[row] = c.normal();
      return 40 + rows.reduce((sum, value) => sum + value, 0);
    };
  },
  daily: (c) => (i) => 100 * daily(i) + 4 * c.normal(),
  traffic: (c) => (i) => c.poisson(60 * daily(i) + 5),
  tweets: (c) => (i) => c.poisson(12 * daily(i) + 3) + (c.below(150) === 0 ? c.below(60) : 0),
  mostly_zero: (c) => () => c.below(40) === 0 ? 10 + c.below(20) : 0,
  constant: (c) => () => c.below(300) === 0 ? 1.2 : 1,
  sawtooth: (c) => (i) => 20 + (i % 97) * 0.6 + c.normal(),
  cpu_steps: (c) => {
    let level = 30;
    return () => {
      if (c.below(120) === 0) level = 20 + c.below(5) * 5;
      return level + 1.5 * c.normal();
    };
  },
  bursty: (c) => {
    let burst = 0;
    return () => {
      if (c.below(60) === 0) burst = 5 + 20 * c.uniform();
      burst *= 0.7;
      return 4 + burst + 0.5 * Math.abs(c.normal());
    };
  },
  changing_variance: (c) => (i) => 60 + (2 + 6 * daily(i)) * c.normal(),
  temperature: (c) => {
    let level = 70;
    return (i) => {
      level += 0.01 * (70 - level) + 0.25 * c.normal();
      return level + 4 * daily(i) + 0.4 * c.normal();
    };
  },
  price: (c) => () => Math.exp(0.35 * c.normal()) * (c.below(90) === 0 ? 2.5 : 1),
};

type Change = (value: number, at: number, length: number, c: Chance, spread: number) => number;

/** What goes wrong, as a change of the values in a window. */
const ANOMALIES: Record<string, { length: (c: Chance) => number; change: Change; stays?: true }> = {
  spike: { length: () => 1, change: (v, _a, _l, _c, s) => v + 8 * s },
  dip: { length: () => 2, change: (v, _a, _l, _c, s) => v - 8 * s },
  burst: { length: (c) => 10 + c.below(30), change: (v, _a, _l, c, s) => v + (5 + c.normal()) * s },
  outage: {
    length: (c) => 12 + c.below(40),
    change: (_v, _a, _l, c) => 0.01 * Math.abs(c.normal()),
  },
  stuck: { length: (c) => 40 + c.below(60), change: (_v, _a, _l, _c, s) => 1.7 * s },
  shift: { length: () => 200, change: (v, _a, _l, _c, s) => v + 5 * s, stays: true },
  ramp: { length: (c) => 60 + c.below(60), change: (v, a, l, _c, s) => v + 9 * s * a / l },
  noisy: { length: (c) => 30 + c.below(30), change: (v, _a, _l, c, s) => v + 4 * s * c.normal() },
};

function spreadOf(values: Float64Array): number {
  const sorted = values.toSorted();
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))]!;
  const inner = (at(0.95) - at(0.05)) / 3.3;
  return inner > 0 ? inner : Math.max(0.1, (at(1) - at(0)) / 6);
}

/** A series of a kind; `seed` decides all of it. */
export function makeSeries(kind: string, seed: number, length = 4_000): Series {
  const c = chanceOf(seed * 7_919 + kind.length);
  const course = KINDS[kind]!(c);
  const values = Float64Array.from({ length }, (_, index) => course(index));
  const spread = spreadOf(values);
  const windows: [number, number][] = [];
  const count = 1 + c.below(4);
  const names = Object.keys(ANOMALIES);
  for (let n = 0; n < count; n++) {
    const { length: lengthOf, change, stays } = ANOMALIES[names[c.below(names.length)]!]!;
    const size = lengthOf(c);
    const part = Math.floor((0.8 * length) / count);
    const from = Math.floor(0.18 * length) + n * part + c.below(Math.max(1, part - size - 250));
    for (let at = 0; at < size; at++) {
      values[from + at] = change(values[from + at]!, at, size, c, spread);
    }
    if (stays) {
      for (let at = from + size; at < length; at++) {
        values[at] = change(values[at]!, 0, 1, c, spread);
      }
    }
    const margin = Math.floor(0.1 * length / count / 2);
    windows.push([
      Math.max(0, from - 10),
      Math.min(length - 1, from + Math.min(size, 2 * margin) + 40),
    ]);
  }
  return { name: `${kind}-${seed}`, stepMs: STEP_MS, values, windows };
}

/** Several series of each kind. */
export function corpus(seeds: readonly number[]): Series[] {
  return Object.keys(KINDS).flatMap((kind) => seeds.map((seed) => makeSeries(kind, seed)));
}

/** Gaussian noise, one value at a time. */
export function whiteNoise(seed: number): () => number {
  return chanceOf(seed).normal;
}
