/**
 * The bytes of a WAL directory. Pure; `docs/wal.md` specifies the same for strangers. All integers are
 * little-endian; every checksum is CRC-32 (IEEE 802.3, as zlib computes it).
 *
 * ```
 * segment file  <base seq, 16 digits>-<turn of creation, 8 digits>.wal
 * ┌─────────┬─────────┬──────────┬──────────┬───────────────┬────────┬──────────┬────────┐
 * │ magic 4 │ version │ reason 1 │ most 2   │ epoch 8       │ base 8 │ prev 8   │ crc 4  │  36 bytes
 * └─────────┴─────────┴──────────┴──────────┴───────────────┴────────┴──────────┴────────┘
 * record
 * ┌────────────┬────────────────┬─────────┬──────────────────┬─────────┐
 * │ length 4   │ length check 4 │ seq 8   │ row (length)     │ crc 4   │  20 + length bytes; seq 0: a note
 * └────────────┴────────────────┴─────────┴──────────────────┴─────────┘
 * checkpoint file  checkpoint, two slots of 64 bytes
 *   0 magic 4 │ version │ clean 1 │ strides 2 │ turn 4 │ tail 4
 *  16 epoch 8 │ high_acked 8 │ last_seq 8
 *  40 unsynced_max 4 │ os boot 16 │ crc 4
 * ```
 * Rows and notes are those of `lib/codec/row.ts`. `prev` is the last seq before the segment's first; where `base` is greater than `prev + 1`, `reason` says
 * why the seqs between were never written.
 */
import { crc32 } from "node:zlib";

/** Format version in segment headers; in version 1 every payload is plain, which version 2 reads just so. */
export const WAL_VERSION = 2;
const WAL_VERSIONS: readonly number[] = [1, WAL_VERSION];
/** Format version in checkpoint slots. */
const CHECKPOINT_VERSION = 2;
/** Numbers that a checkpoint reserves come in units of that many, {@linkcode STRIDES_MAX} of them at most. */
export const STRIDE_RECORDS = 256;
/** See {@linkcode STRIDE_RECORDS}. */
export const STRIDES_MAX = 2 ** 16 - 1;
/** Stands in the place of a seq where the payload is no record but a note on the shapes of rows. */
export const NOTE_SEQ = 0;
/** Size of a segment's header in bytes. */
export const SEGMENT_HEADER_BYTES = 36;
/** Bytes that a record takes beside its payload. */
export const RECORD_OVERHEAD_BYTES = 20;
/** Bytes before the payload. */
export const RECORD_HEADER_BYTES = 16;
/** Longest payload; a greater length in a file is damage. */
export const PAYLOAD_BYTES_MAX = 65_536;
/** Size of one checkpoint slot in bytes. */
export const SLOT_BYTES = 64;
/** Name of the checkpoint file. */
export const CHECKPOINT_NAME = "checkpoint";

const SEGMENT_MAGIC = 0x57464c48; // "HLFW"
const CHECKPOINT_MAGIC = 0x43464c48; // "HLFC"
const OS_BOOT_BYTES = 16;
const MOST_MAX = 2 ** 16 - 1;
/** Keeps the check of a zero length from being zero, so that a zeroed sector is no record. */
const LENGTH_CHECK_XOR = 0xa5a5a5a5;

/** Why a range was never written, as a segment header tells it. */
export type JumpReason = "none" | "unsynced" | "unwritten" | "renumbered" | "acked";
const JUMP_REASONS: readonly JumpReason[] = [
  "none",
  "unsynced",
  "unwritten",
  "renumbered",
  "acked",
];

/** What a segment's header says. */
export interface SegmentHeader {
  /** 16 lower-case hexadecimal digits. */
  readonly epoch: string;
  /** Seq of the first record. */
  readonly base: number;
  /** Last seq given out before `base`. */
  readonly prev: number;
  readonly reason: JumpReason;
  /** Most records that can have been between `prev` and `base`, 65,535 at most; 0: not known. */
  readonly most: number;
}

/** What a checkpoint slot says. */
export interface Checkpoint {
  /** Counts writes; the slot with the higher one is newer. */
  readonly turn: number;
  readonly epoch: string;
  readonly highAcked: number;
  /** All up to it was synced or acked when the slot was written; the last one given out where `clean`. */
  readonly lastSeq: number;
  /** So many times {@linkcode STRIDE_RECORDS} numbers above `lastSeq` may have been given out and sent. */
  readonly strides: number;
  /** Which tail in memory-backed storage goes with the log; 0 where none does. */
  readonly tail: number;
  /** Most records that a power cut can take: of those in the tail alone there are never more. 0: not known. */
  readonly unsyncedMax: number;
  /** The log was closed in order: everything appended was synced. */
  readonly clean: boolean;
  /** First 16 bytes of the operating system's boot id. */
  readonly osBootId: string;
}

/** The file name of a segment: its first seq, then its turn of creation in the directory. */
export function segmentName(base: number, turn: number): string {
  return `${String(base).padStart(16, "0")}-${String(turn).padStart(8, "0")}.wal`;
}

/** First seq and turn in a segment's file name, or `undefined` for a name that is not a segment's. */
export function parseSegmentName(name: string): { base: number; turn: number } | undefined {
  const match = /^(\d{16})-(\d{8})\.wal$/.exec(name);
  return match === null ? undefined : { base: Number(match[1]), turn: Number(match[2]) };
}

function checksum(bytes: Uint8Array, value?: number): number {
  return crc32(bytes, value);
}

/** Numbers in bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function setSeq(view: DataView, offset: number, seq: number): void {
  view.setUint32(offset, seq >>> 0, true);
  view.setUint32(offset + 4, Math.floor(seq / 2 ** 32), true);
}

function getSeq(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}

function setEpoch(bytes: Uint8Array, offset: number, epoch: string): void {
  for (let i = 0; i < 8; i++) bytes[offset + i] = parseInt(epoch.slice(2 * i, 2 * i + 2), 16);
}

function getEpoch(bytes: Uint8Array, offset: number): string {
  let epoch = "";
  for (let i = 0; i < 8; i++) epoch += bytes[offset + i]!.toString(16).padStart(2, "0");
  return epoch;
}

/** The bytes of a segment's header. */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, SEGMENT_MAGIC, true);
  bytes[4] = WAL_VERSION;
  bytes[5] = JUMP_REASONS.indexOf(header.reason);
  view.setUint16(6, Math.min(header.most, MOST_MAX), true);
  setEpoch(bytes, 8, header.epoch);
  setSeq(view, 16, header.base);
  setSeq(view, 24, header.prev);
  view.setUint32(32, checksum(bytes.subarray(0, 32)), true);
  return bytes;
}

/** Reads a segment's header; `undefined` where it is short, damaged, or of another version. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== SEGMENT_MAGIC) return undefined;
  if (!WAL_VERSIONS.includes(bytes[4]!)) return undefined;
  if (view.getUint32(32, true) !== checksum(bytes.subarray(0, 32))) return undefined;
  const reason = JUMP_REASONS[bytes[5]!];
  if (reason === undefined) return undefined;
  return {
    epoch: getEpoch(bytes, 8),
    base: getSeq(view, 16),
    prev: getSeq(view, 24),
    reason,
    most: view.getUint16(6, true),
  };
}

/** Writes a record into `into` at `offset`, which must have room; returns the offset behind it. */
export function encodeRecord(
  into: Uint8Array,
  offset: number,
  seq: number,
  payload: Uint8Array,
): number {
  const view = viewOf(into);
  const end = offset + RECORD_HEADER_BYTES + payload.length;
  view.setUint32(offset, payload.length, true);
  view.setUint32(offset + 4, (payload.length ^ LENGTH_CHECK_XOR) >>> 0, true);
  setSeq(view, offset + 8, seq);
  into.set(payload, offset + RECORD_HEADER_BYTES);
  view.setUint32(end, checksum(into.subarray(offset + 8, end)), true);
  return end + 4;
}

/** What stands at an offset of a segment. */
export type Decoded =
  | {
    readonly kind: "record";
    readonly seq: number;
    readonly payload: Uint8Array;
    readonly end: number;
  }
  /** The bytes given end before the record does; `need` bytes from `offset` would hold it. */
  | { readonly kind: "more"; readonly need: number }
  | { readonly kind: "bad" };

/** Reads the record at `offset`; the payload is a view into `bytes`, of which `view` gives the numbers. */
export function decodeRecord(bytes: Uint8Array, offset: number, view = viewOf(bytes)): Decoded {
  const left = bytes.length - offset;
  if (left < RECORD_HEADER_BYTES) return { kind: "more", need: RECORD_HEADER_BYTES };
  const length = view.getUint32(offset, true);
  if (((length ^ LENGTH_CHECK_XOR) >>> 0) !== view.getUint32(offset + 4, true)) {
    return { kind: "bad" };
  }
  if (length > PAYLOAD_BYTES_MAX) return { kind: "bad" };
  const need = RECORD_OVERHEAD_BYTES + length;
  if (left < need) return { kind: "more", need };
  const end = offset + RECORD_HEADER_BYTES + length;
  if (checksum(bytes.subarray(offset + 8, end)) !== view.getUint32(end, true)) {
    return { kind: "bad" };
  }
  const seq = getSeq(view, offset + 8);
  return {
    kind: "record",
    seq,
    payload: bytes.subarray(offset + RECORD_HEADER_BYTES, end),
    end: end + 4,
  };
}

/** The bytes of a checkpoint slot. */
export function encodeSlot(checkpoint: Checkpoint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SLOT_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, CHECKPOINT_MAGIC, true);
  bytes[4] = CHECKPOINT_VERSION;
  bytes[5] = checkpoint.clean ? 1 : 0;
  view.setUint16(6, checkpoint.strides, true);
  view.setUint32(8, checkpoint.turn, true);
  view.setUint32(12, checkpoint.tail, true);
  setEpoch(bytes, 16, checkpoint.epoch);
  setSeq(view, 24, checkpoint.highAcked);
  setSeq(view, 32, checkpoint.lastSeq);
  view.setUint32(40, checkpoint.unsyncedMax, true);
  bytes.set(new TextEncoder().encode(checkpoint.osBootId).subarray(0, OS_BOOT_BYTES), 44);
  view.setUint32(60, checksum(bytes.subarray(0, 60)), true);
  return bytes;
}

/** Reads a checkpoint slot; `undefined` where it is short or damaged. */
export function decodeSlot(bytes: Uint8Array): Checkpoint | undefined {
  if (bytes.length < SLOT_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== CHECKPOINT_MAGIC) return undefined;
  if (view.getUint32(60, true) !== checksum(bytes.subarray(0, 60))) return undefined;
  // Version 1 had zeros in the place of what is new, and more of the boot id.
  const isFirst = bytes[4] === 1;
  if (!isFirst && bytes[4] !== CHECKPOINT_VERSION) return undefined;
  const boot = bytes.subarray(isFirst ? 40 : 44, 60);
  const length = boot.indexOf(0);
  const osBootId = new TextDecoder().decode(length < 0 ? boot : boot.subarray(0, length));
  return {
    turn: view.getUint32(8, true),
    epoch: getEpoch(bytes, 16),
    highAcked: getSeq(view, 24),
    lastSeq: getSeq(view, 32),
    strides: view.getUint16(6, true),
    tail: view.getUint32(12, true),
    unsyncedMax: isFirst ? 0 : view.getUint32(40, true),
    clean: bytes[5] === 1,
    osBootId: shortBootId(osBootId),
  };
}

/**
 * Up to where the log was synced for certain when a checkpoint was written, which a killed process may have left in
 * the page cache only: what was acked to a log with a tail may never have been on the disk.
 */
export function syncedBy(checkpoint: Checkpoint | undefined): number {
  if (checkpoint === undefined || (checkpoint.tail !== 0 && !checkpoint.clean)) return 0;
  return checkpoint.lastSeq;
}

/** The highest seq that may have been given out before the checkpoint's successor was durable. */
export function reservedBy({ lastSeq, strides }: Checkpoint): number {
  return lastSeq + strides * STRIDE_RECORDS;
}

/** The part of an operating system's boot id that a checkpoint keeps. */
export function shortBootId(osBootId: string): string {
  return osBootId.slice(0, OS_BOOT_BYTES);
}
