/** One segment file: writing it, and reading it whatever state it is in. */
import { DiskError, type DiskFile } from "../platform/platform.ts";
import {
  decodeRecord,
  encodeRecord,
  encodeSegmentHeader,
  RECORD_OVERHEAD_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from "./format.ts";

/** A stored record; the payload belongs to the receiver. */
export interface StoredRecord {
  readonly seq: number;
  readonly payload: Uint8Array;
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

/** Appends records to one file. Not to be used again after an append threw. */
export class SegmentWriter {
  readonly file: DiskFile;
  #scratch = new Uint8Array(4_096);

  constructor(file: DiskFile) {
    this.file = file;
  }

  /** Starts a new segment in an empty file. */
  static start(file: DiskFile, header: SegmentHeader): SegmentWriter {
    appendWhole(file, encodeSegmentHeader(header));
    return new SegmentWriter(file);
  }

  /** Bytes in the file. */
  get bytes(): number {
    return this.file.size;
  }

  /** Writes one record to the page cache; throws `DiskError`. */
  append(seq: number, payload: Uint8Array): void {
    const need = payload.length + RECORD_OVERHEAD_BYTES;
    if (need > this.#scratch.length) this.#scratch = new Uint8Array(2 * need);
    encodeRecord(this.#scratch, 0, seq, payload);
    appendWhole(this.file, this.#scratch.subarray(0, need));
  }
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

  /** The next record, or `undefined` at the present end of the file; later appends can be read on. */
  async next(): Promise<StoredRecord | undefined> {
    for (;;) {
      const found = this.#take();
      if (typeof found === "object") return found;
      if (!await this.#fill(found)) {
        // A length that reaches beyond the end may itself be damage: look behind it, once.
        if (this.#at >= this.#bytes.length || !this.#hidden()) return undefined;
      }
    }
  }

  /** A record from what was read; else how many bytes from `#at` are needed. */
  #take(): StoredRecord | number {
    for (;;) {
      const decoded = decodeRecord(this.#bytes, this.#at);
      if (decoded.kind === "more") return decoded.need;
      if (
        decoded.kind === "bad" || decoded.seq < this.#minSeq || decoded.seq > this.#maxSeq
      ) {
        this.#at++;
        this.#skipped = true;
        continue;
      }
      if (this.#skipped) this.damaged = true;
      this.#skipped = false;
      this.#at = decoded.end;
      this.goodEnd = this.#start + this.#at;
      this.#minSeq = decoded.seq + 1;
      return { seq: decoded.seq, payload: decoded.payload.slice() };
    }
  }

  /** Whether a whole record stands somewhere behind an unfinished one; moves there. */
  #hidden(): boolean {
    for (let at = this.#at + 1; at < this.#bytes.length; at++) {
      const decoded = decodeRecord(this.#bytes, at);
      if (
        decoded.kind === "record" && decoded.seq >= this.#minSeq && decoded.seq <= this.#maxSeq
      ) {
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
    const into = new Uint8Array(Math.max(READ_BYTES, need));
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
