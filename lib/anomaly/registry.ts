/** Makes detectors of the kinds that the settings know. */
import { type ChosenSpec, type DetectorName, detectorOptions } from "../config/detector_spec.ts";
import type { Detector } from "./detector.ts";
import { Ewma } from "./ewma.ts";
import { Limits } from "./limits.ts";
import { Rate } from "./rate.ts";
import { Robust } from "./robust.ts";
import { Seasonal } from "./seasonal.ts";
import { Surprise } from "./surprise.ts";
import { ZScore } from "./zscore.ts";

type Options = Readonly<Record<string, number>>;

const CREATE: Readonly<Record<DetectorName, (options: Options) => Detector>> = {
  zscore: ({ threshold, window, warmup }) =>
    new ZScore({ threshold: threshold!, window: window!, warmup: Math.min(warmup!, window!) }),
  surprise: ({ threshold, alerts_per_day, creep, warmup }) =>
    new Surprise({
      threshold: threshold!,
      alertsPerDay: alerts_per_day!,
      creep: creep!,
      warmup: warmup!,
    }),
  ewma: ({ threshold, span, warmup }) =>
    new Ewma({ threshold: threshold!, span: span!, warmup: warmup! }),
  robust: ({ threshold, span, warmup }) =>
    new Robust({ threshold: threshold!, span: span!, warmup: warmup! }),
  rate: ({ threshold, span, warmup, gap }) =>
    new Rate({ threshold: threshold!, span: span!, warmup: warmup!, gap: gap! }),
  seasonal: ({ threshold, places, days, warmup }) =>
    new Seasonal({ threshold: threshold!, places: places!, days: days!, warmup: warmup! }),
  limits: ({ low, high, hysteresis }) =>
    new Limits({ low: low!, high: high!, hysteresis: hysteresis! }),
};

/** A function that makes detectors as they were chosen. */
export function makerOf({ kind, options }: ChosenSpec): () => Detector {
  return () => CREATE[kind](options);
}

/**
 * A function that makes detectors of a kind with options given as texts. Throws a `SyntaxError` of one line
 * for an unknown kind or option and for a value out of range.
 */
export function detectorMaker(kind: string, given: ReadonlyMap<string, string>): () => Detector {
  return makerOf(detectorOptions(kind, given));
}
