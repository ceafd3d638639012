/** What commands that change something beside a program share: their command lines, and how they end. Part of the executables. */
import { demandFlags, type FlagSpec } from "../config/flags.ts";
import { oneLine } from "../errors.ts";
import { fail, print } from "./output.ts";
import { EXIT_USAGE } from "./settings.ts";

/** A command as its users see it. */
export interface Command {
  readonly program: "host" | "node";
  readonly name: string;
  readonly usage: string;
  /** Without `help`, which each has. */
  readonly flags: FlagSpec;
}

/** Flags that were given. */
export type CommandValues = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A command line that can't be used; the message is one line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Runs a command; resolves with the exit status. Answers `--help`; what is wrong becomes one line, with status 2 for
 * what the command line is to blame for (a `UsageError`, or a `RangeError` of a value in it).
 */
export async function runCommand(
  { program, name, usage, flags }: Command,
  args: readonly string[],
  work: (values: CommandValues, positionals: readonly string[]) => Promise<void>,
): Promise<number> {
  try {
    const read = readLine(args, { ...flags, flag: [...flags.flag ?? [], "help"] });
    if (read.values.help !== undefined) print(usage);
    else await work(read.values as CommandValues, read.positionals);
    return 0;
  } catch (error) {
    const isUsage = error instanceof UsageError || error instanceof RangeError;
    const hint = isUsage ? ` (see ${program} ${name} --help)` : "";
    fail(program, oneLine(error) + hint, isUsage ? EXIT_USAGE : 1);
  }
}

function readLine(args: readonly string[], spec: FlagSpec) {
  try {
    return demandFlags(args, spec);
  } catch (error) {
    throw new UsageError(oneLine(error));
  }
}

/** The text behind a flag; `undefined` where it wasn't given. */
export function textOf(values: CommandValues, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}
