/** Texts made from the settings tables: `--help`, the pages of `docs/config.md`, a sample file. */
import { flagName } from "./resolve.ts";
import { expectation, type Setting, type SettingTable } from "./setting.ts";

const HELP_WIDTH = 100;

function placeholder(setting: Setting): string {
  switch (setting.kind) {
    case "flag":
      return "";
    case "integer":
    case "number":
      return ` ${(setting.unit ?? "N").toUpperCase()}`;
    case "choice":
      return ` ${setting.choices.join("|")}`;
    case "text":
    case "list":
      return ` ${setting.placeholder ?? "TEXT"}`;
  }
}

function defaultText(setting: Setting): string {
  const value = setting.default;
  if (value === "" || (Array.isArray(value) && value.length === 0)) return "none";
  return Array.isArray(value) ? value.join("; ") : String(value);
}

function wrap(text: string, indent: string): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > HELP_WIDTH && line !== indent) {
      lines.push(line);
      line = indent;
    }
    line += (line === indent ? "" : " ") + word;
  }
  return [...lines, line].join("\n");
}

/** The settings of a table in the order of their groups. */
function byGroup(table: SettingTable): Map<string, [string, Setting][]> {
  const groups = new Map<string, [string, Setting][]>();
  for (const entry of Object.entries(table)) {
    const list = groups.get(entry[1].group) ?? [];
    list.push(entry);
    groups.set(entry[1].group, list);
  }
  return groups;
}

/** The part of `--help` that lists the settings. */
export function helpText(table: SettingTable): string {
  const parts: string[] = [];
  for (const [group, settings] of byGroup(table)) {
    parts.push(`${group}:`);
    for (const [name, setting] of settings) {
      const flag = flagName(name, table);
      const many = setting.kind === "list" ? "  (may be repeated)" : "";
      parts.push(`  --${flag}${placeholder(setting)}${many}`);
      parts.push(wrap(`${setting.help} Default: ${defaultText(setting)}.`, "      "));
    }
    parts.push("");
  }
  parts.push(
    "Each setting can also be given in the environment (--sample-hz as HOLDFAST_SAMPLE_HZ) and in a",
    "TOML file named by --config (sample_hz = 10). Flags win over the environment, that over the file.",
  );
  return parts.join("\n");
}

/** The settings as Markdown tables, one a group, under headings of level `level`. */
export function markdownTables(table: SettingTable, level: number): string {
  const parts: string[] = [];
  for (const [group, settings] of byGroup(table)) {
    parts.push(`${"#".repeat(level)} ${group}`, "");
    parts.push("| setting | default | what it does |", "| --- | --- | --- |");
    for (const [name, setting] of settings) {
      const runtime = setting.owner
        ? " Can be changed at run time; by a host only where `allow_remote` says so."
        : setting.runtime
        ? " Can be changed at run time."
        : "";
      const cell = `${setting.help} Takes ${expectation(setting)}.${runtime}`;
      parts.push(`| \`${name}\` | \`${defaultText(setting)}\` | ${cell.replaceAll("|", "\\|")} |`);
    }
    parts.push("");
  }
  return parts.join("\n");
}
