import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { RuleState } from "../../lib/anomaly/rules.ts";
import { parseRule } from "../../lib/config/rule_spec.ts";

/** Whether the rule is active after each value, a second apart; `undefined` is a missing one. */
function run(spec: string, values: readonly (number | undefined | [number, number])[]): boolean[] {
  const state = new RuleState(parseRule(spec));
  return values.map((value, second) => {
    const metrics = Array.isArray(value)
      ? { a: value[0], b: value[1] }
      : { a: value, b: undefined };
    return state.tick((name) => metrics[name as "a" | "b"], 1_000 * second);
  });
}

const CASES: [spec: string, values: (number | undefined | [number, number])[], active: number[]][] =
  [
    // Inside again by 2 % of the span, for a second.
    ["range:a:min=0:max=10", [5, 11, 9.9, 9.9, 9.7, 9.7, 5], [1, 2, 3, 4]],
    ["range:a:min=4.75V:max=5.25V:clear=0", [5, 4.7, 4.8, 4.8], [1, 2]],
    ["low:a:below=4.8:hold=0s", [5, 4.79, 4.85, 4.9, 5], [1, 2]],
    ["high:a:above=80:for=2s:hold=0s", [81, 81, 79, 81, 81, 81, 81, 70], [5, 6]],
    ["rate:a:max=0.5/s", [1, 1.4, 1.8, 3, 3, 3, 3], [3, 4]],
    ["rate:a:max=30/min", [1, 1.4, 1.8, 3, 3, 3, 3], [3, 4]],
    ["stuck:a:for=3s", [1, 2, 2, 2, 2, 2, 3, 4], [4, 5, 6]],
    ["stuck:a:for=3s:by=0.1", [1, 1.05, 1.08, 0.95, 2, 2], [3, 4]],
    ["missing:a:for=2s", [1, undefined, undefined, undefined, 1, 1, 1], [2, 3, 4]],
    ["missing:a:for=2s", [undefined, undefined, undefined], [2]],
    ["disagree:a,b:by=2", [[1, 2], [1, 4], [1, 2.99], [1, 2.9], [1, 2.9]], [1, 2, 3]],
    ["range:a:max=10", [11, undefined, undefined, 5, 5], [0, 1, 2, 3]],
  ];
for (const [spec, values, active] of CASES) {
  Deno.test(`rule ${spec} is active at ${active.join(", ")} of ${JSON.stringify(values)}`, () => {
    const found = run(spec, values).flatMap((is, second) => is ? [second] : []);
    assertEquals(found, active);
  });
}

Deno.test("a rule that can't be read is refused in one line that says what is wrong", () => {
  for (
    const [spec, what] of [
      ["wobble:a:by=1", /unknown kind "wobble", known are range, low/],
      ["range", /must have the name of a metric/],
      ["range:a b:min=1", /must have the name of a metric/],
      ["range:a", /needs min= or max=/],
      ["range:a:min=5:max=1", /min must be below max/],
      ["range:a:min=five", /min must be a number/],
      ["range:a:min=1:min=2", /given twice/],
      ["range:a:min", /must be key=value/],
      ["range:a:max=3:by=1", /range has no option "by", it has min, max/],
      ["stuck:a", /needs for=/],
      ["stuck:a:for=soon", /for must be a time such as/],
      ["stuck:a:for=0s", /for must be above 0/],
      ["rate:a:max=0.5/week", /must be a change a time/],
      ["disagree:a:by=2", /names of two metrics/],
    ] as [string, RegExp][]
  ) {
    ((check: (error: Error) => unknown) => check(assertThrows(() => parseRule(spec))))(
      (error: Error) => {
        assertMatch(error.message, what);
        assert(!error.message.includes("\n") && error.message.includes(spec));
        return error instanceof SyntaxError;
      },
    );
  }
});

Deno.test("units after numbers are for the reader, times are understood", () => {
  const { low, high, forMs, holdMs } = parseRule("range:a:min=-2.5 °C:max=80°C:for=1.5min:hold=2h");
  assertEquals([low, high, forMs, holdMs], [-2.5, 80, 90_000, 7_200_000]);
  assertEquals(parseRule("rate:level_m:max=36 m/h").high, 0.01);
});
