/**
 * Numbers of one place in lines of one shape, as a column: decimal fractions as whole numbers, of which the
 * differences are kept. A column remembers where it ended, so that the next block goes on from there. Pure.
 *
 * ```
 * column  = mode, then as many numbers as there are lines
 * mode    = kind × 16 + scale          one byte; a number n of scale s stands for n / 10^s
 * kind      0  same    nothing follows: each is the last number of this column
 *           1  delta   each is the one before it plus a signed varint
 *           2  change  each is the one before it plus the difference before it plus a signed varint
 *           3  double  64 bits each, scale 0; the column then ends at 0
 *           4  packed  a byte: how many bits, 1 to 32; then as delta, zigzagged, so many bits each
 * ```
 * A column begins with last number and difference 0, and so it does where the scale is another than before.
 */
import { type ByteReader, type ByteWriter, CodecError, unzigzag, zigzag } from "./bytes.ts";

const SAME = 0, DELTA = 1, CHANGE = 2, DOUBLE = 3, PACKED = 4;
/** Longer columns of varints are compressed better by what comes after. */
const PACKED_MAX = 48;
const PACKED_BITS_MAX = 32;
/** Digits behind the point. */
const SCALE_MAX = 15;
/** Numbers are below that in size, so that differences of differences stay exact. */
const NUMBER_MAX = 2 ** 50;
/** The scale of numbers that are no short decimals: they are doubles. */
export const NO_SCALE = -1;
const POWERS = Array.from({ length: SCALE_MAX + 1 }, (_, scale) => 10 ** scale);

/** Numbers of one place, in order: whole ones and their scale, or finite doubles and {@linkcode NO_SCALE}. */
export interface ColumnPart {
  readonly numbers: Float64Array;
  readonly scale: number;
}

/** The number of a row. */
export function valueAt({ numbers, scale }: ColumnPart, row: number): number {
  return scale <= 0 ? numbers[row]! : numbers[row]! / POWERS[scale]!;
}

/** Gathers the numbers of one place, and brings them to one scale. */
export class ColumnBuilder {
  #numbers: Float64Array<ArrayBuffer>;
  #length = 0;
  #scale = 0;
  /** Size of the largest number. */
  #largest = 0;

  /** So many numbers are expected. */
  constructor(count = 16) {
    this.#numbers = new Float64Array(count);
  }

  /** Begins anew, in the same memory. */
  clear(): void {
    this.#length = this.#scale = this.#largest = 0;
  }

  /** Adds a whole number below 10^15 in size and its scale, or a finite double and {@linkcode NO_SCALE}; none is -0. */
  push(number: number, scale: number): void {
    if (this.#length === this.#numbers.length) this.#room(this.#length + 1);
    if (scale !== this.#scale) number = this.#bring(number, scale);
    const size = number < 0 ? -number : number;
    if (size > this.#largest) this.#largest = size;
    this.#numbers[this.#length++] = number;
  }

  /** Adds rows `from` up to but not including `to` of another column. */
  append({ numbers, scale }: ColumnPart, from: number, to: number): void {
    this.#room(this.#length + to - from);
    if (this.#length === 0) this.#scale = scale;
    if (scale !== this.#scale) {
      for (let row = from; row < to; row++) this.push(numbers[row]!, scale);
      return;
    }
    for (let row = from; row < to; row++) {
      const number = numbers[row]!;
      const size = number < 0 ? -number : number;
      if (size > this.#largest) this.#largest = size;
      this.#numbers[this.#length++] = number;
    }
  }

  /** What was added; valid until more is. */
  get part(): ColumnPart {
    return { numbers: this.#numbers.subarray(0, this.#length), scale: this.#scale };
  }

  #room(count: number): void {
    if (count <= this.#numbers.length) return;
    const larger = new Float64Array(Math.max(2 * this.#numbers.length, count));
    larger.set(this.#numbers);
    this.#numbers = larger;
  }

  /** The number at the scale of the column, which changes where it must. */
  #bring(number: number, scale: number): number {
    if (scale > this.#scale && this.#scale !== NO_SCALE) this.#rescale(scale);
    if (scale === NO_SCALE && this.#scale !== NO_SCALE) this.#toDoubles();
    if (this.#scale !== NO_SCALE) {
      const brought = number * POWERS[this.#scale - scale]!;
      if (Math.abs(brought) < NUMBER_MAX) return brought;
      this.#toDoubles();
    }
    return scale <= 0 ? number : number / POWERS[scale]!;
  }

  #rescale(scale: number): void {
    const factor = POWERS[scale - this.#scale]!;
    if (this.#largest * factor >= NUMBER_MAX) return this.#toDoubles();
    for (let row = 0; row < this.#length; row++) this.#numbers[row]! *= factor;
    this.#largest *= factor;
    this.#scale = scale;
  }

  #toDoubles(): void {
    const power = POWERS[this.#scale]!;
    for (let row = 0; row < this.#length; row++) this.#numbers[row]! /= power;
    this.#scale = NO_SCALE;
  }
}

/** Differences, and their differences, of the column that is written; one for all, as it is filled millions of times. */
let deltas = new Float64Array(1_024), changes = new Float64Array(1_024);

/** Where a column ended. */
export class Column {
  #scale = 0;
  #last = 0;
  #difference = 0;

  /** Writes the next numbers; none is -0. */
  write(part: ColumnPart, out: ByteWriter): void {
    const scale = this.#scaleFor(part);
    const { numbers } = part;
    if (scale === NO_SCALE) {
      this.#begin(0);
      out.byte(DOUBLE * 16);
      for (let row = 0; row < numbers.length; row++) out.double(valueAt(part, row));
      return;
    }
    if (scale !== this.#scale) this.#begin(scale);
    this.#writeNumbers(numbers, POWERS[scale - part.scale]!, out);
  }

  /** Writes the numbers times `factor`. */
  #writeNumbers(numbers: Float64Array, factor: number, out: ByteWriter): void {
    const count = numbers.length;
    if (count > deltas.length) {
      deltas = new Float64Array(count);
      changes = new Float64Array(count);
    }
    let last = this.#last, difference = this.#difference;
    let deltaBytes = 0, changeBytes = 0, largest = 0;
    for (let i = 0; i < count; i++) {
      const number = numbers[i]! * factor;
      const step = number - last;
      const delta = zigzag(step), change = zigzag(step - difference);
      deltas[i] = delta;
      changes[i] = change;
      deltaBytes += varintBytes(delta);
      changeBytes += varintBytes(change);
      if (delta > largest) largest = delta;
      difference = step;
      last = number;
    }
    this.#last = last;
    this.#difference = largest === 0 ? 0 : difference;
    if (largest === 0) return out.byte(SAME * 16 + this.#scale);
    const width = Math.ceil(Math.log2(largest + 1));
    const packedBytes = count <= PACKED_MAX && width <= PACKED_BITS_MAX
      ? 1 + Math.ceil(count * width / 8)
      : Infinity;
    if (packedBytes < Math.min(deltaBytes, changeBytes)) {
      out.byte(PACKED * 16 + this.#scale);
      out.byte(width);
      return out.packed(deltas.subarray(0, count), width);
    }
    const isChange = changeBytes < deltaBytes;
    out.byte((isChange ? CHANGE : DELTA) * 16 + this.#scale);
    out.allUnsigned((isChange ? changes : deltas).subarray(0, count));
  }

  /** Reads the next `count` numbers. */
  read(count: number, from: ByteReader): ColumnPart {
    const mode = from.byte();
    const kind = mode >> 4, scale = mode & 15;
    if (kind === DOUBLE && scale === 0) {
      this.#begin(0);
      return { numbers: readDoubles(count, from), scale: NO_SCALE };
    }
    if (kind === DOUBLE || kind > PACKED) {
      throw new CodecError(`unknown mode ${mode} of a column`);
    }
    if (scale !== this.#scale) this.#begin(scale);
    const numbers = new Float64Array(count);
    if (kind === SAME) {
      this.#difference = 0;
      return { numbers: numbers.fill(this.#last), scale };
    }
    const packed = kind === PACKED ? readPacked(count, from) : undefined;
    const isChange = kind === CHANGE;
    let last = this.#last, difference = this.#difference;
    for (let i = 0; i < count; i++) {
      const step = packed === undefined ? from.signed() : unzigzag(packed[i]!);
      difference = isChange ? difference + step : step;
      last += difference;
      if (last > NUMBER_MAX || last < -NUMBER_MAX) throw new CodecError("a number is out of range");
      numbers[i] = last;
    }
    this.#last = last;
    this.#difference = difference;
    return { numbers, scale };
  }

  #begin(scale: number): void {
    this.#scale = scale;
    this.#last = this.#difference = 0;
  }

  /** The scale to write at: not below the part's own, and the present one if possible. */
  #scaleFor({ numbers, scale }: ColumnPart): number {
    if (scale >= this.#scale || scale === NO_SCALE) return scale;
    const factor = POWERS[this.#scale - scale]!;
    for (let i = 0; i < numbers.length; i++) {
      if (Math.abs(numbers[i]!) * factor >= NUMBER_MAX) return scale;
    }
    return this.#scale;
  }
}

function readDoubles(count: number, from: ByteReader): Float64Array {
  // Before memory is taken for what isn't there.
  const bytes = from.bytes(8 * count);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const numbers = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    numbers[i] = view.getFloat64(8 * i);
    if (!Number.isFinite(numbers[i])) throw new CodecError("a number is not finite");
  }
  return numbers;
}

function readPacked(count: number, from: ByteReader): number[] {
  const width = from.byte();
  if (width === 0 || width > PACKED_BITS_MAX) throw new CodecError(`numbers of ${width} bits`);
  return from.packed(count, width);
}

/** Bytes of a varint; those of large ones needn't be exact. */
function varintBytes(value: number): number {
  if (value < 2_097_152) return value < 128 ? 1 : value < 16_384 ? 2 : 3;
  return value <= Number.MAX_SAFE_INTEGER ? 5 : Infinity;
}
