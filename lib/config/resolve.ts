/**
 * Where a setting's value comes from: flags win over the environment, that over the file, that over the
 * default. All that is wrong is reported at once. Pure: the caller reads the file and the environment.
 */
import { parseArgs } from "node:util";
import { parse as parseToml } from "smol-toml";
import { oneLine } from "../errors.ts";
import {
  checkValue,
  type SettingProblem,
  type SettingTable,
  type SettingValue,
  type ValuesOf,
} from "./setting.ts";

/** What a command line says. */
export interface CommandLine {
  /** Given settings by name, as texts. */
  readonly flags: Record<string, string | boolean | string[]>;
  readonly positionals: string[];
  readonly config: string | undefined;
  readonly help: boolean;
  readonly version: boolean;
  readonly problems: SettingProblem[];
}

/** The environment variable of a setting. */
export function environmentName(name: string): string {
  return `HOLDFAST_${name.toUpperCase()}`;
}

/** The flags of a setting, without dashes; the first is the one to tell of. */
function flagsOf(name: string, table: SettingTable): string[] {
  const flag = name.replaceAll("_", "-");
  const one = flag.replace(/s$/, "");
  const isFree = !Object.hasOwn(table, name.replace(/s$/, ""));
  return table[name]!.kind === "list" && one !== flag && isFree ? [one, flag] : [flag];
}

/**
 * The flag of a setting, without its dashes. That of a list is its singular, unless that is a setting too:
 * `--sensor` for `sensors`, but `--detectors`.
 */
export function flagName(name: string, table: SettingTable): string {
  return flagsOf(name, table)[0]!;
}

/** Reads a command line by a table. Never throws: what is unknown or incomplete is a problem. */
export function parseCommandLine(table: SettingTable, args: readonly string[]): CommandLine {
  const options: Record<string, { type: "string" | "boolean"; multiple?: boolean }> = {
    config: { type: "string" },
    help: { type: "boolean" },
    version: { type: "boolean" },
  };
  const settingOf = new Map<string, string>();
  for (const name of Object.keys(table)) {
    for (const flag of flagsOf(name, table)) {
      settingOf.set(flag, name);
      options[flag] = table[name]!.kind === "flag"
        ? { type: "boolean" }
        : { type: "string", multiple: true };
    }
  }
  const { values, positionals, tokens } = parseArgs({
    args: args.map((arg) => arg === "-h" ? "--help" : arg),
    options,
    strict: false,
    allowNegative: true,
    allowPositionals: true,
    tokens: true,
  });
  const problems: SettingProblem[] = [];
  const problem = (flag: string, expected: string, received: string) =>
    problems.push({ setting: flag, expected, received, source: "command line" });
  const flags: CommandLine["flags"] = {};
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const name = settingOf.get(token.name.replace(/^no-/, "")) ?? settingOf.get(token.name);
    if (token.name in { config: 1, help: 1, version: 1 }) continue;
    if (name === undefined) {
      problem(token.rawName, "a flag that exists (see --help)", `"${token.rawName}"`);
      continue;
    }
    const setting = table[name]!;
    if (setting.kind === "flag") {
      if (token.value === undefined) flags[name] = !token.rawName.startsWith("--no-");
      else flags[name] = token.value;
    } else if (token.value === undefined) {
      problem(token.rawName, "a value behind it", "none");
    } else if (setting.kind === "list") {
      const before = flags[name];
      flags[name] = [...(Array.isArray(before) ? before : []), ...token.value.split(";")]
        .map((part) => part.trim()).filter((part) => part !== "");
    } else flags[name] = token.value;
  }
  const config = values.config;
  if (config === true) problem("--config", "a file behind it", "none");
  return {
    flags,
    positionals,
    config: typeof config === "string" ? config : undefined,
    help: values.help === true,
    version: values.version === true,
    problems,
  };
}

/** What a settings file holds, by name; `problems` where it is not TOML. */
export function parseSettingsFile(
  text: string,
  path: string,
): { values: Record<string, unknown>; problems: SettingProblem[] } {
  try {
    return { values: parseToml(text), problems: [] };
  } catch (error) {
    const received = oneLine(error);
    const problem = { setting: path, expected: "a TOML file", received, source: "file" };
    return { values: {}, problems: [problem] };
  }
}

/** Values by source; the earlier source wins. */
export interface Sources {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly file: Readonly<Record<string, unknown>>;
}

/** The settings, each with its source for `--help` and logs, or all that is wrong with them. */
export type Resolved<T extends SettingTable> =
  | { ok: true; values: ValuesOf<T> }
  | { ok: false; problems: SettingProblem[] };

/** Resolves every setting of a table; see the head of the file. */
export function resolveSettings<T extends SettingTable>(table: T, sources: Sources): Resolved<T> {
  const values: Record<string, SettingValue> = {};
  const problems: SettingProblem[] = [];
  for (const [name, setting] of Object.entries(table)) {
    const [given, source] = name in sources.flags
      ? [sources.flags[name], `--${flagName(name, table)}`]
      : environmentName(name) in sources.environment
      ? [sources.environment[environmentName(name)], environmentName(name)]
      : name in sources.file
      ? [sources.file[name], "file"]
      : [undefined, "default"];
    if (given === undefined) {
      values[name] = setting.kind === "list" ? [...setting.default] : setting.default;
      continue;
    }
    const checked = checkValue(name, setting, given, source);
    if (checked.ok) values[name] = checked.value;
    else problems.push(checked.problem);
  }
  for (const name of Object.keys(sources.file)) {
    if (name in table) continue;
    problems.push({
      setting: name,
      expected: "a setting that exists (see --help)",
      received: `"${name}"`,
      source: "file",
    });
  }
  return problems.length > 0
    ? { ok: false, problems }
    : { ok: true, values: values as ValuesOf<T> };
}
