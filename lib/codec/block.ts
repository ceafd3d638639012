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
const encoder = new TextEncoder();

/** The shapes of one stream, numbered as they were made. */
class Shapes {
  readonly all: Shape[] = [];
  #characters = 0;
  #numbers = 0;

  /** Whether there is room for one more. */
  hasRoom(text: string, numbers: number): boolean {
    return this.haveRoom(1, text.length, numbers);
  }

  /** Whether there is room for so many more. */
  haveRoom(shapes: number, characters: number, numbers: number): boolean {
    return this.all.length + shapes <= BLOCK_LIMITS.shapes &&
      this.#characters + characters <= BLOCK_LIMITS.characters &&
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

  /** The block of `lines`, which are without newline; from 1 to the limit of them. */
  encode(lines: readonly string[]): Uint8Array<ArrayBuffer> {
    const found = lines.map((line) => this.#find(line));
    if (this.#hasRoomFor(found)) return this.#write(lines, found, 0);
    this.#shapes.forget();
    this.#byText.clear();
    this.#lately = [];
    return this.#write(lines, lines.map((line) => this.#find(line)), FORGET);
  }

  #write(
    lines: readonly string[],
    found: readonly Found[],
    flags: number,
  ): Uint8Array<ArrayBuffer> {
    const ops = new ByteWriter(), plains = new ByteWriter(), made = new ByteWriter();
    const uses = new Map<number, Use>();
    found.forEach(({ text, numbers, known }, index) => {
      let id = known ?? (text === undefined ? undefined : this.#byText.get(text));
      if (id !== undefined) ops.unsigned(KNOWN + id);
      else if (text !== undefined && this.#shapes.hasRoom(text, numbers.length / 2)) {
        ops.unsigned(NEW);
        id = this.#make(text, made);
      } else {
        ops.unsigned(PLAIN);
        writeText(plains, lines[index]!);
      }
      if (id !== undefined) addRow(uses, id, this.#shapes.all[id]!, numbers);
    });
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

  #find(line: string): Found {
    for (const id of this.#lately) {
      const numbers = this.#shapes.all[id]!.match(line);
      if (numbers !== undefined) return this.#used(id, numbers);
    }
    const parts = split(line);
    if (parts === undefined) return { text: undefined, numbers: [], known: undefined };
    const id = this.#byText.get(parts.text);
    return id === undefined ? { ...parts, known: undefined } : this.#used(id, parts.numbers);
  }

  #used(id: number, numbers: number[]): Found {
    if (this.#lately[0] !== id) {
      this.#lately = [id, ...this.#lately.filter((other) => other !== id)].slice(0, LATELY_MAX);
    }
    return { text: undefined, numbers, known: id };
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
    this.#used(id, []);
    return id;
  }

  /** Whether all new shapes fit beside what is remembered; what would not fit into nothing stays plain. */
  #hasRoomFor(found: readonly Found[]): boolean {
    if (this.#shapes.all.length === 0) return true;
    const texts = new Set<string>();
    let characters = 0, numbers = 0;
    for (const { text, numbers: { length } } of found) {
      if (text === undefined || texts.has(text)) continue;
      texts.add(text);
      characters += text.length;
      numbers += length / 2;
    }
    return this.#shapes.haveRoom(texts.size, characters, numbers);
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

/** What a line is: of a known shape, of one with that text, or neither. */
interface Found {
  readonly text: string | undefined;
  readonly numbers: number[];
  readonly known: number | undefined;
}

function addRow(uses: Map<number, Use>, id: number, shape: Shape, numbers: readonly number[]) {
  let use = uses.get(id);
  if (use === undefined) {
    use = { shape, columns: shape.columns.map(() => []) };
    uses.set(id, use);
  }
  for (let index = 0; index < numbers.length; index += 2) {
    use.columns[index / 2]!.push(numbers[index]!, numbers[index + 1]!);
  }
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

  /**
   * The lines of a block, which may have at most `charactersMax` characters together. Throws
   * {@linkcode CodecError} for what is no block.
   */
  decode(bytes: Uint8Array, charactersMax: number): string[] {
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
    const plain = ops.filter((op) => op === PLAIN).map(() => this.#text(from));
    const rows = this.#rows(ops, from);
    let characters = plain.reduce((sum, text) => sum + text.length, 0);
    for (const { shape, count } of rows.uses.values()) {
      characters += count * (shape.text.length + 1);
      if (characters > charactersMax) throw new CodecError("block has too many characters");
    }
    const columns = new Map<number, number[][]>();
    for (const [id, { shape, count }] of rows.uses) {
      columns.set(id, shape.columns.map((column) => column.read(count, from)));
    }
    if (from.left > 0) throw new CodecError(`${from.left} bytes stand behind the block`);
    const next = new Map<number, number>();
    let plains = 0;
    const lines = rows.ids.map((id) => {
      if (id === undefined) return plain[plains++]!;
      const row = next.get(id) ?? 0;
      next.set(id, row + 1);
      return this.#shapes.all[id]!.join(columns.get(id)!, row);
    });
    const length = lines.reduce((sum, line) => sum + line.length + 1, 0);
    if (length > charactersMax) throw new CodecError("block has too many characters");
    return lines;
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
    const bytes = from.bytes(from.unsigned());
    if (bytes.includes(0x0a)) throw new CodecError("a line has a newline in it");
    try {
      return this.#utf8.decode(bytes);
    } catch {
      throw new CodecError("a text is not valid UTF-8");
    }
  }
}
