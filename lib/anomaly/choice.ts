/** From settings to the detectors of each metric. Throws one line for a bad spec. */
import {
  type ChosenSpec,
  type DetectorKind,
  DETECTORS,
  parseDetector,
  parseMetricDetector,
} from "../config/detector_spec.ts";
import type { DetectorChoice } from "./bank.ts";
import type { ChosenDetector, ChosenDetectors } from "./judge.ts";
import { makerOf } from "./registry.ts";

/** See the settings of the same names; without `event_detector` events are told by what flags. */
export interface DetectorSettings {
  readonly detector: string;
  readonly detectors: readonly string[];
  readonly event_detector?: string;
  readonly alerts_per_day?: number;
}

function choiceOf(
  spec: string,
  given: ChosenSpec | undefined,
  alertsPerDay: number | undefined,
): ChosenDetector | undefined {
  if (given === undefined) return undefined;
  const kind: DetectorKind = DETECTORS[given.kind];
  const { options, isCertain = false, isCalibrated = false } = kind;
  // 0 leaves the threshold to the detector, whose scores are then about 1 where it flags.
  const flag = given.options.threshold || options.threshold?.default || 1;
  const isSet = given.options.alerts_per_day !== 0 || alertsPerDay === undefined;
  const chosen = isSet
    ? given
    : { ...given, options: { ...given.options, alerts_per_day: alertsPerDay } };
  return { spec, flag, isCertain, isCalibrated, make: makerOf(chosen) };
}

/** The detectors that the settings choose. */
export function chooseDetectors(settings: DetectorSettings): DetectorChoice {
  const { detector, event_detector = detector, alerts_per_day } = settings;
  const flags = choiceOf(detector, parseDetector(detector), alerts_per_day);
  const events = event_detector === detector
    ? flags
    : choiceOf(event_detector, parseDetector(event_detector), alerts_per_day);
  const standard = both(flags, events);
  const own = new Map<string, ChosenDetectors | undefined>();
  for (const entry of settings.detectors) {
    const { metric, spec, chosen } = parseMetricDetector(entry);
    const named = choiceOf(spec, chosen, alerts_per_day);
    own.set(metric, both(named, named));
  }
  return (metric) => own.has(metric) ? own.get(metric) : standard;
}

function both(
  flags: ChosenDetector | undefined,
  events: ChosenDetector | undefined,
): ChosenDetectors | undefined {
  return flags === undefined && events === undefined ? undefined : { flags, events };
}
