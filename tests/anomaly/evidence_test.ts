import { assert } from "@std/assert";
import { Evidence } from "../../lib/anomaly/evidence.ts";

const SAMPLES_PER_ALERT = 10_000;

Deno.test("Evidence: spikes that stand alone don't teach it that spikes are normal", () => {
  const evidence = new Evidence(3);
  for (let spike = 0; spike < 200; spike++) {
    for (let i = 0; i < 100; i++) {
      const score = (i * 7919 % 200) / 100;
      evidence.take(
        { is_anomaly: false, score, mean: 0, std: 1, z: 0 },
        i,
        i,
        SAMPLES_PER_ALERT,
        false,
      );
    }
    evidence.take(
      { is_anomaly: true, score: 150, mean: 0, std: 1, z: 0 },
      150,
      0,
      SAMPLES_PER_ALERT,
      false,
    );
  }
  assert(evidence.alertScore(SAMPLES_PER_ALERT) < 20, `${evidence.alertScore(SAMPLES_PER_ALERT)}`);
});
