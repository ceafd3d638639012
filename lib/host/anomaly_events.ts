/**
 * From what nodes tell of anomalies inside their records to events of the host: each once, even where a
 * record has to be sent again, and one more when several nodes move together. Pure.
 */
import type { AnomalyEvent, TelemetryRecord } from "../protocol/record.ts";
import { FleetCorrelation } from "./correlation.ts";
import type { Node } from "./registry.ts";

/** An event to be noted by the host. */
export interface HostEvent {
  readonly kind: string;
  readonly nodeId: string;
  readonly detail: Record<string, unknown>;
}

/** What was told is remembered for that many tellings. */
const TOLD_MAX = 4_096;

/** See the head of the file. */
export class AnomalyEvents {
  #fleet = new FleetCorrelation();
  /** What was told lately, oldest first. */
  #told = new Set<string>();
  #all: string;

  /** `allNodes` stands for the fleet where an event names a node. */
  constructor(allNodes: string) {
    this.#all = allNodes;
  }

  /** The events in a new record of `node`; `nowMs` by the host's wall clock. */
  eventsOf(node: Node, record: TelemetryRecord, nowMs: number): HostEvent[] {
    const { events = [] } = record.anomaly;
    return events.filter((event) => this.#isNew(record, event)).map((event) => {
      const { state, ...detail } = event;
      if (state === "open") {
        this.#fleet.opened({
          nodeId: node.node_id,
          id: event.id,
          metric: event.metrics[0]!,
          atMs: hostTimeOf(node, record, event),
        }, nowMs);
      }
      return {
        kind: `anomaly_${state}`,
        nodeId: node.node_id,
        detail: { ...detail, state, seq: record.seq, epoch: record.epoch },
      };
    });
  }

  /** To be called every second or so: what concerns several nodes. */
  tick(nowMs: number, connected: number): HostEvent[] {
    return this.#fleet.tick(nowMs, connected).map((detail) => ({
      kind: "anomaly_fleet",
      nodeId: this.#all,
      detail: { ...detail },
    }));
  }

  #isNew(record: TelemetryRecord, { id, state, duration_ms }: AnomalyEvent): boolean {
    const key = `${record.node_id} ${id} ${state} ${duration_ms}`;
    if (this.#told.has(key)) return false;
    this.#told.add(key);
    if (this.#told.size > TOLD_MAX) this.#told.delete(this.#told.values().next().value!);
    return true;
  }
}

/** A node's wall clock may be wrong; how its monotonic clock lies to the host's is known for its boot. */
function hostTimeOf(node: Node, record: TelemetryRecord, event: AnomalyEvent): number {
  return node.clock_offset_ms !== undefined && node.boot_id === record.boot_id
    ? event.since_mono_ms + node.clock_offset_ms
    : event.since_wall_ms;
}
