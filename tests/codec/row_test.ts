import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { CodecError } from "../../lib/codec/bytes.ts";
import { ROW_TEXT_MAX, RowDecoder, RowEncoder } from "../../lib/codec/row.ts";
import { bytesOfShaped, type ShapedLine } from "../../lib/codec/shape.ts";

function bytesIn(content: Uint8Array | ShapedLine): Uint8Array {
  return content instanceof Uint8Array ? content : bytesOfShaped(content);
}

const encoder = new TextEncoder();

/** Each as a row and back, as a reader of the rows in order finds it. */
function kept(payloads: readonly Uint8Array[]): { rows: Uint8Array[]; back: Uint8Array[] } {
  const rows = new RowEncoder(), reader = new RowDecoder();
  const all = payloads.map((payload) => rows.encode(payload));
  const back = all.map(({ row, note }) => {
    if (note !== undefined) reader.note(note);
    return bytesIn(reader.decode(row)!);
  });
  return { rows: all.map(({ row }) => row), back };
}

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.json().map((text) => encoder.encode(text)),
  fc.record({
    t: fc.double({ noNaN: true, noDefaultInfinity: true }),
    n: fc.maxSafeInteger(),
    d: fc.integer({ min: -9_999, max: 9_999 }).map((n) => n / 100),
  }).map((value) => encoder.encode(JSON.stringify(value))),
);

Deno.test("rows give back every byte, whatever was appended, and are a byte longer at most", () => {
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 20 }), (payloads) => {
      const { rows, back } = kept([...payloads, ...payloads]);
      assertEquals(back, [...payloads, ...payloads]);
      rows.forEach((row, i) =>
        assert(row.length <= payloads[i % payloads.length]!.length + 1, String(row.length))
      );
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a record of the sim sensor takes a sixth of its text", () => {
  const record = (i: number) =>
    encoder.encode(
      `{"ts_wall_ms":${1_763_900_000_000 + 100 * i},"ts_mono_ms":${
        123_456.7 + i
      },"boot_id":"4d5f1c3a-7e0b-4a6e-9a53-0f5a1c2b3d4e","metrics":{"temp_c":${
        41 + (i % 9) / 100
      },"rail_v":5.012,"pressure_bar":3.412,"flow_lpm":121.4,"vibration_g":0.312},"anomaly":{"is_anomaly":false,"score":1.23456,"metrics":{}},"diagnostics":{"rail_low":false},"degraded":false,"cfg_version":3}`,
    );
  const payloads = Array.from({ length: 50 }, (_, i) => record(i));
  const { rows } = kept(payloads);
  assert(rows.at(-1)!.length * 6 < payloads.at(-1)!.length, `${rows.at(-1)!.length} bytes`);
});

Deno.test("an encoder that goes on with the shapes that a reader knows makes rows that it can read", () => {
  const first = new RowEncoder(), reader = new RowDecoder();
  for (const text of ['{"a":1}', '{"a":2}', '{"b":1}', '{"b":2}']) {
    const { note } = first.encode(encoder.encode(text));
    if (note !== undefined) reader.note(note);
  }
  assertEquals(reader.known.length, 2);
  const { row, note } = new RowEncoder(reader.known).encode(encoder.encode('{"b":12345678}'));
  assertEquals([note, row[0]], [undefined, 2]);
  assertEquals(new TextDecoder().decode(bytesIn(reader.decode(row)!)), '{"b":12345678}');
});

Deno.test("a shape that was noted twice takes two ids: what is noted after it is read as it was written", () => {
  const reader = new RowDecoder();
  for (const id of [1, 2]) reader.note(Uint8Array.of(id, ...encoder.encode('{"a":\0}')));
  const rows = new RowEncoder(reader.known);
  for (const text of ['{"b":12345678}', '{"b":22345678}', '{"b":32345678}']) {
    const { row, note } = rows.encode(encoder.encode(text));
    if (note !== undefined) reader.note(note);
    assertEquals(new TextDecoder().decode(bytesIn(reader.decode(row)!)), text);
  }
});

Deno.test("a row whose shape isn't known is no error, but gives nothing; what is no row is refused", () => {
  const reader = new RowDecoder();
  assertEquals(reader.decode(Uint8Array.of(3, 16)), undefined);
  reader.note(Uint8Array.of(3, 0x7b, 0, 0x7d));
  assertEquals(new TextDecoder().decode(bytesIn(reader.decode(Uint8Array.of(3, 32))!)), "{1}");
  for (const row of [[], [3], [3, 32, 32], [3, 15, 0], [3, 31]]) {
    assertThrows(() => reader.decode(Uint8Array.from(row)), CodecError);
  }
});

Deno.test("a note changes nothing that is known, and what is no note changes nothing", () => {
  const reader = new RowDecoder();
  reader.note(Uint8Array.of(1, 0x61, 0));
  for (const note of [[1, 0x62, 0], [0, 0x62], [65, 0x62], []]) reader.note(Uint8Array.from(note));
  assertEquals(reader.known, ["a\0"]);
});

Deno.test("texts that are too long for a shape are kept as they are", () => {
  const long = encoder.encode(`{"a":${"1,".repeat(ROW_TEXT_MAX)}0}`);
  assertEquals(kept([long, long]).rows, [long, long]);
});
