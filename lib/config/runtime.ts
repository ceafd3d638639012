/**
 * Configurations that change a running node: which values they may hold. The node checks what it is sent,
 * the host what an operator wants to send, by the same table.
 */
import { NODE_SETTINGS, type NodeSettings } from "./node_settings.ts";
import {
  checkValue,
  problemText,
  type Setting,
  type SettingProblem,
  type SettingTable,
  type SettingValue,
} from "./setting.ts";

/** Names of the settings that may change at run time. */
export const RUNTIME_SETTINGS: readonly string[] = Object.entries(NODE_SETTINGS as SettingTable)
  .filter(([, setting]) => setting.runtime === true).map(([name]) => name);

/** A setting as a form shows it. */
export interface SettingHelp {
  readonly name: string;
  readonly type: Setting["kind"];
  readonly default: SettingValue | readonly string[];
  readonly min?: number;
  readonly max?: number;
  readonly unit?: string;
  readonly choices?: readonly string[];
  /** Whether a device refuses it unless its owner allowed it there. */
  readonly owner?: true;
  readonly help: string;
}

/** What may change at run time, for forms. */
export const RUNTIME_SETTINGS_HELP: readonly SettingHelp[] = RUNTIME_SETTINGS.map((name) => {
  const setting = (NODE_SETTINGS as SettingTable)[name]!;
  const { kind } = setting;
  const help = setting.owner
    ? `${setting.help} A device refuses it unless its owner allowed it there (allow_remote).`
    : setting.help;
  const owner = setting.owner ? { owner: true as const } : {};
  const base = { name, type: kind, default: setting.default, ...owner, help };
  if (setting.kind === "choice") return { ...base, choices: setting.choices };
  if (setting.kind !== "integer" && setting.kind !== "number") return base;
  const { min, max, unit } = setting;
  return { ...base, min, max, ...(unit === undefined ? {} : { unit }) };
});

/** The values of a configuration that could be used, or all that is wrong with it. */
export function checkRuntimeConfig(
  config: Readonly<Record<string, unknown>>,
): { ok: true; values: Partial<NodeSettings> } | { ok: false; problems: SettingProblem[] } {
  const values: Record<string, SettingValue> = {};
  const problems: SettingProblem[] = [];
  for (const [name, given] of Object.entries(config)) {
    const setting = Object.hasOwn(NODE_SETTINGS, name)
      ? (NODE_SETTINGS as Record<string, Setting>)[name]
      : undefined;
    if (setting?.runtime !== true) {
      const expected = setting === undefined
        ? "a setting that exists"
        : "a setting that can change at run time";
      problems.push({ setting: name, expected, received: `"${name}"`, source: "config" });
      continue;
    }
    const checked = checkValue(name, setting, given, "config");
    if (checked.ok) values[name] = checked.value;
    else problems.push(checked.problem);
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, values: values as Partial<NodeSettings> };
}

/** All problems in one line. */
export function problemsText(problems: readonly SettingProblem[]): string {
  return problems.map(problemText).join("; ");
}
