/** How a detector did on a series with known truth. Pure. */

/** An anomaly of a series: first and last index, inclusive. */
export type Window = readonly [from: number, to: number];

/** Flagged rows closer than this are one event. */
const JOIN_ROWS = 10;

/** Rows with a flag or label, joined where they are close. */
export function windowsOf(flags: ArrayLike<boolean>, joinRows: number = JOIN_ROWS): Window[] {
  const windows: [number, number][] = [];
  for (let at = 0; at < flags.length; at++) {
    if (!flags[at]) continue;
    const last = windows.at(-1);
    if (last !== undefined && at - last[1] <= joinRows) last[1] = at;
    else windows.push([at, at]);
  }
  return windows;
}

/** See the fields; rates are 0 to 1. */
export interface Quality {
  readonly events: number;
  readonly labels: number;
  /** Part of the events that touch a label. */
  readonly precision: number;
  /** Part of the labels that an event touches. */
  readonly recall: number;
  readonly f1: number;
  readonly eventsPerDay: number;
  /** Mean time from a found label's start to its first event, in seconds. */
  readonly delayS: number;
}

/** Holds events against labels. `times` are milliseconds by row, ascending. */
export function quality(
  events: readonly Window[],
  labels: readonly Window[],
  times: ArrayLike<number>,
): Quality {
  const touches = ([a, b]: Window, [c, d]: Window): boolean => a <= d && c <= b;
  const hits = events.filter((event) => labels.some((label) => touches(event, label))).length;
  const delays: number[] = [];
  for (const label of labels) {
    const first = events.find((event) => touches(event, label));
    if (first !== undefined) delays.push(Math.max(0, times[first[0]]! - times[label[0]]!));
  }
  const precision = events.length === 0 ? 0 : hits / events.length;
  const recall = labels.length === 0 ? 0 : delays.length / labels.length;
  const days = Math.max(1e-9, (times[times.length - 1]! - times[0]!) / 864e5);
  return {
    events: events.length,
    labels: labels.length,
    precision,
    recall,
    f1: precision + recall === 0 ? 0 : 2 * precision * recall / (precision + recall),
    eventsPerDay: events.length / days,
    delayS: delays.length === 0
      ? 0
      : delays.reduce((sum, delay) => sum + delay) / delays.length / 1e3,
  };
}
