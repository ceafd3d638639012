import { assert, assertEquals } from "@std/assert";
import { crc32, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { ShapeFinder } from "../../lib/codec/lines.ts";
import { LINE_BYTES_MAX } from "../../lib/limits.ts";
import { parseHostMessage, parseNodeMessage } from "../../lib/protocol/message.ts";
import { RangeSet } from "../../lib/protocol/ranges.ts";
import { encodeContent, linePrefix, recordLine } from "../../lib/protocol/record.ts";
import { type Bad, type Decoded, WireDecoder, WireEncoder } from "../../lib/protocol/wire.ts";
import frames from "../vectors/frames.json" with { type: "json" };
import hostLines from "../vectors/host_to_node.json" with { type: "json" };
import nodeLines from "../vectors/node_to_host.json" with { type: "json" };

const encoder = new TextEncoder();

function decoderFor(encoding: "ndjson" | "block"): WireDecoder {
  const decoder = new WireDecoder();
  decode(decoder.push(encoder.encode("{}\n")));
  decode(decoder.use(encoding));
  return decoder;
}

/** Lines as the first bytes of a direction that is encoded so. */
function encodeLines(encoding: "ndjson" | "block", lines: readonly Uint8Array[]): Uint8Array {
  const wire = new WireEncoder();
  wire.use(encoding);
  return wire.encode(lines);
}

/** All that a chunk completes, at once. */
function decode(decoded: Iterable<Decoded>): { lines: string[]; bad: Bad | undefined } {
  const all = [...decoded];
  return { lines: all.flatMap(({ lines }) => lines.texts()), bad: all.at(-1)?.bad };
}

/** Splits at the given places. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((start, i) => bytes.slice(start, places[i] ?? bytes.length));
}

for (const { id, line, valid, reason } of nodeLines.lines) {
  Deno.test(`vector node_to_host ${id}: ${reason}`, () => {
    assertEquals(parseNodeMessage(line).ok, valid);
  });
}
for (const { id, line, valid, reason } of hostLines.lines) {
  Deno.test(`vector host_to_node ${id}: ${reason}`, () => {
    assertEquals(parseHostMessage(line).ok, valid);
  });
}
for (const { id, hex, lines, bad, reason } of frames.frames) {
  Deno.test(`vector frames ${id}: ${reason}`, () => {
    const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    for (const whole of [true, false]) {
      const decoder = decoderFor("block");
      const found: string[] = [];
      let code: string | undefined;
      for (const piece of whole ? [bytes] : [...bytes].map((byte) => Uint8Array.of(byte))) {
        const decoded = decode(decoder.push(piece));
        found.push(...decoded.lines);
        code ??= decoded.bad?.code;
        if (code !== undefined) break;
      }
      assertEquals(found, lines);
      assertEquals(code ?? "", bad);
    }
  });
}

Deno.test("WireDecoder gives the same lines for any split, in both encodings", () => {
  fc.assert(fc.property(
    fc.array(fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => JSON.stringify(text)), {
      maxLength: 20,
    }),
    fc.array(fc.nat(), { maxLength: 12 }),
    fc.constantFrom("ndjson" as const, "block" as const),
    (lines, cuts, encoding) => {
      const bytes = lines.length === 0
        ? new Uint8Array(0)
        : encodeLines(encoding, lines.map((line) => encoder.encode(line + "\n")));
      const decoder = decoderFor(encoding);
      const found = pieces(bytes, cuts).flatMap((piece) => {
        const decoded = decode(decoder.push(piece));
        assertEquals(decoded.bad, undefined);
        return decoded.lines;
      });
      assertEquals(found, lines);
      assertEquals(decoder.pendingBytes, 0);
    },
  ));
});

Deno.test("WireDecoder hands over one line of the handshake and keeps what follows for its encoding", () => {
  const decoder = new WireDecoder();
  const rest = encodeLines("block", [encoder.encode("two\n")]);
  const first = new Uint8Array([...encoder.encode("one\n"), ...rest]);
  assertEquals(decode(decoder.push(first)).lines, ["one"]);
  assertEquals(decode(decoder.use("block")).lines, ["two"]);
});

Deno.test("WireDecoder refuses a line that is too long before its end has come", () => {
  for (const decoder of [new WireDecoder(), decoderFor("ndjson")]) {
    const decoded = decode(decoder.push(new Uint8Array(LINE_BYTES_MAX + 1).fill(0x61)));
    assertEquals(decoded.bad?.code, "too_long");
  }
  const decoder = decoderFor("ndjson");
  const decoded = decode(
    decoder.push(encoder.encode(`ok\n${"ä".repeat(LINE_BYTES_MAX / 2 + 1)}\nlate\n`)),
  );
  assertEquals(decoded.lines, ["ok"]);
  assertEquals(decoded.bad?.code, "too_long");
});

Deno.test("WireDecoder inflates a frame only when the lines of the one before were taken", () => {
  const frame = encodeLines("block", [encoder.encode("a".repeat(60_000) + "\n")]);
  const good = decoderFor("block").push(new Uint8Array([...frame, ...frame]));
  const first = good.next().value as Decoded;
  assertEquals(first.lines.count, 1);
  assertEquals([...good].length, 1);
});

function framed(body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(8 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  new DataView(frame.buffer).setUint32(4, crc32(body));
  frame.set(body, 8);
  return frame;
}

Deno.test("WireDecoder refuses a frame that goes on behind its deflate stream, and one of unknown kind", () => {
  const block = Uint8Array.of(1, 0, 1, 0, 2, 0x7b, 0x7d);
  const deflated = Uint8Array.of(1, ...deflateRawSync(block));
  for (const good of [Uint8Array.of(0, ...block), deflated]) {
    assertEquals(decode(decoderFor("block").push(framed(good))).lines, ["{}"]);
  }
  for (const body of [Uint8Array.of(...deflated, 0), Uint8Array.of(2, ...block)]) {
    assertEquals(decode(decoderFor("block").push(framed(body))).bad?.code, "bad_message");
  }
});

Deno.test("WireDecoder refuses a frame that inflates without end", () => {
  const bomb = Uint8Array.of(1, ...deflateRawSync(new Uint8Array(8_000_000)));
  assert(bomb.length < 10_000);
  assertEquals(decode(decoderFor("block").push(framed(bomb))).bad?.code, "too_long");
});

/** A line of that many numbers, which are as long as numbers can be. */
function longNumbers(count: number): Uint8Array {
  const numbers = Array.from({ length: count }, (_, i) => -1.2345678901234567e-290 * (1 + i / 7));
  return encoder.encode(JSON.stringify(numbers) + "\n");
}

Deno.test("a line is too long by what its numbers take, in columns as well", () => {
  const line = longNumbers(3_500);
  assert(line.length > LINE_BYTES_MAX + 1, `${line.length}`);
  for (const encoding of ["ndjson", "block"] as const) {
    const { lines, bad } = decode(decoderFor(encoding).push(encodeLines(encoding, [line])));
    assertEquals([lines, bad?.code], [[], "too_long"]);
  }
});

Deno.test("frames of lines by their numbers are taken by the other side, however long the numbers are", () => {
  const line = longNumbers(2_400);
  const text = new TextDecoder().decode(line.subarray(0, -1));
  const { shape, numbers } = new ShapeFinder().find(text)!;
  const count = 60;
  const wire = new WireEncoder();
  wire.use("block");
  const bytes = wire.encode(
    new Array(count).fill({ shape, numbers: Array.from(numbers), start: 0 }),
  );
  const { lines, bad } = decode(decoderFor("block").push(bytes));
  assertEquals([lines.length, bad], [count, undefined]);
  assert(lines.every((one) => one === text));
});

Deno.test("blocks of one direction go on from each other: records of a second cost a few bytes each", () => {
  const wire = new WireEncoder();
  wire.use("block");
  const record = (seq: number) =>
    encoder.encode(
      `{"type":"telemetry","node_id":"pump-7","epoch":"9f2c4e11a0b3d5c7","seq":${seq},"ts_wall_ms":${
        1_763_900_000_000 + 100 * seq
      },"metrics":{"temp_c":${41 + (seq % 5) / 100}}}\n`,
    );
  const second = (from: number) => Array.from({ length: 10 }, (_, i) => record(from + i));
  const decoder = decoderFor("block");
  const sizes = [1, 11, 21].map((from) => {
    const bytes = wire.encode(second(from));
    assertEquals(decode(decoder.push(bytes)).lines.length, 10);
    return bytes.length;
  });
  assert(sizes[0]! > 100 && sizes[1]! < 60 && sizes[2]! < 60, String(sizes));
});

Deno.test("parseNodeMessage() and parseHostMessage() never throw and never accept what is no object", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
    for (const parsed of [parseNodeMessage(text), parseHostMessage(text)]) {
      if (parsed.ok) assert(text.trimStart().startsWith("{"));
      else assert(!parsed.error.includes("\n"));
    }
  }));
});

Deno.test("recordLine() puts the identity in front of the content", () => {
  const content = {
    ts_wall_ms: 1,
    ts_mono_ms: 2,
    boot_id: "b",
    metrics: { temp_c: 41.2 },
    anomaly: { is_anomaly: false, score: 0, metrics: {} },
    diagnostics: {},
    degraded: false,
    cfg_version: 0,
  };
  const prefix = linePrefix("pump-7", "9f2c4e11a0b3d5c7");
  const line = new TextDecoder().decode(recordLine(prefix, 12, encodeContent(content)));
  const parsed = parseNodeMessage(line.trimEnd());
  assert(parsed.ok);
  assertEquals(parsed.message, {
    type: "telemetry",
    node_id: "pump-7",
    epoch: "9f2c4e11a0b3d5c7",
    seq: 12,
    ...content,
  });
});

Deno.test("RangeSet does what a Set of numbers does", () => {
  const operation = fc.record({
    add: fc.boolean(),
    from: fc.integer({ min: 1, max: 60 }),
    size: fc.integer({ min: 1, max: 12 }),
  });
  fc.assert(fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
    const ranges = new RangeSet();
    const model = new Set<number>();
    for (const { add, from, size } of operations) {
      if (add) ranges.add(from, from + size - 1);
      else ranges.remove(from, from + size - 1);
      for (let seq = from; seq < from + size; seq++) add ? model.add(seq) : model.delete(seq);
    }
    const missing: number[] = [];
    for (const [from, to] of ranges.missing(1, 80)) {
      for (let seq = from; seq <= to; seq++) missing.push(seq);
    }
    for (let seq = 1; seq <= 80; seq++) {
      assertEquals(ranges.has(seq), model.has(seq));
      assertEquals(missing.includes(seq), !model.has(seq));
    }
    assertEquals(ranges.size, model.size);
    assertEquals(ranges.firstMissing(1, 80), ranges.missing(1, 80)[0]);
    let high = 0;
    while (model.has(high + 1)) high++;
    assertEquals(ranges.takeContiguous(0), high);
  }));
});
