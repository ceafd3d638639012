/**
 * Spec strings of detectors and rules: `kind` or `kind:name=value,name=value`, every value a number,
 * optionally followed by its unit. Read against the table of a kind's parameters, so that a mistake is
 * found when it is made.
 */

import type { Parameter, Parameters } from "./detector.ts";

/** The parts of a spec string, before anything is known of the kind. */
export interface SpecText {
  readonly kind: string;
  /** In the order given. */
  readonly options: ReadonlyMap<string, string>;
}

/** Takes a spec string apart. Throws a `SyntaxError` of one line that names the text and the fault. */
export function splitSpec(text: string): SpecText {
  const colon = text.indexOf(":");
  const kind = (colon < 0 ? text : text.slice(0, colon)).trim();
  const options = new Map<string, string>();
  const rest = colon < 0 ? "" : text.slice(colon + 1).trim();
  for (const part of rest === "" ? [] : rest.split(",")) {
    const match = /^\s*([a-z][a-z0-9_]*)\s*=\s*(\S.*?)\s*$/.exec(part);
    if (match === null) throw new SyntaxError(`"${text}": "${part.trim()}" must be name=value`);
    if (options.has(match[1]!)) throw new SyntaxError(`"${text}": ${match[1]} is given twice`);
    options.set(match[1]!, match[2]!);
  }
  return { kind, options };
}

/**
 * All parameters of a kind: what `options` says, defaults for the rest. Throws a `RangeError` of one line
 * for a name that the kind doesn't have and for a value outside its range; `text` is what the user wrote.
 */
export function readParameters(
  text: string,
  options: ReadonlyMap<string, string>,
  table: readonly Parameter[],
): Parameters {
  for (const name of options.keys()) {
    if (!table.some((parameter) => parameter.name === name)) {
      const names = table.map((parameter) => parameter.name).join(", ") || "none";
      throw new RangeError(`"${text}": unknown option ${name}; there are: ${names}`);
    }
  }
  const values: Record<string, number> = {};
  for (const parameter of table) {
    const given = options.get(parameter.name);
    values[parameter.name] = given === undefined
      ? parameter.default
      : readNumber(text, given, parameter);
  }
  return values;
}

/** Milliseconds, seconds and so on may follow a number whose unit is seconds. */
const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, min: 60, h: 3600, d: 86_400 };

function readNumber(text: string, given: string, parameter: Parameter): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(\S*)$/i.exec(given);
  const factor = match === null ? undefined : factorOf(match[2]!, parameter.unit);
  const value = match === null || factor === undefined ? NaN : Number(match[1]) * factor;
  const ok = value >= parameter.min && value <= parameter.max &&
    (parameter.integer !== true || Number.isInteger(value));
  if (!ok) {
    const what = parameter.integer === true ? "a whole number" : "a number";
    const unit = parameter.unit === undefined ? "" : ` (${parameter.unit})`;
    throw new RangeError(
      `"${text}": ${parameter.name} is "${given}", must be ${what} from ${parameter.min} to ${parameter.max}${unit}`,
    );
  }
  return value;
}

/** What to multiply by; `undefined` for a unit that the parameter doesn't take. */
function factorOf(given: string, unit: string | undefined): number | undefined {
  if (given === "" || given === unit) return 1;
  if (unit === "s") return SECONDS[given];
  // The unit of a metric is the user's own: it is taken as written.
  return unit === "of the metric" ? 1 : undefined;
}

/** The spec string with every parameter that is not at its default: equal texts are equal detectors. */
export function formatSpec(
  kind: string,
  parameters: Parameters,
  table: readonly Parameter[],
): string {
  const given = table.filter((parameter) => parameters[parameter.name] !== parameter.default);
  const options = given.map((parameter) => `${parameter.name}=${parameters[parameter.name]}`);
  return options.length === 0 ? kind : `${kind}:${options.join(",")}`;
}
