/** One segment file: writing it, and reading it whatever state it is in. */
import { CodecError } from "../codec/bytes.ts";
import { RowDecoder, RowEncoder, type ShapedRow } from "../codec/row.ts";
import { bytesOfShaped } from "../codec/shape.ts";
import { DiskError, type DiskFile } from "../platform/platform.ts";
import {
  decodeRecord,
  encodeRecord,
  encodeSegmentHeader,
  NOTE_SEQ,
  RECORD_OVERHEAD_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  viewOf,
} from "./format.ts";

/** A stored record; the payload belongs to the receiver. */
export interface StoredRecord {
  readonly seq: number;
  readonly payload: Uint8Array;
  /** The payload by its numbers, where it was read so; who uses them needs no bytes. */
  readonly shaped?: ShapedRow;
}

/** A record by its numbers; its payload is made when it is asked for. */
class ShapedRecord implements StoredRecord {
  readonly seq: number;
  readonly shaped: ShapedRow;

  constructor(seq: number, shaped: ShapedRow) {
    this.seq = seq;
    this.shaped = shaped;
  }

  get payload(): Uint8Array {
    return bytesOfShaped(this.shaped);
  }
}

function recordOf(seq: number, content: Uint8Array | ShapedRow): StoredRecord {
  return content instanceof Uint8Array ? { seq, payload: content } : new ShapedRecord(seq, content);
}

/** The bytes of a record's payload; about, where they aren't made yet. */
export function payloadBytes(record: StoredRecord): number {
  return record.shaped?.shape.bytesUsual ?? record.payload.length;
}

const READ_BYTES = 65_536;
/** What is left out where the medium can't be read: the unit that file systems read. */
const BLOCK_BYTES = 4_096;

/** Appends all of `bytes`, or throws; what a full disk took of them stays as a torn tail. */
function appendWhole(file: DiskFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const written = file.append(bytes.subarray(done));
    if (written === 0) throw new DiskError("full", "nothing could be appended: is the disk full?");
    done += written;
  }
}

/** How far behind a note its last copy stands at least, so that no single block of a medium holds all. */
const COPY_DISTANCE_BYTES = 8_192;
/** What a note takes beside the shape. */
const NOTE_OVERHEAD_BYTES = RECORD_OVERHEAD_BYTES + 1;

/** A note whose last copy is still to be written. */
interface Note {
  readonly note: Uint8Array;
  /** Bytes in the file when it was written. */
  readonly at: number;
}

/**
 * Appends records to one file, as rows; what rows need to be read stands twice before the first of them, and once
 * more further on. Not to be used again after an append threw.
 */
export class SegmentWriter {
  readonly file: DiskFile;
  #rows: RowEncoder;
  #notes: Note[] = [];
  #scratch = new Uint8Array(4_096);

  /** Goes on in a file in which these shapes are noted; payloads of more than `textMax` bytes are kept as they are. */
  constructor(file: DiskFile, textMax: number, shapes: readonly string[] = []) {
    this.file = file;
    this.#rows = new RowEncoder(shapes, textMax);
  }

  /** Starts a new segment, where the file is empty. Throws `DiskError`. */
  start(header: SegmentHeader): void {
    appendWhole(this.file, encodeSegmentHeader(header));
  }

  /** Bytes in the file. */
  get bytes(): number {
    return this.file.size;
  }

  /** The most that the next record with such a payload can take. */
  room(payload: Uint8Array): number {
    const [first] = this.#notes;
    const isNotable = payload.length <= this.#rows.textMax;
    return roomFor(payload) + (isNotable ? 2 * (payload.length + NOTE_OVERHEAD_BYTES) : 0) +
      (first === undefined ? 0 : first.note.length + RECORD_OVERHEAD_BYTES);
  }

  /** Writes one record to the page cache; returns its bytes, notes included. Throws `DiskError`. */
  append(seq: number, payload: Uint8Array): number {
    const { row, note } = this.#rows.encode(payload);
    const parts: [number, Uint8Array][] = [[seq, row]];
    if (note !== undefined) {
      parts.unshift([NOTE_SEQ, note], [NOTE_SEQ, note]);
      this.#notes.push({ note, at: this.bytes });
    }
    const [first] = this.#notes;
    if (first !== undefined && this.bytes >= first.at + COPY_DISTANCE_BYTES) {
      this.#notes.shift();
      parts.unshift([NOTE_SEQ, first.note]);
    }
    const need = parts.reduce((sum, [, { length }]) => sum + length + RECORD_OVERHEAD_BYTES, 0);
    if (need > this.#scratch.length) this.#scratch = new Uint8Array(2 * need);
    let end = 0;
    for (const [seq, part] of parts) end = encodeRecord(this.#scratch, end, seq, part);
    appendWhole(this.file, this.#scratch.subarray(0, end));
    return end;
  }
}

/** The most that a record with such a payload can take, notes aside. */
export function roomFor(payload: Uint8Array): number {
  return payload.length + 1 + RECORD_OVERHEAD_BYTES;
}

/**
 * Reads the records of a file in order, skipping what is damaged: behind damage it looks at each further
 * offset for a record whose checksum and seq fit. Memory: one chunk and one record.
 */
export class SegmentReader {
  #file: DiskFile;
  #minSeq: number;
  #maxSeq: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #view = viewOf(this.#bytes);
  #buffer = new Uint8Array(0);
  /** File offset of the first byte in `#bytes`. */
  #start: number;
  /** Offset in `#bytes` of what comes next. */
  #at = 0;
  #skipped = false;
  /** File offset behind the last whole record. */
  goodEnd: number;
  /** Whether anything was skipped before a later record. */
  damaged = false;
  /** Whether a part could not be read, and was left out. */
  unreadable = false;
  #tolerant: boolean;
  #rows = new RowDecoder();
  /** A row that was taken and couldn't be read at once. */
  #unread: StoredRecord | undefined;
  /** Whether all notes of the file were looked for. */
  #hasAllNotes = false;

  /**
   * Only seqs from `minSeq` to `maxSeq` count as records of this segment. With `tolerant` blocks that can't be
   * read count as damage; else the error is thrown.
   */
  constructor(
    file: DiskFile,
    minSeq: number,
    { maxSeq = Infinity, tolerant = false }: { maxSeq?: number; tolerant?: boolean } = {},
  ) {
    this.#file = file;
    this.#minSeq = minSeq;
    this.#maxSeq = maxSeq;
    this.#tolerant = tolerant;
    this.#start = SEGMENT_HEADER_BYTES;
    this.goodEnd = SEGMENT_HEADER_BYTES;
  }

  /** Shapes that were noted in what was read, in the order of their ids. */
  get shapes(): string[] {
    return this.#rows.known;
  }

  /** The next record, or `undefined` at the present end of the file; later appends can be read on. */
  async next(): Promise<StoredRecord | undefined> {
    for (;;) {
      const record = this.nextAtHand();
      if (record !== undefined) return record;
      const row = this.#unread ?? await this.nextRow();
      this.#unread = undefined;
      if (row === undefined) return undefined;
      const content = await this.#contentOf(row.payload);
      if (content !== undefined) return recordOf(row.seq, content);
      this.damaged = true;
    }
  }

  /** As {@linkcode next}, where that takes no waiting; `undefined` where it may. */
  nextAtHand(): StoredRecord | undefined {
    if (this.#unread !== undefined) return undefined;
    const row = this.#take();
    if (typeof row === "number") return undefined;
    const content = this.#decoded(row.payload);
    if (content === undefined) this.#unread = row;
    return content && recordOf(row.seq, content);
  }

  /** As {@linkcode next}, with the row as it stands in the file, valid until the next call. */
  async nextRow(): Promise<StoredRecord | undefined> {
    for (;;) {
      const found = this.#take();
      if (typeof found === "object") return found;
      if (!await this.#fill(found)) {
        // A length that reaches beyond the end may itself be damage: look behind it, once.
        if (this.#at >= this.#bytes.length || !this.#hidden()) return undefined;
      }
    }
  }

  /** What a row says; `undefined` where that can't be told any more. */
  async #contentOf(row: Uint8Array): Promise<Uint8Array | ShapedRow | undefined> {
    const content = this.#decoded(row);
    if (content !== undefined || this.#hasAllNotes) return content;
    // Its first note is damaged: the copy stands further on.
    this.#hasAllNotes = true;
    const ahead = new SegmentReader(this.#file, 1, { tolerant: this.#tolerant });
    ahead.#rows = this.#rows;
    while (await ahead.nextRow() !== undefined);
    return this.#decoded(row);
  }

  #decoded(row: Uint8Array): Uint8Array | ShapedRow | undefined {
    try {
      return this.#rows.decode(row);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      return undefined;
    }
  }

  /** A record from what was read; else how many bytes from `#at` are needed. */
  #take(): StoredRecord | number {
    for (;;) {
      const decoded = decodeRecord(this.#bytes, this.#at, this.#view);
      if (decoded.kind === "more") return decoded.need;
      if (decoded.kind === "bad" || !this.#isOurs(decoded.seq)) {
        this.#at++;
        this.#skipped = true;
        continue;
      }
      if (this.#skipped) this.damaged = true;
      this.#skipped = false;
      this.#at = decoded.end;
      this.goodEnd = this.#start + this.#at;
      if (decoded.seq === NOTE_SEQ) {
        this.#rows.note(decoded.payload);
        continue;
      }
      this.#minSeq = decoded.seq + 1;
      return { seq: decoded.seq, payload: decoded.payload };
    }
  }

  #isOurs(seq: number): boolean {
    return seq === NOTE_SEQ || (seq >= this.#minSeq && seq <= this.#maxSeq);
  }

  /** Whether a whole record stands somewhere behind an unfinished one; moves there. */
  #hidden(): boolean {
    for (let at = this.#at + 1; at < this.#bytes.length; at++) {
      const decoded = decodeRecord(this.#bytes, at);
      if (decoded.kind === "record" && this.#isOurs(decoded.seq)) {
        this.#at = at;
        this.#skipped = true;
        return true;
      }
    }
    return false;
  }

  /** Reads on until `need` bytes from `#at` are there; false at the end of the file. */
  async #fill(need: number): Promise<boolean> {
    const rest = this.#bytes.subarray(this.#at);
    // Rows are valid until the next call only, so that their memory can be used again.
    if (need > this.#buffer.length) this.#buffer = new Uint8Array(Math.max(READ_BYTES, need));
    const into = this.#buffer;
    into.set(rest);
    let length = rest.length;
    this.#start += this.#at;
    this.#at = 0;
    while (length < need) {
      const count = await this.#readAt(this.#start + length, into.subarray(length));
      if (count === 0) break;
      length += count;
    }
    this.#bytes = into.subarray(0, length);
    this.#view = viewOf(this.#bytes);
    return length >= need;
  }

  /** Reads as the file does; tolerant, a block that can't be read is zeros, which no record begins with. */
  async #readAt(offset: number, into: Uint8Array): Promise<number> {
    try {
      return await this.#file.readAt(offset, into);
    } catch (error) {
      if (!this.#tolerant || !(error instanceof DiskError)) throw error;
    }
    const left = Math.max(0, this.#file.size - offset);
    const block = Math.min(into.length, left, BLOCK_BYTES - offset % BLOCK_BYTES);
    if (block === 0) return 0;
    try {
      return await this.#file.readAt(offset, into.subarray(0, block));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      into.fill(0, 0, block);
      this.unreadable = true;
      return block;
    }
  }
}
