/** What the terminal views of a host share: their command lines, their output, how they end. Part of the executables. */
import { demandFlags } from "../config/flags.ts";
import { oneLine } from "../errors.ts";
import { ApiError, DEFAULT_URL } from "./live_client.ts";
import { fail } from "./output.ts";
import { EXIT_USAGE } from "./settings.ts";
import { ansi, clean, type Paint, plain } from "./terminal_text.ts";

/** Flags of a view, and what else was given. */
export interface ViewArgs {
  readonly values: Readonly<Record<string, unknown>> & { readonly url: string };
  readonly positionals: readonly string[];
}

/**
 * Reads a view's command line: `--url`, `--help` (answered here, and ends the process), and the flags `options`. Throws
 * a `SyntaxError` of one line.
 */
export function readViewArgs(
  name: string,
  usage: string,
  args: readonly string[],
  options: readonly string[],
  positionals: "none" | "any" = "none",
): ViewArgs {
  let read: ViewArgs;
  try {
    const flags = demandFlags(args, { text: ["url"], flag: ["help", ...options] });
    read = { ...flags, values: { url: DEFAULT_URL, ...flags.values } };
  } catch (error) {
    throw new SyntaxError(`${oneLine(error)} (see host ${name} --help)`);
  }
  if (read.values.help !== true && positionals === "none" && read.positionals.length > 0) {
    throw new SyntaxError(`unexpected "${read.positionals[0]}" (see host ${name} --help)`);
  }
  if (read.values.help === true) {
    writeOut(usage + "\n");
    Deno.exit(0);
  }
  return read;
}

/** Whether standard output is a terminal that can be drawn on. */
export function isScreen(): boolean {
  return Deno.stdout.isTerminal() && Deno.env.get("TERM") !== "dumb";
}

/** How standard output is to be painted. */
export function painter(): Paint {
  return isScreen() && (Deno.env.get("NO_COLOR") ?? "") === "" ? ansi : plain;
}

/** Columns of the terminal; no limit where standard output is none. */
export function widthOut(): number {
  if (!Deno.stdout.isTerminal()) return Infinity;
  try {
    return Deno.consoleSize().columns || Infinity;
  } catch {
    return Infinity;
  }
}

/** Writes to standard output. Where nobody reads any more, as after `| head`, the process has done its work. */
export function writeOut(text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
    // A terminal that is gone or can't follow: the next signal or key ends the view.
  }
}

/** Runs a view; resolves with the exit status. What is wrong becomes one line. */
export async function runView(
  command: (args: readonly string[]) => Promise<void>,
  args: readonly string[],
): Promise<number> {
  try {
    await command(args);
    return 0;
  } catch (error) {
    if (error instanceof SyntaxError) fail("host", clean(error.message), EXIT_USAGE);
    if (error instanceof ApiError) fail("host", clean(error.message));
    throw error;
  }
}
