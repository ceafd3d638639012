/**
 * Bytes written one after the other, and read again within bounds. Whole numbers are varints: seven bits a byte,
 * lowest first, the eighth bit set on all but the last; signed ones are zigzagged first (0, -1, 1, -2 … become
 * 0, 1, 2, 3 …), as Protocol Buffers has them. All numbers are below 2^53 in size.
 */

/** What cannot be decoded; the message says why in one line. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}

/** 0, -1, 1, -2 … as 0, 1, 2, 3 …; sizes below 2^52. */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

/** The other way round. */
export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** Bytes that are written; grows as needed. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** `bytes` are expected. */
  constructor(bytes = 1_024) {
    this.#bytes = new Uint8Array(bytes);
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A whole number from 0 on. */
  unsigned(value: number): void {
    this.#room(8);
    const bytes = this.#bytes;
    let at = this.#length;
    while (value >= 0x80000000) {
      bytes[at++] = (value % 128) | 0x80;
      value = Math.floor(value / 128);
    }
    while (value >= 128) {
      bytes[at++] = (value & 127) | 0x80;
      value >>>= 7;
    }
    bytes[at++] = value;
    this.#length = at;
  }

  /** A whole number; its size must be below 2^52. */
  signed(value: number): void {
    this.unsigned(zigzag(value));
  }

  /** Each of `values` as {@linkcode unsigned} writes it. */
  allUnsigned(values: Float64Array): void {
    this.#room(8 * values.length);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value < 128) this.#bytes[this.#length++] = value;
      else this.unsigned(value);
    }
  }

  /** Whole numbers below 2^`width` from 0 on, `width` bits each (1 to 32), lowest bit first; then zero bits. */
  packed(values: Float64Array, width: number): void {
    let pending = 0, bits = 0;
    for (const value of values) {
      pending += value * 2 ** bits;
      for (bits += width; bits >= 8; bits -= 8) {
        this.byte(pending % 256);
        pending = Math.floor(pending / 256);
      }
    }
    if (bits > 0) this.byte(pending);
  }

  /** The 64 bits of a double, highest byte first. */
  double(value: number): void {
    this.#room(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value);
    this.#length += 8;
  }

  /** What was written so far; valid until the next write. */
  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes));
    larger.set(this.done());
    this.#bytes = larger;
  }
}

/** Reads what {@linkcode ByteWriter} wrote; throws {@linkcode CodecError} where the bytes end or say too much. */
export class ByteReader {
  #bytes: Uint8Array;
  #at = 0;

  /** Reads from `at` on. */
  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    if (this.#at >= this.#bytes.length) throw new CodecError("block ends too early");
    return this.#bytes[this.#at++]!;
  }

  bytes(count: number): Uint8Array {
    if (count > this.left) throw new CodecError("block ends too early");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  unsigned(): number {
    const first = this.#bytes[this.#at];
    if (first !== undefined && first < 128) {
      this.#at++;
      return first;
    }
    let value = 0, weight = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 127) * weight;
      if (value > Number.MAX_SAFE_INTEGER) throw new CodecError("a number is 2^53 or more");
      if (byte < 128) return value;
      weight *= 128;
    }
  }

  signed(): number {
    return unzigzag(this.unsigned());
  }

  /** What {@linkcode ByteWriter.packed} wrote. */
  packed(count: number, width: number): number[] {
    const bytes = this.bytes(Math.ceil(count * width / 8));
    const values: number[] = [];
    let pending = 0, bits = 0, at = 0;
    while (values.length < count) {
      for (; bits < width; bits += 8) pending += bytes[at++]! * 2 ** bits;
      values.push(pending % 2 ** width);
      pending = Math.floor(pending / 2 ** width);
      bits -= width;
    }
    if (pending !== 0) throw new CodecError("bits stand behind packed numbers");
    return values;
  }

  double(): number {
    const bytes = this.bytes(8);
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
  }
}
