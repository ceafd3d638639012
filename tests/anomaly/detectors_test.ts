import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { whiteNoise } from "../../bench/series.ts";
import { detectorMaker } from "../../lib/anomaly/registry.ts";
import { DETECTORS } from "../../lib/config/detector_spec.ts";

const KINDS = Object.keys(DETECTORS);
const STEP_MS = 100;

function make(kind: string, options: Record<string, string> = {}) {
  return detectorMaker(kind, new Map(Object.entries(options)))();
}

/** Indexes at which `values` are flagged. */
function flagged(kind: string, values: Iterable<number>, options = {}, stepMs = STEP_MS): number[] {
  const detector = make(kind, options);
  const found: number[] = [];
  let at = 0;
  for (const value of values) {
    if (detector.update(value, at * stepMs).is_anomaly) found.push(at);
    at++;
  }
  return found;
}

function noise(seed: number, count: number): number[] {
  const next = whiteNoise(seed);
  return Array.from({ length: count }, () => next());
}

for (const kind of KINDS) {
  Deno.test(`${kind}: verdicts are finite for any finite values and times`, () => {
    const value = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(5));
    fc.assert(fc.property(fc.array(value, { maxLength: 300 }), fc.nat(), (values, start) => {
      const detector = make(kind);
      values.forEach((each, at) => {
        const { score, z, mean, std } = detector.update(each, start + at * STEP_MS);
        assert([score, z, mean, std].every(Number.isFinite) && score >= 0 && std >= 0);
      });
    }));
  });

  Deno.test(`${kind}: goes on after save and restore as if nothing had happened`, () => {
    const values = noise(3, 5_000);
    const first = make(kind), second = make(kind);
    values.forEach((value, at) => first.update(value, at * STEP_MS));
    assertEquals(second.restore(JSON.parse(JSON.stringify(first.save()))), true);
    let differences = 0;
    noise(4, 200).forEach((value, at) => {
      const tMs = (5_000 + at) * STEP_MS;
      const a = first.update(value, tMs), b = second.update(value, tMs);
      if (Math.abs(a.score - b.score) > 0.02 * (1 + a.score)) differences++;
    });
    // The z-score keeps the moments and not the window, so its window drifts apart a little.
    assert(differences <= (kind === "zscore" ? 120 : 2), `${differences} of 200 differ`);
  });

  Deno.test(`${kind}: ignores a saved state that is none of its own`, () => {
    for (const state of [undefined, null, {}, [], [1, "a"], "x", [NaN, 1, 2], new Array(9_999)]) {
      assertEquals(make(kind).restore(state), false);
    }
  });

  Deno.test(`${kind}: says nothing of a signal that never changes`, () => {
    assertEquals(flagged(kind, new Array(5_000).fill(7.25), {}, 300_000), []);
  });

  if (kind !== "limits") {
    Deno.test(`${kind}: keeps less than a kilobyte, the seasonal one less than eight`, () => {
      const detector = make(kind);
      noise(5, 20_000).forEach((value, at) => detector.update(1e3 * value, at * 3_600_000));
      const bytes = JSON.stringify(detector.save()).length;
      assert(bytes < (kind === "seasonal" ? 16_384 : 1_024), `${bytes} bytes`);
    });
  }
}

for (const kind of ["zscore", "ewma", "robust", "surprise", "rate"]) {
  Deno.test(`${kind}: flags a spike far outside the noise`, () => {
    const values = noise(6, 4_000);
    values[3_000] = 15;
    assert(flagged(kind, values).includes(3_000));
  });
}

Deno.test("surprise: at most one false alarm a day on white noise at 10 Hz", () => {
  const next = whiteNoise(11);
  const detector = make("surprise");
  let events = 0, last = -1e9;
  for (let at = 0; at < 2 * 864_000; at++) {
    if (!detector.update(next(), at * STEP_MS).is_anomaly) continue;
    if (at - last > 600) events++;
    last = at;
  }
  assert(events <= 2, `${events} in two days`);
});

Deno.test("surprise: flags a step of five standard deviations within two seconds at 10 Hz, and then learns it", () => {
  for (let seed = 20; seed < 30; seed++) {
    const values = noise(seed, 40_000).map((value, at) => at < 20_000 ? value : value + 5);
    const found = flagged("surprise", values);
    const first = found.find((at) => at >= 20_000)!;
    assert(first < 20_020, `seed ${seed}: after ${first - 20_000} values`);
    assertEquals(found.filter((at) => at > 20_200), [], `seed ${seed}: still says so`);
  }
});

Deno.test("surprise: finds what has gone flat, and what is wrong only at this hour", () => {
  const flat = noise(31, 6_000).map((value, at) => at < 5_000 ? value : 0.1);
  assert(flagged("surprise", flat, { threshold: "0.3" }).some((at) => at > 5_000));
  const day = 288;
  const course = noise(32, 14 * day).map((value, at) =>
    50 - 40 * Math.cos(2 * Math.PI * at / day) + value
  );
  const at = 12 * day + 20;
  for (let i = 0; i < 24; i++) course[at + i] = 60;
  const found = flagged("surprise", course, {}, 300_000);
  assert(found.some((index) => index >= at && index < at + 24));
});

Deno.test("robust: ten percent of outliers neither hide the eleventh nor fill the log on a mostly constant signal", () => {
  const values = noise(41, 5_000).map((value, at) => at % 10 === 0 ? value + 30 : value);
  values[4_995] = -60;
  assert(flagged("robust", values, { threshold: "5" }).includes(4_995));
  const mostly = Array.from({ length: 20_000 }, (_, at) => at % 50 === 0 ? 1.2 : 1);
  assert(flagged("robust", mostly).length < 60);
});

Deno.test("rate: a gap in time starts anew instead of flagging what changed meanwhile", () => {
  const detector = make("rate");
  const values = noise(51, 2_000);
  values.forEach((value, at) => detector.update(value, at * STEP_MS));
  assertEquals(detector.update(500, 2_000 * STEP_MS + 3_600_000).is_anomaly, false);
  assertEquals(detector.update(900, 2_000 * STEP_MS + 3_600_100).is_anomaly, true);
});

Deno.test("limits: an anomaly begins at the limit and ends inside the hysteresis", () => {
  const options = { low: "0", high: "10", hysteresis: "2" };
  assertEquals(flagged("limits", [5, 11, 9, 8.5, 7, 9, -1, 1, 3], options), [1, 2, 3, 6, 7]);
});

Deno.test("seasonal: flags what is ordinary at noon and happens at night", () => {
  const day = 288;
  const course = noise(61, 21 * day).map((value, at) =>
    50 - 40 * Math.cos(2 * Math.PI * at / day) + value
  );
  const night = 18 * day + 3;
  course[night] = 88;
  const found = flagged("seasonal", course, {}, 300_000);
  assert(found.includes(night));
  assert(found.length < 5, `${found.length} flagged`);
});
