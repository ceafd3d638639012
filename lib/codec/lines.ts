/**
 * Lines of text with the numbers of those of one shape in columns: what a block carries. Who needs numbers only never
 * makes the texts. Pure.
 */
import { CodecError } from "./bytes.ts";
import { ColumnBuilder, type ColumnPart } from "./column.ts";
import { type Decimal, Shape, type ShapedLine, split } from "./shape.ts";

/** The lines of one shape, in order. */
export interface Group {
  readonly shape: Shape;
  /** How many lines. */
  readonly count: number;
  /** One for each number of the shape; all of the same length. */
  readonly columns: readonly ColumnPart[];
}

/** Lines that follow each other: those in rows `from` up to but not including `to` of a group. */
export interface Run {
  readonly group: Group;
  readonly from: number;
  readonly to: number;
}

/** Group of a line that has none: it is kept as a text. */
export const NO_GROUP = -1;
const NEWLINE = 0x0a;
/** For so many there is room at first. */
const LINES_AT_ONCE = 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** See the head of the file. */
export class Lines {
  /** Of each line the index of its group, or {@linkcode NO_GROUP}. */
  readonly order: readonly number[];
  readonly groups: readonly Group[];
  /** Lines without a group, in order. */
  readonly plains: readonly string[];
  #texts: readonly string[] | undefined;

  constructor(
    order: readonly number[],
    groups: readonly Group[],
    plains: readonly string[],
  ) {
    this.order = order;
    this.groups = groups;
    this.plains = plains;
  }

  /** Lines that are texts only. */
  static of(texts: readonly string[]): Lines {
    return new Lines(new Array(texts.length).fill(NO_GROUP), [], texts);
  }

  get count(): number {
    return this.order.length;
  }

  /** The most bytes that the texts can take, with a newline behind each. */
  get bytesMax(): number {
    let bytes = 0;
    for (const text of this.plains) bytes += 3 * text.length + 1;
    for (const { shape, count } of this.groups) bytes += count * (shape.bytesMax + 1);
    return bytes;
  }

  /** The lines in order: a text, or as many as possible of one group. */
  *runs(): Generator<string | Run> {
    const rows = new Array(this.groups.length).fill(0);
    let plains = 0;
    for (let line = 0; line < this.order.length;) {
      const index = this.order[line]!;
      if (index === NO_GROUP) {
        yield this.plains[plains++]!;
        line++;
        continue;
      }
      const start = line;
      while (this.order[line] === index) line++;
      const from = rows[index];
      const to = rows[index] = from + line - start;
      yield { group: this.groups[index]!, from, to };
    }
  }

  /**
   * The lines as texts, which are made once. Throws {@linkcode CodecError} where they take more than `bytesMax` with a
   * newline behind each.
   */
  texts(bytesMax = Infinity): readonly string[] {
    return this.#texts ??= this.#makeTexts(bytesMax);
  }

  #makeTexts(bytesMax: number): readonly string[] {
    const texts: string[] = [];
    let bytes = 0;
    for (const run of this.runs()) {
      if (typeof run === "string") {
        bytes += encoder.encode(run).length + 1;
        texts.push(run);
      } else {
        bytes += writeTexts(run, texts, bytesMax - bytes);
      }
      if (bytes > bytesMax) throw new CodecError("block has too many characters");
    }
    return texts;
  }
}

/** The texts of a run. */
export function textsOf(run: Run): string[] {
  const texts: string[] = [];
  writeTexts(run, texts, Infinity);
  return texts;
}

/** Adds texts to `into` until they take more than `bytesMax`; the bytes that they take. */
function writeTexts(
  { group: { shape, columns }, from, to }: Run,
  into: string[],
  bytesMax: number,
) {
  const decimal: Decimal = { number: 0, scale: 0 };
  const lineMax = shape.bytesMax + 1;
  // Made as one, which is taken apart at the end: that costs least.
  let text = new Uint8Array(Math.min(to - from, LINES_AT_ONCE) * lineMax), at = 0;
  for (let row = from; row < to && at <= bytesMax; row++) {
    if (at + lineMax > text.length) {
      const larger = new Uint8Array(2 * text.length);
      larger.set(text);
      text = larger;
    }
    at = shape.write(text, at, (index) => {
      const { numbers, scale } = columns[index]!;
      decimal.number = numbers[row]!;
      decimal.scale = scale;
      return decimal;
    });
    text[at++] = NEWLINE;
  }
  for (const line of decoder.decode(text.subarray(0, at - 1)).split("\n")) into.push(line);
  return at;
}

/** Shapes that are tried before a line is taken apart, and those that are remembered. */
const LATELY_MAX = 4, REMEMBERED_MAX = 256;

/** Tells of which shape a line is. */
export class ShapeFinder {
  #byText = new Map<string, Shape>();
  /** The shapes that were found last, the last one first. */
  #lately: Shape[] = [];

  /**
   * A line by its numbers, valid until the next call; `undefined` where it has no shape.
   */
  find(line: string): ShapedLine | undefined {
    for (const shape of this.#lately) {
      const numbers = shape.match(line);
      if (numbers === undefined) continue;
      this.#used(shape);
      return { shape, numbers, start: 0 };
    }
    const parts = split(line);
    if (parts === undefined) return undefined;
    const shape = this.#shapeOf(parts.text);
    this.#used(shape);
    return { shape, numbers: parts.numbers, start: 0 };
  }

  #shapeOf(text: string): Shape {
    let shape = this.#byText.get(text);
    if (shape === undefined) {
      if (this.#byText.size >= REMEMBERED_MAX) this.#byText.clear();
      this.#byText.set(text, shape = new Shape(text));
    }
    return shape;
  }

  #used(shape: Shape): void {
    if (this.#lately[0] === shape) return;
    this.#lately = [shape, ...this.#lately.filter((other) => other !== shape)].slice(0, LATELY_MAX);
  }
}

/** Groups of which the memory is kept for what comes next. */
const GROUPS_KEPT = 8;

/** Gathers lines. */
export class LinesBuilder {
  #finder = new ShapeFinder();
  #order: number[] = [];
  #groups: { readonly shape: Shape; count: number; readonly columns: ColumnBuilder[] }[] = [];
  /** By the text of a shape, as the same comes from several streams, and by shape, of which any number may come. */
  #byText = new Map<string, number>();
  #byShape = new WeakMap<Shape, number>();
  #plains: string[] = [];

  get count(): number {
    return this.#order.length;
  }

  /** Adds a line without newline. */
  addText(line: string): void {
    const found = this.#finder.find(line);
    if (found !== undefined) return this.addShaped(found);
    this.#order.push(NO_GROUP);
    this.#plains.push(line);
  }

  /** Adds a line by its numbers. */
  addShaped({ shape, numbers, start }: ShapedLine): void {
    const index = this.#indexOf(shape);
    const group = this.#groups[index]!;
    const { columns } = group;
    group.count++;
    this.#order.push(index);
    for (let i = 0, at = start; i < columns.length; i++, at += 2) {
      columns[i]!.push(numbers[at]!, numbers[at + 1]!);
    }
  }

  /** Adds lines of a shape by their columns: rows `from` up to but not including `to`. */
  addRows(shape: Shape, columns: readonly ColumnPart[], from: number, to: number): void {
    const index = this.#indexOf(shape);
    for (let row = from; row < to; row++) this.#order.push(index);
    const group = this.#groups[index]!;
    const builders = group.columns;
    group.count += to - from;
    for (let i = 0; i < builders.length; i++) builders[i]!.append(columns[i]!, from, to);
  }

  /** Adds all of `lines`. */
  addLines(lines: Lines): void {
    for (const run of lines.runs()) {
      if (typeof run === "string") this.addText(run);
      else this.addRows(run.group.shape, run.group.columns, run.from, run.to);
    }
  }

  /** Begins anew; what was gathered is no longer valid. Memory of shapes that may come again is kept. */
  clear(): void {
    this.#order = [];
    this.#plains = [];
    if (this.#groups.length > GROUPS_KEPT) {
      this.#groups = [];
      this.#byText.clear();
      this.#byShape = new WeakMap();
    }
    for (const group of this.#groups) {
      group.count = 0;
      for (const column of group.columns) column.clear();
    }
  }

  /** What was gathered; valid until more is. */
  done(): Lines {
    const groups = this.#groups.map(({ shape, count, columns }) => ({
      shape,
      count,
      columns: columns.map(({ part }) => part),
    }));
    return new Lines(this.#order, groups, this.#plains);
  }

  #indexOf(shape: Shape): number {
    const known = this.#byShape.get(shape) ?? this.#byText.get(shape.text);
    if (known !== undefined) {
      this.#byShape.set(shape, known);
      return known;
    }
    const columns = Array.from({ length: shape.size }, () => new ColumnBuilder());
    const index = this.#groups.push({ shape, count: 0, columns }) - 1;
    this.#byShape.set(shape, index);
    this.#byText.set(shape.text, index);
    return index;
  }
}
