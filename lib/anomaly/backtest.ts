/**
 * Runs a detector over rows of CSV, to tune it before it is trusted: `timestamp,value` in with a header, one
 * row out for each row in: `timestamp,value,score,is_anomaly`. One pass, no look-ahead, constant memory.
 */
import type { Detector } from "./detector.ts";

/** Header of the output. */
export const BACKTEST_HEADER = "timestamp,value,score,is_anomaly";

const UNQUOTE = /^\s*"((?:[^"]|"")*)"\s*$/;
/** Names of columns of times. */
export const TIME_NAMES = ["timestamp", "time", "ts", "datetime", "ts_wall_ms"];
const LABEL_NAMES = ["label", "is_anomaly", "anomaly"];
/** Numbers below it are seconds since 1970, others milliseconds. */
const SECONDS_MAX = 1e11;
/** Time between rows whose timestamps can't be read. */
const STEP_MS = 1_000;

function field(text: string): string {
  const quoted = UNQUOTE.exec(text);
  return quoted === null ? text.trim() : quoted[1]!.replaceAll('""', '"');
}

/** Milliseconds since 1970; NaN where it is no time. A time without a zone is taken for UTC. */
export function timeOf(text: string): number {
  const number = text.trim() === "" ? NaN : Number(text);
  if (Number.isFinite(number)) return number < SECONDS_MAX ? 1_000 * number : number;
  const iso = text.trim().replace(" ", "T");
  return Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/.test(iso) || !iso.includes("T") ? iso : `${iso}Z`);
}

/** One row of a CSV. */
export interface Row {
  /** As they stand in the file. */
  readonly timestamp: string;
  readonly text: string;
  /** Milliseconds since 1970; a second after the row before where it can't be read. */
  readonly tMs: number;
  /** NaN where it is empty or no number. */
  readonly value: number;
  /** What a column of labels says; false without one. */
  readonly label: boolean;
}

/** Turns lines without newlines into rows; the first one is the header. */
export class RowReader {
  #columns: { time: number; value: number; label: number } | undefined;
  #lastMs = 0;

  /** The row of one line; `undefined` for the header and empty lines. Throws a `SyntaxError` for a bad header. */
  push(line: string): Row | undefined {
    const text = line.endsWith("\r") ? line.slice(0, -1) : line;
    if (text.trim() === "") return undefined;
    if (this.#columns === undefined) {
      this.#readHeader(text);
      return undefined;
    }
    const fields = text.split(",");
    const timestamp = fields[this.#columns.time] ?? "";
    const given = fields[this.#columns.value] ?? "";
    const trimmed = field(given);
    const tMs = timeOf(field(timestamp));
    this.#lastMs = Number.isFinite(tMs) ? tMs : this.#lastMs + STEP_MS;
    return {
      timestamp,
      text: given,
      tMs: this.#lastMs,
      value: trimmed === "" ? NaN : Number(trimmed),
      label: Number(field(fields[this.#columns.label] ?? "")) > 0,
    };
  }

  #readHeader(header: string): void {
    const names = header.replace(/^\uFEFF/, "").split(",").map((name) => field(name).toLowerCase());
    const time = names.findIndex((name) => TIME_NAMES.includes(name));
    const value = names.indexOf("value");
    if (time < 0 || value < 0) {
      throw new SyntaxError(
        `the first line must be a header with timestamp and value, got "${header}"`,
      );
    }
    this.#columns = { time, value, label: names.findIndex((name) => LABEL_NAMES.includes(name)) };
  }
}

/** Score and flag of one row. A row whose value is no finite number scores 0 and teaches the detector nothing. */
export function judge(detector: Detector, row: Row): { score: number; is_anomaly: boolean } {
  if (!Number.isFinite(row.value)) return { score: 0, is_anomaly: false };
  return detector.update(row.value, row.tMs);
}

/** Turns the lines of a CSV text (without newlines; the first is the header) into output rows. */
export class Backtest {
  #detector: Detector;
  #reader = new RowReader();
  #hasHeader = false;

  constructor(detector: Detector) {
    this.#detector = detector;
  }

  /** The output for one line; `undefined` for an empty one. Throws a `SyntaxError` for a bad header. */
  push(line: string): string | undefined {
    const row = this.#reader.push(line);
    if (row === undefined) {
      if (this.#hasHeader || line.trim() === "") return undefined;
      this.#hasHeader = true;
      return BACKTEST_HEADER;
    }
    const { score, is_anomaly } = judge(this.#detector, row);
    return `${row.timestamp},${row.text},${Number(score.toPrecision(9))},${is_anomaly ? 1 : 0}`;
  }
}
