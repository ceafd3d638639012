/** One detector for each metric of a node. */
import type { Detector, Verdict } from "./detector.ts";

/** What a sample's values look like together, as the record carries it. */
export interface AnomalyBlock {
  is_anomaly: boolean;
  /** Highest score of any metric. */
  score: number;
  /** The flagged metrics. */
  metrics: Record<string, { z: number; mean: number; std: number }>;
}

/** Chooses the detector of a metric; `undefined` where it is not to be judged. */
export type DetectorChoice = (metric: string) => { spec: string; make: () => Detector } | undefined;

/** Metrics beyond this number are not judged: memory is bounded whatever a sensor yields. */
export const METRICS_MAX = 256;

/** Significant digits in the record: more would be noise on a metered link. */
const DIGITS = 6;

function round(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

/** See the head of the file. */
export class MetricBank {
  #choice: DetectorChoice;
  #detectors = new Map<string, { spec: string; detector: Detector; last: Verdict | undefined }>();

  constructor(choice: DetectorChoice) {
    this.#choice = choice;
  }

  /** Judges the values of one sample and learns from them. */
  observe(metrics: Readonly<Record<string, number>>): AnomalyBlock {
    const block: AnomalyBlock = { is_anomaly: false, score: 0, metrics: {} };
    for (const name in metrics) {
      const entry = this.#entry(name);
      if (entry === undefined) continue;
      const verdict = entry.detector.update(metrics[name]!);
      entry.last = verdict;
      if (verdict.score > block.score) block.score = verdict.score;
      if (!verdict.is_anomaly) continue;
      block.is_anomaly = true;
      block.metrics[name] = {
        z: round(verdict.z),
        mean: round(verdict.mean),
        std: round(verdict.std),
      };
    }
    block.score = round(block.score);
    return block;
  }

  /** The last verdict on each metric, for status and pages. */
  get last(): Map<string, Verdict> {
    const last = new Map<string, Verdict>();
    for (const [name, entry] of this.#detectors) {
      if (entry.last !== undefined) last.set(name, entry.last);
    }
    return last;
  }

  /** Detectors chosen anew; what a metric's unchanged detector has learned stays. */
  reconfigure(choice: DetectorChoice): void {
    this.#choice = choice;
    for (const [name, entry] of this.#detectors) {
      if (choice(name)?.spec !== entry.spec) this.#detectors.delete(name);
    }
  }

  #entry(name: string): { detector: Detector; last: Verdict | undefined } | undefined {
    const entry = this.#detectors.get(name);
    if (entry !== undefined) return entry;
    if (this.#detectors.size >= METRICS_MAX) return undefined;
    const chosen = this.#choice(name);
    if (chosen === undefined) return undefined;
    const made = { spec: chosen.spec, detector: chosen.make(), last: undefined };
    this.#detectors.set(name, made);
    return made;
  }
}
