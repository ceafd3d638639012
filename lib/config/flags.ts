/** Command lines, strictly: what is unknown or incomplete is said, not guessed. Pure. */
import { parseArgs } from "@std/cli/parse-args";

/** Flags by what stands behind them. Names are without dashes. */
export interface FlagSpec {
  /** One text; the last one counts. */
  readonly text?: readonly string[];
  /** Any number of texts. */
  readonly list?: readonly string[];
  /** Nothing, or `=true`, `=false`; `--no-` in front switches it off. */
  readonly flag?: readonly string[];
}

/** What a command line says. */
export interface Flags {
  /** Of the flags that were given. */
  readonly values: Readonly<Record<string, string | boolean | string[]>>;
  readonly positionals: readonly string[];
  /** Flags that don't exist, as they were given. */
  readonly unknown: readonly string[];
  /** Flags, without dashes, behind which a value is missing. */
  readonly empty: readonly string[];
}

/** Reads a command line. `-h` stands for `--help`. Never throws. */
export function readFlags(args: readonly string[], spec: FlagSpec): Flags {
  const { text = [], list = [], flag = [] } = spec;
  const unknown: string[] = [];
  const { _, ...read } = parseArgs(args.map((arg) => arg === "-h" ? "--help" : arg), {
    string: ["_", ...text, ...list],
    collect: list,
    boolean: flag,
    negatable: flag,
    unknown(arg, key) {
      if (key !== undefined) unknown.push(arg.split("=")[0]!);
      return key === undefined;
    },
  });
  const given = (name: string) =>
    args.some((arg) => arg === "-h" ? name === "help" : isFlag(arg, name));
  const values: Record<string, string | boolean | string[]> = {};
  const empty: string[] = [];
  for (const name of [...text, ...list, ...flag]) {
    const value = read[name] as string | boolean | string[] | undefined;
    if (value === undefined || !given(name)) continue;
    const parts = Array.isArray(value) ? value : [value];
    if (!flag.includes(name) && parts.includes("")) empty.push(name);
    else values[name] = value;
  }
  return { values, positionals: _, unknown, empty };
}

function isFlag(arg: string, name: string): boolean {
  return arg === `--${name}` || arg === `--no-${name}` || arg.startsWith(`--${name}=`);
}

/** As {@linkcode readFlags}; throws a `SyntaxError` of one line for what is unknown or incomplete. */
export function demandFlags(args: readonly string[], spec: FlagSpec): Flags {
  const flags = readFlags(args, spec);
  if (flags.unknown.length > 0) throw new SyntaxError(`Unknown option '${flags.unknown[0]}'`);
  if (flags.empty.length > 0) throw new SyntaxError(`Option '--${flags.empty[0]}' needs a value`);
  return flags;
}
