/** The sensors by name: from a spec string of the settings to a sensor. */
import { parseSpec } from "../../config/spec.ts";
import { EXEC_OPTIONS, ExecSensor } from "./exec.ts";
import { FILE_OPTIONS, FileSensor } from "./file.ts";
import { LINUX_OPTIONS, LinuxSensor } from "./linux.ts";
import { METRIC_NAME, type Sensor, type SensorRuntime } from "./sensor.ts";
import { SIM_OPTIONS, SimSensor } from "./sim.ts";

type Options = Record<string, number | string>;

interface SensorKind {
  readonly options: Options;
  create(options: Options, runtime: SensorRuntime): Sensor;
}

/** All kinds with the defaults of their options. */
export const SENSORS: Readonly<Record<string, SensorKind>> = {
  sim: {
    options: SIM_OPTIONS,
    create: (options, runtime) => new SimSensor(options as typeof SIM_OPTIONS, runtime),
  },
  linux: {
    options: LINUX_OPTIONS,
    create: (options, runtime) => new LinuxSensor(options as typeof LINUX_OPTIONS, runtime),
  },
  file: {
    options: FILE_OPTIONS,
    create: (options, runtime) => new FileSensor(options as typeof FILE_OPTIONS, runtime),
  },
  exec: {
    options: EXEC_OPTIONS,
    create: (options, runtime) => new ExecSensor(options as typeof EXEC_OPTIONS, runtime),
  },
};

/** Options that must be given. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  file: ["name", "path"],
  exec: ["cmd"],
};

/** Checks a spec and returns what makes its sensor. Throws a `SyntaxError` of one line. */
export function sensorMaker(spec: string): (runtime: SensorRuntime) => Sensor {
  const { kind, options: given } = parseSpec(spec);
  const found = Object.hasOwn(SENSORS, kind) ? SENSORS[kind] : undefined;
  if (found === undefined) {
    throw new SyntaxError(`unknown sensor "${kind}", known are ${Object.keys(SENSORS).join(", ")}`);
  }
  const options: Options = { ...found.options };
  for (const [name, text] of given) {
    if (!Object.hasOwn(options, name)) {
      const known = Object.keys(options).join(", ");
      throw new SyntaxError(`sensor ${kind} has no option "${name}", it has ${known}`);
    }
    const isNumber = typeof options[name] === "number";
    const value = isNumber ? Number(text) : text;
    if (isNumber && (text === "" || !Number.isFinite(value))) {
      throw new SyntaxError(`sensor ${kind}: ${name} must be a number, got "${text}"`);
    }
    if (name.endsWith("_ms") && (value as number) < 10) {
      throw new SyntaxError(`sensor ${kind}: ${name} must be at least 10, got "${text}"`);
    }
    options[name] = value;
  }
  for (const name of NEEDED[kind] ?? []) {
    if (options[name] === "") throw new SyntaxError(`sensor ${kind} needs ${name}=...`);
  }
  if (kind === "file" && !METRIC_NAME.test(String(options.name))) {
    throw new SyntaxError(`sensor file: "${options.name}" is not a name for a metric`);
  }
  return (runtime) => found.create(options, runtime);
}
