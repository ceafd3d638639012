/**
 * The codec as a drain uses it, rows of the log to blocks of the link to blocks of the store: bytes a record, and
 * megabytes of lines a second each way. On what the sim sensor gives, and on noise that can't be foretold.
 */
import { RowDecoder, RowEncoder, type ShapedRow } from "../lib/codec/row.ts";
import { type Run, textsOf } from "../lib/codec/lines.ts";
import { type RecordColumns, RecordShapes } from "../lib/protocol/record_columns.ts";
import { encodeContent, type RecordContent, ShapedRecords } from "../lib/protocol/record.ts";
import { WireDecoder, WireEncoder } from "../lib/protocol/wire.ts";
import { decodeBlock, encodeBlock, joinBlocks } from "../lib/store/sqlite/block.ts";
import { ColumnRow } from "../lib/store/store.ts";

const COUNT = 512;
const NODE = "pump-7", EPOCH = "9f2c4e11a0b3d5c7";
const AT = 1_763_900_000_000;

function noise(): number {
  return Math.random() + Math.random() + Math.random() - 1.5;
}

function contentOf(index: number, metrics: Record<string, number>): RecordContent {
  return {
    ts_wall_ms: AT + 100 * index + Math.round(2 * noise()),
    ts_mono_ms: Number((1_000 + 100 * index + 2 * noise()).toFixed(1)),
    boot_id: "4d5f1c3a-7e0b-4a6e-9a53-0f5a1c2b3d4e",
    metrics,
    anomaly: {
      is_anomaly: false,
      score: Number(Math.abs(2 * noise()).toFixed(5)),
      metrics: {},
    },
    diagnostics: { rail_low: false },
    degraded: false,
    cfg_version: 0,
  };
}

const KINDS: Readonly<Record<string, (index: number) => RecordContent>> = {
  "sim, 5 metrics": (index) =>
    contentOf(index, {
      temp_c: Number((41 + 0.3 * noise()).toFixed(2)),
      rail_v: Number((5.02 + 0.016 * noise()).toFixed(3)),
      pressure_bar: Number((3.4 + 0.04 * noise()).toFixed(3)),
      flow_lpm: Number((120 + 2.4 * noise()).toFixed(1)),
      vibration_g: Number((0.3 + 0.04 * noise()).toFixed(3)),
    }),
  "noise, 12 numbers of 5 digits": (index) =>
    contentOf(
      index,
      Object.fromEntries(
        Array.from({ length: 12 }, (_, i) => [`m${i}`, Number((1_000 * Math.random()).toFixed(2))]),
      ),
    ),
};

/** Prints one figure. */
type Note = (name: string, value: number, digits?: number) => void;
/** Microseconds a call. */
type Time = (rounds: number, work: () => void) => number;

/** The rows of a log that holds these records, and the bytes of one. */
function rowsOf(contents: readonly RecordContent[]): { rows: ShapedRow[]; bytes: number } {
  const encoder = new RowEncoder(), decoder = new RowDecoder();
  let bytes = 0;
  const rows = contents.map((content) => {
    const { row, note } = encoder.encode(encodeContent(content));
    if (note !== undefined) decoder.note(note);
    bytes += row.length;
    return decoder.decode(row);
  }).filter((row): row is ShapedRow => row !== undefined && !(row instanceof Uint8Array));
  return { rows, bytes: bytes / contents.length };
}

function runIn(frame: Uint8Array): Run {
  const decoder = new WireDecoder();
  [...decoder.use("block")];
  const [decoded] = decoder.push(frame);
  const [run] = decoded!.lines.runs();
  return run as Run;
}

function rowsIn(columns: RecordColumns, { from, to }: Run): ColumnRow[] {
  return Array.from({ length: to - from }, (_, i) => new ColumnRow(columns, from + i));
}

/** See the head of the file. */
export function benchCodec(note: Note, time: Time): void {
  for (const [kind, make] of Object.entries(KINDS)) {
    const { rows, bytes } = rowsOf(Array.from({ length: COUNT }, (_, i) => make(i)));
    const records = new ShapedRecords(NODE, EPOCH);
    const frameOf = (from: number, to: number, wire = new WireEncoder()) => {
      wire.use("block");
      return wire.encode(rows.slice(from, to).map((row, i) => records.line(from + i + 1, row)));
    };
    const count = rows.length;
    const frame = frameOf(0, count), run = runIn(frame);
    const columns = new RecordShapes(NODE, EPOCH).columnsOf(run)!;
    const stored = encodeBlock(rowsIn(columns, run), () => AT);
    const lineBytes = textsOf(run).reduce((sum, line) => sum + line.length + 1, 0);
    note(`codec, ${kind}: bytes of a line`, lineBytes / count);
    note(`codec, ${kind}: bytes of a row in the log`, bytes, 1);
    const small = new WireEncoder();
    frameOf(0, 10, small);
    note(`codec, ${kind}: bytes a record on the link, tens`, frameOf(10, 20, small).length / 10, 1);
    note(`codec, ${kind}: bytes a record on the link, ${COUNT}`, frame.length / count, 1);
    const joined = joinBlocks([{ bytes: stored, records: count }])!;
    note(`codec, ${kind}: bytes a record kept`, joined.length / count, 1);
    const megabytes = (work: () => void) => lineBytes / time(100, work);
    note(`codec, ${kind}: rows to a frame, MB of lines/s`, megabytes(() => frameOf(0, count)));
    note(
      `codec, ${kind}: frame to a stored block, MB of lines/s`,
      megabytes(() => {
        const run = runIn(frame);
        const columns = new RecordShapes(NODE, EPOCH).columnsOf(run)!;
        encodeBlock(rowsIn(columns, run), () => AT);
      }),
    );
    note(`codec, ${kind}: stored block to records, MB/s`, megabytes(() => decodeBlock(joined, 1)));
  }
}
