/** Fixed limits with hysteresis: for what an engineer knows better than any statistics. */
import { bounded, type Detector, noVerdict, numbersIn, type Verdict } from "./detector.ts";

/** Options of {@linkcode Limits}, in the unit of the metric. */
export interface LimitsOptions {
  readonly low: number;
  readonly high: number;
  /** How far inside a limit the value must come before the anomaly is over; 0 or more. */
  readonly hysteresis: number;
}

/** See the head of the file. The score is 1 at a limit, and 1 more for each width of the allowed range. */
export class Limits implements Detector {
  #options: LimitsOptions;
  #outside = 0;

  constructor(options: LimitsOptions) {
    this.#options = options;
  }

  update(given: number): Verdict {
    const value = bounded(given);
    const { low, high, hysteresis } = this.#options;
    const inset = this.#outside === 0 ? 0 : hysteresis;
    const beyond = Math.max(value - (high - inset), low + inset - value);
    const isOutside = value > high - inset || value < low + inset;
    this.#outside = isOutside ? 1 : 0;
    if (!isOutside) return noVerdict(value);
    const width = Math.max(high - low, Number.MIN_VALUE);
    const score = Math.min(1e6, 1 + beyond / width);
    const isHigh = value > high - inset;
    const mean = bounded(isHigh ? high : low);
    return { score, is_anomaly: true, z: isHigh ? score : -score, mean, std: 0 };
  }

  save(): unknown {
    return [this.#outside];
  }

  restore(state: unknown): boolean {
    const [outside] = numbersIn(state, 1) ?? [];
    if (outside !== 0 && outside !== 1) return false;
    this.#outside = outside;
    return true;
  }
}
