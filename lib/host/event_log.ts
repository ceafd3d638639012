/**
 * What happened, on its way to the log and the store. A node that makes very many events is told of as one
 * event of each kind with a count: it must neither fill the disk nor hide the others.
 */
import { getLogger } from "@logtape/logtape";
import { printable } from "../errors.ts";
import type { Clock } from "../platform/platform.ts";
import type { EventRow, Store } from "../store/store.ts";

/** Events that wait to be written; the oldest beyond it are dropped. */
const WAITING_MAX = 10_000;
/** Events of one node within FLOOD_MS that are told one by one. */
const TOLD_MAX = 500;
const FLOOD_MS = 60_000;
/** Kinds of one node that are counted in a flood. */
const KINDS_MAX = 32;
const log = getLogger(["holdfast", "host"]);

interface Flood {
  readonly sinceMs: number;
  told: number;
  /** By kind: how many were held back, and the last of them. */
  readonly held: Map<string, { count: number; detail: Record<string, unknown> }>;
}

/** See the head of the file. */
export class EventLog {
  #store: Store;
  #clock: Clock;
  #waiting: EventRow[] = [];
  #floods = new Map<string, Flood>();
  /** Events that could not be stored, and those that were dropped, since the start. */
  lost = 0;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Something happened to a node. */
  add(kind: string, nodeId: string, detail: Record<string, unknown>): void {
    const now = this.#clock.monotonicMs();
    let flood = this.#floods.get(nodeId);
    if (flood === undefined) {
      this.#floods.set(nodeId, flood = { sinceMs: now, told: 0, held: new Map() });
    }
    if (flood.told++ < TOLD_MAX) return this.#tell(kind, nodeId, detail);
    const held = flood.held.get(kind);
    if (held !== undefined) {
      held.count++;
      held.detail = detail;
    } else if (flood.held.size < KINDS_MAX) flood.held.set(kind, { count: 1, detail });
  }

  /** To be called every second or so: tells of what was held back. */
  tick(): void {
    this.#tellHeld(this.#clock.monotonicMs() - FLOOD_MS);
  }

  /** Tells of everything that is held back, and writes what waits. Never rejects. */
  async close(): Promise<void> {
    this.#tellHeld(Infinity);
    await this.save();
  }

  /** Tells of what floods that began at `untilMs` or before hold back. */
  #tellHeld(untilMs: number): void {
    for (const [nodeId, { sinceMs, held }] of this.#floods) {
      if (sinceMs > untilMs) continue;
      this.#floods.delete(nodeId);
      for (const [kind, { count, detail }] of held) {
        this.#tell(kind, nodeId, count === 1 ? detail : { ...detail, count });
      }
    }
  }

  /** Writes what waits. Never rejects: what the disk doesn't take now is written at the next call. */
  async save(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const events = this.#waiting;
    this.#waiting = [];
    try {
      const refused = await this.#store.addEvents(events);
      this.lost += refused;
      if (refused > 0) log.error("{refused} events can't be stored", { refused });
    } catch {
      this.#waiting = [...events, ...this.#waiting];
      this.lost += Math.max(0, this.#waiting.length - WAITING_MAX);
      this.#waiting = this.#waiting.slice(-WAITING_MAX);
    }
  }

  #tell(kind: string, nodeId: string, detail: Record<string, unknown>): void {
    if (this.#waiting.length >= WAITING_MAX) {
      this.#waiting.shift();
      this.lost++;
    }
    this.#waiting.push({ at_wall_ms: this.#clock.wallMs(), node_id: nodeId, kind, detail });
    const text = Object.entries(detail)
      .filter(([, value]) => typeof value !== "object" || isNames(value))
      .map(([name, value]) => `${name}=${value}`).join(" ");
    log.info("{node_id}: {kind} {text}", {
      node_id: nodeId,
      kind,
      text: printable(text, 500),
      ...(typeof detail.reason === "string" ? { reason: detail.reason } : {}),
    });
  }
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}
