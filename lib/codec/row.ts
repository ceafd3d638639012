/**
 * One text of JSON as a row: the number of its shape, and its numbers. A row stands by itself, given the shapes:
 * what damages one damages no other. What comes out is what went in, byte for byte, for bytes of any kind. Pure.
 *
 * ```
 * row     = bytes as they are            where the first is above 64
 *         | 0, bytes as they are
 *         | id (1 to 64), a number for each number of shape id, in order
 * number  = unsigned varint: zigzag(n) × 16 + scale, for n / 10^scale; scale 15: the 64 bits of a double follow
 * note    = id (1 to 64), the shape in UTF-8, with a zero byte for each number
 * ```
 */
import { ByteReader, ByteWriter, CodecError, unzigzag, zigzag } from "./bytes.ts";
import { NO_SCALE } from "./column.ts";
import { ShapeFinder } from "./lines.ts";
import { Shape, type ShapedLine } from "./shape.ts";

/** Most shapes at once; ids go from 1 to that. */
export const ROW_SHAPES_MAX = 64;
/** Longer texts are kept as they are, whatever an encoder is told. */
export const ROW_TEXT_MAX = 4_096;

/** Scale that says that a double follows. */
const DOUBLE_SCALE = 15;
/** A larger number would not fit into a varint beside its scale. */
const NUMBER_MAX = 2 ** 47;
/** Shapes that are remembered as met once. */
const MET_MAX = 64;
const encoder = new TextEncoder();

/** A text as a row, with the note that must be kept for it, where its shape is new. */
export interface EncodedRow {
  readonly row: Uint8Array<ArrayBuffer>;
  readonly note?: Uint8Array<ArrayBuffer>;
}

/** Makes rows; a shape is told in a note when it is met for the second time. */
export class RowEncoder {
  #finder = new ShapeFinder();
  /** By the text of a shape that was noted: its id. */
  #ids = new Map<string, number>();
  /** Ids that were given out; a file of another program may have noted one shape twice. */
  #noted = 0;
  #met = new Set<string>();
  #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Longer texts are kept as they are. */
  readonly textMax: number;

  /** Goes on where `known` shapes have been noted, in the order of their ids. */
  constructor(known: readonly string[] = [], textMax = ROW_TEXT_MAX) {
    this.textMax = Math.min(textMax, ROW_TEXT_MAX);
    for (const text of known) this.#add(text);
  }

  /** The row of `bytes`, at most one byte longer than they are. */
  encode(bytes: Uint8Array): EncodedRow {
    const plain = plainRow(bytes);
    const text = bytes.length > this.textMax ? undefined : this.#textOf(bytes);
    if (text === undefined) return { row: plain };
    const found = this.#finder.find(text);
    if (found === undefined) return { row: plain };
    const { shape } = found;
    const id = this.#ids.get(shape.text);
    if (id !== undefined) return { row: shorter(rowOf(id, found), plain) };
    if (!this.#isWorth(shape.text)) return { row: plain };
    const row = rowOf(this.#noted + 1, found);
    if (row.length >= plain.length) return { row: plain };
    const bytesOfShape = encoder.encode(shape.text);
    const note = new Uint8Array(1 + bytesOfShape.length);
    note[0] = this.#add(shape.text);
    note.set(bytesOfShape, 1);
    return { row, note };
  }

  #textOf(bytes: Uint8Array): string | undefined {
    try {
      return this.#utf8.decode(bytes);
    } catch {
      return undefined;
    }
  }

  #isWorth(text: string): boolean {
    if (this.#noted >= ROW_SHAPES_MAX) return false;
    if (this.#met.delete(text)) return true;
    this.#met.add(text);
    if (this.#met.size > MET_MAX) this.#met.delete(this.#met.values().next().value!);
    return false;
  }

  /** Its id. */
  #add(text: string): number {
    this.#ids.set(text, ++this.#noted);
    return this.#noted;
  }
}

function rowOf(id: number, { shape, numbers, start }: ShapedLine): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(128);
  out.byte(id);
  for (let i = start; i < start + 2 * shape.size; i += 2) {
    writeNumber(out, numbers[i]!, numbers[i + 1]!);
  }
  return out.done();
}

function shorter(row: Uint8Array<ArrayBuffer>, plain: Uint8Array<ArrayBuffer>) {
  return row.length < plain.length ? row : plain;
}

function plainRow(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const isClear = bytes.length > 0 && bytes[0]! > ROW_SHAPES_MAX;
  const row = new Uint8Array(bytes.length + (isClear ? 0 : 1));
  row.set(bytes, isClear ? 0 : 1);
  return row;
}

function writeNumber(out: ByteWriter, number: number, scale: number): void {
  if (scale !== NO_SCALE && Math.abs(number) < NUMBER_MAX) {
    return out.unsigned(zigzag(number) * 16 + scale);
  }
  out.unsigned(DOUBLE_SCALE);
  out.double(scale === NO_SCALE ? number : number / 10 ** scale);
}

/** A row by its numbers. */
export interface ShapedRow extends ShapedLine {
  /** Before `start` {@linkcode ROW_SPARE} places are the receiver's. */
  readonly numbers: Float64Array;
}

/** Places in front of a row's numbers that are the receiver's, for one number more. */
export const ROW_SPARE = 2;
/** Numbers of many rows are made room for at once. */
const NUMBERS_AT_ONCE = 8_192;

/** Reads rows, with the shapes that it was told of. */
export class RowDecoder {
  #shapes = new Map<number, Shape>();
  /** Numbers of rows that were read; it is left to them when it is full. */
  #numbers = new Float64Array(0);
  #used = 0;

  /** Texts of the shapes that are known, in the order of their ids, up to the first that isn't. */
  get known(): string[] {
    const texts: string[] = [];
    for (let id = 1; this.#shapes.has(id); id++) texts.push(this.#shapes.get(id)!.text);
    return texts;
  }

  /** Takes in a note; nothing else than one changes anything. */
  note(note: Uint8Array): void {
    const id = note[0];
    if (id === undefined || id === 0 || id > ROW_SHAPES_MAX || this.#shapes.has(id)) return;
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(note.subarray(1));
    this.#shapes.set(id, new Shape(text));
  }

  /**
   * What a row says, which is the receiver's: bytes, or a line by its numbers, with {@linkcode ROW_SPARE} places in
   * front of them; `undefined` where its shape isn't known.
   * Throws {@linkcode CodecError} for what is no row.
   */
  decode(row: Uint8Array): Uint8Array | ShapedRow | undefined {
    const id = row[0];
    if (id === undefined) throw new CodecError("a row has no bytes");
    if (id > ROW_SHAPES_MAX) return row.slice();
    if (id === 0) return row.slice(1);
    const shape = this.#shapes.get(id);
    if (shape === undefined) return undefined;
    const from = new ByteReader(row, 1);
    const start = this.#room(2 * shape.size);
    for (let index = 0; index < shape.size; index++) {
      readNumber(from, this.#numbers, start + 2 * index);
    }
    if (from.left > 0) throw new CodecError(`${from.left} bytes stand behind a row`);
    this.#used = start + 2 * shape.size;
    return { shape, numbers: this.#numbers, start };
  }

  /** Where so many numbers have room, behind {@linkcode ROW_SPARE} more. */
  #room(count: number): number {
    const need = ROW_SPARE + count;
    if (this.#used + need > this.#numbers.length) {
      this.#numbers = new Float64Array(Math.max(NUMBERS_AT_ONCE, need));
      this.#used = 0;
    }
    return this.#used + ROW_SPARE;
  }
}

function readNumber(from: ByteReader, into: Float64Array, at: number): void {
  const value = from.unsigned();
  const scale = value % 16;
  if (scale !== DOUBLE_SCALE) {
    into[at] = unzigzag((value - scale) / 16);
    into[at + 1] = scale;
  } else if (value === DOUBLE_SCALE) {
    into[at] = from.double();
    into[at + 1] = NO_SCALE;
  } else throw new CodecError("a double with digits");
}
