/** Records as a Parquet file, for DuckDB, pandas and the like; see `docs/data.md`. */
import { gzipSync } from "node:zlib";
import { type ColumnSource, ParquetWriter, type Writer } from "hyparquet-writer";
import { own } from "./series.ts";
import type { StoredRow } from "./store.ts";

/** Records that are held in memory and written together. */
const GROUP_RECORDS = 50_000;

/** How a column is made of records. A metric that is named as another column gets a line behind its name. */
interface Column {
  readonly name: string;
  readonly type: "STRING" | "INT64" | "DOUBLE" | "BOOLEAN" | "TIMESTAMP";
  readonly optional?: true;
  readonly value: (row: StoredRow, record: Readonly<Record<string, unknown>>) => unknown;
}

function wholeOr(value: unknown, other: number): bigint {
  return BigInt(Number.isSafeInteger(value) ? value as number : other);
}

/** A time that Parquet can hold. */
function timestamp(ms: number): Date {
  return new Date(Math.max(-8.64e15, Math.min(8.64e15, ms)));
}

const COLUMNS: readonly Column[] = [
  { name: "node_id", type: "STRING", value: (row) => row.node_id },
  { name: "epoch", type: "STRING", value: (row) => row.epoch },
  { name: "seq", type: "INT64", value: (row) => BigInt(row.seq) },
  { name: "time", type: "TIMESTAMP", value: (row) => timestamp(row.ts_wall_ms) },
  { name: "mono_ms", type: "DOUBLE", value: (row) => row.ts_mono_ms },
  { name: "received", type: "TIMESTAMP", value: (row) => timestamp(row.received_wall_ms) },
  { name: "is_anomaly", type: "BOOLEAN", value: (row) => row.is_anomaly },
  { name: "score", type: "DOUBLE", value: (row) => row.score },
  { name: "degraded", type: "BOOLEAN", value: (_, record) => record.degraded === true },
  { name: "cfg_version", type: "INT64", value: (_, r) => wholeOr(own(r, "cfg_version"), 0) },
  // How many samples a thinned record stands for.
  { name: "samples", type: "INT64", value: (_, r) => wholeOr(own(own(r, "agg"), "n"), 1) },
];

function columnsFor(metrics: readonly string[]): Column[] {
  const columns = [...COLUMNS];
  const taken = new Set(columns.map(({ name }) => name.toLowerCase()));
  for (const metric of metrics) {
    let name = metric;
    while (taken.has(name.toLowerCase())) name += "_";
    taken.add(name.toLowerCase());
    columns.push({
      name,
      type: "DOUBLE",
      optional: true,
      value: (_, record) => {
        const value = own(own(record, "metrics"), metric);
        return typeof value === "number" ? value : null;
      },
    });
  }
  return columns;
}

function recordOf(payload: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(payload));
  } catch {
    return {};
  }
}

/**
 * Writes records with a column for each of `metrics`; how many there were. Throws what `writer` throws.
 */
export async function writeParquet(
  writer: Writer,
  metrics: readonly string[],
  rows: Iterable<StoredRow>,
): Promise<number> {
  const columns = columnsFor(metrics);
  const elements = columns.map(({ name, type, optional }) => ({
    name,
    ...ELEMENTS[type],
    repetition_type: optional ? "OPTIONAL" as const : "REQUIRED" as const,
  }));
  const file = new ParquetWriter({
    writer,
    schema: [{ name: "root", num_children: elements.length }, ...elements],
    codec: "GZIP",
    compressors: { GZIP: (bytes: Uint8Array) => gzipSync(bytes) },
    createdBy: "holdfast",
  });
  let count = 0;
  let group: unknown[][] = columns.map(() => []);
  const flush = async () => {
    const data = columns.map(({ name }, index) => ({ name, data: group[index] }) as ColumnSource);
    await file.write({ columnData: data, rowGroupSize: GROUP_RECORDS });
    group = columns.map(() => []);
  };
  for (const row of rows) {
    const record = recordOf(row.payload);
    columns.forEach(({ value }, index) => group[index]!.push(value(row, record)));
    if (++count % GROUP_RECORDS === 0) await flush();
  }
  if (count % GROUP_RECORDS > 0 || count === 0) await flush();
  await file.finish();
  return count;
}

const ELEMENTS = {
  STRING: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  INT64: { type: "INT64" },
  DOUBLE: { type: "DOUBLE" },
  BOOLEAN: { type: "BOOLEAN" },
  TIMESTAMP: { type: "INT64", converted_type: "TIMESTAMP_MILLIS" },
} as const;
