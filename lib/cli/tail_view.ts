/**
 * `host tail` without the terminal: records and events as lines, and which of them are new. Pure.
 *
 * A line is time, mark, node, what it is, and the rest. The time is when the host received it, UTC; the mark
 * `!` says anomaly, so that colour is never alone.
 */
import {
  clean,
  duration,
  lineOf,
  measure,
  pad,
  type Paint,
  type Piece,
  safeJson,
  timeOfDay,
  widthOf,
} from "./terminal_text.ts";

/** A record or an event as the host's API gives it; nothing in it can be relied on. */
export type Item = Readonly<Record<string, unknown>>;

/** Records that reach the host later than this after they were made say how old they are. */
const OLD_MS = 10_000;
/** Items that are remembered to know them again. */
const KNOWN_MAX = 4_096;
/** The longest kind of event. */
const WHAT_WIDTH = 16;
const VALUE_WIDTH = 8;
/** Width of names as long as none is longer, where it isn't known which will come. */
const NAME_WIDTH = 12;
const NAME_WIDTH_MAX = 32;

function objectOf(value: unknown): Item {
  return typeof value === "object" && value !== null ? value as Item : {};
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : NaN;
}

function textOf(value: unknown): string {
  return clean(typeof value === "string" ? value : JSON.stringify(value) ?? "");
}

/** Whether a record is flagged or tells of an anomaly event. */
export function isAnomalousRecord(record: Item): boolean {
  const anomaly = objectOf(record.anomaly);
  return anomaly.is_anomaly === true || anomaly.events !== undefined;
}

/** Whether an event is about an anomaly. */
export function isAnomalyEvent(event: Item): boolean {
  return typeof event.kind === "string" && event.kind.startsWith("anomaly_");
}

/** Remembers what was shown, so that another connection doesn't show it again. */
export class Seen {
  #keys = new Set<string>();

  /** Whether `key` is new; it is not the next time. */
  isNew(key: string): boolean {
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    if (this.#keys.size > KNOWN_MAX) this.#keys.delete(this.#keys.values().next().value!);
    return true;
  }
}

/** What a record is known by. */
export function recordKey({ node_id, epoch, seq }: Item): string {
  return `${node_id} ${epoch} ${seq}`;
}

/** Makes lines that stand under each other. */
export class TailView {
  #paint: Paint;
  #nameWidth = 0;
  /** Width of each metric's longest value so far. */
  #widths = new Map<string, number>();

  constructor(paint: Paint, names: readonly string[] = []) {
    this.#paint = paint;
    for (const name of names) this.#noteName(clean(name));
    if (names.length === 0) this.#nameWidth = NAME_WIDTH;
  }

  /** The line of a record. */
  record(record: Item, width: number): string {
    const madeMs = numberOf(record.ts_wall_ms);
    const receivedMs = numberOf(record.received_wall_ms ?? madeMs);
    const flags = objectOf(objectOf(record.anomaly).metrics);
    const pieces: Piece[] = [];
    for (const [name, value] of Object.entries(objectOf(record.metrics))) {
      const flag = Object.hasOwn(flags, name) ? objectOf(flags[name]) : undefined;
      const text = `${clean(name)} ${this.#value(name, numberOf(value))}`;
      const z = flag === undefined ? "" : ` (z ${measure(numberOf(flag.z))})`;
      pieces.push("  ", flag === undefined ? text : ["bad", text + z]);
    }
    for (const event of eventsOf(record)) {
      pieces.push("  ", ["bad", `event ${textOf(event.state)}: ${anomalyText(event)}`]);
    }
    const agg = objectOf(record.agg);
    if (agg.n !== undefined) pieces.push("  ", ["dim", `mean of ${textOf(agg.n)}`]);
    if (receivedMs - madeMs > OLD_MS) {
      pieces.push("  ", ["dim", `${duration(receivedMs - madeMs)} old`]);
    }
    return this.#line(receivedMs, isAnomalousRecord(record), record.node_id, {
      what: `#${textOf(record.seq)}`,
      pieces,
      width,
    });
  }

  /** The line of an event. */
  event(event: Item, width: number): string {
    const detail = objectOf(event.detail);
    const isAnomaly = isAnomalyEvent(event);
    const text = isAnomaly && Array.isArray(detail.metrics) ? anomalyText(detail) : pairs(detail);
    return this.#line(numberOf(event.at_wall_ms), isAnomaly, event.node_id, {
      what: textOf(event.kind),
      pieces: ["  ", isAnomaly ? ["bad", text] : text],
      width,
    });
  }

  #line(
    wallMs: number,
    isAnomaly: boolean,
    nodeId: unknown,
    { what, pieces, width }: { what: string; pieces: readonly Piece[]; width: number },
  ): string {
    const name = textOf(nodeId);
    this.#noteName(name);
    const mark: Piece = isAnomaly ? ["bad", "!"] : " ";
    const kind = widthOf(what) < WHAT_WIDTH ? pad(what, WHAT_WIDTH) : what;
    const head: Piece[] = [
      ["dim", timeOfDay(wallMs)],
      " ",
      mark,
      " ",
      ["bold", pad(name, this.#nameWidth)],
      "  ",
      isAnomaly ? ["bad", kind] : kind,
    ];
    return lineOf([...head, ...pieces], width, this.#paint);
  }

  #noteName(name: string): void {
    this.#nameWidth = Math.min(NAME_WIDTH_MAX, Math.max(this.#nameWidth, widthOf(name)));
  }

  #value(name: string, value: number): string {
    const text = measure(value);
    const width = Math.max(this.#widths.get(name) ?? VALUE_WIDTH, text.length);
    if (this.#widths.size < KNOWN_MAX) this.#widths.set(name, width);
    return text.padEnd(width);
  }
}

/** One item as a JSON line; events say that they are some, as records do. */
export function jsonLine(item: Item, kind: "record" | "event"): string {
  return safeJson(kind === "event" ? { type: "event", ...item } : item);
}

function eventsOf(record: Item): Item[] {
  const { events } = objectOf(record.anomaly);
  return Array.isArray(events) ? events.map(objectOf) : [];
}

function anomalyText(detail: Item): string {
  const metrics = (Array.isArray(detail.metrics) ? detail.metrics : []).map(textOf).join(", ");
  const peak = objectOf(detail.peak);
  const relation = detail.relation === true ? " left their usual relation" : "";
  const parts = [`${textOf(detail.severity ?? "")} ${metrics}${relation}`.trim()];
  if (peak.metric !== undefined) {
    const [value, score] = [measure(numberOf(peak.value)), measure(numberOf(peak.score))];
    parts.push(`peak ${textOf(peak.metric)} ${value} (score ${score})`);
  }
  const lasted = numberOf(detail.duration_ms);
  if (lasted > 0) parts.push(duration(lasted));
  return parts.join(", ");
}

function pairs(detail: Item): string {
  return Object.entries(detail).map(([name, value]) => `${clean(name)}=${textOf(value)}`).join(" ");
}
