/**
 * The shape of a line of JSON: its text with the numbers taken out. Lines of one shape differ in their numbers
 * only. Texts of any kind have a shape, so nothing needs to be known of what a line means. Pure.
 */
import { NO_SCALE } from "./column.ts";

/** Stands in the text of a shape where a number was. */
export const NUMBER_MARK = "\0";

/** A string of JSON, to be passed over, or what may be a number. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
/** Digits of a decimal that is exact as a whole number and a power of ten. */
const DIGITS_MAX = 15;

/** A line, taken apart. */
export interface Split {
  /** The text of its shape. */
  readonly text: string;
  /** See {@linkcode Shape.match}. */
  readonly numbers: number[];
}

/** Takes a line apart; `undefined` where the mark occurs in it. */
export function split(line: string): Split | undefined {
  if (line.includes(NUMBER_MARK)) return undefined;
  const numbers: number[] = [];
  const text = line.replace(TOKEN, (token) => {
    const isNumber = token.charCodeAt(0) !== QUOTE && scan(token, 0) === token.length;
    if (!isNumber) return token;
    numbers.push(scanned.number, scanned.scale);
    return NUMBER_MARK;
  });
  return { text, numbers };
}

/** A line by its numbers. */
export interface ShapedLine {
  readonly shape: Shape;
  /** From `start` on two for each, as {@linkcode Shape.match} gives them. */
  readonly numbers: ArrayLike<number>;
  readonly start: number;
}

const encoder = new TextEncoder();

/** See the head of the file. */
export class Shape {
  /** The texts around the numbers: one more than there are numbers. */
  readonly parts: readonly string[];
  /** The same in UTF-8. */
  readonly #bytes: readonly Uint8Array[];
  readonly #bytesMax: number;
  /** The numbers of the line that was matched last. */
  readonly #numbers: number[];
  readonly text: string;

  constructor(text: string) {
    this.text = text;
    this.parts = text.split(NUMBER_MARK);
    this.#bytes = this.parts.map((part) => encoder.encode(part));
    this.#bytesMax = this.#bytes.reduce((sum, { length }) => sum + length, 0) +
      this.size * NUMBER_BYTES_MAX;
    this.#numbers = new Array(2 * this.size).fill(0);
  }

  /** How many numbers a line has. */
  get size(): number {
    return this.parts.length - 1;
  }

  /**
   * The numbers of a line of this shape, two for each: a whole number and its scale, or a double and
   * {@linkcode NO_SCALE}; `undefined` where the line is of another shape. Valid until the next call.
   */
  match(line: string): readonly number[] | undefined {
    const { parts } = this;
    if (!line.startsWith(parts[0]!)) return undefined;
    let at = parts[0]!.length;
    const numbers = this.#numbers;
    for (let index = 1; index < parts.length; index++) {
      at = scan(line, at);
      const part = parts[index]!;
      if (at < 0 || !line.startsWith(part, at)) return undefined;
      numbers[2 * index - 2] = scanned.number;
      numbers[2 * index - 1] = scanned.scale;
      at += part.length;
    }
    return at === line.length ? numbers : undefined;
  }

  /** The most bytes that a line can take. */
  get bytesMax(): number {
    return this.#bytesMax;
  }

  /** The bytes that a line usually takes. */
  get bytesUsual(): number {
    return this.#bytesMax - this.size * (NUMBER_BYTES_MAX - NUMBER_BYTES_USUAL);
  }

  /** Writes a line into `into` from `at` on, where it has room, and returns its end; `next` gives its numbers. */
  write(into: Uint8Array, at: number, next: (index: number) => Decimal): number {
    const parts = this.#bytes;
    into.set(parts[0]!, at);
    at += parts[0]!.length;
    for (let index = 1; index < parts.length; index++) {
      at = writeDecimal(into, at, next(index - 1));
      into.set(parts[index]!, at);
      at += parts[index]!.length;
    }
    return at;
  }
}

/** The text of a line in UTF-8. */
export function bytesOfShaped({ shape, numbers, start }: ShapedLine): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(shape.bytesMax);
  const end = shape.write(bytes, 0, (index) => ({
    number: numbers[start + 2 * index]!,
    scale: numbers[start + 2 * index + 1]!,
  }));
  return bytes.slice(0, end);
}

/** A number: a whole one, by so many powers of ten too large; or a double, with {@linkcode NO_SCALE}. */
export interface Decimal {
  number: number;
  scale: number;
}

/** Longest text of a number, and one as they are most often. */
const NUMBER_BYTES_MAX = 32, NUMBER_BYTES_USUAL = 10;

/** Writes the shortest text that reads as the number; returns where it ends. */
function writeDecimal(into: Uint8Array, at: number, { number, scale }: Decimal): number {
  let digits = Math.abs(number), left = scale;
  for (; left > 0 && digits % 10 === 0; left--) digits /= 10;
  // A double, or so small that an exponent is written.
  if (left < 0 || (left > 6 && digits * 1e6 < 10 ** left)) {
    const text = String(scale < 0 ? number : number / 10 ** scale);
    for (let i = 0; i < text.length; i++) into[at++] = text.charCodeAt(i);
    return at;
  }
  if (number < 0) into[at++] = MINUS;
  const end = at + Math.max(digitsOf(digits), left + 1) + (left > 0 ? 1 : 0);
  for (let place = end - 1, written = 0; place >= at; place--) {
    if (written === left && left > 0) {
      into[place] = POINT;
      left = -1;
      continue;
    }
    const rest = digits < 0x80000000 ? (digits / 10) >>> 0 : Math.floor(digits / 10);
    into[place] = ZERO + (digits - 10 * rest);
    digits = rest;
    written++;
  }
  return end;
}

/** A finite number as it stands in columns; -0 is taken for 0. */
export function decimalOf(value: number): Decimal {
  scan(String(value), 0);
  return { ...scanned };
}

function digitsOf(number: number): number {
  let digits = 1;
  for (let least = 10; number >= least; least *= 10) digits++;
  return digits;
}

const QUOTE = 0x22, PLUS = 0x2b, MINUS = 0x2d, POINT = 0x2e, ZERO = 0x30, NINE = 0x39;
const LOWER_E = 0x65, UPPER_E = 0x45;

/** What {@linkcode scan} found; one object for all, as it is filled millions of times. */
const scanned = { number: 0, scale: 0 };

/**
 * Reads the number that begins at `at` into `scanned` and returns where it ends; -1 where none does, or one that
 * would be written in another way again, as -0 and 1.0 are.
 */
function scan(text: string, at: number): number {
  const start = at;
  let code = text.charCodeAt(at);
  const isNegative = code === MINUS;
  if (isNegative) code = text.charCodeAt(++at);
  const first = at;
  let number = 0, point = -1;
  for (;; code = text.charCodeAt(++at)) {
    if (code >= ZERO && code <= NINE) number = 10 * number + code - ZERO;
    else if (code === POINT && point < 0) point = at;
    else break;
  }
  const digits = at - first - (point < 0 ? 0 : 1);
  const isSimple = code !== LOWER_E && code !== UPPER_E && code !== PLUS && code !== MINUS &&
    code !== POINT && digits > 0 && digits <= DIGITS_MAX;
  if (!isSimple) return scanDouble(text, start, at);
  const whole = (point < 0 ? at : point) - first;
  const startsWithZero = text.charCodeAt(first) === ZERO;
  if (whole === 0 || (startsWithZero && whole > 1)) return -1;
  if (point < 0) {
    if (isNegative && number === 0) return -1;
    scanned.scale = 0;
  } else {
    const scale = at - point - 1;
    // Trailing zeros are left out, and below 0.000001 an exponent is written.
    if (scale === 0 || text.charCodeAt(at - 1) === ZERO) return -1;
    if (startsWithZero && number * 1e6 < 10 ** scale) return -1;
    scanned.scale = scale;
  }
  scanned.number = isNegative ? -number : number;
  return at;
}

/** As {@linkcode scan}, for what has many digits or an exponent, or is no number; it goes on at `at`. */
function scanDouble(text: string, start: number, at: number): number {
  for (;; at++) {
    const code = text.charCodeAt(at);
    const belongs = (code >= ZERO && code <= NINE) || code === POINT || code === MINUS ||
      code === PLUS || code === LOWER_E || code === UPPER_E;
    if (!belongs) break;
  }
  const token = text.slice(start, at);
  const number = Number(token);
  if (String(number) !== token || !Number.isFinite(number)) return -1;
  scanned.number = number;
  scanned.scale = NO_SCALE;
  return at;
}
