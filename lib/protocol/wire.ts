/**
 * Messages as bytes. A connection starts with one line of JSON each way (`hello`, `welcome`); after it both
 * sides use the encoding that the welcome names: lines (`ndjson`) or frames that carry blocks (`block`).
 *
 * ```
 * ndjson   line "\n" line "\n" …
 * block    ┌────────────────┬─────────────────┬─────────────────────────────────────────────────┐
 *          │ length: u32 BE │ CRC-32: u32 BE  │ body: 0, a block; or 1, a block in raw deflate  │ …
 *          └────────────────┴─────────────────┴─────────────────────────────────────────────────┘
 * ```
 * `length` and the checksum are those of the body; a block is what `lib/codec/block.ts` says. Without the
 * checksum a flipped bit could decode to other lines that are valid too.
 * Pure: bytes in, lines out, and back. Limits hold before anything is kept, inflated or decoded.
 */
import { Buffer } from "node:buffer";
import { crc32, deflateRawSync, inflateRawSync } from "node:zlib";
import { BlockDecoder, BlockEncoder } from "../codec/block.ts";
import { CodecError } from "../codec/bytes.ts";
import { Lines } from "../codec/lines.ts";
import { bytesOfShaped, type ShapedLine } from "../codec/shape.ts";
import { FRAME_BYTES_MAX, FRAME_LINES_BYTES_MAX, LINE_BYTES_MAX } from "../limits.ts";
import type { Encoding } from "./message.ts";

/** What is wrong with received bytes; the session ends with this `code`. */
export interface Bad {
  readonly code: "too_long" | "bad_message";
  readonly message: string;
}

/** Lines without newlines in order; then, where `bad` is present, nothing more can be decoded. */
export interface Decoded {
  readonly lines: Lines;
  readonly bad?: Bad;
}

/** A line to send: with its newline, or as numbers of a shape. */
export type Outgoing = Uint8Array | ShapedLine;

/** The most bytes that a line takes, newline included. */
export function bytesMaxOf(line: Outgoing): number {
  return line instanceof Uint8Array ? line.length : line.shape.bytesMax + 1;
}

const NEWLINE = 0x0a;
const FRAME_HEADER_BYTES = 8;
/** First byte of a frame's body. */
const PLAIN = 0, DEFLATED = 1;
/** Blocks below that don't get smaller. */
const DEFLATE_BYTES_MIN = 64;
const empty = new Uint8Array(0);
const newline = Uint8Array.of(NEWLINE);
const encoder = new TextEncoder();

const lineTooLong: Bad = {
  code: "too_long",
  message: `line is longer than ${LINE_BYTES_MAX} bytes`,
};
const notUtf8: Bad = { code: "bad_message", message: "line is not valid UTF-8" };

/** True if `line` takes more bytes than a line may; encodes only where its length leaves a doubt. */
function isTooLong(line: string): boolean {
  if (line.length * 3 <= LINE_BYTES_MAX) return false;
  return line.length > LINE_BYTES_MAX || encoder.encode(line).length > LINE_BYTES_MAX;
}

/** The lines up to the first that is too long. */
function checkLines(lines: Lines): Decoded {
  const isShort = lines.plains.every((text) => !isTooLong(text)) &&
    lines.groups.every(({ shape }) => shape.bytesMax <= LINE_BYTES_MAX);
  if (isShort) return { lines };
  const texts = lines.texts();
  const index = texts.findIndex(isTooLong);
  return index < 0 ? { lines } : { lines: Lines.of(texts.slice(0, index)), bad: lineTooLong };
}

function refused(bad: Bad): Decoded {
  return { lines: Lines.of([]), bad };
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** Decodes one direction of a connection. Keeps at most one line or frame of unfinished bytes. */
export class WireDecoder {
  #mode: "handshake" | Encoding = "handshake";
  /** Unfinished bytes (`handshake`, `block`). */
  #bytes: Uint8Array = empty;
  /** Unfinished line (`ndjson`). */
  #text = "";
  #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #blocks = new BlockDecoder();

  /**
   * The lines that `chunk` completes, a piece at a time: the next frame is decoded only when the lines of the
   * one before were taken. Before {@linkcode use} at most the first line: what follows it waits, as its
   * encoding isn't known yet.
   */
  *push(chunk: Uint8Array): Generator<Decoded> {
    switch (this.#mode) {
      case "handshake":
        return yield* this.#pushHandshake(chunk);
      case "ndjson":
        return yield* this.#pushLines(chunk);
      case "block":
        return yield* this.#pushFrames(chunk);
    }
  }

  /** Ends the handshake: decodes what came after its line, and all that follows, by `encoding`. */
  use(encoding: Encoding): Generator<Decoded> {
    const rest = this.#bytes;
    this.#bytes = empty;
    this.#mode = encoding;
    return this.push(rest);
  }

  /** Bytes kept of an unfinished line or frame, or that wait for {@linkcode use}. */
  get pendingBytes(): number {
    return this.#bytes.length + this.#text.length;
  }

  *#pushHandshake(chunk: Uint8Array): Generator<Decoded> {
    this.#bytes = concat(this.#bytes, chunk);
    const end = this.#bytes.indexOf(NEWLINE);
    if (end < 0 && this.#bytes.length <= LINE_BYTES_MAX) return;
    if (end < 0 || end > LINE_BYTES_MAX) return yield refused(lineTooLong);
    const line = this.#bytes.subarray(0, end);
    this.#bytes = this.#bytes.slice(end + 1);
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line);
    } catch {
      return yield refused(notUtf8);
    }
    yield { lines: Lines.of([text]) };
  }

  *#pushLines(chunk: Uint8Array): Generator<Decoded> {
    let text: string;
    try {
      text = this.#utf8.decode(chunk, { stream: true });
    } catch {
      return yield refused(notUtf8);
    }
    const lines = (this.#text + text).split("\n");
    this.#text = lines.pop()!;
    const decoded = checkLines(Lines.of(lines));
    yield decoded.bad === undefined && isTooLong(this.#text)
      ? { ...decoded, bad: lineTooLong }
      : decoded;
  }

  *#pushFrames(chunk: Uint8Array): Generator<Decoded> {
    this.#bytes = concat(this.#bytes, chunk);
    while (this.#bytes.length >= FRAME_HEADER_BYTES) {
      const header = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
      const length = header.getUint32(0);
      if (length === 0 || length > FRAME_BYTES_MAX) {
        const message = `frame of ${length} bytes, allowed are 1 to ${FRAME_BYTES_MAX}`;
        return yield refused({ code: length === 0 ? "bad_message" : "too_long", message });
      }
      const end = FRAME_HEADER_BYTES + length;
      if (this.#bytes.length < end) return;
      const body = this.#bytes.subarray(FRAME_HEADER_BYTES, end);
      this.#bytes = this.#bytes.subarray(end);
      const frame = checksum(body) === header.getUint32(4)
        ? this.#decodeFrame(body)
        : refused({ code: "bad_message", message: "frame does not match its checksum" });
      yield frame;
      if (frame.bad !== undefined) return;
    }
    // What is kept must not hold the whole chunk in memory.
    this.#bytes = this.#bytes.slice();
  }

  #decodeFrame(body: Uint8Array): Decoded {
    const bad = (message: string) => refused({ code: "bad_message", message });
    let block = body.subarray(1);
    if (body[0] === DEFLATED) {
      const inflated = inflate(block);
      if (!(inflated instanceof Uint8Array)) return refused(inflated);
      block = inflated;
    } else if (body[0] !== PLAIN) return bad(`frame is of unknown kind ${body[0]}`);
    try {
      return checkLines(this.#blocks.decode(block, FRAME_BYTES_MAX));
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      return bad(error.message);
    }
  }
}

function checksum(body: Uint8Array): number {
  return crc32(Buffer.from(body.buffer, body.byteOffset, body.length));
}

/** What zlib says with `info`. */
interface Inflated {
  readonly buffer: Uint8Array;
  readonly engine: { readonly bytesWritten: number };
}

function inflate(deflated: Uint8Array): Uint8Array | Bad {
  let plain: Uint8Array, consumed: number;
  try {
    const found = inflateRawSync(deflated, { maxOutputLength: FRAME_BYTES_MAX, info: true });
    // Deno 2.4 doesn't say how much it has read: what stands behind the stream is then not seen.
    if (found instanceof Uint8Array) [plain, consumed] = [found, deflated.length];
    else {
      const { buffer, engine } = found as unknown as Inflated;
      [plain, consumed] = [buffer, engine.bytesWritten];
    }
  } catch (error) {
    const isTooLarge = (error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE";
    const message = `frame does not inflate to at most ${FRAME_BYTES_MAX} bytes`;
    return { code: isTooLarge ? "too_long" : "bad_message", message };
  }
  if (consumed === deflated.length) return plain;
  return { code: "bad_message", message: "frame goes on behind the end of its deflate stream" };
}

/** Encodes one direction of a connection. */
export class WireEncoder {
  #encoding: Encoding = "ndjson";
  #blocks = new BlockEncoder();
  #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

  /** Ends the handshake: all that follows is encoded so. */
  use(encoding: Encoding): void {
    this.#encoding = encoding;
  }

  /** The bytes that carry `lines` in order. */
  encode(lines: readonly Outgoing[]): Uint8Array<ArrayBuffer> {
    if (this.#encoding === "ndjson") return join(lines.map(lineOf));
    const frames: Uint8Array[] = [];
    for (let next = 0; next < lines.length;) {
      const builder = this.#blocks.builder();
      for (let bytes = 0, bytesMax = 0; next < lines.length; next++) {
        const line = lines[next]!;
        bytes += line instanceof Uint8Array ? line.length : line.shape.bytesUsual + 1;
        bytesMax += bytesMaxOf(line);
        const isFull = bytes > FRAME_LINES_BYTES_MAX || bytesMax > FRAME_BYTES_MAX;
        if (builder.count > 0 && isFull) break;
        if (!(line instanceof Uint8Array)) builder.addShaped(line);
        else builder.addText(this.#utf8.decode(line.subarray(0, -1)));
      }
      frames.push(frameOf(this.#blocks.encode(builder.done())));
    }
    return join(frames);
  }
}

function lineOf(line: Outgoing): Uint8Array {
  return line instanceof Uint8Array ? line : join([bytesOfShaped(line), newline]);
}

function frameOf(block: Uint8Array): Uint8Array {
  const deflated = block.length < DEFLATE_BYTES_MIN ? block : deflateRawSync(block);
  const isSmaller = deflated.length < block.length;
  const content = isSmaller ? deflated : block;
  const frame = new Uint8Array(FRAME_HEADER_BYTES + 1 + content.length);
  const body = frame.subarray(FRAME_HEADER_BYTES);
  body[0] = isSmaller ? DEFLATED : PLAIN;
  body.set(content, 1);
  const header = new DataView(frame.buffer);
  header.setUint32(0, body.length);
  header.setUint32(4, checksum(body));
  return frame;
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const part of parts) size += part.length;
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
