/**
 * What both executables do before they run: read the command line, the environment and the settings file,
 * and answer `--help` and `--version`. Part of the executables: it may touch Deno and end the process.
 */
import { helpText } from "../config/document.ts";
import {
  type CommandLine,
  environmentName,
  parseCommandLine,
  parseSettingsFile,
  resolveSettings,
} from "../config/resolve.ts";
import {
  problemText,
  type SettingProblem,
  type SettingTable,
  type ValuesOf,
} from "../config/setting.ts";
import { VERSION } from "../version.ts";
import { fail, print } from "./output.ts";

/** Exit status of a command line or a settings file that can't be used. */
export const EXIT_USAGE = 2;

/** A program's name, what its usage line and introduction say, and its settings. */
export interface Program<T extends SettingTable> {
  readonly name: string;
  readonly usage: string;
  readonly table: T;
}

/** Reads the command line; answers `--help` and `--version` itself. */
export function readCommandLine<T extends SettingTable>(
  program: Program<T>,
  args: readonly string[],
): CommandLine {
  const line = parseCommandLine(program.table, args);
  if (line.help) {
    print(`${program.usage}\n\n${helpText(program.table)}`);
    Deno.exit(0);
  }
  if (line.version) {
    print(`${program.name} ${VERSION}`);
    Deno.exit(0);
  }
  return line;
}

/** The settings that a command line, the environment and the settings file give together. */
export function readSettings<T extends SettingTable>(
  program: Program<T>,
  line: CommandLine,
): { ok: true; values: ValuesOf<T> } | { ok: false; problems: SettingProblem[] } {
  const problems = [...line.problems];
  let file: Record<string, unknown> = {};
  if (line.config !== undefined) {
    try {
      const parsed = parseSettingsFile(Deno.readTextFileSync(line.config), line.config);
      file = parsed.values;
      problems.push(...parsed.problems);
    } catch (error) {
      problems.push({
        setting: "--config",
        expected: "a file that can be read",
        received: `"${line.config}": ${error instanceof Error ? error.message : error}`,
        source: "command line",
      });
    }
  }
  const environment: Record<string, string> = {};
  for (const name of Object.keys(program.table)) {
    const value = Deno.env.get(environmentName(name));
    if (value !== undefined) environment[environmentName(name)] = value;
  }
  const resolved = resolveSettings(program.table, { flags: line.flags, environment, file });
  if (!resolved.ok) problems.push(...resolved.problems);
  return resolved.ok && problems.length === 0 ? resolved : { ok: false, problems };
}

/** As {@linkcode readSettings}, but ends the process with all problems, one a line. */
export function settingsOrExit<T extends SettingTable>(
  program: Program<T>,
  line: CommandLine,
): ValuesOf<T> {
  const read = readSettings(program, line);
  if (read.ok) return read.values;
  fail(program.name, read.problems.map(problemText).join(`\n${program.name}: `), EXIT_USAGE);
}
