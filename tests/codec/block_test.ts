import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BLOCK_LIMITS, BlockDecoder, BlockEncoder } from "../../lib/codec/block.ts";
import { CodecError } from "../../lib/codec/bytes.ts";

const MAX = 1_048_576;

/** The block of these lines. */
function encoded(encoder: BlockEncoder, lines: readonly string[]): Uint8Array<ArrayBuffer> {
  const builder = encoder.builder();
  for (const line of lines) builder.addText(line);
  return encoder.encode(builder.done()).slice();
}

/** What comes out of one stream for these blocks of lines. */
function carried(blocks: readonly (readonly string[])[]): string[][] {
  const encoder = new BlockEncoder(), decoder = new BlockDecoder();
  return blocks.map((lines) => [...decoder.decode(encoded(encoder, lines), MAX).texts()]);
}

function record(seq: number, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    type: "telemetry",
    seq,
    ts_wall_ms: 1_763_900_000_000 + 100 * seq,
    metrics: { temp_c: 41 + (seq % 7) / 100, rail_v: 5.02 },
    anomaly: { is_anomaly: false, score: (seq % 13) / 1_000, metrics: {} },
    ...more,
  });
}

/** Numbers of all kinds: short decimals, counters, and any 64 bits that are finite. */
const number = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.maxSafeInteger(),
  fc.integer({ min: -99_999, max: 99_999 }).map((n) => n / 1_000),
  fc.constantFrom(0, -0, 1e21, 1e-7, 0.000001, 123456789012345.6, 2 ** 53, 1.7976931348623157e308),
);
const anyLine = fc.oneof(
  fc.json(),
  fc.record({ seq: fc.nat(), metrics: fc.dictionary(fc.string(), number), text: fc.string() }).map(
    (value) => JSON.stringify(value),
  ),
  fc.string().map((text) => text.replaceAll("\n", "")),
  // Texts that look like JSON, numbers in all ways of writing included.
  fc.array(fc.constantFrom(...'-0123.eE+"\\,:{}[] ', "\0", "-0", "1.0", "é", "1e5", "00"))
    .map((tokens) => tokens.join("")),
);

Deno.test("a stream of blocks gives back every line byte for byte, whatever the lines are", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(anyLine, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 5 }),
      (blocks) => assertEquals(carried(blocks), blocks),
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("records of one shape with any numbers come back to the last bit", () => {
  const rows = fc.array(fc.tuple(number, number, number), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(rows, { minLength: 1, maxLength: 4 }), (blocks) => {
      const lines = blocks.map((rows) =>
        rows.map(([a, b, c]) => `{"a":${show(a)},"b":[${show(b)}],"c":${show(c)}}`)
      );
      assertEquals(carried(lines), lines);
    }),
    { numRuns: 2_000 },
  );
});

function show(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

Deno.test("ten records take a twentieth of their text, a thousand a thirtieth", () => {
  const encoder = new BlockEncoder();
  const lines = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => record(from + i));
  const size = (lines: readonly string[]) => lines.reduce((sum, line) => sum + line.length + 1, 0);
  encoded(encoder, lines(1, 10));
  const ten = lines(11, 10), thousand = lines(21, 1_000);
  assert(20 * encoded(encoder, ten).length < size(ten), `${encoded(encoder, ten).length} bytes`);
  assert(20 * encoded(encoder, thousand).length < size(thousand));
});

Deno.test("a stream of ever new shapes forgets the old ones in step, and goes on", () => {
  const blocks = Array.from({ length: 700 }, (_, i) => {
    const odd = JSON.stringify({ [`metric_${i}`]: i });
    return [odd, record(i), odd, record(i + 1)];
  });
  assertEquals(carried(blocks), blocks);
});

Deno.test("numbers that look alike and aren't stay what they are", () => {
  const lines = ["1.0", "1", "-0", "0", "1e5", "100000", "01", "1.", ".5", "0.5", "1E+2", "1e-7"];
  assertEquals(carried([lines, lines]), [lines, lines]);
});

function blockOf(...bytes: (number | string)[]): Uint8Array {
  const encoder = new TextEncoder();
  return Uint8Array.from(
    bytes.flatMap((part) => typeof part === "string" ? [...encoder.encode(part)] : [part]),
  );
}

for (
  const [what, bytes, message] of [
    ["no bytes", blockOf(), "ends too early"],
    ["another version", blockOf(2, 0, 1, 0, 1, "1"), "version 2"],
    ["unknown flags", blockOf(1, 2, 1, 0, 1, "1"), "flags 2"],
    ["no lines", blockOf(1, 0, 0), "0 lines"],
    ["more lines than bytes", blockOf(1, 0, 9, 0), "9 lines"],
    ["a text longer than the block", blockOf(1, 0, 1, 0, 9, "1"), "ends too early"],
    ["a shape that was never made", blockOf(1, 0, 1, 2), "never made"],
    ["bytes behind it", blockOf(1, 0, 1, 0, 1, "1", 0), "stand behind"],
    ["a newline in a line", blockOf(1, 0, 1, 0, 1, "\n"), "newline"],
    ["a newline in a shape", blockOf(1, 0, 1, 1, 0, 2, "\0\n", 0), "newline"],
    ["a text that is not UTF-8", blockOf(1, 0, 1, 0, 1, 0xff), "UTF-8"],
    ["an unknown kind of column", blockOf(1, 0, 1, 1, 0, 1, "\0", 0x50), "mode 80"],
    ["doubles with a scale", blockOf(1, 0, 1, 1, 0, 1, "\0", 0x31), "mode 49"],
    [
      "a number that is infinite",
      blockOf(1, 0, 1, 1, 0, 1, "\0", 0x30, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0),
      "not finite",
    ],
    [
      "a varint without end",
      blockOf(1, 0, 1, 1, 0, 1, "\0", 0x10, ...new Array(9).fill(255), 0),
      "2^53",
    ],
    ["packed numbers of no bits", blockOf(1, 0, 1, 1, 0, 1, "\0", 0x40, 0), "0 bits"],
    ["packed numbers of 33 bits", blockOf(1, 0, 1, 1, 0, 1, "\0", 0x40, 33), "33 bits"],
    [
      "bits behind packed numbers",
      blockOf(1, 0, 1, 1, 0, 1, "\0", 0x40, 4, 0x11),
      "bits stand behind",
    ],
    [
      "a shape that is like none",
      blockOf(1, 0, 1, 1, 1, 0, 0, 1, "a"),
      "like one that was never made",
    ],
    [
      "a shape that shares more than there is",
      blockOf(1, 0, 2, 1, 1, 0, 1, "a", 1, 1, 1, 1, "b"),
      "like one that was never made",
    ],
    [
      "a number beyond the range",
      blockOf(1, 0, 1, 1, 0, 1, "\0", 0x10, 254, 255, 255, 255, 255, 255, 255, 15),
      "out of range",
    ],
  ] as const
) {
  Deno.test(`refused, with its reason: a block with ${what}`, () => {
    assertThrows(() => new BlockDecoder().decode(bytes, MAX), CodecError, message);
  });
}

Deno.test("a small block can't be made to hold more text than is allowed", () => {
  const shape = "x".repeat(10_000) + "\0";
  const bytes = blockOf(
    ...[1, 0, 200, 1, 1, ...new Array(199).fill(2), 0, 145, 78, shape, 0],
  );
  assertThrows(() => new BlockDecoder().decode(bytes, MAX), CodecError, "too many characters");
});

Deno.test("what a stream makes the other side remember is bounded", () => {
  const decoder = new BlockDecoder();
  for (let i = 0; i < BLOCK_LIMITS.shapes; i++) {
    decoder.decode(blockOf(1, 0, 1, 1, 0, 2, String.fromCharCode(97 + i % 26), "\0", 0), MAX);
  }
  const one = blockOf(1, 0, 1, 1, 0, 2, "a\0", 0);
  assertThrows(() => decoder.decode(one, MAX), CodecError, "too many shapes");
});

Deno.test("what has too many characters is refused before memory is taken for its numbers", () => {
  const shape = "x".repeat(10_000) + "\0";
  // It ends where the numbers would begin: who looks for them says that.
  const bytes = blockOf(...[1, 0, 200, 1, 1, ...new Array(199).fill(2), 0, 145, 78, shape]);
  assertThrows(() => new BlockDecoder().decode(bytes, MAX), CodecError, "too many characters");
});

Deno.test("a shape with more numbers than may be remembered is refused before memory is taken for each", () => {
  const many = 65_000;
  const length = [many % 128 + 128, Math.floor(many / 128) % 128 + 128, Math.floor(many / 16_384)];
  const bytes = blockOf(1, 0, 1, 1, 0, ...length, "\0".repeat(many));
  const { encode } = TextEncoder.prototype;
  let parts = 0;
  TextEncoder.prototype.encode = function (text) {
    parts++;
    return encode.call(this, text);
  };
  try {
    assertThrows(() => new BlockDecoder().decode(bytes, MAX), CodecError, "too many shapes");
  } finally {
    TextEncoder.prototype.encode = encode;
  }
  assertEquals(parts, 0, "parts of a shape that were made ready to be written");
});

Deno.test("a stream that forgets its shapes has room for as many numbers again", () => {
  const decoder = new BlockDecoder();
  const size = 3_000;
  for (let i = 0; i < 4; i++) {
    const text = "\0".repeat(size);
    const bytes = blockOf(1, 1, 1, 1, 0, size % 128 + 128, Math.floor(size / 128), text);
    const block = new Uint8Array(bytes.length + size);
    block.set(bytes);
    assertEquals(decoder.decode(block, MAX).texts(), ["0".repeat(size)]);
  }
});

Deno.test("numbers that rise, stand still for a block and rise again come back as they were", () => {
  const rising = (from: number) => Array.from({ length: 60 }, (_, i) => `${from + 1_000_003 * i}`);
  const last = rising(0).at(-1)!;
  const blocks = [rising(0), new Array(60).fill(last), rising(Number(last) + 5), rising(7)];
  assertEquals(carried(blocks), blocks);
});

Deno.test("any bytes, and any damage to a block, give lines or a CodecError and nothing else", () => {
  const decode = (bytes: Uint8Array) => {
    try {
      const lines = new BlockDecoder().decode(bytes, MAX);
      assertEquals(lines.texts().length, lines.count);
      assert(lines.count > 0 && lines.texts().every((line) => !line.includes("\n")));
    } catch (error) {
      assert(error instanceof CodecError, String(error));
    }
  };
  const whole = encoded(new BlockEncoder(), [record(1), record(2), "plain", record(3)]);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      (bytes) => decode(Uint8Array.from([1, 0, ...bytes])),
    ),
    { numRuns: 5_000 },
  );
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
      const damaged = whole.slice();
      damaged[at] = value;
      decode(damaged);
      decode(damaged.subarray(0, at));
    }),
    { numRuns: 5_000 },
  );
});
