/**
 * How good a detector's scores are on labelled series. One threshold for all series, chosen best for the
 * detector, as the Numenta Anomaly Benchmark does (A. Lavin, S. Ahmad, "Evaluating real-time anomaly
 * detection algorithms", ICMLA 2015): the first detection in a window counts, the earlier the more; each
 * detection outside costs 0.11; a missed window costs 1. 0: as good as silence; 100: perfect.
 */
import type { Detector } from "../lib/anomaly/detector.ts";
import type { Series } from "./series.ts";

/** Scores of one series, and which rows are judged. */
export interface Scored {
  readonly series: Series;
  readonly scores: Float64Array;
}

/** Part of each series in which nothing is judged. */
const PROBATION = 0.15;
const FALSE_POSITIVE_COST = 0.11;

/** Runs a fresh detector over a series. */
export function scoreSeries(series: Series, detector: Detector, startMs = 1.7e12): Scored {
  const scores = Float64Array.from(
    series.values,
    (value, index) => detector.update(value, startMs + index * series.stepMs).score,
  );
  return { series, scores };
}

/** Worth of a flag at a place: 1 at a window's start (-1), 0 at its end, and below after it. */
export function sigmoid(y: number): number {
  return 2 / (1 + Math.exp(5 * y)) - 1;
}

/** Gain of one series at a threshold; -windows is silence, +windows perfect. */
function gain({ series, scores }: Scored, threshold: number): number {
  const { windows, values } = series;
  let total = 0;
  const isFound = windows.map(() => false);
  for (let at = Math.floor(PROBATION * values.length); at < values.length; at++) {
    if (scores[at]! < threshold) continue;
    const inside = windows.findIndex(([from, to]) => from <= at && at <= to);
    if (inside < 0) {
      const last = windows.findLast(([, to]) => to < at);
      const width = last === undefined ? 1 : last[1] - last[0] + 1;
      total += last === undefined
        ? -FALSE_POSITIVE_COST
        : FALSE_POSITIVE_COST * Math.max(-1, sigmoid((at - last[1]) / width));
    } else if (!isFound[inside]) {
      isFound[inside] = true;
      const [from, to] = windows[inside]!;
      total += sigmoid(-(to - at + 1) / (to - from + 1)) / sigmoid(-1);
    }
  }
  return total - isFound.filter((found) => !found).length;
}

/** The best result over all thresholds, and the threshold. */
export function nabLike(all: readonly Scored[]): { score: number; threshold: number } {
  const candidates = new Set<number>();
  for (const { scores } of all) {
    for (const score of scores.toSorted().slice(-60)) if (score > 0) candidates.add(score);
  }
  const sorted = [...candidates].sort((a, b) => a - b);
  const windows = all.reduce((sum, { series }) => sum + series.windows.length, 0);
  let best = { score: 0, threshold: Infinity };
  for (let i = 0; i < 80; i++) {
    const threshold = sorted[Math.floor((i / 80) * sorted.length)]!;
    const total = all.reduce((sum, scored) => sum + gain(scored, threshold), 0);
    const score = 100 * (total + windows) / (2 * windows);
    if (score > best.score) best = { score, threshold };
  }
  return best;
}
