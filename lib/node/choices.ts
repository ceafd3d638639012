/** From settings to parts: which sensors, which detector for which metric. Throws one line for a bad spec. */
import type { DetectorChoice } from "../anomaly/bank.ts";
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

function choiceOf(spec: string, chosen: ChosenSpec | undefined): ReturnType<DetectorChoice> {
  if (chosen === undefined) return undefined;
  const { options, isCertain = false }: DetectorKind = DETECTORS[chosen.kind];
  // 0 leaves the threshold to the detector, whose scores are then about 1 where it flags.
  const flag = chosen.options.threshold || options.threshold?.default || 1;
  return { spec, flag, isCertain, make: makerOf(chosen) };
}

/** The detectors that the settings choose. */
export function chooseDetectors(
  settings: Pick<NodeSettings, "detector" | "detectors">,
): DetectorChoice {
  const standard = choiceOf(settings.detector, parseDetector(settings.detector));
  const own = new Map<string, ReturnType<DetectorChoice>>();
  for (const entry of settings.detectors) {
    const { metric, spec, chosen } = parseMetricDetector(entry);
    own.set(metric, choiceOf(spec, chosen));
  }
  return (metric) => own.has(metric) ? own.get(metric) : standard;
}

/** Makes the sensors that the settings name. */
export function makeSensors(specs: readonly string[], runtime: SensorRuntime): Sensor[] {
  return specs.map((spec) => sensorMaker(spec)(runtime));
}
