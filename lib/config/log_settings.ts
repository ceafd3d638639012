/** The settings of the log, the same for node and host. */
import type { SettingTable } from "./setting.ts";

/** To be spread into a table. */
export const LOG_SETTINGS = {
  log_level: {
    kind: "choice",
    group: "Running",
    default: "info",
    choices: ["debug", "info", "warning", "error"],
    help: "Least severe level that is logged.",
  },
  log_format: {
    kind: "choice",
    group: "Running",
    default: "text",
    choices: ["text", "json"],
    help: "Log lines for people, or JSON lines for machines; always to standard error.",
  },
} as const satisfies SettingTable;
