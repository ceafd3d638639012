import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BlockDecoder, BlockEncoder } from "../../lib/codec/block.ts";
import { CodecError } from "../../lib/codec/bytes.ts";
import { ColumnBuilder, valueAt } from "../../lib/codec/column.ts";
import { Lines, LinesBuilder, NO_GROUP, ShapeFinder, textsOf } from "../../lib/codec/lines.ts";
import { bytesOfShaped, decimalOf, NUMBER_MARK, Shape } from "../../lib/codec/shape.ts";
import { Place, templateOf } from "../../lib/codec/template.ts";

const number = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
  fc.integer({ min: -99_999, max: 99_999 }).map((n) => n / 1_000),
  fc.integer({ min: 0, max: 9 }),
  fc.constantFrom(0, 1e21, 1e-7, 123456789012345.6, 999_999_999_999_999, 1.7976931348623157e308),
).filter((n) => !Object.is(n, -0));

/** Lines of a few shapes, some alike. */
const line = fc.oneof(
  fc.tuple(number, number).map(([a, b]) => `{"a":${a},"b":${b}}`),
  number.map((a) => `{"a":${a}}`),
  fc.constantFrom("", "plain", "true", '{"a":-0}', "{}"),
);
const lines = fc.array(line, { minLength: 1, maxLength: 60 });

function built(texts: readonly string[]): Lines {
  const builder = new LinesBuilder();
  for (const text of texts) builder.addText(text);
  return builder.done();
}

Deno.test("lines that were gathered are the same texts in the same order", () => {
  fc.assert(fc.property(lines, (texts) => {
    const gathered = built(texts);
    assertEquals(gathered.count, texts.length);
    assertEquals([...gathered.texts()], texts);
  }));
});

Deno.test("columns of several blocks, put together in parts, are the lines that were put together", () => {
  fc.assert(fc.property(fc.array(lines, { minLength: 1, maxLength: 5 }), (blocks) => {
    const encoder = new BlockEncoder(), decoder = new BlockDecoder();
    const joined = new LinesBuilder();
    for (const texts of blocks) {
      joined.addLines(decoder.decode(encoder.encode(built(texts)).slice(), 1_048_576));
    }
    const again = new BlockDecoder().decode(new BlockEncoder().encode(joined.done()), 1_048_576);
    assertEquals([...again.texts()], blocks.flat());
  }));
});

Deno.test("a run's numbers are those of its texts", () => {
  fc.assert(fc.property(lines, (texts) => {
    for (const run of built(texts).runs()) {
      if (typeof run === "string" || run.group.columns.length === 0) continue;
      textsOf(run).forEach((text, index) => {
        const values = run.group.columns.map((column) => valueAt(column, run.from + index));
        assertEquals(values, Object.values(JSON.parse(text)));
      });
    }
  }));
});

Deno.test("a column takes numbers of all scales and gives each back to the last bit", () => {
  fc.assert(fc.property(fc.array(number, { minLength: 1, maxLength: 40 }), (values) => {
    const one = new ColumnBuilder(1), parts = new ColumnBuilder();
    for (const value of values) {
      const { number, scale } = decimalOf(value);
      one.push(number, scale);
    }
    const middle = values.length >> 1;
    parts.append(one.part, middle, values.length);
    parts.append(one.part, 0, middle);
    const back = (column: ColumnBuilder) => values.map((_, row) => valueAt(column.part, row));
    assertEquals(back(one), values);
    assertEquals(back(parts), [...values.slice(middle), ...values.slice(0, middle)]);
  }));
});

Deno.test("lines that would take more room than allowed are refused, not made", () => {
  const shape = new Shape(`{"a":${NUMBER_MARK}}`);
  const count = 1_000;
  const group = { shape, count, columns: [{ numbers: new Float64Array(count), scale: 0 }] };
  const lines = new Lines(new Array(count).fill(0), [group], []);
  assertThrows(() => lines.texts(7_999), CodecError, "too many characters");
  assertEquals(lines.texts(8_000).length, count);
  assertThrows(() => new Lines([NO_GROUP], [], ["äöü"]).texts(6), CodecError, "too many");
});

Deno.test("lines never take more bytes than they say at most, nor hundreds of times less", () => {
  fc.assert(fc.property(fc.array(number, { minLength: 1, maxLength: 40 }), (values) => {
    const builder = new LinesBuilder();
    for (const value of values) builder.addText(`{"ä":${value}}`);
    builder.addText("plain: ä");
    const lines = builder.done();
    const bytes = new TextEncoder().encode(lines.texts().join("\n") + "\n").length;
    assert(lines.bytesMax >= bytes, `${lines.bytesMax} at most, ${bytes} in fact`);
    assert(lines.bytesMax <= 10 * bytes, `${lines.bytesMax} at most, ${bytes} in fact`);
  }));
});

Deno.test("a builder keeps nothing of shapes that are gone, however often one with the same text comes", () => {
  const builder = new LinesBuilder();
  const text = "x".repeat(50_000) + NUMBER_MARK;
  const used = () => {
    const { heapUsed, external } = Deno.memoryUsage();
    return heapUsed + external;
  };
  const before = used();
  for (let i = 0; i < 10_000; i++) {
    builder.clear();
    builder.addRows(new Shape(text), [{ numbers: Float64Array.of(i), scale: 0 }], 0, 1);
  }
  assertEquals(builder.done().texts().length, 1);
  assert(used() - before < 250_000_000, `${used() - before} bytes for 10,000 of 50,000 each`);
});

Deno.test("a template is what the lines of a shape say, with places for numbers", () => {
  const shape = new Shape(
    `${NUMBER_MARK} {"a":${NUMBER_MARK},"b":["x",${NUMBER_MARK}],"a":${NUMBER_MARK},"__proto__":{"c":-0}}`,
  );
  const template = templateOf(shape, 2) as Record<string, unknown>;
  assertEquals(template.a, new Place(3), "of a name that is there twice the last counts");
  assertEquals(template.b, ["x", new Place(2)]);
  assertEquals(Object.getOwnPropertyDescriptor(template, "__proto__")?.value, { c: -0 });
});

for (
  const text of [
    "",
    "{",
    `{"a":"${NUMBER_MARK}"}`,
    `{"a":"\\${NUMBER_MARK}"}`,
    `{"a":"\\u00${NUMBER_MARK}"}`,
    `{"a":1${NUMBER_MARK}}`,
    `{"a":-${NUMBER_MARK}}`,
    `{"a":${NUMBER_MARK}${NUMBER_MARK}}`,
    `{"a":${NUMBER_MARK}e5}`,
    `{${NUMBER_MARK}:1}`,
    // Would be read as the place of a number that isn't there.
    '{"a":"\\u0070lace 7"}',
  ]
) {
  Deno.test(`a shape that says something else than its template has none: ${JSON.stringify(text)}`, () => {
    assertEquals(templateOf(new Shape(text)), undefined);
  });
}

Deno.test("a long text of what looks like a place is looked at once, not once for each of its characters", () => {
  // Else this doesn't end within any patience: a peer's frame of 300 bytes would hold the host up for seconds.
  const text = "place " + "+".repeat(2_000_000);
  assertEquals(templateOf(new Shape(`{"a":"${text}","b":${NUMBER_MARK}}`)), {
    a: text,
    b: new Place(0),
  });
});

Deno.test("a text that looks like a place is a text", () => {
  const template = templateOf(new Shape(`{"a":"place 0","b":"place +1","c":${NUMBER_MARK}}`));
  assertEquals(template, { a: "place 0", b: "place +1", c: new Place(0) });
});

Deno.test("no numbers make a line longer than its shape says", () => {
  const finder = new ShapeFinder();
  fc.assert(fc.property(fc.array(number, { minLength: 1, maxLength: 9 }), (values) => {
    const line = JSON.stringify({ values });
    const found = finder.find(line)!;
    assertEquals(new TextDecoder().decode(bytesOfShaped(found)), line);
    assert(line.length <= found.shape.bytesMax, `${line.length} of ${found.shape.bytesMax}`);
  }));
});
