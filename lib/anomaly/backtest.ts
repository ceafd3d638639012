/**
 * Runs a detector over rows of CSV, to tune it before it is trusted: `timestamp,value` in with a header, one
 * row out for each row in: `timestamp,value,score,is_anomaly`. One pass, no look-ahead, constant memory.
 */
import type { Detector } from "./detector.ts";

/** Header of the output. */
export const BACKTEST_HEADER = "timestamp,value,score,is_anomaly";

const UNQUOTE = /^\s*"((?:[^"]|"")*)"\s*$/;

function field(text: string): string {
  const quoted = UNQUOTE.exec(text);
  return quoted === null ? text.trim() : quoted[1]!.replaceAll('""', '"');
}

/** Columns of a header line. Throws a `SyntaxError` where one is missing. */
function columnsOf(header: string): { timestamp: number; value: number } {
  const names = header.replace(/^\uFEFF/, "").split(",").map((name) => field(name).toLowerCase());
  const timestamp = names.findIndex((name) =>
    ["timestamp", "time", "ts", "datetime"].includes(name)
  );
  const value = names.indexOf("value");
  if (timestamp < 0 || value < 0) {
    throw new SyntaxError(
      `the first line must be a header with timestamp and value, got "${header}"`,
    );
  }
  return { timestamp, value };
}

/**
 * Turns the lines of a CSV text (without newlines; the first is the header) into output rows. A row whose
 * value is empty or no number scores 0 and teaches the detector nothing.
 */
export class Backtest {
  #detector: Detector;
  #columns: { timestamp: number; value: number } | undefined;

  constructor(detector: Detector) {
    this.#detector = detector;
  }

  /** The output for one line; `undefined` for an empty one. Throws a `SyntaxError` for a bad header. */
  push(line: string): string | undefined {
    const text = line.endsWith("\r") ? line.slice(0, -1) : line;
    if (text.trim() === "") return undefined;
    if (this.#columns === undefined) {
      this.#columns = columnsOf(text);
      return BACKTEST_HEADER;
    }
    const fields = text.split(",");
    const timestamp = fields[this.#columns.timestamp] ?? "";
    const given = fields[this.#columns.value] ?? "";
    const trimmed = field(given);
    const value = trimmed === "" ? NaN : Number(trimmed);
    if (!Number.isFinite(value)) return `${timestamp},${given},0,0`;
    const { score, is_anomaly } = this.#detector.update(value);
    return `${timestamp},${given},${Number(score.toPrecision(9))},${is_anomaly ? 1 : 0}`;
  }
}
