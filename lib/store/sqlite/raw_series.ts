/** Charts of so short a time that they are drawn from the records themselves: their blocks are read by columns. */
import { valueAt } from "../../codec/column.ts";
import { Place } from "../../codec/template.ts";
import type { Database } from "../../platform/sqlite.ts";
import { addRows, type Columns } from "../series.ts";
import type { SeriesQuery } from "../store.ts";
import { type BlockRow, STORED } from "./block.ts";
import { type Block, blocksOf } from "./block_tables.ts";
import { runsOf, type SampledRows, type SampledRun, Samplings } from "./sampled.ts";

/** Where records of a window may lie: seqs of an epoch, and the times that count there. */
export interface RawSpan {
  readonly epoch: string;
  readonly from_seq: number;
  readonly to_seq: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Adds the records in `spans` to the columns of a chart. */
export function addRecords(
  db: Database,
  query: SeriesQuery,
  spans: Iterable<RawSpan>,
  columns: Columns,
): void {
  const samplings = new Samplings();
  // Spans that follow each other lie in one block, mostly.
  let known: { readonly block: Block; readonly runs: readonly SampledRun[] } | undefined;
  for (const span of spans) {
    const { epoch, from_seq: from, to_seq: to } = span;
    for (const block of blocksOf(db, { node_id: query.node_id, epoch, from, to })) {
      const isKnown = known?.block.id === block.id && known.block.to_seq === block.to_seq;
      // What is damaged has no records.
      if (!isKnown) known = { block, runs: runsOf(block, samplings) ?? [] };
      for (const { seq, rows } of known!.runs) {
        if ("sampling" in rows) addSampled(columns, query.metric, rows, seq, span);
        else addTexts(columns, query, rows, span);
      }
    }
  }
}

function addSampled(
  into: Columns,
  metric: string,
  { sampling, columns, from, to }: SampledRows,
  firstSeq: number,
  span: RawSpan,
): void {
  const sampled = sampling.metrics.find((one) => one.metric === metric);
  if (sampled === undefined) return;
  const { value, anomalies } = sampled;
  const wall = columns[STORED.wall]!;
  const start = Math.max(from, from + span.from_seq - firstSeq);
  const end = Math.min(to, from + span.to_seq - firstSeq + 1);
  for (let row = start; row < end; row++) {
    const wallMs = valueAt(wall, row);
    if (wallMs < span.fromMs || wallMs >= span.toMs) continue;
    const sum = value instanceof Place ? valueAt(columns[value.column]!, row) : value;
    into.add(wallMs, { n: 1, sum, min: sum, max: sum, anomalies });
  }
}

function addTexts(
  into: Columns,
  query: SeriesQuery,
  rows: readonly BlockRow[],
  { from_seq, to_seq, fromMs, toMs }: RawSpan,
): void {
  const wanted = rows.filter(({ seq, ts_wall_ms: wallMs }) =>
    seq >= from_seq && seq <= to_seq && wallMs >= fromMs && wallMs < toMs
  );
  addRows(into, query, wanted);
}
