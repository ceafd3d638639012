/**
 * Stored records as a block: records of one epoch whose seqs follow each other, each a line of its columns and its
 * JSON. A block stands alone. Pure.
 *
 * ```
 * stored block = packing               one byte; 0: as it is, 1: deflated (RFC 1951), 2: the text of its only line
 *                checksum              CRC-32 (IEEE 802.3) of what follows, four bytes, little-endian
 *                block                 see lib/codec/block.ts; its lines:
 * line         = received_wall_ms, " ", ts_wall_ms, " ", ts_mono_ms, " ", score or -1 for no anomaly, " ", JSON
 * ```
 */
import { crc32, deflateRawSync, inflateRawSync } from "node:zlib";
import { BlockDecoder, BlockEncoder } from "../../codec/block.ts";
import type { ColumnPart } from "../../codec/column.ts";
import { Lines, LinesBuilder } from "../../codec/lines.ts";
import { decimalOf, NUMBER_MARK, Shape } from "../../codec/shape.ts";
import type { RecordRow } from "../store.ts";

/** Most records of a block: few enough to be read for one of them, enough to be small. */
export const BLOCK_RECORDS_MAX = 1_024;
/** Most bytes of a block's lines. Our own file may be damaged, too. */
const LINES_BYTES_MAX = 256 * 1_024 * 1_024;

const PLAIN = 0, DEFLATED = 1, LINE = 2;
const encoder = new TextEncoder();
/** Packing and checksum. */
const HEAD_BYTES = 5;

/** A record in a block. */
export interface BlockRow extends RecordRow {
  readonly received_wall_ms: number;
}

/** Which of the columns in front of a record's JSON holds what, and how many there are. */
export const STORED = { wall: 1, score: 3, count: 4 } as const;

/** Those columns, as a shape has them. */
export const COLUMNS_TEXT = `${NUMBER_MARK} `.repeat(STORED.count);

/** For all blocks that this thread makes, one after the other. */
const builder = new LinesBuilder();
/** Shapes of stored lines, by those of the records in them. */
const stored = new WeakMap<Shape, Shape>();

/**
 * The bytes of a block of 1 to {@linkcode BLOCK_RECORDS_MAX} records whose seqs follow each other, as it comes: not
 * deflated. `receivedMs` gives the time at which each came.
 */
export function encodeBlock(
  rows: readonly RecordRow[],
  receivedMs: (index: number) => number,
): Uint8Array<ArrayBuffer> {
  // Columns of one number save nothing, and cost much where every record is a block, as with scattered seqs.
  if (rows.length === 1) return packed(LINE, encoder.encode(lineOf(rows[0]!, receivedMs(0))));
  builder.clear();
  for (let index = 0; index < rows.length;) {
    const end = endOfStretch(rows, index, receivedMs);
    if (end > index) addStretch(rows, index, end, receivedMs(index));
    else builder.addText(lineOf(rows[index]!, receivedMs(index)));
    index = Math.max(end, index + 1);
  }
  return packed(PLAIN, new BlockEncoder().encode(builder.done()));
}

function lineOf(row: RecordRow, receivedMs: number): string {
  const { ts_wall_ms, ts_mono_ms, is_anomaly, score, payload } = row;
  // A newline in JSON stands between tokens only, where a space says the same.
  const json = payload.replaceAll("\n", " ");
  return `${receivedMs} ${ts_wall_ms} ${ts_mono_ms} ${
    is_anomaly ? Math.max(0, score) : -1
  } ${json}`;
}

/** Up to where rows from `start` on came together, in columns that follow each other; `start` where it has none. */
function endOfStretch(
  rows: readonly RecordRow[],
  start: number,
  receivedMs: (index: number) => number,
): number {
  const source = rows[start]!.source;
  if (source === undefined) return start;
  const received = receivedMs(start), { is_anomaly } = rows[start]!;
  let end = start + 1;
  for (; end < rows.length; end++) {
    const row = rows[end]!;
    const belongs = row.source?.columns === source.columns && row.is_anomaly === is_anomaly &&
      row.source.row === source.row + end - start && receivedMs(end) === received;
    if (!belongs) break;
  }
  return end;
}

function addStretch(
  rows: readonly RecordRow[],
  start: number,
  end: number,
  receivedMs: number,
): void {
  const { columns: { shape, columns, wall, mono, score }, row } = rows[start]!.source!;
  let line = stored.get(shape);
  if (line === undefined) stored.set(shape, line = new Shape(COLUMNS_TEXT + shape.text));
  const to = row + end - start;
  const shown = rows[start]!.is_anomaly ? score : constant(-1, to);
  const all = [constant(receivedMs, to), wall, mono, shown, ...columns];
  builder.addRows(line, all, row, to);
}

/** The same number so many times. */
function constant(value: number, count: number): ColumnPart {
  const { number, scale } = decimalOf(value);
  return { numbers: new Float64Array(count).fill(number), scale };
}

/** The records of a block that begins at `fromSeq`; `undefined` where it is damaged. */
export function decodeBlock(bytes: Uint8Array, fromSeq: number): BlockRow[] | undefined {
  try {
    return linesIn(bytes).texts(LINES_BYTES_MAX).map((line, index) => rowOf(line, fromSeq + index));
  } catch {
    // What of it is damaged doesn't matter: nothing in it can be trusted.
    return undefined;
  }
}

/** The lines of a block; `undefined` where it is damaged. */
export function decodeLines(bytes: Uint8Array): Lines | undefined {
  try {
    return linesIn(bytes);
  } catch {
    return undefined;
  }
}

/** A block with its bytes deflated; a damaged one stays as it is, and known as damaged. */
export function deflateBlock(bytes: Uint8Array): Uint8Array {
  const block = bytes[0] === PLAIN ? checked(bytes) : undefined;
  return block === undefined ? bytes : packed(DEFLATED, deflateRawSync(block));
}

/** Blocks whose records follow each other as one, deflated; `undefined` where one of them is damaged. */
export function joinBlocks(
  blocks: readonly { readonly bytes: Uint8Array; readonly records: number }[],
): Uint8Array | undefined {
  builder.clear();
  for (const { bytes, records } of blocks) {
    const lines = decodeLines(bytes);
    if (lines?.count !== records) return undefined;
    builder.addLines(lines);
  }
  return packed(DEFLATED, deflateRawSync(new BlockEncoder().encode(builder.done())));
}

function packed(how: number, block: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEAD_BYTES + block.length);
  bytes[0] = how;
  new DataView(bytes.buffer).setUint32(1, crc32(block), true);
  bytes.set(block, HEAD_BYTES);
  return bytes;
}

/** What the checksum speaks of; `undefined` where it says something else. */
function checked(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const block = bytes.subarray(HEAD_BYTES);
  const checksum = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true);
  return checksum === crc32(block) ? block : undefined;
}

function linesIn(bytes: Uint8Array): Lines {
  const block = checked(bytes);
  if (block === undefined) throw new Error("a block that was changed");
  if (bytes[0] === LINE) {
    return Lines.of([new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(block)]);
  }
  const plain = bytes[0] === DEFLATED
    ? inflateRawSync(block, { maxOutputLength: LINES_BYTES_MAX })
    : block;
  return new BlockDecoder().decode(plain, LINES_BYTES_MAX);
}

/** The record of a line; `undefined` where it is none. */
export function rowOrNone(line: string, seq: number): BlockRow | undefined {
  try {
    return rowOf(line, seq);
  } catch {
    return undefined;
  }
}

/** The record of a line. Throws where it is none. */
function rowOf(line: string, seq: number): BlockRow {
  const ends: number[] = [];
  for (let at = -1; ends.length < 4;) {
    at = line.indexOf(" ", at + 1);
    if (at < 0) throw new Error("a line without columns");
    ends.push(at);
  }
  const [received, wall, mono, score] = ends.map((end, index) =>
    Number(line.slice(index === 0 ? 0 : ends[index - 1]! + 1, end))
  ) as [number, number, number, number];
  if (![received, wall, mono, score].every(Number.isFinite)) throw new Error("no numbers");
  return {
    seq,
    received_wall_ms: received,
    ts_wall_ms: wall,
    ts_mono_ms: mono,
    is_anomaly: score >= 0,
    score: Math.max(0, score),
    payload: line.slice(ends[3]! + 1),
  };
}
