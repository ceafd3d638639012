/**
 * What a node would have told of a table of metrics: its bank of detectors over rows of CSV, one pass, no look-ahead,
 * constant memory. A column of times and any number of metrics; other columns of `host export` are left out.
 */
import { csvFields } from "../csv.ts";
import { TIME_NAMES, timeOf } from "./backtest.ts";
import { type AnomalyBlock, type DetectorChoice, type EventSettings, MetricBank } from "./bank.ts";

/** Columns that say what was wrong. What an export calls `is_anomaly` is what was flagged. */
const LABEL_NAMES = ["label", "anomaly"];
/** Columns of an export that are no metrics. */
const OTHER_NAMES: ReadonlySet<string> = new Set([
  "is_anomaly",
  ...["received_wall_ms", "node_id", "epoch", "seq", "ts_mono_ms", "score", "degraded"],
  ...["cfg_version", "changepoint"],
]);
/** Time between rows whose timestamps can't be read. */
const STEP_MS = 1_000;

/** One row of a table. */
export interface TableRow {
  /** As it stands in the file, without quotes. */
  readonly timestamp: string;
  /** Milliseconds since 1970; a second after the row before where it can't be read. */
  readonly tMs: number;
  /** The finite ones. */
  readonly metrics: Readonly<Record<string, number>>;
  /** What a column of labels says; false without one. */
  readonly label: boolean;
}

/** Reads a table line by line; made of its header. */
export class TableReader {
  readonly metrics: readonly string[];
  #time: number;
  #label: number;
  #columns: { name: string; at: number }[];
  #lastMs = 0;

  /** Throws a `SyntaxError` of one line where the header has no times, or no metrics. */
  constructor(header: string) {
    const names = csvFields(header.replace(/^\uFEFF/, ""));
    const lower = names.map((name) => name.toLowerCase());
    this.#time = lower.findIndex((name) => TIME_NAMES.includes(name));
    this.#label = lower.findIndex((name) => LABEL_NAMES.includes(name));
    const isMetric = (_: string, at: number) =>
      at !== this.#time && at !== this.#label && !TIME_NAMES.includes(lower[at]!) &&
      !LABEL_NAMES.includes(lower[at]!) && !OTHER_NAMES.has(lower[at]!);
    this.#columns = names.map((name, at) => ({ name, at })).filter(({ name, at }) =>
      isMetric(name, at)
    );
    this.metrics = this.#columns.map(({ name }) => name);
    if (this.#time < 0 || this.metrics.length === 0) {
      throw new SyntaxError(
        `the first line must be a header with timestamp and metrics, got "${header.slice(0, 200)}"`,
      );
    }
  }

  /** Whether there is a column of labels. */
  get hasLabels(): boolean {
    return this.#label >= 0;
  }

  /** The row of one line; `undefined` for an empty one. */
  row(line: string): TableRow | undefined {
    if (line.trim() === "") return undefined;
    const fields = csvFields(line);
    const timestamp = fields[this.#time] ?? "", tMs = timeOf(timestamp);
    this.#lastMs = Number.isFinite(tMs) ? tMs : this.#lastMs + STEP_MS;
    const metrics: Record<string, number> = {};
    for (const { name, at } of this.#columns) {
      const text = fields[at] ?? "", value = text === "" ? NaN : Number(text);
      if (Number.isFinite(value)) metrics[name] = value;
    }
    const label = Number(fields[this.#label] ?? "") > 0;
    return { timestamp, tMs: this.#lastMs, metrics, label };
  }
}

/** What is said of a row. */
export interface RowVerdict {
  readonly block: AnomalyBlock;
  /** Whether an event is open. */
  readonly isEvent: boolean;
}

/** See the head of the file. */
export class NodeBacktest {
  #choice: DetectorChoice;
  #settings: Omit<EventSettings, "sample_hz"> & { readonly sample_hz?: number | undefined };
  #bank: MetricBank | undefined;
  #first: TableRow | undefined;

  /** Without `sample_hz` the rows come as often as the first two do. */
  constructor(
    choice: DetectorChoice,
    settings: Omit<EventSettings, "sample_hz"> & { readonly sample_hz?: number | undefined },
  ) {
    this.#choice = choice;
    this.#settings = settings;
  }

  /** Takes in a row; what is said of it and of one before it that had to wait. */
  push(row: TableRow): RowVerdict[] {
    if (this.#bank !== undefined) return [this.#judge(this.#bank, row)];
    const first = this.#first;
    if (first === undefined && this.#settings.sample_hz === undefined) {
      this.#first = row;
      return [];
    }
    const bank = this.#start(first === undefined ? STEP_MS : row.tMs - first.tMs);
    return [...first === undefined ? [] : [this.#judge(bank, first)], this.#judge(bank, row)];
  }

  /** What is left to be said at the end. */
  end(): RowVerdict[] {
    const first = this.#bank === undefined ? this.#first : undefined;
    return first === undefined ? [] : [this.#judge(this.#start(STEP_MS), first)];
  }

  #start(stepMs: number): MetricBank {
    const sample_hz = this.#settings.sample_hz ?? 1_000 / (stepMs > 0 ? stepMs : STEP_MS);
    return this.#bank = new MetricBank(this.#choice, { ...this.#settings, sample_hz }, "backtest");
  }

  #judge(bank: MetricBank, { metrics, tMs }: TableRow): RowVerdict {
    const block = bank.observe(metrics, { monoMs: tMs, wallMs: tMs });
    return { block, isEvent: bank.events.open > 0 };
  }
}
