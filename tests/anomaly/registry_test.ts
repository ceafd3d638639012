import { strict as assert } from "node:assert";
import { parameter } from "../../lib/anomaly/detector.ts";
import { createDetector, DETECTOR_KINDS, parseDetectorSpec } from "../../lib/anomaly/registry.ts";
import { gaussian } from "./random.ts";

Deno.test("parseDetectorSpec() fills in defaults and names equal detectors equally", () => {
  const spec = parseDetectorSpec("zscore: window=300, threshold=3");
  assert.equal(spec.canonical, "zscore:window=300");
  assert.equal(parameter(spec.parameters, "warmup"), 60);
});

Deno.test("parseDetectorSpec() refuses a bad spec in one line that says what is possible", () => {
  const cases: [string, RegExp][] = [
    ["zscor", /unknown detector "zscor"; there are: .*zscore/],
    ["zscore:treshold=4", /unknown option treshold; there are: threshold, window/],
    ["zscore:threshold=x", /threshold is "x", must be a number from 0.1 to/],
    ["zscore:window=2.5", /must be a whole number from 2 to 100000 \(samples\)/],
    ["zscore:window=1", /from 2 to/],
    ["zscore:window", /"window" must be name=value/],
    ["zscore:window=5,window=6", /window is given twice/],
    ["", /unknown detector ""/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseDetectorSpec(text), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  }
});

for (const { kind, bytes, parameters } of DETECTOR_KINDS) {
  Deno.test(`${kind} survives missing, infinite and extreme values and jumps of time without NaN`, () => {
    const detector = createDetector(kind);
    const noise = gaussian(4);
    const odd = [undefined, NaN, Infinity, -Infinity, 1e308, -1e308, 0, 5e-324, Number.MAX_VALUE];
    const times = [0, -1e15, NaN, 1e15, Infinity, 5];
    for (let i = 0; i < 20_000; i++) {
      const value = i % 37 === 0 ? odd[(i / 37) % odd.length] : noise();
      const t = i % 101 === 0 ? times[(i / 101) % times.length]! : 1.7e12 + i * 1000;
      const verdict = detector.update(value, t);
      for (const field of ["score", "z", "mean", "std"] as const) {
        assert.ok(Number.isFinite(verdict[field]), `${field} at ${i}: ${verdict[field]}`);
      }
      assert.ok(verdict.score >= 0 && verdict.std >= 0);
      if (!Number.isFinite(value ?? NaN)) assert.equal(verdict.score, 0);
    }
  });

  Deno.test(`${kind} goes on from its snapshot as if nothing had happened`, () => {
    const noise = gaussian(5);
    const before = createDetector(kind);
    const day = (i: number) => 1.7e12 + i * 300_000;
    for (let i = 0; i < 3_000; i++) before.update(noise() + Math.sin(i / 46), day(i));
    const after = createDetector(kind);
    assert.ok(after.restore(JSON.parse(JSON.stringify(before.snapshot()))));
    for (let i = 3_000; i < 4_000; i++) {
      const value = noise() + Math.sin(i / 46) + (i === 3_500 ? 20 : 0);
      const expected = before.update(value, day(i)).score;
      assert.ok(Math.abs(after.update(value, day(i)).score - expected) <= 1e-9 * (1 + expected));
    }
  });

  Deno.test(`${kind} refuses every damaged snapshot and stays as it was`, () => {
    const detector = createDetector(kind);
    for (let i = 0; i < 500; i++) detector.update(Math.sin(i), i * 1000);
    const good = detector.snapshot();
    const bad: unknown[] = [undefined, null, 1, "x", [], {}, { ...good, version: 99 }];
    for (const key of Object.keys(good)) {
      bad.push({ ...good, [key]: undefined }, { ...good, [key]: "x" }, { ...good, [key]: [NaN] });
    }
    for (const state of bad) assert.equal(detector.restore(state), false, JSON.stringify(state));
    assert.deepEqual(detector.snapshot(), good);
  });

  Deno.test(`${kind} says its size, its options have defaults within range, and 0 is no name`, () => {
    const defaults = parseDetectorSpec(kind).parameters;
    assert.ok(bytes(defaults) > 0);
    for (const { default: value, min, max } of parameters) assert.ok(value >= min && value <= max);
  });
}
