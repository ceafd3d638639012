/**
 * Lines of JSON as a block: lines that differ in their numbers only share a shape, and their numbers stand in
 * columns. What comes out is what went in, byte for byte. Encoder and decoder of one stream remember shapes and
 * where columns ended, in step, so that a small block is small, too; a new pair makes a block that stands alone.
 *
 * ```
 * block  = version (1)                    one byte
 *          flags                          one byte; 1: all shapes are forgotten first
 *          count                          of lines, at least 1
 *          count × op                     0: plain; 1: a new shape; n + 2: shape n, in the order of their making
 *          for each 0: length, bytes      the line
 *          for each 1: shape              the line with a zero byte for each number, see below
 *          for each shape in use          in the order of first use here: its columns (column.ts)
 * shape  = 0, length, bytes               its text; or, where it is like an earlier one:
 *          n + 1, start, end, length, bytes   as many characters from the start and the end of shape n, and
 *                                         between them the text
 * ```
 * Numbers here are unsigned varints, lengths in bytes, characters UTF-16 code units, texts UTF-8, lines without
 * newline. Pure; bounded on every input.
 */
import { ByteReader, ByteWriter, CodecError } from "./bytes.ts";
import type { ColumnPart } from "./column.ts";
import { Shape, split } from "./shape.ts";

const VERSION = 1;
const FORGET = 1;
const PLAIN = 0, NEW = 1, KNOWN = 2;

/** Bounds of what a stream may make the other side remember. */
export const BLOCK_LIMITS = {
  /** Shapes at once. */
  shapes: 64,
  /** Characters of their texts. */
  characters: 65_536,
  /** Numbers in them. */
  numbers: 4_096,
  /** Lines of one block. */
  lines: 65_536,
} as const;

/** Shapes that are tried before a line is taken apart. */
const LATELY_MAX = 4;
const NEWLINE = 0x0a;
/** A decoder keeps no more than that for the next block. */
const SCRATCH_BYTES_MAX = 65_536;
const encoder = new TextEncoder();

/** The shapes of one stream, numbered as they were made. */
class Shapes {
  readonly all: Shape[] = [];
  #characters = 0;
  #numbers = 0;

  /** Whether there is room for one more. */
  hasRoom(text: string, numbers: number): boolean {
    return this.all.length < BLOCK_LIMITS.shapes &&
      this.#characters + text.length <= BLOCK_LIMITS.characters &&
      this.#numbers + numbers <= BLOCK_LIMITS.numbers;
  }

  add(shape: Shape): number {
    this.#characters += shape.text.length;
    this.#numbers += shape.columns.length;
    return this.all.push(shape) - 1;
  }

  forget(): void {
    this.all.length = this.#characters = this.#numbers = 0;
  }
}

/** The lines of one shape in a block. */
interface Use {
  readonly shape: Shape;
  readonly columns: number[][];
}

/** Writes the blocks of one stream. */
export class BlockEncoder {
  #shapes = new Shapes();
  #byText = new Map<string, number>();
  /** Numbers of the shapes that were used last, the last one first. */
  #lately: number[] = [];

  /** Whether a shape found no room: the next block forgets all. */
  #isFull = false;

  /** The block of `lines`, which are without newline; from 1 to the limit of them. */
  encode(lines: readonly string[]): Uint8Array<ArrayBuffer> {
    const flags = this.#isFull ? FORGET : 0;
    if (this.#isFull) this.#forget();
    const ops = new ByteWriter(lines.length), plains = new ByteWriter(), made = new ByteWriter();
    const uses = new Map<number, Use>();
    for (const line of lines) {
      if (!this.#addKnown(line, ops, uses) && !this.#addOther(line, ops, made, uses)) {
        ops.unsigned(PLAIN);
        writeText(plains, line);
      }
    }
    const out = new ByteWriter();
    out.byte(VERSION);
    out.byte(flags);
    out.unsigned(lines.length);
    for (const part of [ops, plains, made]) out.bytes(part.done());
    for (const { shape, columns } of uses.values()) {
      shape.columns.forEach((column, index) => column.write(columns[index]!, out));
    }
    return out.done();
  }

  /** Adds a line of a shape that was used lately; false where it is of none. */
  #addKnown(line: string, ops: ByteWriter, uses: Map<number, Use>): boolean {
    for (const id of this.#lately) {
      const numbers = this.#shapes.all[id]!.match(line);
      if (numbers === undefined) continue;
      ops.unsigned(KNOWN + id);
      this.#add(id, numbers, uses);
      return true;
    }
    return false;
  }

  /** Adds a line of another shape, which is made where it is new; false where it must stay plain. */
  #addOther(line: string, ops: ByteWriter, made: ByteWriter, uses: Map<number, Use>): boolean {
    const parts = split(line);
    if (parts === undefined) return false;
    const { text, numbers } = parts;
    let id = this.#byText.get(text);
    if (id !== undefined) ops.unsigned(KNOWN + id);
    else if (this.#shapes.hasRoom(text, numbers.length / 2)) {
      ops.unsigned(NEW);
      id = this.#make(text, made);
    } else {
      this.#isFull = this.#shapes.all.length > 0;
      return false;
    }
    this.#add(id, numbers, uses);
    return true;
  }

  #add(id: number, numbers: readonly number[], uses: Map<number, Use>): void {
    if (this.#lately[0] !== id) {
      this.#lately = [id, ...this.#lately.filter((other) => other !== id)].slice(0, LATELY_MAX);
    }
    let use = uses.get(id);
    if (use === undefined) {
      const shape = this.#shapes.all[id]!;
      uses.set(id, use = { shape, columns: shape.columns.map(() => []) });
    }
    const { columns } = use;
    for (let index = 0; index < numbers.length; index += 2) {
      columns[index >> 1]!.push(numbers[index]!, numbers[index + 1]!);
    }
  }

  #make(text: string, out: ByteWriter): number {
    const base = this.#lately[0];
    if (base === undefined) {
      out.unsigned(0);
      writeText(out, text);
    } else {
      const [start, end] = alike(this.#shapes.all[base]!.text, text);
      out.unsigned(base + 1);
      out.unsigned(start);
      out.unsigned(end);
      writeText(out, text.slice(start, text.length - end));
    }
    const id = this.#shapes.add(new Shape(text));
    this.#byText.set(text, id);
    return id;
  }

  #forget(): void {
    this.#isFull = false;
    this.#shapes.forget();
    this.#byText.clear();
    this.#lately = [];
  }
}

/** How many characters two texts share at their start and, of the rest, at their end; ASCII only. */
function alike(one: string, other: string): [number, number] {
  const most = Math.min(one.length, other.length);
  let start = 0, end = 0;
  while (start < most && isAlike(one.charCodeAt(start), other.charCodeAt(start))) start++;
  while (
    end < most - start &&
    isAlike(one.charCodeAt(one.length - 1 - end), other.charCodeAt(other.length - 1 - end))
  ) end++;
  return [start, end];
}

/** A character outside ASCII may be half of one. */
function isAlike(one: number, other: number): boolean {
  return one === other && one < 128;
}

function writeText(out: ByteWriter, text: string): void {
  const bytes = encoder.encode(text);
  out.unsigned(bytes.length);
  out.bytes(bytes);
}

/** Reads the blocks of one stream. After an error the stream can't go on. */
export class BlockDecoder {
  #shapes = new Shapes();
  #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #scratch = new Uint8Array(1_024);

  /**
   * The lines of a block, which may take at most `bytesMax` bytes together, with their newlines. Throws
   * {@linkcode CodecError} for what is no block.
   */
  decode(bytes: Uint8Array, bytesMax: number): string[] {
    const from = new ByteReader(bytes);
    const version = from.byte();
    if (version !== VERSION) throw new CodecError(`block is of version ${version}, not ${VERSION}`);
    const flags = from.byte();
    if (flags > FORGET) throw new CodecError(`unknown flags ${flags} of a block`);
    if (flags === FORGET) this.#shapes.forget();
    const count = from.unsigned();
    if (count === 0 || count > Math.min(BLOCK_LIMITS.lines, from.left)) {
      throw new CodecError(`block has ${count} lines`);
    }
    const ops = Array.from({ length: count }, () => from.unsigned());
    const plain = ops.filter((op) => op === PLAIN).map(() => this.#bytes(from));
    const { ids, uses } = this.#rows(ops, from);
    let least = plain.reduce((sum, { length }) => sum + length + 1, 0);
    for (const { shape, count } of uses.values()) least += count * (shape.text.length + 1);
    if (least > bytesMax) throw new CodecError("block has too many characters");
    const columns = new Map<number, ColumnPart[]>();
    for (const [id, { shape, count }] of uses) {
      columns.set(id, shape.columns.map((column) => column.read(count, from)));
    }
    if (from.left > 0) throw new CodecError(`${from.left} bytes stand behind the block`);
    return this.#join(ids, plain, columns, bytesMax);
  }

  /** Puts the lines together as one text, which is taken apart at the end: that costs least. */
  #join(
    ids: readonly (number | undefined)[],
    plain: readonly Uint8Array[],
    columns: ReadonlyMap<number, readonly ColumnPart[]>,
    bytesMax: number,
  ): string[] {
    const rows = new Map<number, number>();
    const decimal = { number: 0, scale: 0 };
    let text = this.#scratch, at = 0, plains = 0;
    for (const id of ids) {
      const line = id === undefined ? plain[plains++]! : undefined;
      const shape = id === undefined ? undefined : this.#shapes.all[id]!;
      const need = at + (line?.length ?? shape!.bytesMax) + 1;
      if (need > text.length) {
        const larger = new Uint8Array(Math.max(2 * text.length, need));
        larger.set(text.subarray(0, at));
        text = larger;
      }
      if (line !== undefined) {
        text.set(line, at);
        at += line.length;
      } else {
        const row = rows.get(id!) ?? 0;
        const parts = columns.get(id!)!;
        rows.set(id!, row + 1);
        at = shape!.write(text, at, (index) => {
          decimal.number = parts[index]!.numbers[row]!;
          decimal.scale = parts[index]!.scale;
          return decimal;
        });
      }
      text[at++] = NEWLINE;
      if (at > bytesMax) throw new CodecError("block has too many characters");
    }
    if (text.length <= SCRATCH_BYTES_MAX) this.#scratch = text;
    return this.#decoded(text.subarray(0, at - 1)).split("\n");
  }

  /** Which shape each line has, and how many lines each shape; reads the new ones. */
  #rows(ops: readonly number[], from: ByteReader) {
    const uses = new Map<number, { shape: Shape; count: number }>();
    const ids = ops.map((op) => {
      if (op === PLAIN) return undefined;
      const id = op === NEW ? this.#make(this.#shapeText(from)) : op - KNOWN;
      const shape = this.#shapes.all[id];
      if (shape === undefined) throw new CodecError(`shape ${id} was never made`);
      const use = uses.get(id);
      if (use === undefined) uses.set(id, { shape, count: 1 });
      else use.count++;
      return id;
    });
    return { ids, uses };
  }

  #shapeText(from: ByteReader): string {
    const base = from.unsigned();
    if (base === 0) return this.#text(from);
    const known = this.#shapes.all[base - 1]?.text;
    const start = from.unsigned(), end = from.unsigned();
    if (known === undefined || start + end > known.length) {
      throw new CodecError(`a shape is like one that was never made: ${base - 1}`);
    }
    return known.slice(0, start) + this.#text(from) + known.slice(known.length - end);
  }

  #make(text: string): number {
    const shape = new Shape(text);
    if (!this.#shapes.hasRoom(text, shape.columns.length)) {
      throw new CodecError("too many shapes to remember");
    }
    return this.#shapes.add(shape);
  }

  #text(from: ByteReader): string {
    return this.#decoded(this.#bytes(from));
  }

  #bytes(from: ByteReader): Uint8Array {
    const bytes = from.bytes(from.unsigned());
    if (bytes.includes(NEWLINE)) throw new CodecError("a line has a newline in it");
    return bytes;
  }

  #decoded(bytes: Uint8Array): string {
    try {
      return this.#utf8.decode(bytes);
    } catch {
      throw new CodecError("a text is not valid UTF-8");
    }
  }
}
