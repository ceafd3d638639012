/** From settings to sensors. Throws one line for a bad spec. */
import { sensorMaker } from "./sensors/registry.ts";
import type { Sensor, SensorRuntime } from "./sensors/sensor.ts";

/** Makes the sensors that the settings name. */
export function makeSensors(specs: readonly string[], runtime: SensorRuntime): Sensor[] {
  return specs.map((spec) => sensorMaker(spec)(runtime));
}
