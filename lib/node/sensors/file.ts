/** A number in a file: sysfs, IIO, 1-wire, or whatever another program writes. */
import { PolledSensor, type SensorRuntime } from "./sensor.ts";

/** Options of `file`, with their defaults; `name` and `path` are needed. */
export const FILE_OPTIONS = {
  name: "",
  path: "",
  /** Factor that the number is multiplied with. */
  scale: 1,
  /** Added after scaling. */
  offset: 0,
  /** For people; shown in the node's status. */
  unit: "",
  /** Text before the number where the file holds more than that, such as `t=` of 1-wire. */
  after: "",
  every_ms: 1_000,
};

/** See {@linkcode FILE_OPTIONS}. */
export type FileOptions = typeof FILE_OPTIONS;

/** The first number in `text`, behind `after` where that is given. Throws one line. */
export function numberIn(text: string, after: string): number {
  const start = after === "" ? 0 : text.indexOf(after) + after.length;
  if (after !== "" && start < after.length) throw new Error(`"${after}" is not in it`);
  const match = /[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?/.exec(text.slice(start));
  if (match === null) throw new Error("there is no number in it");
  return Number(match[0]);
}

/** See the head of the file. */
export class FileSensor extends PolledSensor {
  #options: FileOptions;

  constructor(options: FileOptions, runtime: SensorRuntime) {
    super(options.name, runtime, options.every_ms, 1_000);
    this.#options = options;
  }

  protected async read(): Promise<Record<string, number>> {
    const { name, path, scale, offset, after } = this.#options;
    const text = await this.runtime.readText(path);
    try {
      return { [name]: numberIn(text, after) * scale + offset };
    } catch (error) {
      throw new Error(`${path}: ${(error as Error).message}`);
    }
  }
}
