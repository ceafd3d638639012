import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  ansi,
  clean,
  clip,
  duration,
  lineOf,
  measure,
  pad,
  plain,
  safeJson,
  short,
  timeOfDay,
  widthOf,
} from "../../lib/cli/terminal_text.ts";

/** Everything that a terminal may obey, or that hides or turns text. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
const HOSTILE = "a\x1b[2Jb\u009b31mc\x07\r\nd\u202ee\u200bf\x7f\ud800";

Deno.test("clean() leaves nothing that a terminal obeys, and hides that nothing was there", () => {
  assertEquals(UNSAFE.test(clean(HOSTILE)), false);
  assertEquals(clean("\x1b[2J"), "\ufffd[2J");
  assertEquals(clean("pump-7 Ölstand 油 €"), "pump-7 Ölstand 油 €");
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !UNSAFE.test(clean(text))));
});

Deno.test("safeJson() escapes what JSON.stringify leaves to the terminal, and means the same", () => {
  const value = { [HOSTILE]: [HOSTILE, 1, null] };
  for (const indent of [undefined, 2]) {
    const text = safeJson(value, indent);
    assertEquals(UNSAFE.test(text.replaceAll("\n", "")), false);
    assertEquals(JSON.parse(text), value);
  }
});

Deno.test("clip(), pad() and lineOf() keep to the columns, also with wide characters", () => {
  assertEquals(clip("abcdef", 6), "abcdef");
  assertEquals(clip("abcdef", 5), "abcd…");
  assertEquals(clip("油油油", 5), "油油…");
  assertEquals(clip("油油油", 4), "油…");
  assertEquals(pad("ab", 4), "ab  ");
  assertEquals(pad("ab", 4, true), "  ab");
  assertEquals(widthOf("e\u0301"), 1);
  const text = fc.string({ unit: "grapheme" });
  fc.assert(fc.property(text, text, fc.nat(30), (a, b, width) => {
    const line = lineOf([clean(a), ["bad", clean(b)]], width, plain);
    assert(widthOf(line) <= width);
    if (width > 0) assertEquals(widthOf(pad(clean(a), width)), width);
  }));
  assertEquals(lineOf(["ab", ["bad", "cdef"]], 4, ansi), "ab\x1b[1;31mc…\x1b[0m");
});

Deno.test("durations, counts and values are short and never lie by more than their last digit", () => {
  const times = [0, 999, 1_000, 59_900, 252_000, 7_200_000, 172_800_000, -42_000].map(duration);
  assertEquals(times, ["0 ms", "999 ms", "1.0 s", "60 s", "4 min", "2 h", "2 d", "-42 s"]);
  const counts = [0, 9_999, 10_000, 99_960, 184_220, 999_960, 1_500_000, 4.5e10].map(short);
  assertEquals(counts, [
    ...["0", "9999", "10.0 k", "100 k", "184 k", "1.0 M", "1.5 M", "45.0 G"],
  ]);
  assertEquals([0.1 + 0.2, 1 / 3, 123456789].map(measure), ["0.3", "0.333333", "123457000"]);
  assertEquals([timeOfDay(0), timeOfDay(NaN)], ["00:00:00.000", "?"]);
});
