/**
 * `host export` and `host verify`: what a host has stored, from its data directory, whether a host runs on it or not.
 * Part of the executables.
 */
import { csvLine } from "../csv.ts";
import { demandFlags } from "../config/flags.ts";
import { HOST_SETTINGS } from "../config/host_settings.ts";
import { oneLine } from "../errors.ts";
import { denoClock } from "../platform/deno_clock.ts";
import type { Database } from "../platform/sqlite.ts";
import { recordCells, recordHead, recordText } from "../store/record_text.ts";
import { openDatabase } from "../store/sqlite/engine.ts";
import {
  exportMetrics,
  exportNodes,
  type ExportQuery,
  exportRecords,
  metricsOf,
} from "../store/sqlite/export.ts";
import { countLegacyRecords } from "../store/sqlite/legacy_records.ts";
import { DATABASE_NAME } from "../store/sqlite/store.ts";
import { MIGRATIONS } from "../store/sqlite/schema.ts";
import { FAULTS, verifyDatabase } from "../store/sqlite/verify.ts";
import type { StoredRow } from "../store/store.ts";
import { parseTime, TIME_FORMS } from "../times.ts";
import { fail, print } from "./output.ts";
import { EXIT_USAGE } from "./settings.ts";

const DATA = HOST_SETTINGS.data.default;
const USAGE =
  `host export, host verify: what a host has stored, from its data directory. A host may run on it.

Usage: host export [--data ${DATA}] [--node NAME] [--from T] [--to T] [--format ndjson|csv|parquet] [--out FILE]
       host export [--data ${DATA}] --node NAME --metric NAME [--from T] [--to T] [--out FILE]
       host verify [--data ${DATA}]

export writes records, node by node, each in its order. T is ${TIME_FORMS},
by the device's clock. ndjson has all that a record says, csv and parquet a column for each metric.
parquet needs --out; the others go to standard output without it. With --metric it writes timestamp,value of one
metric, as node backtest reads it.

verify reads all of it, and says what is damaged, and whether every record up to the last acknowledged one is stored,
declared lost, or deleted by retention. Its exit status is 1 where something is wrong.`;

const FORMATS = ["ndjson", "csv", "parquet"] as const;
/** Text that is gathered before it is written. */
const WRITE_CHARACTERS = 65_536;

/** Runs the subcommand `name`; resolves with the exit status. */
export async function storeCommand(
  name: "export" | "verify",
  args: readonly string[],
): Promise<number> {
  const text = name === "export"
    ? ["data", "node", "metric", "from", "to", "format", "out"]
    : ["data"];
  let values: Readonly<Record<string, string | undefined>> & { help?: unknown };
  try {
    const read = demandFlags(args, { text, flag: ["help"] });
    if (read.positionals.length > 0) throw new SyntaxError(`unexpected "${read.positionals[0]}"`);
    values = read.values as typeof values;
  } catch (error) {
    fail("host", `${oneLine(error)} (see host ${name} --help)`, EXIT_USAGE);
  }
  if (values.help !== undefined) {
    print(USAGE);
    return 0;
  }
  try {
    const db = await open(values.data ?? DATA);
    return name === "verify" ? verify(db) : await exportTo(db, values);
  } catch (error) {
    // Whoever reads has seen enough, as `| head` does.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    fail("host", oneLine(error));
  }
}

async function open(directory: string): Promise<Database> {
  const path = `${directory}/${DATABASE_NAME}`;
  // SQLite would make one.
  await Deno.stat(path).catch((error) => {
    throw new Error(`${path} can't be read (${oneLine(error)}): name the host's --data directory`);
  });
  const db = openDatabase(path, true);
  if (db.pragma("user_version") < MIGRATIONS.length || countLegacyRecords(db) !== undefined) {
    throw new Error(`${path} is an older program's: start the host on it once`);
  }
  return db;
}

function verify(db: Database): number {
  const report = verifyDatabase(db);
  print(JSON.stringify(report, null, 2));
  return FAULTS.some((fault) => report[fault].length > 0) ? 1 : 0;
}

async function exportTo(
  db: Database,
  values: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const { node: nodeId, metric, format = metric === undefined ? "ndjson" : "csv", out } = values;
  const wrong = (message: string): never =>
    fail("host", `${message} (see host export --help)`, EXIT_USAGE);
  const time = (name: string): number | undefined => {
    const text = values[name];
    if (text === undefined) return undefined;
    return parseTime(text, denoClock.wallMs()) ?? wrong(`--${name}: expected ${TIME_FORMS}`);
  };
  if (!FORMATS.some((known) => known === format)) {
    wrong(`--format: expected ${FORMATS.join(", ")}`);
  }
  if (format === "parquet" && out === undefined) wrong("--format parquet needs --out FILE");
  if (metric !== undefined && (nodeId === undefined || format !== "csv")) {
    wrong("--metric needs --node, and gives csv");
  }
  const query: ExportQuery = { nodeId, fromMs: time("from"), toMs: time("to") };
  const nodes = exportNodes(db);
  if (nodeId !== undefined && !nodes.includes(nodeId)) {
    throw new Error(
      `nothing of ${nodeId} is stored; there ${nodes.length === 1 ? "is" : "are"} ${
        nodes.slice(0, 20).join(", ") || "no nodes"
      }`,
    );
  }
  const rows = exportRecords(db, query);
  if (metric !== undefined) {
    await writeLines(out, valuesOf(rows, metric));
    return 0;
  }
  if (format === "parquet") {
    const { fileWriter } = await import("hyparquet-writer");
    const { writeParquet } = await import("../store/parquet.ts");
    await writeParquet(fileWriter(out!), exportMetrics(db, query), rows);
    return 0;
  }
  const metrics = format === "csv" ? exportMetrics(db, query) : undefined;
  await writeLines(out, textsOf(rows, metrics));
  return 0;
}

/** Lines of CSV with those metrics, or of JSON. */
function* textsOf(
  rows: Iterable<StoredRow>,
  metrics: readonly string[] | undefined,
): Generator<string> {
  if (metrics !== undefined) yield recordHead(metrics);
  for (const row of rows) {
    yield metrics === undefined ? recordText(row) + "\n" : recordCells(row, metrics);
  }
}

/** The values of one metric. */
function* valuesOf(rows: Iterable<StoredRow>, metric: string): Generator<string> {
  yield csvLine(["timestamp", "value"]);
  for (const { ts_wall_ms, payload } of rows) {
    const metrics = metricsOf(payload);
    if (Object.hasOwn(metrics, metric)) yield csvLine([ts_wall_ms, metrics[metric]]);
  }
}

async function writeLines(path: string | undefined, texts: Iterable<string>): Promise<void> {
  const file = path === undefined
    ? undefined
    : await Deno.open(path, { write: true, create: true, truncate: true });
  const out = file ?? Deno.stdout;
  const encoder = new TextEncoder();
  let waiting = "";
  const flush = async () => {
    const bytes = encoder.encode(waiting);
    waiting = "";
    for (let at = 0; at < bytes.length;) at += await out.write(bytes.subarray(at));
  };
  for (const text of texts) {
    waiting += text;
    if (waiting.length > WRITE_CHARACTERS) await flush();
  }
  await flush();
  file?.close();
}
