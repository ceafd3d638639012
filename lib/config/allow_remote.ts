/**
 * What a host may change on a device. Settings that name programs, files or limits of the disk are the device's
 * owner's: a configuration that touches them is refused, unless the owner has allowed it on the device. Pure.
 */
import { NODE_SETTINGS, type NodeSettings } from "./node_settings.ts";
import type { Setting } from "./setting.ts";
import { parseSpec, wordsOf } from "./spec.ts";

/** Kinds of sensors that read only what a device shows of itself; the others are allowed by what they name. */
const PLAIN_SENSORS: readonly string[] = ["sim", "linux"];

/** What an entry of `allow_remote` allows. */
type Allowance =
  /** One setting, to any value. */
  | { readonly kind: "setting"; readonly name: string }
  /** Sensors of these kinds. */
  | { readonly kind: "sensors"; readonly kinds: readonly string[] }
  /** Commands that begin with these words. */
  | { readonly kind: "exec"; readonly words: readonly string[] }
  /** Files at or below a path. */
  | { readonly kind: "file"; readonly path: string };

function isOwners(name: string): boolean {
  return Object.hasOwn(NODE_SETTINGS, name) &&
    (NODE_SETTINGS as Readonly<Record<string, Setting>>)[name]!.owner === true;
}

/** Whether a path is absolute and says where it leads. */
function isPlainPath(path: string): boolean {
  return path.startsWith("/") &&
    path.slice(1).split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** Reads an entry of `allow_remote`. Throws a `SyntaxError` of one line. */
export function parseAllowance(entry: string): Allowance {
  const [, kind, rest] = /^(exec|file):(.*)$/s.exec(entry) ?? [];
  if (kind === "exec") {
    const words = wordsOf(rest!);
    if (words[0]?.startsWith("/")) return { kind, words };
    throw new SyntaxError(`"${entry}": exec: needs a program with its whole path`);
  }
  if (kind === "file") {
    const path = rest!.replace(/\/$/, "");
    if (isPlainPath(path)) return { kind, path };
    throw new SyntaxError(`"${entry}": file: needs an absolute path without "." and ".."`);
  }
  const [name, kinds] = entry.split("=", 2) as [string, string?];
  if (name === "sensors") {
    const named = kinds?.split(",").map((text) => text.trim()) ?? [];
    if (named.length > 0 && named.every((text) => PLAIN_SENSORS.includes(text))) {
      return { kind: "sensors", kinds: named };
    }
    const known = PLAIN_SENSORS.join(" or ");
    throw new SyntaxError(
      `"${entry}": sensors= takes ${known}; others are allowed as exec:PROGRAM or file:PATH`,
    );
  }
  if (kinds === undefined && isOwners(name)) return { kind: "setting", name };
  throw new SyntaxError(`"${entry}" is no setting that is the owner's`);
}

/** Why a sensor may not be set from afar, or `undefined` where it may. Its text may be anything. */
function sensorProblem(text: string, allowed: readonly Allowance[]): string | undefined {
  let kind: string, options: ReadonlyMap<string, string>;
  try {
    ({ kind, options } = parseSpec(text));
  } catch (error) {
    return (error as Error).message;
  }
  const named = kind === "exec" ? options.get("cmd") ?? "" : options.get("path") ?? "";
  const words = wordsOf(named);
  const isAllowed = allowed.some((one) => {
    switch (one.kind) {
      case "sensors":
        return one.kinds.includes(kind);
      case "exec":
        return kind === "exec" && one.words.every((word, index) => words[index] === word);
      case "file":
        return kind === "file" && isPlainPath(named) &&
          (named === one.path || named.startsWith(`${one.path}/`));
      case "setting":
        return false;
    }
  });
  if (isAllowed) return undefined;
  const isNamed = kind === "exec" || kind === "file";
  if (!isNamed && !PLAIN_SENSORS.includes(kind)) {
    return `there is no sensor "${kind.slice(0, 200)}"`;
  }
  const entry = isNamed ? `${kind}:${named}` : `sensors=${kind}`;
  return `"${text.slice(0, 200)}" would need --allow-remote '${entry.slice(0, 200)}'`;
}

/**
 * Why a host may not set these values on this device, in one line; `undefined` where it may. `allowed` are the
 * entries of the device's own `allow_remote`.
 */
export function remoteProblem(
  values: Partial<NodeSettings>,
  allowed: readonly string[],
): string | undefined {
  const allowances = allowed.map(parseAllowance);
  for (const name of Object.keys(values)) {
    if (!isOwners(name)) continue;
    const problem = name === "sensors"
      ? values.sensors!.map((text) => sensorProblem(text, allowances)).find((one) => one)
      : allowances.some((one) => one.kind === "setting" && one.name === name)
      ? undefined
      : `it would need --allow-remote ${name}`;
    if (problem !== undefined) return `${name} is the device owner's to set: ${problem}`;
  }
  return undefined;
}
