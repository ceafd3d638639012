/** Rules and detectors as texts: what each becomes, to the last default, and where its limits are. */
import { assertEquals, assertThrows } from "@std/assert";
import {
  type DetectorOption,
  DETECTORS,
  parseDetector,
  parseMetricDetector,
} from "../../lib/config/detector_spec.ts";
import { parseRule, type Rule } from "../../lib/config/rule_spec.ts";

const NO_LIMIT = { low: -Infinity, high: Infinity, clear: 0, forMs: 0, holdMs: 1_000, by: 0 };

Deno.test("a rule has its limits, how far inside it clears, how long it waits and holds", () => {
  const cases: [text: string, rule: Partial<Rule>][] = [
    ["range:a:min=1:max=6", { low: 1, high: 6, clear: 0.1 }],
    ["range:a:min=-50", { low: -50, clear: 1 }],
    ["range:a:max=0:for=5s", { high: 0, forMs: 5_000 }],
    ["range:a:min=1:max=2:clear=0.5:hold=0", { low: 1, high: 2, clear: 0.5, holdMs: NaN }],
    ["range:a:min=1:max=2:clear=0.5:hold=0s", { low: 1, high: 2, clear: 0.5, holdMs: 0 }],
    ["low:a:below=-10V", { low: -10, clear: 0.2 }],
    ["low:a:below=100:clear=5", { low: 100, clear: 5 }],
    ["high:a:above=80 °C:for=2min:hold=1h", {
      high: 80,
      clear: 1.6,
      forMs: 120_000,
      holdMs: 3_600_000,
    }],
    ["rate:a:max=0.5", { high: 0.5, clear: 0.01 }],
    ["rate:a:max=30/min", { high: 0.5, clear: 0.01 }],
    ["rate:a:max=2 V/ms", { high: 2_000, clear: 40 }],
    ["rate:a:max=86400/d", { high: 1, clear: 0.02 }],
    ["disagree:a,b:by=2", { high: 2, clear: 0.04 }],
    ["stuck:a:for=1.5h", { forMs: 5_400_000 }],
    ["stuck:a:for=500ms:by=0.1:hold=2d", { forMs: 500, by: 0.1, holdMs: 172_800_000 }],
    ["missing:a:for=1m", { forMs: 60_000 }],
  ];
  for (const [text, more] of cases) {
    if (Number.isNaN(more.holdMs)) {
      assertThrows(() => parseRule(text), SyntaxError, "hold must be a time");
      continue;
    }
    const [kind, names] = text.split(":") as [Rule["kind"], string];
    const { clear, ...found } = parseRule(text);
    const { clear: wanted, ...rest } = { ...NO_LIMIT, ...more };
    assertEquals(found as unknown, {
      kind,
      label: `${kind} ${names}`,
      metrics: names.split(","),
      ...rest,
    });
    assertEquals(Math.abs(clear - wanted) < 1e-9, true, `${text}: clears ${clear} inside`);
  }
});

Deno.test("a rule that could never clear, or says nothing, is refused", () => {
  const cases: [text: string, wrong: string][] = [
    ["range:a:min=1:max=1", "min must be below max"],
    ["range:a:min=1:max=2:clear=0.51", "clear must be small"],
    ["low:a:below=1:clear=-1", "clear must be small"],
    ["rate:a:max=0/s", "max must be above 0"],
    ["disagree:a,b:by=0", "by must be above 0"],
    ["missing:a:for=0ms", "for must be above 0"],
    ["stuck:a:for=-5s", "for must be a time"],
    ["stuck:a:for=5", "for must be a time"],
    ["high:a:above=80:for=5x", "for must be a time"],
    ["low:a", "needs below="],
    ["high:a", "needs above="],
    ["missing:a:for=5s:by=1", 'missing has no option "by"'],
    ["rate:a:max=1:clear=1", 'rate has no option "clear"'],
    ["high:a,b:above=1", "the name of a metric"],
    [`high:${"a".repeat(65)}:above=1`, "the name of a metric"],
  ];
  for (const [text, wrong] of cases) assertThrows(() => parseRule(text), SyntaxError, wrong);
  assertEquals(parseRule("range:a:min=1:max=2:clear=0.5").clear, 0.5);
  assertEquals(parseRule(`high:${"a".repeat(64)}:above=1`).high, 1);
});

Deno.test("a detector has every option of its kind: those that are given, and the defaults of the others", () => {
  assertEquals(parseDetector("zscore:threshold=4"), {
    kind: "zscore",
    options: { threshold: 4, window: 600, warmup: 60 },
  });
  for (const [kind, { options }] of Object.entries(DETECTORS)) {
    const defaults = Object.entries(options as Record<string, DetectorOption>)
      .map(([name, option]) => [name, option.default]);
    assertEquals(parseDetector(kind)?.options, Object.fromEntries(defaults));
  }
  assertEquals(parseDetector("none"), undefined);
});

Deno.test("an option of a detector may be its lowest and its highest value, and nothing beyond", () => {
  for (const [kind, { options }] of Object.entries(DETECTORS)) {
    for (const [name, option] of Object.entries(options as Record<string, DetectorOption>)) {
      for (const value of [option.min, option.max]) {
        assertEquals(parseDetector(`${kind}:${name}=${value}`)?.options[name], value);
      }
      const below = option.min - Math.max(1, Math.abs(option.min));
      const above = option.max + Math.max(1, Math.abs(option.max));
      for (const value of [below, above, "", "x", ...(option.integer ? [option.min + 0.5] : [])]) {
        assertThrows(
          () => parseDetector(`${kind}:${name}=${value}`),
          SyntaxError,
          `${name} must be`,
        );
      }
    }
  }
});

Deno.test("a metric's detector is named behind its name, as a detector for all is", () => {
  assertEquals(parseMetricDetector(" temp_c = ewma:threshold=5,span=10 "), {
    metric: "temp_c",
    spec: "ewma:threshold=5,span=10",
    chosen: { kind: "ewma", options: { threshold: 5, span: 10, warmup: 60 } },
  });
  assertEquals(parseMetricDetector("temp_c=none"), {
    metric: "temp_c",
    spec: "none",
    chosen: undefined,
  });
  for (const bad of ["zscore", "=zscore", "zscore:threshold=4"]) {
    assertThrows(() => parseMetricDetector(bad), SyntaxError, "must be METRIC=DETECTOR");
  }
  assertThrows(() => parseMetricDetector("temp_c="), SyntaxError);
});
