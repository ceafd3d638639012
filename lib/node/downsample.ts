/**
 * Thinning under pressure: while the node is degraded, one record stands for n samples (mean, min, max), and
 * n grows with the pressure. Anomalous samples always stay whole. No sample vanishes: each is in exactly one
 * record; what is told of anomaly events goes with it, at once. Pure.
 */
import type { RecordContent } from "../protocol/record.ts";

/** What presses. Fractions from 0 up. */
export interface Pressure {
  /** Unacked records in parts of the ring's capacity; above 1 once the backlog is larger. */
  readonly ring: number;
  /** Bytes of the log in parts of its limit. */
  readonly wal: number;
  readonly writable: boolean;
}

const RING_ON = 0.9;
const RING_OFF = 0.5;
const WAL_ON = 0.8;
const WAL_OFF = 0.7;

/** Whether the node is degraded, with hysteresis, so that it doesn't flicker at a limit. */
export class Degraded {
  #on = false;

  get on(): boolean {
    return this.#on;
  }

  /** Takes in the present pressure; whether the node is degraded now. */
  update({ ring, wal, writable }: Pressure): boolean {
    if (this.#on) this.#on = !writable || ring > RING_OFF || wal > WAL_OFF;
    else this.#on = !writable || ring >= RING_ON || wal >= WAL_ON;
    return this.#on;
  }
}

/**
 * Samples per record at a pressure, from 1 to `max`: 2 once degraded, doubled with each doubling of the
 * backlog beyond the ring, and for each 4 % of the log's limit from 80 % on.
 */
export function samplesPerRecord(degraded: boolean, pressure: Pressure, max: number): number {
  if (!degraded) return 1;
  const byRing = pressure.ring <= 2 ? 1 : Math.floor(Math.log2(pressure.ring));
  const byWal = pressure.wal < WAL_ON ? 1 : 2 + Math.floor((pressure.wal - WAL_ON) / 0.04);
  return Math.max(1, Math.min(max, 2 ** Math.min(20, Math.max(byRing, byWal))));
}

/** Gathers samples into records. */
export class Downsampler {
  #group: RecordContent[] = [];

  /** Samples that wait for their record. */
  get waiting(): number {
    return this.#group.length;
  }

  /** Takes in a sample; the records that are complete now, in order. */
  push(sample: RecordContent, samples: number): RecordContent[] {
    if (samples <= 1 || sample.anomaly.is_anomaly) return [...this.flush(), sample];
    // A change of boot, configuration or state would be blurred by a mean over it.
    const last = this.#group.at(-1);
    const before = last !== undefined && last.cfg_version !== sample.cfg_version
      ? this.flush()
      : [];
    this.#group.push(sample);
    const isFull = this.#group.length >= samples || sample.anomaly.events !== undefined;
    return isFull ? [...before, ...this.flush()] : before;
  }

  /** The record of what was gathered, if anything. */
  flush(): RecordContent[] {
    const group = this.#group;
    this.#group = [];
    if (group.length < 2) return group;
    return [aggregate(group)];
  }
}

function aggregate(group: readonly RecordContent[]): RecordContent {
  const last = group.at(-1)!;
  const sums: Record<string, { sum: number; n: number }> = {};
  const min: Record<string, number> = {};
  const max: Record<string, number> = {};
  const diagnostics: Record<string, unknown> = {};
  const rules = new Set<unknown>();
  const events = group.flatMap(({ anomaly }) => anomaly.events ?? []);
  let score = 0;
  for (const sample of group) {
    Object.assign(diagnostics, sample.diagnostics);
    if (Array.isArray(sample.diagnostics.rules)) {
      for (const rule of sample.diagnostics.rules) rules.add(rule);
    }
    score = Math.max(score, sample.anomaly.score);
    for (const [name, value] of Object.entries(sample.metrics)) {
      const entry = sums[name] ??= { sum: 0, n: 0 };
      entry.sum += value;
      entry.n++;
      min[name] = Math.min(min[name] ?? Infinity, value);
      max[name] = Math.max(max[name] ?? -Infinity, value);
    }
  }
  const metrics: Record<string, number> = {};
  for (const [name, { sum, n }] of Object.entries(sums)) {
    metrics[name] = Number((sum / n).toPrecision(9));
  }
  if (rules.size > 0) diagnostics.rules = [...rules];
  return {
    ...last,
    metrics,
    agg: { n: group.length, min, max },
    anomaly: {
      is_anomaly: false,
      score,
      metrics: {},
      ...(events.length > 0 ? { events } : {}),
    },
    diagnostics,
  };
}
