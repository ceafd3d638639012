/** The detectors by name, with their options. One table gives construction, errors and documentation. */
import type { Detector } from "./detector.ts";
import { Ewma } from "./ewma.ts";
import { Limits } from "./limits.ts";
import { Rate } from "./rate.ts";
import { Robust } from "./robust.ts";
import { Seasonal } from "./seasonal.ts";
import { Surprise } from "./surprise.ts";
import { ZScore } from "./zscore.ts";

/** An option of a detector. */
export interface DetectorOption {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
  readonly help: string;
}

/** A kind of detector. */
export interface DetectorKind {
  readonly help: string;
  readonly options: Readonly<Record<string, DetectorOption>>;
  create(options: Readonly<Record<string, number>>): Detector;
}

const threshold = (
  standard: number,
  help = "Standard deviations that are an anomaly.",
): DetectorOption => ({
  default: standard,
  min: 0,
  max: 1_000,
  help,
});
const span = (standard: number, help: string): DetectorOption => ({
  default: standard,
  min: 2,
  max: 10_000_000,
  integer: true,
  help,
});
const warmup = (
  standard: number,
  help = "Values seen before the first judgement.",
): DetectorOption => ({
  default: standard,
  min: 2,
  max: 1_000_000,
  integer: true,
  help,
});

/** All kinds by name. */
export const DETECTORS: Readonly<Record<string, DetectorKind>> = {
  zscore: {
    help: "Distance from the mean of a sliding window in standard deviations.",
    options: {
      threshold: { default: 3, min: 0.1, max: 1_000, help: "|z| above it is an anomaly." },
      window: { default: 600, min: 4, max: 100_000, integer: true, help: "Values in the window." },
      warmup: {
        default: 60,
        min: 2,
        max: 100_000,
        integer: true,
        help: "Values seen before the first judgement.",
      },
    },
    create: ({ threshold, window, warmup }) =>
      new ZScore({ threshold: threshold!, window: window!, warmup: Math.min(warmup!, window!) }),
  },
  surprise: {
    help:
      "How far a series leaves the range it has shown so far, in several views; for general use.",
    options: {
      threshold: threshold(0, "Score that is an anomaly; 0: derived from alerts_per_day."),
      alerts_per_day: {
        default: 1,
        min: 0.001,
        max: 100_000,
        help: "False alarms a day that are accepted.",
      },
      creep: {
        default: 0.001,
        min: 0,
        max: 0.5,
        help: "Part of the way to the mean that the range goes back at each value.",
      },
      warmup: warmup(60, "Values seen before a view counts in full."),
    },
    create: ({ threshold, alerts_per_day, creep, warmup }) =>
      new Surprise({
        threshold: threshold!,
        alertsPerDay: alerts_per_day!,
        creep: creep!,
        warmup: warmup!,
      }),
  },
  ewma: {
    help: "Distance from the exponentially weighted mean in standard deviations.",
    options: {
      threshold: threshold(5),
      span: span(600, "Values that the memory spans."),
      warmup: warmup(60),
    },
    create: ({ threshold, span, warmup }) =>
      new Ewma({ threshold: threshold!, span: span!, warmup: warmup! }),
  },
  robust: {
    help: "Distance from a centre that outliers don't drag along.",
    options: {
      threshold: threshold(5),
      span: span(600, "Values that the memory spans."),
      warmup: warmup(60),
    },
    create: ({ threshold, span, warmup }) =>
      new Robust({ threshold: threshold!, span: span!, warmup: warmup! }),
  },
  rate: {
    help: "How unusual the change a second is.",
    options: {
      threshold: threshold(5),
      span: span(600, "Changes that the memory spans."),
      warmup: warmup(60),
      gap: {
        default: 10,
        min: 1,
        max: 1e6,
        help: "Usual steps without a value that start it anew.",
      },
    },
    create: ({ threshold, span, warmup, gap }) =>
      new Rate({ threshold: threshold!, span: span!, warmup: warmup!, gap: gap! }),
  },
  seasonal: {
    help: "Distance from what is usual at this time of day, apart for working days and weekends.",
    options: {
      threshold: threshold(6),
      places: { default: 96, min: 4, max: 1_440, integer: true, help: "Places a day." },
      days: span(14, "Days that the memory spans."),
      warmup: { default: 2, min: 1, max: 365, integer: true, help: "Days before a place judges." },
    },
    create: ({ threshold, places, days, warmup }) =>
      new Seasonal({ threshold: threshold!, places: places!, days: days!, warmup: warmup! }),
  },
  limits: {
    help: "Fixed limits, with hysteresis.",
    options: {
      low: { default: -1e300, min: -1e300, max: 1e300, help: "Below it is an anomaly." },
      high: { default: 1e300, min: -1e300, max: 1e300, help: "Above it is an anomaly." },
      hysteresis: {
        default: 0,
        min: 0,
        max: 1e300,
        help: "How far inside a limit the value must come before the anomaly is over.",
      },
    },
    create: ({ low, high, hysteresis }) =>
      new Limits({ low: low!, high: high!, hysteresis: hysteresis! }),
  },
};

/**
 * A function that makes detectors of a kind with options given as texts. Throws a `SyntaxError` of one line
 * for an unknown kind or option and for a value out of range.
 */
export function detectorMaker(
  kind: string,
  given: ReadonlyMap<string, string>,
): () => Detector {
  const found = Object.hasOwn(DETECTORS, kind) ? DETECTORS[kind] : undefined;
  if (found === undefined) {
    throw new SyntaxError(
      `unknown detector "${kind}", known are ${Object.keys(DETECTORS).join(", ")}`,
    );
  }
  const options: Record<string, number> = {};
  for (const [name, option] of Object.entries(found.options)) options[name] = option.default;
  for (const [name, text] of given) {
    const option = Object.hasOwn(found.options, name) ? found.options[name] : undefined;
    if (option === undefined) {
      const known = Object.keys(found.options).join(", ");
      throw new SyntaxError(`detector ${kind} has no option "${name}", it has ${known}`);
    }
    const value = Number(text);
    const fits = text.trim() !== "" && value >= option.min && value <= option.max &&
      (!option.integer || Number.isInteger(value));
    if (!fits) {
      const whole = option.integer ? "a whole number" : "a number";
      throw new SyntaxError(
        `detector ${kind}: ${name} must be ${whole} from ${option.min} to ${option.max}, got "${text}"`,
      );
    }
    options[name] = value;
  }
  return () => found.create(options);
}
