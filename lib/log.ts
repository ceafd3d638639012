/** Log output of both executables: text for people or JSON lines for machines, to standard error. */
import {
  configure,
  getJsonLinesFormatter,
  getTextFormatter,
  type LogLevel,
} from "@logtape/logtape";
import { printable } from "./errors.ts";

/** Longest log line. */
const LINE_MAX = 8_192;

/** Sends what is logged at `level` or above to `write`, one line at a time. Logging never fails. */
export async function configureLog(
  level: "debug" | "info" | "warning" | "error",
  format: "text" | "json",
  write: (line: string) => void,
): Promise<void> {
  const formatter = format === "json" ? getJsonLinesFormatter() : getTextFormatter({
    timestamp: "date-time-tz",
    level: "full",
    category: ([, part]) => part ?? "holdfast",
    format: ({ timestamp, level, category, message }) =>
      `${timestamp} ${level.padEnd(7)} ${category.padEnd(8)} ${message}`,
    value: (value) => typeof value === "string" ? value : JSON.stringify(value) ?? String(value),
  });
  await configure({
    reset: true,
    // Names and errors come from elsewhere: a log line is one line, and no command to a terminal.
    sinks: { main: (record) => write(`${printable(formatter(record).trimEnd(), LINE_MAX)}\n`) },
    loggers: [
      { category: ["logtape", "meta"], sinks: [], lowestLevel: "error" },
      { category: "holdfast", sinks: ["main"], lowestLevel: level as LogLevel },
    ],
  });
}
