import { strict as assert } from "node:assert";
import { MetricBank, METRICS_MAX, SNAPSHOT_AGE_MS_MAX } from "../../lib/anomaly/bank.ts";
import { gaussian } from "./random.ts";

function trained(): MetricBank {
  const bank = new MetricBank("zscore", { b: "none" });
  const noise = gaussian(6);
  for (let i = 0; i < 200; i++) bank.observe({ a: 40 + noise(), b: noise(), c: noise() }, i * 100);
  return bank;
}

Deno.test("MetricBank.observe() names flagged metrics only and gives all their z", () => {
  const verdict = trained().observe({ a: 60, b: 99, c: 0 }, 20_000);
  assert.equal(verdict.is_anomaly, true);
  assert.deepEqual(Object.keys(verdict.metrics), ["a"]);
  assert.deepEqual(Object.keys(verdict.all), ["a", "c"]);
  assert.equal(verdict.score, verdict.metrics["a"]!.z);
  assert.ok(Math.abs(verdict.metrics["a"]!.mean - 40) < 0.5);
});

Deno.test("MetricBank.configure() keeps what a metric has learned where the change allows it", () => {
  const bank = trained();
  bank.configure("zscore", { c: "zscore:threshold=5", a: "zscore:window=50" });
  const verdict = bank.observe({ a: 60, c: 4 }, 20_000);
  assert.equal(verdict.all["a"]!.score, 0, "another window starts over");
  assert.ok(verdict.all["c"]!.z > 3, "another threshold does not");
  assert.equal(verdict.is_anomaly, false);
});

Deno.test("MetricBank.configure() changes nothing when a spec is bad", () => {
  const bank = trained();
  assert.throws(() => bank.configure("zscore:threshold=9", { a: "nonsense" }), /unknown detector/);
  assert.equal(bank.observe({ a: 60 }, 20_000).is_anomaly, true);
});

Deno.test("MetricBank watches a bounded number of metrics and counts the rest", () => {
  const bank = new MetricBank();
  for (let i = 0; i < 300; i++) bank.observe({ [`m${i}`]: i }, i);
  assert.equal(bank.size, METRICS_MAX);
  assert.equal(bank.unwatched, 300 - METRICS_MAX);
});

Deno.test("MetricBank.restore() goes on from a snapshot, and from none that is stale or damaged", () => {
  const saved = JSON.parse(JSON.stringify(trained().snapshot(1_000)));
  const restart = () => new MetricBank("zscore", { b: "none" });
  const bank = restart();
  assert.equal(bank.restore(saved, 2_000), 2);
  assert.equal(bank.observe({ a: 60 }, 20_000).is_anomaly, true);
  assert.equal(restart().restore(saved, 1_001 + SNAPSHOT_AGE_MS_MAX), 0);
  assert.equal(restart().restore({ ...saved, metrics: { a: { values: "x" } } }, 2_000), 0);
  for (const bad of [undefined, null, 3, [], {}, { ...saved, version: 2 }]) {
    assert.equal(restart().restore(bad, 2_000), 0);
  }
});
