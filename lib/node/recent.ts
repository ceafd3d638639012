/**
 * The last minutes of each metric, second by second, and the last events, for the node's own page: it must
 * show them when the host is gone. Pure, and bounded: SECONDS x METRICS_MAX slots of 25 bytes, EVENTS events.
 */
import type { AnomalyEvent } from "../protocol/record.ts";

/** How far back it reaches. */
export const SECONDS = 300;
/** Metrics beyond this number have no line. */
export const METRICS_MAX = 32;

/** Events kept. */
export const EVENTS = 10;

/** One metric's lines, a value for each entry of `t`; `null` where it had none. */
export interface RecentMetric {
  readonly min: (number | null)[];
  readonly max: (number | null)[];
  readonly last: (number | null)[];
  /** 1 where a value of that second was flagged as an anomaly. */
  readonly flagged: (0 | 1)[];
}

/** What {@linkcode Recent.read} gives. */
export interface RecentValues {
  /** Wall time of the first sample of each second, ms since 1970 by the node's clock; oldest first. */
  readonly t: number[];
  readonly metrics: Record<string, RecentMetric>;
}

class Line {
  readonly min = new Float64Array(SECONDS).fill(NaN);
  readonly max = new Float64Array(SECONDS).fill(NaN);
  readonly last = new Float64Array(SECONDS).fill(NaN);
  readonly flagged = new Uint8Array(SECONDS);
  seenSecond = -Infinity;

  clear(slot: number): void {
    this.min[slot] = this.max[slot] = this.last[slot] = NaN;
    this.flagged[slot] = 0;
  }

  add(slot: number, second: number, value: number, isFlagged: boolean): void {
    // Comparisons with NaN are false: the first value of a second is both.
    if (!(value >= this.min[slot]!)) this.min[slot] = value;
    if (!(value <= this.max[slot]!)) this.max[slot] = value;
    this.last[slot] = value;
    if (isFlagged) this.flagged[slot] = 1;
    this.seenSecond = second;
  }
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

/** See the head of the file. */
export class Recent {
  #lines = new Map<string, Line>();
  /** Wall time of the first sample in each slot, and the second that the slot holds. */
  #wallMs = new Float64Array(SECONDS);
  #seconds = new Float64Array(SECONDS).fill(NaN);
  #second = -Infinity;

  /** Takes a sample in. `monoMs` never goes back; `isFlagged` says which metrics are anomalous. */
  add(
    metrics: Readonly<Record<string, number>>,
    isFlagged: (metric: string) => boolean,
    now: { readonly monoMs: number; readonly wallMs: number },
  ): void {
    const second = Math.floor(now.monoMs / 1_000);
    const slot = second % SECONDS;
    if (second !== this.#second) this.#begin(second, slot, now.wallMs);
    for (const name in metrics) {
      this.#line(name)?.add(slot, second, metrics[name]!, isFlagged(name));
    }
  }

  /** The last `seconds` seconds that hold samples, of one metric or of all. */
  read(metric?: string, seconds: number = SECONDS): RecentValues {
    const slots: number[] = [];
    for (let ago = Math.min(seconds, SECONDS) - 1; ago >= 0; ago--) {
      const second = this.#second - ago;
      const slot = second % SECONDS;
      if (this.#seconds[slot] === second) slots.push(slot);
    }
    const metrics: RecentValues["metrics"] = {};
    for (const [name, line] of this.#lines) {
      if (metric !== undefined && name !== metric) continue;
      metrics[name] = {
        min: slots.map((slot) => orNull(line.min[slot]!)),
        max: slots.map((slot) => orNull(line.max[slot]!)),
        last: slots.map((slot) => orNull(line.last[slot]!)),
        flagged: slots.map((slot) => line.flagged[slot] === 1 ? 1 : 0),
      };
    }
    return { t: slots.map((slot) => this.#wallMs[slot]!), metrics };
  }

  #begin(second: number, slot: number, wallMs: number): void {
    this.#second = second;
    this.#seconds[slot] = second;
    this.#wallMs[slot] = wallMs;
    for (const line of this.#lines.values()) line.clear(slot);
  }

  /** The line of a metric; a full table gives up one that was not seen for as long as it reaches. */
  #line(name: string): Line | undefined {
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    if (this.#lines.size >= METRICS_MAX) {
      const old = [...this.#lines].find(([, line]) => this.#second - line.seenSecond >= SECONDS);
      if (old === undefined) return undefined;
      this.#lines.delete(old[0]);
    }
    const made = new Line();
    this.#lines.set(name, made);
    return made;
  }
}

/** An event as it was told of last, without the values around it. */
export type RecentEvent = Omit<AnomalyEvent, "around">;

/** The last events of this run, each as it was told of last. */
export class RecentEvents {
  #events = new Map<string, RecentEvent>();

  /** Takes in what is told of an event; the one that began first is forgotten when there are too many. */
  add({ around: _, ...event }: AnomalyEvent): void {
    this.#events.set(event.id, event);
    if (this.#events.size > EVENTS) this.#events.delete(this.#events.keys().next().value!);
  }

  /** Newest first. */
  read(): RecentEvent[] {
    return [...this.#events.values()].reverse();
  }
}
