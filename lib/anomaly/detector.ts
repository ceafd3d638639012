/** What every detector offers. Detectors are pure: values in, verdicts out, in constant time and memory. */

/** What a detector says of one value. All numbers are finite. */
export interface Verdict {
  /** How unusual the value is; 0 or more. */
  readonly score: number;
  readonly is_anomaly: boolean;
  /** Distance from the mean in standard deviations, with its sign; 0 while there is no judgement yet. */
  readonly z: number;
  /** Mean and standard deviation, or what stands for them, that the value was held against. */
  readonly mean: number;
  readonly std: number;
}

/** Judges the values of one metric, in the order of time. */
export interface Detector {
  /**
   * Judges `value`, then learns from it. `value` is finite; what is missing is simply not given. Its time in
   * milliseconds: `tMs` by a clock that never jumps, for rates; `wallMs` since 1970, for hours and days, the
   * same as `tMs` unless given.
   */
  update(value: number, tMs: number, wallMs?: number): Verdict;
  /** What was learned, as JSON of bounded size. */
  save(): unknown;
  /** Takes up what `save` gave, of the same options; false, with nothing changed, where it doesn't fit. */
  restore(state: unknown): boolean;
}

/** Values beyond this are judged as if they were this: squares and sums of them stay finite. */
const VALUE_MAX = 1e100;
/** A change of a constant signal has no bound; this keeps its score finite and comparable. */
export const SCORE_MAX = 1e6;
/** Below this part of a value's size, and below this size, a spread is rounding noise. */
const FLOOR_RELATIVE = 1e-9;
const FLOOR = 1e-12;

/** A verdict of a detector that has not seen enough yet. */
export function noVerdict(mean: number): Verdict {
  return { score: 0, is_anomaly: false, z: 0, mean, std: 0 };
}

/** `value` within what detectors can square. */
export function bounded(value: number): number {
  return Math.max(-VALUE_MAX, Math.min(VALUE_MAX, value));
}

/** The least spread that means anything around `mean`. */
export function floorAt(mean: number): number {
  return Math.max(FLOOR, FLOOR_RELATIVE * Math.abs(mean));
}

/** The verdict on a value at `z` standard deviations. */
export function verdictAt(z: number, threshold: number, mean: number, std: number): Verdict {
  const limited = Math.max(-SCORE_MAX, Math.min(SCORE_MAX, z));
  const score = Math.abs(limited);
  return { score, is_anomaly: score > threshold, z: limited, mean, std };
}

/** The `count` numbers of a saved state, or `undefined` where it isn't one. */
export function numbersIn(state: unknown, count: number): number[] | undefined {
  const fits = Array.isArray(state) && state.length === count && state.every(Number.isFinite);
  return fits ? state as number[] : undefined;
}
