import { strict as assert } from "node:assert";
import { createDetector } from "../../lib/anomaly/registry.ts";
import { gaussian } from "./random.ts";

Deno.test("zscore equals a two-pass z over the window before each value", () => {
  const noise = gaussian(3);
  const detector = createDetector("zscore:window=100,warmup=10");
  const past: number[] = [];
  for (let i = 0; i < 3_000; i++) {
    const x = 20 + noise() + (i % 700 === 0 ? 9 : 0);
    const { z, is_anomaly, score } = detector.update(x, i * 100);
    const window = past.slice(-100);
    if (window.length >= 10) {
      const mean = window.reduce((a, b) => a + b) / window.length;
      const std = Math.sqrt(
        window.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (window.length - 1),
      );
      assert.ok(Math.abs(z - (x - mean) / std) < 1e-9);
      assert.equal(is_anomaly, Math.abs(z) > 3);
      assert.equal(score, Math.abs(z));
    } else {
      assert.equal(score, 0);
    }
    past.push(x);
  }
});

Deno.test("zscore gives a constant signal score 0 and a change of it a finite score", () => {
  const detector = createDetector("zscore");
  for (let i = 0; i < 1_000; i++) assert.equal(detector.update(5, i).score, 0);
  const { z, is_anomaly } = detector.update(5.1, 1_000);
  assert.ok(is_anomaly && Number.isFinite(z) && z > 3);
});
