/** Log output of both executables: text for people or JSON lines for machines, to standard error. */
import {
  configure,
  getJsonLinesFormatter,
  getTextFormatter,
  type LogLevel,
} from "@logtape/logtape";

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
    sinks: { main: (record) => write(formatter(record)) },
    loggers: [
      { category: ["logtape", "meta"], sinks: [], lowestLevel: "error" },
      { category: "holdfast", sinks: ["main"], lowestLevel: level as LogLevel },
    ],
  });
}
