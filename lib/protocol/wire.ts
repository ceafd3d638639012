/**
 * Messages as bytes. A connection starts with one line of JSON each way (`hello`, `welcome`); after it both
 * sides use the encoding that the welcome names: lines (`ndjson`) or compressed frames (`deflate`).
 *
 * ```
 * ndjson    line "\n" line "\n" …
 * deflate   ┌────────────────┬─────────────────┬───────────────────────────────────────┐
 *           │ length: u32 BE │ CRC-32: u32 BE  │ raw deflate (RFC 1951) of whole lines │ …
 *           └────────────────┴─────────────────┴───────────────────────────────────────┘
 * ```
 * `length` and the checksum are those of the compressed part. Raw deflate has no checksum of its own, so a
 * flipped bit could otherwise inflate to other lines that are valid too.
 * Pure: bytes in, lines out, and back. Limits hold before anything is kept or inflated.
 */
import { Buffer } from "node:buffer";
import { crc32, deflateRawSync, inflateRawSync } from "node:zlib";
import { FRAME_BYTES_MAX, FRAME_LINES_BYTES_MAX, LINE_BYTES_MAX } from "../limits.ts";
import type { Encoding } from "./message.ts";

/** What is wrong with received bytes; the session ends with this `code`. */
export interface Bad {
  readonly code: "too_long" | "bad_message";
  readonly message: string;
}

/** Lines without newlines in order; then, where `bad` is present, nothing more can be decoded. */
export interface Decoded {
  readonly lines: string[];
  /** Bytes of the lines as they are held in memory: plain, whatever they took on the wire. */
  readonly bytes: number;
  readonly bad?: Bad;
}

const NEWLINE = 0x0a;
const FRAME_HEADER_BYTES = 8;
const empty = new Uint8Array(0);
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
function checkLines(lines: string[], bytes: number): Decoded {
  const index = lines.findIndex(isTooLong);
  return index < 0 ? { lines, bytes } : { lines: lines.slice(0, index), bytes, bad: lineTooLong };
}

function refused(bad: Bad): Decoded {
  return { lines: [], bytes: 0, bad };
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
  /** Unfinished bytes (`handshake`, `deflate`). */
  #bytes: Uint8Array = empty;
  /** Unfinished line (`ndjson`). */
  #text = "";
  #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /**
   * The lines that `chunk` completes, a piece at a time: the next frame is inflated only when the lines of the
   * one before were taken. Before {@linkcode use} at most the first line: what follows it waits, as its
   * encoding isn't known yet.
   */
  *push(chunk: Uint8Array): Generator<Decoded> {
    switch (this.#mode) {
      case "handshake":
        return yield* this.#pushHandshake(chunk);
      case "ndjson":
        return yield* this.#pushLines(chunk);
      case "deflate":
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
    yield { lines: [text], bytes: end };
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
    const decoded = checkLines(lines, chunk.length);
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
        ? inflateLines(body)
        : refused({ code: "bad_message", message: "frame does not match its checksum" });
      yield frame;
      if (frame.bad !== undefined) return;
    }
    // What is kept must not hold the whole chunk in memory.
    this.#bytes = this.#bytes.slice();
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

/** The lines inside the body of a frame. */
function inflateLines(body: Uint8Array): Decoded {
  const bad = (message: string) => refused({ code: "bad_message", message });
  let plain: Uint8Array, consumed: number;
  try {
    const found = inflateRawSync(body, { maxOutputLength: FRAME_BYTES_MAX, info: true });
    // Deno 2.4 doesn't say how much it has read: what stands behind the stream is then not seen.
    if (found instanceof Uint8Array) [plain, consumed] = [found, body.length];
    else {
      const { buffer, engine } = found as unknown as Inflated;
      [plain, consumed] = [buffer, engine.bytesWritten];
    }
  } catch (error) {
    const isTooLarge = (error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE";
    const message = `frame does not inflate to at most ${FRAME_BYTES_MAX} bytes`;
    return refused({ code: isTooLarge ? "too_long" : "bad_message", message });
  }
  if (consumed < body.length) return bad("frame goes on behind the end of its deflate stream");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain);
  } catch {
    return refused(notUtf8);
  }
  const lines = text.split("\n");
  if (lines.pop() !== "" || lines.length === 0) return bad("frame does not hold whole lines");
  return checkLines(lines, plain.length);
}

/** The bytes that carry `lines`, each with its newline, in order. */
export function encodeLines(encoding: Encoding, lines: readonly Uint8Array[]): Uint8Array {
  if (encoding === "ndjson") return join(lines);
  const frames: Uint8Array[] = [];
  for (let start = 0; start < lines.length;) {
    let end = start, bytes = 0;
    while (end < lines.length && (end === start || bytes < FRAME_LINES_BYTES_MAX)) {
      bytes += lines[end++]!.length;
    }
    const body = deflateRawSync(join(lines.slice(start, end)));
    const header = new Uint8Array(FRAME_HEADER_BYTES);
    new DataView(header.buffer).setUint32(0, body.length);
    new DataView(header.buffer).setUint32(4, checksum(body));
    frames.push(header, body);
    start = end;
  }
  return join(frames);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
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
