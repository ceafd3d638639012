/**
 * Detectors on labelled real series, where a directory holds some: `nab/data` as the Numenta Anomaly Benchmark has it,
 * and `skab/data` as the Skoltech one does. Scores as their own scorers do, in one pass, without a look ahead.
 */
import { timeOf } from "../lib/anomaly/backtest.ts";
import { windowsOf } from "../lib/anomaly/evaluate.ts";
import { NodeBacktest } from "../lib/anomaly/node_backtest.ts";
import { detectorMaker } from "../lib/anomaly/registry.ts";
import { chooseDetectors } from "../lib/anomaly/choice.ts";
import { sigmoid } from "./quality.ts";

/** A series with its rows of anomalies, first and last. */
interface Labelled {
  readonly name: string;
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly windows: readonly (readonly [number, number])[];
}

/** Of a file, rows that are not judged: 15 %, and no more than of 5,000. */
const PROBATION = 0.15, PROBATION_MAX = 750;
/** What a flag outside of all windows costs, of the worth of a found one. */
const FALSE_POSITIVE = 0.11;
/** SKAB: rows for learning, and how near two flags are one episode. */
const TRAIN_ROWS = 400, GAP_ROWS = 60;
const HOUR_ROWS = 3_600;

function nabFiles(directory: string): Labelled[] {
  const labels = JSON.parse(
    Deno.readTextFileSync(`${directory}/labels/combined_windows.json`),
  ) as Record<string, [string, string][]>;
  return Object.entries(labels).map(([name, spans]) => {
    const rows = Deno.readTextFileSync(`${directory}/${name}`).trim().split("\n").slice(1)
      .map((line) => line.trim().split(","));
    const rowOf = new Map<string, number>();
    rows.forEach(([time], at) => rowOf.has(time!) || rowOf.set(time!, at));
    const windows = spans.map((span) =>
      span.map((time) => rowOf.get(time.slice(0, 19))!) as [number, number]
    ).sort((a, b) => a[0] - b[0]);
    return {
      name,
      times: Float64Array.from(rows, ([time]) => timeOf(time!)),
      values: Float64Array.from(rows, ([, value]) => Number(value)),
      windows,
    };
  });
}

interface Flag {
  readonly score: number;
  readonly worth: number;
  /** Number of the window that it is in; below 0 for none. */
  readonly window: number;
}

/** All rows that might be flagged, with what that would be worth. */
function flagsOf(files: readonly Labelled[], scores: readonly Float64Array[]) {
  const flags: Flag[] = [];
  let windows = 0;
  files.forEach(({ windows: spans, values }, file) => {
    const from = Math.min(PROBATION_MAX, Math.floor(PROBATION * values.length));
    for (let row = from; row < values.length; row++) {
      const score = scores[file]![row]!;
      if (score <= 0) continue;
      const inside = spans.findIndex(([first, last]) => first <= row && row <= last);
      if (inside >= 0) {
        const [first, last] = spans[inside]!, width = last - first + 1;
        const worth = sigmoid(-(last - row + 1) / width) / sigmoid(-1);
        flags.push({ score, worth, window: windows + inside });
        continue;
      }
      const before = spans.findLast(([, last]) => last < row);
      const worth = before === undefined
        ? -1
        : sigmoid((row - before[1]) / (before[1] - before[0]));
      flags.push({ score, worth, window: -1 });
    }
    windows += spans.length;
  });
  return { flags: flags.sort((a, b) => b.score - a.score), windows };
}

/** The standard score of all flags from `threshold` on, or of the threshold that is best for the corpus. */
function standardScore(files: readonly Labelled[], scores: readonly Float64Array[], own?: number) {
  const { flags, windows } = flagsOf(files, scores);
  const best = new Map<number, number>();
  let found = 0, outside = 0, rows = 0, top = -windows, atTop = 0;
  const total = () => found - (windows - best.size) + FALSE_POSITIVE * outside;
  for (let at = 0; at < flags.length; at++) {
    const { score, worth, window } = flags[at]!;
    if (own !== undefined && score < own) break;
    if (window < 0) {
      outside += worth;
      rows++;
    } else {
      const known = best.get(window);
      if (known === undefined || worth > known) {
        found += worth - (known ?? 0);
        best.set(window, worth);
      }
    }
    const isLast = flags[at + 1]?.score !== score;
    if (isLast && total() > top) [top, atTop] = [total(), rows];
  }
  const gain = own === undefined ? top : total();
  const falseRows = own === undefined ? atTop : rows;
  return { score: 100 * (gain + windows) / (2 * windows), falseRows, found: best.size, windows };
}

/** A line of the table for each detector. */
function nab(directory: string): void {
  const files = nabFiles(directory);
  console.log("| detector | NAB, best threshold | NAB, own flags | windows found | false rows |");
  console.log("| --- | --- | --- | --- | --- |");
  for (const kind of ["zscore", "ewma", "robust", "rate", "seasonal", "surprise"]) {
    const judged = files.map(({ times, values }) => {
      const detector = detectorMaker(kind, new Map())();
      const verdicts = Array.from(values, (value, at) => detector.update(value, times[at]!));
      return {
        scores: Float64Array.from(verdicts, ({ score }) => score),
        flags: Float64Array.from(verdicts, ({ is_anomaly }) => is_anomaly ? 1 : 0),
      };
    });
    const best = standardScore(files, judged.map(({ scores }) => scores));
    const own = standardScore(files, judged.map(({ flags }) => flags), 1);
    const cells = [best.score.toFixed(1), own.score.toFixed(1), `${own.found} of ${own.windows}`];
    console.log(`| ${[kind, ...cells, own.falseRows].join(" | ")} |`);
  }
}

/** Rows with an open event, as a node with these settings would have it. */
function eventRows(rows: readonly string[][], columns: number, more: object): boolean[] {
  const settings = { detector: "zscore", event_detector: "surprise", detectors: [] };
  const backtest = new NodeBacktest(chooseDetectors({ ...settings, alerts_per_day: 1 }), {
    ...{ sample_hz: 1, alerts_per_day: 1, events_per_hour_max: 12, learn_anomalies_s: 1_800 },
    ...more,
  });
  return rows.flatMap((row) => {
    const metrics: Record<string, number> = {};
    for (let column = 1; column <= columns; column++) metrics[`m${column}`] = Number(row[column]);
    const timestamp = row[0]!;
    return backtest.push({ timestamp, tMs: timeOf(timestamp), metrics, label: false });
  }).map(({ isEvent }) => isEvent);
}

function skab(directory: string): void {
  console.log(
    "\n| events by | SKAB, faults found | false events an hour | in anomaly-free hours |",
  );
  console.log("| --- | --- | --- | --- |");
  const files = [...Deno.readDirSync(directory)].filter(({ isDirectory }) => isDirectory)
    .flatMap(({ name }) =>
      [...Deno.readDirSync(`${directory}/${name}`)].map((file) =>
        `${directory}/${name}/${file.name}`
      )
    ).sort();
  for (
    const [name, more] of [["surprise", {}], ["surprise and relations", {
      relations: true,
    }]] as const
  ) {
    let found = 0, faults = 0, falses = 0, normal = 0, freeEvents = 0, freeRows = 0;
    for (const file of files) {
      const rows = Deno.readTextFileSync(file).trim().split("\n").slice(1)
        .map((line) => line.split(";"));
      const events = windowsOf(eventRows(rows, 8, more).slice(TRAIN_ROWS), GAP_ROWS);
      if (file.includes("anomaly-free")) {
        freeEvents += events.length;
        freeRows += rows.length - TRAIN_ROWS;
        continue;
      }
      const truth = rows.slice(TRAIN_ROWS).map((row) => Number(row[9]) > 0);
      const spans = windowsOf(truth, 1);
      const touches = ([a, b]: readonly number[], [c, d]: readonly number[], room: number) =>
        a! <= d! + room && b! >= c!;
      faults += spans.length;
      normal += truth.filter((isFault) => !isFault).length;
      found += spans.filter((span) => events.some((event) => touches(event, span, 0))).length;
      falses += events.filter((event) =>
        !spans.some((span) => touches(event, span, GAP_ROWS))
      ).length;
    }
    const cells = [
      `${found} of ${faults}`,
      (falses * HOUR_ROWS / Math.max(1, normal)).toFixed(2),
      `${freeEvents} in ${(freeRows / HOUR_ROWS).toFixed(1)} h`,
    ];
    console.log(`| ${[name, ...cells].join(" | ")} |`);
  }
}

/** Prints what the corpora in a directory say. */
export function corpora(directory: string): void {
  nab(`${directory}/nab/data`);
  skab(`${directory}/skab/data`);
}
