/**
 * How values of a metric are summed up for a chart: never more columns than a screen has, each with lowest,
 * mean and highest value, so that no spike is lost at any zoom. Pure.
 */
import { Place } from "../codec/template.ts";
import { AGG_SAMPLES_MAX } from "../limits.ts";
import type { SeriesColumns, SeriesQuery, StoredRow } from "./store.ts";

/** Columns that the store keeps ready: widths in milliseconds. */
export const ROLLUP_MS = { fine: 10_000, coarse: 600_000 } as const;
/** Most metrics of one node that are summed up and listed. */
export const SERIES_PER_NODE_MAX = 256;
/** Latest time that a device's clock is believed to show: the end of what a date can hold. */
const WALL_MS_MAX = 8.64e15;

/** Start of the finest kept column that a time lies in, or `undefined` for a time that is none. */
export function bucketOf(wallMs: number): number | undefined {
  if (!(wallMs >= 0 && wallMs < WALL_MS_MAX)) return undefined;
  return Math.floor(wallMs / ROLLUP_MS.fine) * ROLLUP_MS.fine;
}

/** Values that were summed up. */
export interface Sum {
  /** Samples; a downsampled record counts for all that it stands for. */
  n: number;
  sum: number;
  min: number;
  max: number;
  /** Records in which the metric was flagged. */
  anomalies: number;
}

/** What one record says of one of its metrics. */
export interface MetricSample extends Readonly<Sum> {
  readonly metric: string;
}

/** A sum that stays a finite number: what lies beyond is the largest that there is. */
export function finite(sum: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, sum));
}

/** Adds `one` to the sum of that key. */
export function addTo<K>(sums: Map<K, Sum>, key: K, one: Readonly<Sum>): void {
  const { n, sum, min, max, anomalies } = one;
  const known = sums.get(key);
  if (known === undefined) {
    sums.set(key, { n, sum, min, max, anomalies });
    return;
  }
  known.n += n;
  known.sum = finite(known.sum + sum);
  known.min = Math.min(known.min, min);
  known.max = Math.max(known.max, max);
  known.anomalies += anomalies;
}

/** Longest name of a metric that is summed up. */
const NAME_LENGTH_MAX = 200;

/** What is set on a thing of any kind itself, never what every object has. */
export function own(from: unknown, name: string): unknown {
  return typeof from === "object" && from !== null && Object.hasOwn(from, name)
    ? (from as Record<string, unknown>)[name]
    : undefined;
}

/** What a record says of its metrics: its numbers, or the places of them. */
export interface Sampling {
  /** How many samples it stands for. */
  readonly n: number;
  readonly metrics: readonly {
    readonly metric: string;
    readonly value: number | Place;
    readonly min: number | Place;
    readonly max: number | Place;
    readonly anomalies: number;
  }[];
}

function isNumber(value: unknown): value is number | Place {
  return Number.isFinite(value) || value instanceof Place;
}

/**
 * What a record, or the template of several, says of its metrics; `undefined` where it can't be summed up, or only by
 * its numbers. Nothing that it says is trusted: it may come from an older program or a damaged disk.
 */
export function samplingOf(record: unknown): Sampling | undefined {
  const agg = own(record, "agg");
  const n = own(agg, "n") ?? 1;
  if (!(Number.isInteger(n) && n as number >= 1 && n as number <= AGG_SAMPLES_MAX)) {
    return undefined;
  }
  const lowest = own(agg, "min"), highest = own(agg, "max");
  const flagged = own(own(record, "anomaly"), "metrics");
  const metrics: Sampling["metrics"][number][] = [];
  for (const [metric, value] of Object.entries(own(record, "metrics") ?? {})) {
    if (metrics.length === SERIES_PER_NODE_MAX) break;
    if (!isNumber(value) || metric.length > NAME_LENGTH_MAX) continue;
    const min = own(lowest, metric), max = own(highest, metric);
    metrics.push({
      metric,
      value,
      min: isNumber(min) ? min : value,
      max: isNumber(max) ? max : value,
      anomalies: own(flagged, metric) === undefined ? 0 : 1,
    });
  }
  return { n: n as number, metrics };
}

/**
 * What a record's JSON says of each of its metrics; `undefined` where it can't be summed up. A downsampled record
 * counts for all that it stands for.
 */
export function samplesOf(payload: string): MetricSample[] | undefined {
  let record: unknown;
  try {
    record = JSON.parse(payload);
  } catch {
    return undefined;
  }
  const sampling = samplingOf(record);
  return sampling?.metrics.map(({ metric, value, min, max, anomalies }) => ({
    metric,
    n: sampling.n,
    sum: finite(value as number * sampling.n),
    min: min as number,
    max: max as number,
    anomalies,
  }));
}

/** Narrowest width that needs no more than `points` columns, and is a multiple of `unit`. */
function widthFor(spanMs: number, points: number, unit: number): number {
  return Math.max(1, Math.ceil(spanMs / points / unit)) * unit;
}

/** Which kept columns answer a query, or `raw` records, and how wide its columns are. */
export interface SeriesPlan {
  readonly level: "raw" | "fine" | "coarse";
  readonly step_ms: number;
  /** Start of the first column. */
  readonly from_ms: number;
}

/**
 * The plan of a query. `rawAllowed` says whether the records of the window are few enough to be read one by
 * one.
 */
export function planSeries(query: SeriesQuery, rawAllowed: boolean): SeriesPlan {
  const { from_wall_ms, to_wall_ms, points } = query;
  const span = Math.max(1, to_wall_ms - from_wall_ms);
  const wanted = widthFor(span, points, 1);
  const level = wanted >= ROLLUP_MS.coarse
    ? "coarse"
    : wanted >= ROLLUP_MS.fine || !rawAllowed
    ? "fine"
    : "raw";
  const step_ms = level === "raw" ? wanted : widthFor(span, points, ROLLUP_MS[level]);
  return { level, step_ms, from_ms: Math.floor(from_wall_ms / step_ms) * step_ms };
}

/** The answer to a query from the sums of its columns, ascending by the start of each. */
export function seriesColumns(
  { from_ms, step_ms }: SeriesPlan,
  toMs: number,
  sums: readonly (readonly [t: number, sum: Readonly<Sum>])[],
  complete: boolean,
): SeriesColumns {
  return {
    from_ms,
    to_ms: toMs,
    step_ms,
    t: sums.map(([t]) => t),
    min: sums.map(([, { min }]) => min),
    mean: sums.map(([, { sum, n }]) => sum / n),
    max: sums.map(([, { max }]) => max),
    n: sums.map(([, { n }]) => n),
    anomalies: sums.map(([, { anomalies }]) => anomalies),
    complete,
  };
}

/** Sums samples up into columns. */
export class Columns {
  #plan: SeriesPlan;
  #toMs: number;
  #sums = new Map<number, Sum>();

  constructor(plan: SeriesPlan, toMs: number) {
    this.#plan = plan;
    this.#toMs = toMs;
  }

  /** Adds what was sampled at `wallMs`. */
  add(wallMs: number, sample: Readonly<Sum>): void {
    const { from_ms, step_ms } = this.#plan;
    addTo(this.#sums, from_ms + Math.floor((wallMs - from_ms) / step_ms) * step_ms, sample);
  }

  /** The answer. */
  result(complete: boolean): SeriesColumns {
    const sums = [...this.#sums].sort(([a], [b]) => a - b);
    return seriesColumns(this.#plan, this.#toMs, sums, complete);
  }
}

/** Adds the records that lie in the query's window. */
export function addRows(
  columns: Columns,
  query: SeriesQuery,
  rows: Iterable<Pick<StoredRow, "ts_wall_ms" | "payload">>,
): void {
  for (const { ts_wall_ms, payload } of rows) {
    if (ts_wall_ms < query.from_wall_ms || ts_wall_ms >= query.to_wall_ms) continue;
    const sample = samplesOf(payload)?.find(({ metric }) => metric === query.metric);
    if (sample !== undefined) columns.add(ts_wall_ms, sample);
  }
}
