/** `node backtest` over a table of metrics: what a node with these settings would have told. Part of the executables. */
import { type Quality, quality, windowsOf } from "../anomaly/evaluate.ts";
import {
  NodeBacktest,
  type RowVerdict,
  TableReader,
  type TableRow,
} from "../anomaly/node_backtest.ts";
import { plotSvg } from "../anomaly/plot.ts";
import { parseSettingsFile, resolveSettings } from "../config/resolve.ts";
import { NODE_SETTINGS } from "../config/node_settings.ts";
import { problemText } from "../config/setting.ts";
import { chooseDetectors } from "../anomaly/choice.ts";

/** Header of the output. */
const HEADER = "timestamp,score,is_anomaly,event";
const DIGITS = 9;

/** What is wanted of it. */
export interface TableWanted {
  /** A node's settings file; the defaults without. */
  readonly config: string | undefined;
  /** Prints the events as NDJSON instead of the rows. */
  readonly events: boolean;
  /** Draws all metrics into this HTML file. */
  readonly plot: string | undefined;
}

/** A backtest of a table, line by line. */
export class TableBacktest {
  #reader: TableReader;
  #backtest: NodeBacktest;
  #wanted: TableWanted;
  #waiting: TableRow[] = [];
  /** For what is looked at as a whole at the end. */
  #rows: { row: TableRow; isEvent: boolean; score: number }[] = [];
  #isWhole: boolean;

  /** Made of the header. Throws one line where it, or the settings, can't be used. */
  constructor(header: string, wanted: TableWanted) {
    this.#reader = new TableReader(header);
    this.#wanted = wanted;
    this.#isWhole = wanted.plot !== undefined || this.#reader.hasLabels;
    const settings = settingsOf(wanted.config);
    this.#backtest = new NodeBacktest(chooseDetectors(settings), {
      ...settings,
      sample_hz: wanted.config === undefined ? undefined : settings.sample_hz,
    });
  }

  /** The first line of the output, empty for none. */
  get header(): string {
    return this.#wanted.events ? "" : HEADER + "\n";
  }

  /** The output for one line. */
  push(line: string): string {
    const row = this.#reader.row(line);
    if (row === undefined) return "";
    this.#waiting.push(row);
    return this.#told(this.#backtest.push(row));
  }

  /** The output at the end; a picture is drawn then, and what labels say of the events printed. */
  async end(): Promise<{ out: string; quality: Quality | undefined }> {
    const out = this.#told(this.#backtest.end());
    const rows = this.#rows;
    const events = windowsOf(rows.map(({ isEvent }) => isEvent), 1);
    const labels = windowsOf(rows.map(({ row }) => row.label), 1);
    if (this.#wanted.plot !== undefined) {
      const pictures = this.#reader.metrics.map((name) =>
        plotSvg({
          title: name,
          values: Float64Array.from(rows, ({ row }) => row.metrics[name] ?? NaN),
          scores: Float64Array.from(rows, ({ score }) => score),
          ...{ events, labels },
        })
      );
      const page = `<!doctype html><meta charset="utf-8"><title>backtest</title>${
        pictures.join("")
      }`;
      await Deno.writeTextFile(this.#wanted.plot, page);
    }
    const times = Float64Array.from(rows, ({ row }) => row.tMs);
    return { out, quality: this.#reader.hasLabels ? quality(events, labels, times) : undefined };
  }

  #told(verdicts: readonly RowVerdict[]): string {
    let out = "";
    for (const { block, isEvent } of verdicts) {
      const row = this.#waiting.shift()!;
      if (this.#isWhole) this.#rows.push({ row, isEvent, score: block.score });
      if (this.#wanted.events) {
        for (const event of block.events ?? []) {
          out += JSON.stringify({ timestamp: row.timestamp, ...event }) + "\n";
        }
      } else {
        const score = Number(block.score.toPrecision(DIGITS));
        out += `${row.timestamp},${score},${block.is_anomaly ? 1 : 0},${isEvent ? 1 : 0}\n`;
      }
    }
    return out;
  }
}

function settingsOf(path: string | undefined) {
  const parsed = path === undefined
    ? { values: {}, problems: [] }
    : parseSettingsFile(Deno.readTextFileSync(path), path);
  const resolved = resolveSettings(NODE_SETTINGS, {
    ...{ flags: {}, environment: {}, file: parsed.values },
  });
  if (parsed.problems.length > 0 || !resolved.ok) {
    const all = [...parsed.problems, ...resolved.ok ? [] : resolved.problems];
    throw new SyntaxError(all.map(problemText).join("; "));
  }
  return resolved.values;
}
