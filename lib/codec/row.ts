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
import { Shape, type ShapedLine, split } from "./shape.ts";

/** Most shapes at once; ids go from 1 to that. */
export const ROW_SHAPES_MAX = 64;
/** Longer texts are kept as they are, whatever an encoder is told. */
export const ROW_TEXT_MAX = 4_096;

/** Scale that says that a double follows. */
const DOUBLE_SCALE = 15;
/** A larger number would not fit into a varint beside its scale. */
const NUMBER_MAX = 2 ** 47;
/** Shapes that are remembered as met once, and those that are tried first. */
const MET_MAX = 64;
const LATELY_MAX = 4;
const encoder = new TextEncoder();

/** A text as a row, with the note that must be kept for it, where its shape is new. */
export interface EncodedRow {
  readonly row: Uint8Array<ArrayBuffer>;
  readonly note?: Uint8Array<ArrayBuffer>;
}

/** Makes rows; a shape is told in a note when it is met for the second time. */
export class RowEncoder {
  #shapes: Shape[] = [];
  #byText = new Map<string, number>();
  #lately: number[] = [];
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
    for (const id of this.#lately) {
      const numbers = this.#shapes[id - 1]!.match(text);
      if (numbers !== undefined) return { row: shorter(this.#used(id, numbers), plain) };
    }
    const parts = split(text);
    if (parts === undefined) return { row: plain };
    const id = this.#byText.get(parts.text);
    if (id !== undefined) return { row: shorter(this.#used(id, parts.numbers), plain) };
    if (!this.#isWorth(parts.text)) return { row: plain };
    const row = rowOf(this.#shapes.length + 1, parts.numbers);
    if (row.length >= plain.length) return { row: plain };
    const shape = encoder.encode(parts.text);
    const note = new Uint8Array(1 + shape.length);
    note[0] = this.#add(parts.text);
    note.set(shape, 1);
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
    if (this.#shapes.length >= ROW_SHAPES_MAX) return false;
    if (this.#met.delete(text)) return true;
    this.#met.add(text);
    if (this.#met.size > MET_MAX) this.#met.delete(this.#met.values().next().value!);
    return false;
  }

  #add(text: string): number {
    this.#shapes.push(new Shape(text));
    this.#byText.set(text, this.#shapes.length);
    return this.#shapes.length;
  }

  #used(id: number, numbers: readonly number[]): Uint8Array<ArrayBuffer> {
    if (this.#lately[0] !== id) {
      this.#lately = [id, ...this.#lately.filter((other) => other !== id)].slice(0, LATELY_MAX);
    }
    return rowOf(id, numbers);
  }
}

function rowOf(id: number, numbers: readonly number[]): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(128);
  out.byte(id);
  for (let i = 0; i < numbers.length; i += 2) writeNumber(out, numbers[i]!, numbers[i + 1]!);
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
