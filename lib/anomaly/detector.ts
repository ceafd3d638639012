/** What every detector offers. Detectors are pure: values in, verdicts out, in constant time and memory. */

/** What a detector says of one value. All numbers are finite. */
export interface Verdict {
  /** How unusual the value is; 0 or more. */
  readonly score: number;
  readonly is_anomaly: boolean;
  /** Distance from the mean in standard deviations, with its sign; 0 while there is no judgement yet. */
  readonly z: number;
  /** Mean and standard deviation that the value was held against. */
  readonly mean: number;
  readonly std: number;
}

/** Judges the values of one metric, in the order of time. */
export interface Detector {
  /** Judges `value`, then learns from it. `value` is finite; what is missing is simply not given. */
  update(value: number): Verdict;
}

/** A verdict of a detector that has not seen enough yet. */
export function noVerdict(mean: number): Verdict {
  return { score: 0, is_anomaly: false, z: 0, mean, std: 0 };
}
