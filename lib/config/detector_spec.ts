/**
 * The kinds of detectors with their options, and how the settings name them: `ewma:threshold=5,span=600` for
 * all metrics, `temp_c=rate` for one. Pure: text in, options out.
 */
import { parseSpec } from "./spec.ts";

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
  /** What it flags was named by a person and is no guess: no budget of false alarms applies. */
  readonly isCertain?: boolean;
  /** It keeps to the false alarms that are accepted by itself. */
  readonly isCalibrated?: boolean;
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
export const DETECTORS = {
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
  },
  surprise: {
    help:
      "How unlike its own past a series is, in several views, told once; for general use, and for events.",
    isCalibrated: true,
    options: {
      threshold: threshold(
        0,
        "Score that is an anomaly, in parts of what follows from alerts_per_day.",
      ),
      alerts_per_day: {
        default: 0,
        min: 0,
        max: 100_000,
        help: "False alarms a day that are accepted; 0: as the setting of that name says, or 1.",
      },
      creep: {
        default: 3e-5,
        min: 0,
        max: 0.5,
        help:
          "Part of the way to the mean that a range goes back at each of values that come each five minutes.",
      },
      warmup: warmup(60),
    },
  },
  ewma: {
    help: "Distance from the exponentially weighted mean in standard deviations.",
    options: {
      threshold: threshold(5),
      span: span(600, "Values that the memory spans."),
      warmup: warmup(60),
    },
  },
  robust: {
    help: "Distance from a centre that outliers don't drag along.",
    options: {
      threshold: threshold(5),
      span: span(600, "Values that the memory spans."),
      warmup: warmup(60),
    },
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
  },
  seasonal: {
    help: "Distance from what is usual at this time of day, apart for working days and weekends.",
    options: {
      threshold: threshold(6),
      places: { default: 96, min: 4, max: 1_440, integer: true, help: "Places a day." },
      days: span(14, "Days that the memory spans."),
      warmup: { default: 2, min: 1, max: 365, integer: true, help: "Days before a place judges." },
    },
  },
  limits: {
    help: "Fixed limits, with hysteresis.",
    isCertain: true,
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
  },
} as const satisfies Record<string, DetectorKind>;

/** Name of a kind. */
export type DetectorName = keyof typeof DETECTORS;

/** Stands for no detector at all. */
export const NONE = "none";

/** A detector as it was chosen. */
export interface ChosenSpec {
  readonly kind: DetectorName;
  /** Every option of the kind, the defaults included. */
  readonly options: Readonly<Record<string, number>>;
}

/**
 * The options of a kind, given as texts. Throws a `SyntaxError` of one line for an unknown kind or option and
 * for a value out of range.
 */
export function detectorOptions(kind: string, given: ReadonlyMap<string, string>): ChosenSpec {
  if (!Object.hasOwn(DETECTORS, kind)) {
    throw new SyntaxError(
      `unknown detector "${kind}", known are ${Object.keys(DETECTORS).join(", ")}`,
    );
  }
  const known: Readonly<Record<string, DetectorOption>> = DETECTORS[kind as DetectorName].options;
  const options: Record<string, number> = {};
  for (const [name, option] of Object.entries(known)) options[name] = option.default;
  for (const [name, text] of given) {
    const option = Object.hasOwn(known, name) ? known[name] : undefined;
    if (option === undefined) {
      const names = Object.keys(known).join(", ");
      throw new SyntaxError(`detector ${kind} has no option "${name}", it has ${names}`);
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
  return { kind: kind as DetectorName, options };
}

/** Reads the setting `detector`; `undefined` for {@linkcode NONE}. Throws a `SyntaxError` of one line. */
export function parseDetector(text: string): ChosenSpec | undefined {
  if (text === NONE) return undefined;
  const { kind, options } = parseSpec(text);
  return detectorOptions(kind, options);
}

/** Reads an entry of the setting `detectors`. Throws a `SyntaxError` of one line. */
export function parseMetricDetector(
  entry: string,
): { metric: string; spec: string; chosen: ChosenSpec | undefined } {
  const equals = entry.indexOf("=");
  const metric = entry.slice(0, equals).trim();
  // `zscore:threshold=4` has an equals sign too, but a colon before it.
  if (equals < 1 || metric.includes(":")) {
    throw new SyntaxError(`"${entry}" must be METRIC=DETECTOR`);
  }
  const spec = entry.slice(equals + 1).trim();
  return { metric, spec, chosen: parseDetector(spec) };
}
