/**
 * How values of a metric are summed up for a chart: never more columns than a screen has, each with lowest,
 * mean and highest value, so that no spike is lost at any zoom. Pure.
 */
import type { SeriesColumns, SeriesQuery, StoredRow } from "./store.ts";

/** Columns that the store keeps ready: widths in milliseconds. */
export const ROLLUP_MS = { fine: 10_000, coarse: 600_000 } as const;
/** Most metrics of one node that are summed up and listed. */
export const METRICS_MAX = 256;
/** Latest time that a device's clock is believed to show: the end of what a date can hold. */
const WALL_MS_MAX = 8.64e15;

/** Start of the finest kept column that a time lies in, or `undefined` for a time that is none. */
export function bucketOf(wallMs: number): number | undefined {
  if (!(wallMs >= 0 && wallMs < WALL_MS_MAX)) return undefined;
  return Math.floor(wallMs / ROLLUP_MS.fine) * ROLLUP_MS.fine;
}

/** What one record says of one of its metrics. */
export interface MetricSample {
  readonly metric: string;
  readonly n: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly isFlagged: boolean;
}

/** What a record needs for {@linkcode samplesOf}. */
interface Sampled {
  readonly metrics?: Readonly<Record<string, number>>;
  readonly agg?: {
    readonly n: number;
    readonly min?: Readonly<Record<string, number>>;
    readonly max?: Readonly<Record<string, number>>;
  };
  readonly anomaly?: { readonly metrics?: Readonly<Record<string, unknown>> };
}

/**
 * What a record's JSON says of each of its metrics; nothing where it is damaged. A downsampled one counts for
 * all that it stands for.
 */
export function samplesOf(payload: string): MetricSample[] {
  let record: Sampled;
  try {
    record = JSON.parse(payload);
  } catch {
    return [];
  }
  const { metrics = {}, agg, anomaly } = record;
  const n = agg?.n ?? 1;
  return Object.entries(metrics).slice(0, METRICS_MAX).map(([metric, value]) => ({
    metric,
    n,
    sum: value * n,
    min: agg?.min?.[metric] ?? value,
    max: agg?.max?.[metric] ?? value,
    isFlagged: anomaly?.metrics?.[metric] !== undefined,
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

/** Sums samples up into columns. */
export class Columns {
  #plan: SeriesPlan;
  #toMs: number;
  #columns = new Map<number, { n: number; sum: number; min: number; max: number; hits: number }>();

  constructor(plan: SeriesPlan, toMs: number) {
    this.#plan = plan;
    this.#toMs = toMs;
  }

  /** Adds what was sampled at `wallMs`. */
  add(wallMs: number, { n, sum, min, max, isFlagged }: Omit<MetricSample, "metric">): void {
    const { from_ms, step_ms } = this.#plan;
    const t = from_ms + Math.floor((wallMs - from_ms) / step_ms) * step_ms;
    const column = this.#columns.get(t);
    if (column === undefined) {
      this.#columns.set(t, { n, sum, min, max, hits: isFlagged ? 1 : 0 });
      return;
    }
    column.n += n;
    column.sum += sum;
    column.min = Math.min(column.min, min);
    column.max = Math.max(column.max, max);
    if (isFlagged) column.hits++;
  }

  /** The answer, ascending. */
  result(complete: boolean): SeriesColumns {
    const { from_ms, step_ms } = this.#plan;
    const all = [...this.#columns].sort(([a], [b]) => a - b);
    return {
      from_ms,
      to_ms: this.#toMs,
      step_ms,
      t: all.map(([t]) => t),
      min: all.map(([, { min }]) => min),
      mean: all.map(([, { sum, n }]) => sum / n),
      max: all.map(([, { max }]) => max),
      n: all.map(([, { n }]) => n),
      anomalies: all.map(([, { hits }]) => hits),
      complete,
    };
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
    const sample = samplesOf(payload).find(({ metric }) => metric === query.metric);
    if (sample !== undefined) columns.add(ts_wall_ms, sample);
  }
}
