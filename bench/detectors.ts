/**
 * `deno task bench:detectors`: what each detector costs and how good it is on made-up series, in one table; with
 * `--corpora DIR` how good it is on real ones instead.
 */
import { detectorMaker } from "../lib/anomaly/registry.ts";
import { DETECTORS } from "../lib/config/detector_spec.ts";
import { corpora } from "./corpora.ts";
import { nabLike, scoreSeries } from "./quality.ts";
import { corpus, whiteNoise } from "./series.ts";

const TUNED = [1, 2, 3, 4, 5, 6], HELD_OUT = [11, 12, 13, 14, 15, 16];
const DAY_ROWS = 864_000;
const STEP_AT = 20_000;

function make(kind: string) {
  return detectorMaker(kind, new Map())();
}

/** Nanoseconds a value and events in a day of white noise at 10 Hz. */
function noise(kind: string): { ns: number; events: number } {
  const next = whiteNoise(5);
  const values = Float64Array.from({ length: DAY_ROWS }, next);
  const detector = make(kind);
  let events = 0, last = -Infinity;
  const startMs = performance.now();
  for (let i = 0; i < DAY_ROWS; i++) {
    if (!detector.update(values[i]!, i * 100).is_anomaly) continue;
    if (i - last > 100) events++;
    last = i;
  }
  return { ns: (performance.now() - startMs) * 1e6 / DAY_ROWS, events };
}

/** Values until a step of five standard deviations is flagged; the worst of ten. */
function stepDelay(kind: string): number {
  let worst = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const next = whiteNoise(seed);
    const detector = make(kind);
    for (let i = 0; i < STEP_AT; i++) detector.update(next(), i * 100);
    let at = 0;
    while (at < 600 && !detector.update(5 + next(), (STEP_AT + at) * 100).is_anomaly) at++;
    worst = Math.max(worst, at + 1);
  }
  return worst;
}

function synthetic(): void {
  console.log(
    "| detector | quality, tuned on | quality, held out | events a day, 10 Hz noise | values to flag a 5-sigma step | ns a value | bytes saved |",
  );
  console.log("| --- | --- | --- | --- | --- | --- | --- |");
  for (const kind of Object.keys(DETECTORS)) {
    if (kind === "limits") continue;
    const [tuned, held] = [TUNED, HELD_OUT].map((seeds) =>
      nabLike(corpus(seeds).map((series) => scoreSeries(series, make(kind)))).score
    );
    const { ns, events } = noise(kind);
    const detector = make(kind);
    for (let i = 0; i < 5_000; i++) detector.update(Math.sin(i) * 123.456, i * 300_000);
    const bytes = JSON.stringify(detector.save()).length;
    const delay = stepDelay(kind);
    console.log(
      `| ${kind} | ${tuned!.toFixed(1)} | ${held!.toFixed(1)} | ${events} | ${
        delay > 600 ? "not in a minute" : delay
      } | ${ns.toFixed(0)} | ${bytes} |`,
    );
  }
}

const [flag, directory] = Deno.args;
if (flag === "--corpora" && directory !== undefined) corpora(directory);
else synthetic();
