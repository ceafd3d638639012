/** Parameters of the HTTP API: one definition gives parsing, errors, the OpenAPI document and the docs. */
import { parseTime, TIME_FORMS } from "../times.ts";

/** What a parameter may be. */
export interface Param {
  readonly in: "path" | "query";
  /**
   * `time`: milliseconds since 1970, a date as `2026-11-24T10:00:00Z`, or so long ago as `-15m`, `-24h`, `-7d`.
   * `flag`: `1` or `0`.
   */
  readonly kind: "text" | "integer" | "time" | "flag" | "choice";
  readonly help: string;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  readonly default?: number | string;
  readonly required?: true;
}

/** Parameters by name. */
export type Params = Readonly<Record<string, Param>>;

type ValueOf<P extends Pick<Param, "kind">> = P["kind"] extends "integer" | "time" ? number
  : P["kind"] extends "flag" ? boolean
  : string;

/** What was given for each parameter, or its default. */
export type Values<T extends Params> = {
  [K in keyof T]: T[K] extends { default: number | string } | { required: true } | { kind: "flag" }
    ? ValueOf<T[K]>
    : ValueOf<T[K]> | undefined;
};

/** A request that can't be answered as it is; the message is one line for who sent it. */
export class BadRequest extends Error {
  override readonly name = "BadRequest";
}

function valueOf(name: string, param: Param, text: string, nowMs: number): unknown {
  const wrong = (expected: string) =>
    new BadRequest(`${name}: expected ${expected}; received "${text.slice(0, 64)}"`);
  switch (param.kind) {
    case "time": {
      const ms = parseTime(text, nowMs);
      if (ms === undefined) throw wrong(TIME_FORMS);
      return ms;
    }
    case "flag":
      if (text !== "1" && text !== "0") throw wrong("1 or 0");
      return text === "1";
    case "integer": {
      const { min = 0, max = Number.MAX_SAFE_INTEGER } = param;
      const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
      if (!(value >= min && value <= max)) throw wrong(`a whole number from ${min} to ${max}`);
      return value;
    }
    case "choice":
      if (!param.choices!.includes(text)) throw wrong(`one of ${param.choices!.join(", ")}`);
      return text;
    case "text":
      if (text.length > (param.max ?? 200)) throw wrong(`at most ${param.max ?? 200} characters`);
      return text;
  }
}

/**
 * Reads the parameters of a request. Throws {@linkcode BadRequest} for what is missing, wrong or unknown: a
 * misspelt filter must not pass for none. `nowMs` is the host's wall clock.
 */
export function readParams<T extends Params>(
  params: T,
  path: Readonly<Record<string, string>>,
  query: Readonly<Record<string, string>>,
  nowMs: number,
): Values<T> {
  for (const name of Object.keys(query)) {
    if (Object.hasOwn(params, name) && params[name]!.in === "query") continue;
    const known = Object.keys(params).filter((key) => params[key]!.in === "query").join(", ");
    const list = known === "" ? "this path has none" : `known are ${known}`;
    throw new BadRequest(`unknown parameter "${name.slice(0, 64)}": ${list}`);
  }
  const values: Record<string, unknown> = {};
  for (const [name, param] of Object.entries(params)) {
    const text = param.in === "path" ? path[name] : query[name];
    if (text !== undefined) values[name] = valueOf(name, param, text, nowMs);
    else if (param.required) throw new BadRequest(`${name} is needed: ${param.help}`);
    else values[name] = param.default ?? (param.kind === "flag" ? false : undefined);
  }
  return values as Values<T>;
}
