/**
 * Where a setting's value comes from: flags win over the environment, that over the file, that over the
 * default. All that is wrong is reported at once. Pure: the caller reads the file and the environment.
 */
import { parse as parseToml } from "smol-toml";
import { oneLine } from "../errors.ts";
import { readFlags } from "./flags.ts";
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
  const settingOf = new Map<string, string>();
  for (const name of Object.keys(table)) {
    for (const flag of flagsOf(name, table)) settingOf.set(flag, name);
  }
  const ofKind = (holds: (kind: string) => boolean) =>
    [...settingOf].filter(([, name]) => holds(table[name]!.kind)).map(([flag]) => flag);
  const { values, positionals, unknown, empty } = readFlags(args, {
    text: ["config", ...ofKind((kind) => kind !== "flag" && kind !== "list")],
    list: ofKind((kind) => kind === "list"),
    flag: ["help", "version", ...ofKind((kind) => kind === "flag")],
  });
  const problem = (setting: string, expected: string, received: string): SettingProblem => ({
    setting,
    expected,
    received,
    source: "command line",
  });
  const problems = [
    ...unknown.map((flag) => problem(flag, "a flag that exists (see --help)", `"${flag}"`)),
    ...empty.map((flag) =>
      problem(`--${flag}`, flag === "config" ? "a file behind it" : "a value behind it", "none")
    ),
  ];
  const flags: CommandLine["flags"] = {};
  for (const [flag, value] of Object.entries(values)) {
    const name = settingOf.get(flag);
    if (name === undefined) continue;
    if (!Array.isArray(value)) flags[name] = value;
    else {
      const before = flags[name];
      flags[name] = [
        ...(Array.isArray(before) ? before : []),
        ...value.flatMap((text) => text.split(";")).map((part) => part.trim())
          .filter((part) => part !== ""),
      ];
    }
  }
  const { config } = values;
  return {
    flags,
    positionals: [...positionals],
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
