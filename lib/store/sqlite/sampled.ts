/** What stored records in columns say of their metrics, without a look at each. Pure. */
import { type ColumnPart, valueAt } from "../../codec/column.ts";
import { type Group, textsOf } from "../../codec/lines.ts";
import { Place, templateOf } from "../../codec/template.ts";
import { finite, own, type Sampling, samplingOf, type Sum } from "../series.ts";
import { type BlockRow, COLUMNS_TEXT, decodeLines, rowOrNone } from "./block.ts";
import type { Block } from "./block_tables.ts";

/** Columns of stored lines, with what their places mean. */
export interface SampledColumns {
  readonly sampling: Sampling;
  readonly columns: readonly ColumnPart[];
}

/** Rows `from` up to but not including `to` of such columns. */
export interface SampledRows extends SampledColumns {
  readonly from: number;
  readonly to: number;
}

/** Records of a block that follow each other: by their numbers, or each by itself where it has to be looked at. */
export interface SampledRun {
  /** Of its first record. */
  readonly seq: number;
  readonly rows: SampledRows | readonly BlockRow[];
}

/** Shapes of which it is kept in memory what they say. */
const SHAPES_MAX = 256;

/** Remembers what the shapes of stored lines say. */
export class Samplings {
  #byText = new Map<string, Sampling | undefined>();

  /** The columns of a group; `undefined` where each record has to be looked at. */
  of({ shape, columns }: Group): SampledColumns | undefined {
    let sampling = this.#byText.get(shape.text);
    if (sampling === undefined && !this.#byText.has(shape.text)) {
      const isStored = shape.text.startsWith(COLUMNS_TEXT);
      const template = isStored ? templateOf(shape, COLUMNS_TEXT.length) : undefined;
      // What was downsampled is weighed record by record.
      const isPlain = template !== undefined && own(template, "agg") === undefined;
      sampling = isPlain ? samplingOf(template) : undefined;
      if (this.#byText.size >= SHAPES_MAX) this.#byText.clear();
      this.#byText.set(shape.text, sampling);
    }
    return sampling === undefined ? undefined : { sampling, columns };
  }
}

/** The records of a block in order; `undefined` where it is damaged or one of its lines is no record. */
export function runsOf(
  { from_seq, to_seq, lines: bytes }: Pick<Block, "from_seq" | "to_seq" | "lines">,
  samplings: Samplings,
): SampledRun[] | undefined {
  const lines = decodeLines(bytes);
  if (lines?.count !== to_seq - from_seq + 1) return undefined;
  const runs: SampledRun[] = [];
  let next = from_seq;
  for (const run of lines.runs()) {
    const seq = next;
    const sampled = typeof run === "string" ? undefined : samplings.of(run.group);
    if (typeof run !== "string" && sampled !== undefined) {
      next += run.to - run.from;
      runs.push({ seq, rows: { ...sampled, from: run.from, to: run.to } });
      continue;
    }
    const rows: BlockRow[] = [];
    for (const text of typeof run === "string" ? [run] : textsOf(run)) {
      const row = rowOrNone(text, next++);
      if (row === undefined) return undefined;
      rows.push(row);
    }
    runs.push({ seq, rows });
  }
  return runs;
}

/** What records `from` up to but not including `to`, none of them downsampled, say of a metric together. */
export function sumOf(
  { value, anomalies }: Sampling["metrics"][number],
  columns: readonly ColumnPart[],
  from: number,
  to: number,
): Sum {
  const n = to - from;
  const all = { n, anomalies: anomalies * n };
  if (!(value instanceof Place)) return { ...all, sum: finite(n * value), min: value, max: value };
  const column = columns[value.column]!;
  let sum = 0, min = Infinity, max = -Infinity;
  for (let row = from; row < to; row++) {
    const one = valueAt(column, row);
    sum += one;
    if (one < min) min = one;
    if (one > max) max = one;
  }
  return { ...all, sum: finite(sum), min, max };
}
