/** From settings to parts: which sensors, which detector for which metric. Throws one line for a bad spec. */
import type { DetectorChoice } from "../anomaly/bank.ts";
import type { ChosenDetector, ChosenDetectors } from "../anomaly/judge.ts";
import { makerOf } from "../anomaly/registry.ts";
import {
  type ChosenSpec,
  type DetectorKind,
  DETECTORS,
  parseDetector,
  parseMetricDetector,
} from "../config/detector_spec.ts";
import type { NodeSettings } from "../config/node_settings.ts";
import { sensorMaker } from "./sensors/registry.ts";
import type { Sensor, SensorRuntime } from "./sensors/sensor.ts";

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

/** The detectors that the settings choose; without `event_detector` events are told by what flags. */
export function chooseDetectors(
  settings: Pick<NodeSettings, "detector" | "detectors"> & {
    readonly event_detector?: string;
    readonly alerts_per_day?: number;
  },
): DetectorChoice {
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

/** Makes the sensors that the settings name. */
export function makeSensors(specs: readonly string[], runtime: SensorRuntime): Sensor[] {
  return specs.map((spec) => sensorMaker(spec)(runtime));
}
