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
import { Column } from "./column.ts";
import { type Group, Lines, LinesBuilder, NO_GROUP, textsOf } from "./lines.ts";
import { NUMBER_MARK, Shape } from "./shape.ts";

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

const NEWLINE = 0x0a;
const encoder = new TextEncoder();

/** A shape of a stream, with where its columns ended. */
interface Known {
  readonly shape: Shape;
  readonly columns: readonly Column[];
}

/** The shapes of one stream, numbered as they were made. */
class Shapes {
  readonly all: Known[] = [];
  #characters = 0;
  #numbers = 0;

  /** Whether there is room for one more, with this text. */
  hasRoom(text: string): boolean {
    if (this.all.length >= BLOCK_LIMITS.shapes) return false;
    if (this.#characters + text.length > BLOCK_LIMITS.characters) return false;
    return this.#numbers + text.split(NUMBER_MARK).length - 1 <= BLOCK_LIMITS.numbers;
  }

  /** Its number. */
  add(shape: Shape): number {
    this.#characters += shape.text.length;
    this.#numbers += shape.size;
    const columns = Array.from({ length: shape.size }, () => new Column());
    return this.all.push({ shape, columns }) - 1;
  }

  forget(): void {
    this.all.length = this.#characters = this.#numbers = 0;
  }
}

/** Writes the blocks of one stream. */
export class BlockEncoder {
  #builder = new LinesBuilder();
  #shapes = new Shapes();
  #byText = new Map<string, number>();
  /** The shape that was used last. */
  #last: number | undefined;
  /** Whether a shape found no room: the next block forgets all. */
  #isFull = false;

  /** For the lines of the next block of this stream. One at a time. */
  builder(): LinesBuilder {
    this.#builder.clear();
    return this.#builder;
  }

  /** The block of `lines`; from 1 to the limit of them. */
  encode(lines: Lines): Uint8Array<ArrayBuffer> {
    const flags = this.#isFull ? FORGET : 0;
    if (this.#isFull) this.#forget();
    const ops = new ByteWriter(lines.count), plains = new ByteWriter(), shapes = new ByteWriter();
    /** By group: its number in the stream; `undefined` where it found no room. */
    const ids = new Map<Group, number | undefined>();
    for (const run of lines.runs()) {
      if (typeof run === "string") {
        ops.unsigned(PLAIN);
        writeText(plains, run);
        continue;
      }
      const { group } = run;
      let { from } = run;
      if (!ids.has(group)) {
        const known = this.#byText.get(group.shape.text);
        const made = known ?? this.#make(group.shape, shapes);
        ids.set(group, made);
        if (known === undefined && made !== undefined) {
          ops.unsigned(NEW);
          from++;
        }
      }
      const id = ids.get(group);
      if (id === undefined) {
        for (const text of textsOf(run)) {
          ops.unsigned(PLAIN);
          writeText(plains, text);
        }
        continue;
      }
      for (; from < run.to; from++) ops.unsigned(KNOWN + id);
      this.#last = id;
    }
    const out = new ByteWriter();
    out.byte(VERSION);
    out.byte(flags);
    out.unsigned(lines.count);
    for (const part of [ops, plains, shapes]) out.bytes(part.done());
    for (const [{ columns }, id] of ids) {
      if (id === undefined) continue;
      this.#shapes.all[id]!.columns.forEach((column, index) => column.write(columns[index]!, out));
    }
    return out.done();
  }

  /** The number of a new shape, which is told in `out`; `undefined` where it finds no room. */
  #make(shape: Shape, out: ByteWriter): number | undefined {
    if (!this.#shapes.hasRoom(shape.text)) {
      this.#isFull = this.#shapes.all.length > 0;
      return undefined;
    }
    const { text } = shape;
    if (this.#last === undefined) {
      out.unsigned(0);
      writeText(out, text);
    } else {
      const [start, end] = alike(this.#shapes.all[this.#last]!.shape.text, text);
      out.unsigned(this.#last + 1);
      out.unsigned(start);
      out.unsigned(end);
      writeText(out, text.slice(start, text.length - end));
    }
    const id = this.#shapes.add(shape);
    this.#byText.set(text, id);
    return id;
  }

  #forget(): void {
    this.#isFull = false;
    this.#shapes.forget();
    this.#byText.clear();
    this.#last = undefined;
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

  /**
   * The lines of a block, whose texts may take at most `bytesMax` bytes together, with their newlines. Throws
   * {@linkcode CodecError} for what is no block.
   */
  decode(bytes: Uint8Array, bytesMax: number): Lines {
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
    const plains = ops.filter((op) => op === PLAIN).map(() => this.#text(from));
    const { order, uses } = this.#uses(ops, from);
    // Before memory is taken for numbers: there are not more of them than characters.
    let least = plains.reduce((sum, { length }) => sum + length + 1, 0);
    for (const { known, count } of uses) least += count * (known.shape.text.length + 1);
    if (least > bytesMax) throw new CodecError("block has too many characters");
    const groups = uses.map(({ known: { shape, columns }, count }) => ({
      shape,
      count,
      columns: columns.map((column) => column.read(count, from)),
    }));
    if (from.left > 0) throw new CodecError(`${from.left} bytes stand behind the block`);
    const lines = new Lines(order, groups, plains);
    if (lines.bytesMax > bytesMax) lines.texts(bytesMax);
    return lines;
  }

  /** Of each line the index of its shape among those in use here; reads the new ones. */
  #uses(ops: readonly number[], from: ByteReader) {
    const uses: { readonly known: Known; count: number }[] = [];
    const indexes = new Map<number, number>();
    const order = ops.map((op) => {
      if (op === PLAIN) return NO_GROUP;
      const id = op === NEW ? this.#make(this.#shapeText(from)) : op - KNOWN;
      let index = indexes.get(id);
      if (index === undefined) {
        const known = this.#shapes.all[id];
        if (known === undefined) throw new CodecError(`shape ${id} was never made`);
        indexes.set(id, index = uses.push({ known, count: 0 }) - 1);
      }
      uses[index]!.count++;
      return index;
    });
    return { order, uses };
  }

  #shapeText(from: ByteReader): string {
    const base = from.unsigned();
    if (base === 0) return this.#text(from);
    const known = this.#shapes.all[base - 1]?.shape.text;
    const start = from.unsigned(), end = from.unsigned();
    if (known === undefined || start + end > known.length) {
      throw new CodecError(`a shape is like one that was never made: ${base - 1}`);
    }
    return known.slice(0, start) + this.#text(from) + known.slice(known.length - end);
  }

  #make(text: string): number {
    // Before memory is taken for its parts, each of which costs far more than its characters.
    if (!this.#shapes.hasRoom(text)) throw new CodecError("too many shapes to remember");
    return this.#shapes.add(new Shape(text));
  }

  #text(from: ByteReader): string {
    const bytes = from.bytes(from.unsigned());
    if (bytes.includes(NEWLINE)) throw new CodecError("a line has a newline in it");
    try {
      return this.#utf8.decode(bytes);
    } catch {
      throw new CodecError("a text is not valid UTF-8");
    }
  }
}
