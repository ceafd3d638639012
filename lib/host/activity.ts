/**
 * What the host saw of its nodes lately: newest values, delays, anomalies of the last hour, and the newest
 * records for whoever watches a node. Kept in memory, bounded, gone with the process. Pure.
 */
import type { TelemetryRecord } from "../protocol/record.ts";
import type { NodeActivity } from "../fleet/node_info.ts";
import type { Node } from "./registry.ts";

/** New records of one node, for one reader. */
export interface Watch {
  /** The newest records since the last call as their JSON, oldest first; at most {@linkcode WATCH_MAX}. */
  take(): string[];
  /** Must be called at the end. */
  close(): void;
}

/** Records that a watch keeps until they are taken. */
export const WATCH_MAX = 50;
/** Metrics of a node that are shown at a glance. */
const SHOWN_METRICS_MAX = 16;
const MINUTES = 60;
const MINUTE_MS = 60_000;

interface Newest {
  readonly epoch: string;
  readonly seq: number;
  readonly bootId: string;
  readonly wallMs: number;
  readonly monoMs: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** See the head of the file. */
export class Activity {
  #newest = new Map<string, Newest>();
  #opened = new Map<string, { minute: number; counts: number[] }>();
  #watches = new Map<string, Set<string[]>>();

  /** A new record of a node came in; `line` is its JSON. */
  record(record: TelemetryRecord, line: string): void {
    const { node_id, epoch, seq } = record;
    const before = this.#newest.get(node_id);
    // A replay brings older ones later.
    if (before === undefined || before.epoch !== epoch || seq > before.seq) {
      this.#newest.set(node_id, {
        epoch,
        seq,
        bootId: record.boot_id,
        wallMs: record.ts_wall_ms,
        monoMs: record.ts_mono_ms,
        metrics: firstOf(record.metrics),
      });
    }
    const watches = this.#watches.get(node_id);
    if (watches === undefined) return;
    for (const lines of watches) {
      if (lines.length >= WATCH_MAX) lines.shift();
      lines.push(line);
    }
  }

  /** An anomaly event of a node opened; `monoMs` by the host's monotonic clock. */
  anomalyOpened(nodeId: string, monoMs: number): void {
    const minute = Math.floor(monoMs / MINUTE_MS);
    const opened = this.#opened.get(nodeId) ?? { minute, counts: new Array(MINUTES).fill(0) };
    this.#opened.set(nodeId, opened);
    moveOn(opened, minute);
    opened.counts[minute % MINUTES]!++;
  }

  /** What is known of a node now, by the host's wall and monotonic clocks. */
  of(node: Node, wallMs: number, monoMs: number): NodeActivity {
    const newest = this.#newest.get(node.node_id);
    const opened = this.#opened.get(node.node_id);
    if (opened !== undefined) moveOn(opened, Math.floor(monoMs / MINUTE_MS));
    const offset = newest?.bootId === node.boot_id ? node.clock_offset_ms : undefined;
    return {
      last: { ...newest?.metrics },
      ...(newest === undefined || offset === undefined ? {} : {
        lag_ms: Math.max(0, Math.round(wallMs - (newest.monoMs + offset))),
        clock_error_ms: Math.round(newest.wallMs - newest.monoMs - offset),
      }),
      anomalies_hour: opened?.counts.reduce((sum, count) => sum + count, 0) ?? 0,
    };
  }

  /** Forgets a node. */
  forget(nodeId: string): void {
    this.#newest.delete(nodeId);
    this.#opened.delete(nodeId);
  }

  /** Whether anybody follows the new records of a node. */
  isWatched(nodeId: string): boolean {
    return this.#watches.has(nodeId);
  }

  /** Follows the new records of a node. */
  watch(nodeId: string): Watch {
    const lines: string[] = [];
    const watches = this.#watches.get(nodeId) ?? new Set();
    this.#watches.set(nodeId, watches.add(lines));
    return {
      take: () => lines.splice(0),
      close: () => {
        watches.delete(lines);
        if (watches.size === 0 && this.#watches.get(nodeId) === watches) {
          this.#watches.delete(nodeId);
        }
      },
    };
  }
}

/** A few of the values, so that a record of many long names costs no memory after it. */
function firstOf(metrics: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).slice(0, SHOWN_METRICS_MAX));
}

/** Clears the minutes that lie more than an hour back. */
function moveOn(opened: { minute: number; counts: number[] }, minute: number): void {
  const passed = Math.min(MINUTES, minute - opened.minute);
  for (let i = 1; i <= passed; i++) opened.counts[(opened.minute + i) % MINUTES] = 0;
  opened.minute = Math.max(opened.minute, minute);
}
