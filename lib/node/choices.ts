/** From settings to parts: which sensors, which detector for which metric. Throws one line for a bad spec. */
import type { DetectorChoice } from "../anomaly/bank.ts";
import { detectorMaker, DETECTORS } from "../anomaly/registry.ts";
import type { NodeSettings } from "../config/node_settings.ts";
import { parseSpec } from "../config/spec.ts";
import { sensorMaker } from "./sensors/registry.ts";
import type { Sensor, SensorRuntime } from "./sensors/sensor.ts";

/** Switches a metric's detector off. */
const NONE = "none";

function makerOf(spec: string): ReturnType<DetectorChoice> {
  if (spec === NONE) return undefined;
  const { kind, options } = parseSpec(spec);
  const make = detectorMaker(kind, options);
  return { spec, flag: flagOf(kind, options), make };
}

/** The score above which a detector flags; the unit for what is assumed of its scores at first. */
function flagOf(kind: string, options: ReadonlyMap<string, string>): number {
  const given = options.get("threshold");
  return given === undefined ? DETECTORS[kind]?.options.threshold?.default ?? 1 : Number(given);
}

/** The detectors that the settings choose. */
export function chooseDetectors(
  settings: Pick<NodeSettings, "detector" | "detectors">,
): DetectorChoice {
  const standard = makerOf(settings.detector);
  const own = new Map<string, ReturnType<DetectorChoice>>();
  for (const entry of settings.detectors) {
    const equals = entry.indexOf("=");
    const metric = entry.slice(0, equals).trim();
    if (equals < 1) throw new SyntaxError(`"${entry}" must be METRIC=DETECTOR`);
    own.set(metric, makerOf(entry.slice(equals + 1).trim()));
  }
  return (metric) => own.has(metric) ? own.get(metric) : standard;
}

/** Makes the sensors that the settings name. */
export function makeSensors(specs: readonly string[], runtime: SensorRuntime): Sensor[] {
  return specs.map((spec) => sensorMaker(spec)(runtime));
}
