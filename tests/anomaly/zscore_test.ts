import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Backtest } from "../../lib/anomaly/backtest.ts";
import { detectorMaker } from "../../lib/anomaly/registry.ts";
import { SlidingMoments } from "../../lib/anomaly/welford.ts";
import { ZScore } from "../../lib/anomaly/zscore.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";

/** Mean and sample variance of `values` by two passes. */
function twoPass(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, variance: squares / (values.length - 1) };
}

Deno.test("SlidingMoments agrees with two passes over the window to 1e-9 over ten million values", () => {
  const random = seededRandom(1);
  const moments = new SlidingMoments(600);
  const window: number[] = new Array(600);
  for (let i = 0; i < 10_000_000; i++) {
    // A large base with small noise is where the naive formula fails.
    const value = 1e6 + random.below(1_000_000) / 1_000;
    moments.add(value);
    window[i % 600] = value;
    if (i < 600 || i % 999_983 !== 0) continue;
    const { mean, variance } = twoPass(window);
    assert(Math.abs(moments.mean - mean) <= 1e-9 * Math.abs(mean));
    assert(
      Math.abs(moments.variance - variance) <= 1e-9 * variance,
      `${i}: ${moments.variance} ${variance}`,
    );
  }
});

Deno.test("ZScore flags a spike and not the noise around it", () => {
  const random = seededRandom(2);
  const detector = new ZScore({ threshold: 3, window: 600, warmup: 60 });
  for (let i = 0; i < 1_000; i++) {
    const noise = random.below(1_000) / 1_000;
    assertEquals(detector.update(40 + noise).is_anomaly, false);
  }
  const verdict = detector.update(50);
  assertEquals(verdict.is_anomaly, true);
  assert(verdict.z > 20 && Math.abs(verdict.mean - 40.5) < 0.1);
});

Deno.test("ZScore stays finite on a constant signal and flags its change", () => {
  const detector = new ZScore({ threshold: 3, window: 100, warmup: 10 });
  for (let i = 0; i < 500; i++) assertEquals(detector.update(5).score, 0);
  const verdict = detector.update(6);
  assert(verdict.is_anomaly && Number.isFinite(verdict.z));
});

Deno.test("ZScore judges nothing during its warm-up", () => {
  const detector = new ZScore({ threshold: 3, window: 100, warmup: 10 });
  for (const value of [1, 1, 1, 1, 1e9, 1, 1, 1, 1, 1]) {
    assertEquals(detector.update(value).score, 0);
  }
});

Deno.test("detectorMaker() refuses unknown kinds, unknown options and values out of range in one line", () => {
  for (
    const [kind, options] of [
      ["magic", []],
      ["zscore", [["size", "3"]]],
      ["zscore", [["window", "2.5"]]],
      ["zscore", [["threshold", ""]]],
    ] as [string, [string, string][]][]
  ) {
    assertMatch(
      String(assertThrows(() => detectorMaker(kind, new Map(options)))),
      /^SyntaxError: [^\n]+$/,
    );
  }
});

Deno.test("Backtest gives one row for each row, also for values that are missing or no number", () => {
  const backtest = new Backtest(new ZScore({ threshold: 3, window: 10, warmup: 2 }));
  const rows = ['"timestamp","value"\r', "t1,1\r", "t2,1", "t3,", "t4,x", "t5,9", ""].map((line) =>
    backtest.push(line)
  );
  assertEquals(rows[0], "timestamp,value,score,is_anomaly");
  assertEquals(rows.slice(3, 5), ["t3,,0,0", "t4,x,0,0"]);
  assertMatch(rows[5]!, /^t5,9,\d+,1$/);
  assertEquals(rows[6], undefined);
});
