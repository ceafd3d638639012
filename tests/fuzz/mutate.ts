/** Inputs that are almost right: valid ones with a few changes that hurt. Pure, from a seeded source. */
import type { Random } from "../../lib/platform/platform.ts";

const BYTES = [0, 1, 2, 3, 15, 16, 63, 64, 127, 128, 254, 255];
const TEXTS = [
  ...[
    "\0",
    "\n",
    "\r",
    "\u2028",
    "\ud800",
    "🦀",
    "ü",
    '"',
    "\\",
    "\\u0000",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
  ],
  ...["null", "true", "-0", "1e999", "-1e-400", "0.1", "9007199254740993", "9".repeat(30), "NaN"],
  ...["__proto__", "constructor", '"type":"hello"', '"seq":', "[".repeat(300), "a".repeat(5_000)],
];

/** Changes a few places of some bytes; `others` are what pieces are taken from. */
export function mutateBytes(
  seed: Uint8Array,
  others: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  let bytes = new Uint8Array(seed);
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(bytes.length + 1), length = 1 + random.below(8);
    switch (random.below(8)) {
      case 0:
        if (bytes.length > 0) bytes[at % bytes.length]! ^= 1 << random.below(8);
        break;
      case 1:
        if (bytes.length > 0) bytes[at % bytes.length] = BYTES[random.below(BYTES.length)]!;
        break;
      case 2:
        bytes = joined(bytes.subarray(0, at), random.bytes(length), bytes.subarray(at));
        break;
      case 3:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + length)));
        break;
      case 4:
        bytes = joined(
          bytes.subarray(0, at),
          bytes.subarray(at, at + 4 * length),
          bytes.subarray(at),
        );
        break;
      case 5:
        bytes = bytes.slice(0, at);
        break;
      case 6: {
        const other = others[random.below(others.length)]!;
        bytes = joined(bytes.subarray(0, at), other.subarray(random.below(other.length + 1)));
        break;
      }
      case 7:
        // A number in as many bytes as a varint may have.
        bytes = joined(
          bytes.subarray(0, at),
          new Uint8Array(length).fill(255),
          Uint8Array.of(random.below(128)),
          bytes.subarray(at),
        );
    }
  }
  return bytes;
}

/** As {@linkcode mutateBytes}, for a text. */
export function mutateText(seed: string, others: readonly string[], random: Random): string {
  let text = seed;
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(text.length + 1), length = 1 + random.below(8);
    const token = TEXTS[random.below(TEXTS.length)]!;
    const other = others[random.below(others.length)]!;
    switch (random.below(6)) {
      case 0:
        text = text.slice(0, at) + token + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + token + text.slice(at + length);
        break;
      case 2:
        text = text.slice(0, at) + text.slice(at + length);
        break;
      case 3:
        text = text.slice(0, at) + text.slice(at, at + 4 * length) + text.slice(at);
        break;
      case 4:
        text = text.slice(0, at) + other.slice(random.below(other.length + 1));
        break;
      case 5:
        text = text.slice(0, at) + String.fromCharCode(random.below(0x10000)) + text.slice(at + 1);
    }
  }
  return text;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
