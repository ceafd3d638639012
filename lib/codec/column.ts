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
const POWERS = Array.from({ length: SCALE_MAX + 1 }, (_, scale) => 10 ** scale);

/** The numbers of a column in one block. */
export interface ColumnPart {
  readonly numbers: readonly number[];
  readonly scale: number;
}

/** Where a column ended. */
export class Column {
  #scale = 0;
  #last = 0;
  #difference = 0;

  /**
   * Writes the next numbers: two for each, a whole number below 10^15 in size and its scale, or a finite double
   * and -1; none is -0.
   */
  write(pairs: readonly number[], out: ByteWriter): void {
    const scale = this.#scaleFor(pairs);
    if (scale < 0) {
      this.#begin(0);
      out.byte(DOUBLE * 16);
      for (let i = 0; i < pairs.length; i += 2) out.double(valueOf(pairs[i]!, pairs[i + 1]!));
      return;
    }
    if (scale !== this.#scale) this.#begin(scale);
    const numbers: number[] = [];
    for (let i = 0; i < pairs.length; i += 2) {
      numbers.push(pairs[i]! * POWERS[scale - pairs[i + 1]!]!);
    }
    this.#writeNumbers(numbers, scale, out);
  }

  #writeNumbers(numbers: readonly number[], scale: number, out: ByteWriter): void {
    const deltas: number[] = [], changes: number[] = [];
    let last = this.#last, before = this.#difference;
    for (const number of numbers) {
      const difference = number - last;
      deltas.push(zigzag(difference));
      changes.push(zigzag(difference - before));
      before = difference;
      last = number;
    }
    const isSame = deltas.every((delta) => delta === 0);
    this.#difference = isSame ? 0 : before;
    this.#last = last;
    if (isSame) return out.byte(SAME * 16 + scale);
    const deltaBytes = varintBytes(deltas), changeBytes = varintBytes(changes);
    const width = Math.ceil(Math.log2(Math.max(...deltas.slice(0, PACKED_MAX)) + 1));
    const packedBytes = deltas.length <= PACKED_MAX && width <= PACKED_BITS_MAX
      ? 1 + Math.ceil(deltas.length * width / 8)
      : Infinity;
    if (packedBytes < Math.min(deltaBytes, changeBytes)) {
      out.byte(PACKED * 16 + scale);
      out.byte(width);
      return out.packed(deltas, width);
    }
    const isChange = changeBytes < deltaBytes;
    out.byte((isChange ? CHANGE : DELTA) * 16 + scale);
    for (const value of isChange ? changes : deltas) out.unsigned(value);
  }

  /** Reads the next `count` numbers: whole ones and their scale, or doubles and -1. */
  read(count: number, from: ByteReader): ColumnPart {
    const mode = from.byte();
    const kind = mode >> 4, scale = mode & 15;
    if (kind === DOUBLE && scale === 0) {
      this.#begin(0);
      return { numbers: readDoubles(count, from), scale: -1 };
    }
    if (kind === DOUBLE || kind > PACKED) {
      throw new CodecError(`unknown mode ${mode} of a column`);
    }
    if (scale !== this.#scale) this.#begin(scale);
    if (kind === SAME) {
      this.#difference = 0;
      return { numbers: new Array(count).fill(this.#last), scale };
    }
    const packed = kind === PACKED ? readPacked(count, from) : undefined;
    const numbers: number[] = [];
    for (let i = 0; i < count; i++) {
      const step = packed === undefined ? from.signed() : unzigzag(packed[i]!);
      this.#difference = kind === CHANGE ? this.#difference + step : step;
      this.#last += this.#difference;
      if (Math.abs(this.#last) > NUMBER_MAX) throw new CodecError("a number is out of range");
      numbers.push(this.#last);
    }
    return { numbers, scale };
  }

  #begin(scale: number): void {
    this.#scale = scale;
    this.#last = this.#difference = 0;
  }

  /** The least scale, at or above the present one if possible, at which all are whole numbers; else -1. */
  #scaleFor(pairs: readonly number[]): number {
    let least = 0, largest = 0;
    for (let i = 0; i < pairs.length; i += 2) {
      const scale = pairs[i + 1]!;
      if (scale < 0) return -1;
      if (scale > least) least = scale;
      const size = Math.abs(pairs[i]!) / POWERS[scale]!;
      if (size > largest) largest = size;
    }
    const kept = Math.max(least, this.#scale);
    if (largest * POWERS[kept]! < NUMBER_MAX) return kept;
    return largest * POWERS[least]! < NUMBER_MAX ? least : -1;
  }
}

function readDoubles(count: number, from: ByteReader): number[] {
  const numbers: number[] = [];
  for (let i = 0; i < count; i++) {
    const number = from.double();
    if (!Number.isFinite(number)) throw new CodecError("a number is not finite");
    numbers.push(number);
  }
  return numbers;
}

function readPacked(count: number, from: ByteReader): number[] {
  const width = from.byte();
  if (width === 0 || width > PACKED_BITS_MAX) throw new CodecError(`numbers of ${width} bits`);
  return from.packed(count, width);
}

function varintBytes(values: readonly number[]): number {
  let bytes = 0;
  for (const value of values) {
    bytes += value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 5;
  }
  return bytes;
}

function valueOf(number: number, scale: number): number {
  return scale < 0 ? number : number / POWERS[scale]!;
}
