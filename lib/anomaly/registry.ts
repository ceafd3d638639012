/** The detectors by name, with their options. One table gives construction, errors and documentation. */
import type { Detector } from "./detector.ts";
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
