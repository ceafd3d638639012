/** A command that prints values: lines of `name value`, or one JSON object of numbers. */
import { wordsOf } from "../../config/spec.ts";
import { PolledSensor, type SensorRuntime } from "./sensor.ts";

/** Options of `exec`, with their defaults; `cmd` is needed. */
export const EXEC_OPTIONS = {
  /** The command; words are parted by spaces, quotes keep them together. It runs without a shell. */
  cmd: "",
  every_ms: 1_000,
  timeout_ms: 500,
};

/** See {@linkcode EXEC_OPTIONS}. */
export type ExecOptions = typeof EXEC_OPTIONS;

/** The values in what a command printed. Throws one line where there are none. */
export function parseOutput(text: string): Record<string, number> {
  const values: Record<string, number> = {};
  if (text.trimStart().startsWith("{")) {
    let parsed: Record<string, unknown>;
    try {
      parsed = JSON.parse(text);
    } catch {
      throw new Error("it printed JSON that can't be read");
    }
    for (const [name, value] of Object.entries(parsed)) {
      if (typeof value === "number") values[name] = value;
    }
  } else {
    for (const line of text.split("\n")) {
      const match = /^\s*(\S+)[\s=:]+(\S+)\s*$/.exec(line);
      if (match !== null && Number.isFinite(Number(match[2]))) {
        values[match[1]!.replace(/[=:]$/, "")] = Number(match[2]);
      }
    }
  }
  if (Object.keys(values).length === 0) throw new Error("it printed no values");
  return values;
}

/** See the head of the file. */
export class ExecSensor extends PolledSensor {
  #words: readonly string[];
  #timeoutMs: number;

  constructor(options: ExecOptions, runtime: SensorRuntime) {
    const words = wordsOf(options.cmd);
    super(`exec ${words[0]}`, runtime, options.every_ms, options.timeout_ms);
    this.#words = words;
    this.#timeoutMs = options.timeout_ms;
  }

  protected async read(): Promise<Record<string, number>> {
    return parseOutput(await this.runtime.run(this.#words, this.#timeoutMs));
  }
}
