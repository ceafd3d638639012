/** `node backtest`: runs detectors over CSV from standard input. Part of the executables. */
import { Backtest, judge, type Row, RowReader, timeOf } from "../anomaly/backtest.ts";
import { type Quality, quality, type Window, windowsOf } from "../anomaly/evaluate.ts";
import { TableReader } from "../anomaly/node_backtest.ts";
import { plotSvg } from "../anomaly/plot.ts";
import { detectorMaker } from "../anomaly/registry.ts";
import { DETECTORS } from "../config/detector_spec.ts";
import { oneLine } from "../errors.ts";
import { TableBacktest } from "./backtest_node.ts";
import { fail, print } from "./output.ts";

function usage(): string {
  const lines = [
    "node backtest: what a node would have told of past values, from CSV on standard input.",
    "",
    "Usage: node backtest [--config node.toml] [--events] [--plot FILE.html] < metrics.csv",
    "       host export --node pump-7 --format csv | node backtest --events",
    "       node backtest --detector KIND [--OPTION N ...] < one-metric.csv > out.csv",
    "",
    "Input with a header of timestamp and metrics is judged as by a node, with the settings of a file or the",
    "defaults: detectors, relations, events. Output is timestamp,score,is_anomaly,event for each row, or with",
    "--events each event as JSON.",
    "",
    "Input with timestamp and value alone goes to one detector. Output has one row for each row:",
    "timestamp,value,score,is_anomaly; a score is 0 or more, larger is more anomalous.",
    "Timestamps are ISO 8601, or seconds or milliseconds since 1970.",
    "",
    "--labels FILE   CSV of start,end timestamps of known anomalies: prints precision, recall,",
    "                events a day and delay on standard error. A column label in the input does, too.",
    "--sweep         tries all detectors with several thresholds and prints a table instead.",
    "--plot FILE     draws the series with its events, as .svg or .html.",
    "",
  ];
  for (const [kind, { help, options }] of Object.entries(DETECTORS)) {
    lines.push(`--detector ${kind}: ${help}`);
    for (const [name, option] of Object.entries(options)) {
      lines.push(`  --${name} N   ${option.help} Default: ${option.default}.`);
    }
  }
  return lines.join("\n");
}

interface Wanted {
  kind: string;
  options: Map<string, string>;
  labels: string | undefined;
  plot: string | undefined;
  config: string | undefined;
  events: boolean;
  sweep: boolean;
}

function parse(args: readonly string[]): Wanted {
  const wanted: Wanted = {
    kind: "zscore",
    options: new Map(),
    labels: undefined,
    plot: undefined,
    config: undefined,
    events: false,
    sweep: false,
  };
  for (let i = 0; i < args.length; i++) {
    const match = /^--([a-z_-]+)(?:=(.*))?$/.exec(args[i]!);
    if (match === null) fail("node", `backtest: unexpected "${args[i]}" (see --help)`, 2);
    const name = match[1]!;
    if (name === "sweep" || name === "events") {
      wanted[name] = true;
      continue;
    }
    const value = match[2] ?? args[++i];
    if (value === undefined) fail("node", `backtest: --${name} needs a value`, 2);
    if (name === "detector") wanted.kind = value;
    else if (name === "labels") wanted.labels = value;
    else if (name === "plot") wanted.plot = value;
    else if (name === "config") wanted.config = value;
    else wanted.options.set(name.replaceAll("-", "_"), value);
  }
  return wanted;
}

/** Runs the subcommand; resolves with the exit status. */
export async function backtestCommand(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    print(usage());
    return 0;
  }
  try {
    const wanted = parse(args);
    await run(wanted);
    return 0;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof Deno.errors.NotFound) {
      fail("node", `backtest: ${oneLine(error)}`, 2);
    }
    throw error;
  }
}

async function* lines(): AsyncGenerator<string[]> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of Deno.stdin.readable) {
    const found = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = found.pop()!;
    yield found;
  }
  yield [rest];
}

async function write(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

/** What is there is known from the first line: one metric for one detector, or what a node would judge. */
async function run(wanted: Wanted): Promise<void> {
  const input = lines();
  const first: string[] = [];
  while (first.length === 0) {
    const { value, done } = await input.next();
    if (done) break;
    first.push(...value);
  }
  const [header = ""] = first;
  const isTable = wanted.config !== undefined || wanted.events || isTableHeader(header);
  if (isTable) return await table(header, first.slice(1), input, wanted);
  const isStream = !wanted.sweep && wanted.labels === undefined && wanted.plot === undefined;
  if (!isStream) return await whole(first, input, wanted);
  const backtest = new Backtest(detectorMaker(wanted.kind, wanted.options)());
  for await (const found of after(first, input)) {
    const rows = found.map((line) => backtest.push(line)).filter((row) => row !== undefined);
    if (rows.length > 0) await write(rows.join("\n") + "\n");
  }
}

async function* after(
  first: string[],
  rest: AsyncIterable<string[]>,
): AsyncGenerator<string[]> {
  yield first;
  yield* rest;
}

/** Whether a header has other metrics than `value`. */
function isTableHeader(header: string): boolean {
  try {
    const { metrics } = new TableReader(header);
    return metrics.length > 1 || metrics[0]!.toLowerCase() !== "value";
  } catch {
    return false;
  }
}

async function table(
  header: string,
  first: string[],
  rest: AsyncIterable<string[]>,
  { config, events, plot }: Wanted,
): Promise<void> {
  const backtest = new TableBacktest(header, { config, events, plot });
  await write(backtest.header);
  for await (const found of after(first, rest)) {
    await write(found.map((line) => backtest.push(line)).join(""));
  }
  const { out, quality } = await backtest.end();
  await write(out);
  if (quality !== undefined) console.error(qualityText(quality));
}

async function whole(
  first: string[],
  rest: AsyncIterable<string[]>,
  { kind, options, labels, plot, sweep }: Wanted,
): Promise<void> {
  const text: string[] = [];
  for await (const found of after(first, rest)) text.push(...found);
  const reader = new RowReader();
  const rows = text.map((line) => reader.push(line)).filter((row) => row !== undefined);
  if (rows.length === 0) throw new SyntaxError("there are no rows");
  const times = Float64Array.from(rows, ({ tMs }) => tMs);
  const known = labels === undefined
    ? windowsOf(rows.map(({ label }) => label), 1)
    : labelWindows(await Deno.readTextFile(labels), times);
  if (sweep) return await write(sweepTable(rows, times, known));
  const backtest = new Backtest(detectorMaker(kind, options)());
  const out = text.map((line) => backtest.push(line)).filter((row) => row !== undefined);
  const { flags, scores } = judgeAll(rows, kind, options);
  const events = windowsOf(flags);
  if (plot !== undefined) {
    const values = Float64Array.from(rows, ({ value }) => value);
    const svg = plotSvg({ title: kind, values, scores, events, labels: known });
    const page = `<!doctype html><meta charset="utf-8"><title>${kind}</title>${svg}`;
    await Deno.writeTextFile(plot, plot.endsWith(".html") ? page : svg);
  }
  await write(out.join("\n") + "\n");
  console.error(qualityText(quality(events, known, times)));
}

function judgeAll(
  rows: readonly Row[],
  kind: string,
  options: ReadonlyMap<string, string>,
): { flags: boolean[]; scores: Float64Array } {
  const detector = detectorMaker(kind, options)();
  const verdicts = rows.map((row) => judge(detector, row));
  return {
    flags: verdicts.map(({ is_anomaly }) => is_anomaly),
    scores: Float64Array.from(verdicts, ({ score }) => score),
  };
}

/** Rows from the first at or after each start to the last at or before its end. */
function labelWindows(text: string, times: Float64Array): Window[] {
  const windows: Window[] = [];
  for (const line of text.split("\n")) {
    const [start, end] = line.split(",").map((part) => timeOf(part.replaceAll('"', "")));
    if (!Number.isFinite(start) || !Number.isFinite(end)) continue;
    const from = times.findIndex((time) => time >= start!);
    const to = times.findLastIndex((time) => time <= end!);
    if (from >= 0 && to >= from) windows.push([from, to]);
  }
  if (windows.length === 0) {
    throw new SyntaxError("no row of the labels is start,end within the data");
  }
  return windows;
}

function qualityText(found: Quality): string {
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  return `${found.events} events, ${
    found.eventsPerDay.toFixed(2)
  } a day; ${found.labels} labels: ` +
    `precision ${percent(found.precision)}, recall ${percent(found.recall)}, ` +
    `F1 ${percent(found.f1)}, delay ${found.delayS.toFixed(1)} s`;
}

/** Each detector with its own threshold and some above: for limits there is nothing to try. */
function sweepTable(rows: readonly Row[], times: Float64Array, labels: readonly Window[]): string {
  const lines = ["detector,threshold,events,events_per_day,precision,recall,f1,delay_s"];
  for (const kind of Object.keys(DETECTORS)) {
    if (kind === "limits") continue;
    const { scores } = judgeAll(rows, kind, new Map());
    const top = scores.filter((score) => score > 0).toSorted();
    const tried = [0.95, 0.99, 0.995, 0.998, 0.999, 0.9995].map((part) =>
      top[Math.floor(part * top.length)] ?? Infinity
    );
    for (const threshold of [...new Set(tried)].filter(Number.isFinite)) {
      const flags = Array.from(scores, (score) => score >= threshold);
      const found = quality(windowsOf(flags), labels, times);
      lines.push([
        kind,
        threshold.toPrecision(4),
        found.events,
        found.eventsPerDay.toFixed(3),
        found.precision.toFixed(3),
        found.recall.toFixed(3),
        found.f1.toFixed(3),
        found.delayS.toFixed(1),
      ].join(","));
    }
  }
  return lines.join("\n") + "\n";
}
