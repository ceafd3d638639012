import { strict as assert } from "node:assert";
import { SlidingMoments } from "../../lib/anomaly/welford.ts";
import { gaussian } from "./random.ts";

function twoPass(values: readonly number[]): { mean: number; std: number } {
  const first = values[0]!;
  const mean = values.reduce((sum, x) => sum + (x - first), 0) / values.length;
  const m2 = values.reduce((sum, x) => sum + (x - first - mean) ** 2, 0);
  return { mean: first + mean, std: Math.sqrt(m2 / (values.length - 1)) };
}

function assertClose(moments: SlidingMoments, relative: number): void {
  const { mean, std } = twoPass(moments.values());
  assert.ok(Math.abs(moments.mean - mean) <= relative * Math.max(std, Math.abs(mean)), "mean");
  assert.ok(Math.abs(moments.std - std) <= relative * std, `std ${moments.std} is not ${std}`);
}

Deno.test("SlidingMoments stays within 1e-9 of a two-pass reference over 10 million samples", () => {
  const noise = gaussian(1);
  const moments = new SlidingMoments(600);
  for (let i = 0; i < 10_000_000; i++) {
    moments.push(1e4 + 50 * Math.sin(i / 1e5) + noise());
    if (i % 500_009 === 0 && i > 0) assertClose(moments, 1e-9);
  }
  assertClose(moments, 1e-9);
});

Deno.test("SlidingMoments matches the reference while filling, at a large offset, and after extremes", () => {
  const noise = gaussian(2);
  const cases: [string, (i: number) => number][] = [
    ["offset of 1e9", () => 1e9 + noise()],
    ["one value of 1e15", (i) => i === 700 ? 1e15 : noise()],
    ["rising by powers", (i) => 10 ** (i % 40 - 20)],
    ["steps", (i) => (i % 1000 < 500 ? 0 : 1e7) + noise()],
  ];
  for (const [name, value] of cases) {
    const moments = new SlidingMoments(50);
    for (let i = 0; i < 5_000; i++) {
      moments.push(value(i));
      if (i > 2) assert.doesNotThrow(() => assertClose(moments, 1e-9), `${name} at ${i}`);
    }
  }
});

Deno.test("SlidingMoments gives a deviation of exactly 0 for a constant signal", () => {
  const moments = new SlidingMoments(100);
  for (let i = 0; i < 1_000; i++) moments.push(0.1);
  assert.equal(moments.std, 0);
  assert.equal(moments.mean, 0.1);
});
