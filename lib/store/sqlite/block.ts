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

/** Records whose seqs follow each other, in columns; all of the same length. */
export interface BlockColumns {
  readonly fromSeq: number;
  readonly received: readonly number[];
  readonly wallMs: readonly number[];
  readonly monoMs: readonly number[];
  /** Score of each record; -1 where it is no anomaly. */
  readonly scores: readonly number[];
  readonly payloads: readonly string[];
}

/** The bytes of a block of 1 to {@linkcode BLOCK_RECORDS_MAX} records, as it comes: not deflated. */
export function encodeBlock(columns: BlockColumns): Uint8Array<ArrayBuffer> {
  const { received, wallMs, monoMs, scores, payloads } = columns;
  const lines = payloads.map((payload, i) =>
    // A newline in JSON stands between tokens only, where a space says the same.
    `${received[i]} ${wallMs[i]} ${monoMs[i]} ${scores[i]} ${payload.replaceAll("\n", " ")}`
  );
  // Columns of one number save nothing, and cost much where every record is a block, as with scattered seqs.
  if (lines.length === 1) return packed(LINE, encoder.encode(lines[0]!));
  return packed(PLAIN, new BlockEncoder().encode(lines));
}

/** The columns of records whose seqs follow each other. */
export function columnsOf(rows: readonly BlockRow[]): BlockColumns {
  return {
    fromSeq: rows[0]!.seq,
    received: rows.map(({ received_wall_ms }) => received_wall_ms),
    wallMs: rows.map(({ ts_wall_ms }) => ts_wall_ms),
    monoMs: rows.map(({ ts_mono_ms }) => ts_mono_ms),
    scores: rows.map(({ is_anomaly, score }) => is_anomaly ? Math.max(0, score) : -1),
    payloads: rows.map(({ payload }) => payload),
  };
}

/** The records of a block that begins at `fromSeq`; `undefined` where it is damaged. */
export function decodeBlock(bytes: Uint8Array, fromSeq: number): BlockRow[] | undefined {
  try {
    return linesOf(bytes).map((line, index) => rowOf(line, fromSeq + index));
  } catch {
    // What of it is damaged doesn't matter: nothing in it can be trusted.
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
  try {
    const lines = blocks.flatMap(({ bytes, records }) => {
      const some = linesOf(bytes);
      if (some.length !== records) throw new Error("a block with other records");
      return some;
    });
    return packed(DEFLATED, deflateRawSync(new BlockEncoder().encode(lines)));
  } catch {
    return undefined;
  }
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

function linesOf(bytes: Uint8Array): string[] {
  const block = checked(bytes);
  if (block === undefined) throw new Error("a block that was changed");
  if (bytes[0] === LINE) return [new TextDecoder("utf-8", { fatal: true }).decode(block)];
  const plain = bytes[0] === DEFLATED
    ? inflateRawSync(block, { maxOutputLength: LINES_BYTES_MAX })
    : block;
  return new BlockDecoder().decode(plain, LINES_BYTES_MAX);
}

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
