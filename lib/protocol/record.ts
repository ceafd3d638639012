/**
 * The record: one sample as it is stored and sent. One schema gives type, validator and the table in
 * `docs/protocol.md`.
 *
 * In the WAL and the ring a record is kept without its identity (`type`, `node_id`, `epoch`, `seq`): those
 * come from where it lies. {@linkcode recordLine} puts them in front when it is sent.
 */
import Type from "typebox";
import { ROW_SPARE, type ShapedRow } from "../codec/row.ts";
import { NUMBER_MARK, Shape, type ShapedLine } from "../codec/shape.ts";
import {
  AGG_SAMPLES_MAX,
  CFG_VERSION_MAX,
  LINE_BYTES_MAX,
  NESTING_MAX,
  RECORD_METRICS_MAX,
  SEQ_MAX,
} from "../limits.ts";

/** What a node may be called: it becomes a file name, a certificate name and a URL segment. */
export const NODE_ID_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
const nodeId = new RegExp(NODE_ID_PATTERN);
/** Whether a text can be the name of a node. */
export function isNodeId(text: string): boolean {
  return nodeId.test(text);
}
/** 64 random bits in lower-case hexadecimal. */
export const EPOCH_PATTERN = "^[0-9a-f]{16}$";

/** A seq: 1, 2, 3 … */
export const Seq = Type.Integer({ minimum: 1, maximum: SEQ_MAX });

/** Any name. Said so, as the pattern of a plain string leaves out names with line breaks, and what they hold. */
const Name = Type.String({ pattern: "^[^]*$" });

/** One flagged metric: its value's distance from the mean of its window in standard deviations. */
export const MetricAnomaly = Type.Object({
  z: Type.Number(),
  mean: Type.Number(),
  std: Type.Number(),
});

/** What a node tells of an anomaly that lasts: that it opened, grew, or closed. */
export const AnomalyEvent = Type.Object({
  /** Names the event in all that is told of it; unique among the events of a node. */
  id: Type.String({ minLength: 1, maxLength: 64 }),
  state: Type.Union([Type.Literal("open"), Type.Literal("update"), Type.Literal("close")]),
  severity: Type.Union([Type.Literal("low"), Type.Literal("medium"), Type.Literal("high")]),
  /** The metrics in it; the first is the one that moved first. */
  metrics: Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 64 }),
  /** Present: they left their usual relation to each other, none of them its own range. */
  relation: Type.Optional(Type.Literal(true)),
  since_wall_ms: Type.Number(),
  since_mono_ms: Type.Number(),
  /** From there to the last strong evidence. */
  duration_ms: Type.Number({ minimum: 0 }),
  /** The value that was furthest from normal, with its detector's score. */
  peak: Type.Object({ metric: Type.String(), value: Type.Number(), score: Type.Number() }),
  /** Latest values of the first metric, oldest first: monotonic time and value. */
  around: Type.Array(Type.Tuple([Type.Number(), Type.Number()]), { maxItems: 64 }),
});
/** See {@linkcode AnomalyEvent}. */
export type AnomalyEvent = Type.Static<typeof AnomalyEvent>;

/** How a downsampled record was made: sample count, lowest and highest value of each metric. */
export const Aggregate = Type.Object({
  n: Type.Integer({ minimum: 1, maximum: AGG_SAMPLES_MAX }),
  min: Type.Record(Name, Type.Number()),
  max: Type.Record(Name, Type.Number()),
});

const content = {
  /** Milliseconds since 1970 by the node's wall clock at the tick. */
  ts_wall_ms: Type.Number(),
  /** Milliseconds on the node's monotonic clock at the tick; comparable within one `boot_id`. */
  ts_mono_ms: Type.Number(),
  boot_id: Type.String({ maxLength: 64 }),
  /** Value of each metric that could be read; the mean where `agg` is present. */
  metrics: Type.Record(Name, Type.Number(), { maxProperties: RECORD_METRICS_MAX }),
  agg: Type.Optional(Aggregate),
  anomaly: Type.Object({
    is_anomaly: Type.Boolean(),
    /** The highest score of any metric; 0 or more. */
    score: Type.Number({ minimum: 0 }),
    /** Only the metrics that are flagged. */
    metrics: Type.Record(Name, MetricAnomaly),
    /** What is told of events in this record; absent where there is nothing. */
    events: Type.Optional(Type.Array(AnomalyEvent, { maxItems: 64 })),
  }),
  /** Verdict or value of each diagnostic, by name. */
  diagnostics: Type.Record(Name, Type.Unknown()),
  degraded: Type.Boolean(),
  cfg_version: Type.Integer({ minimum: 0, maximum: CFG_VERSION_MAX }),
};

/** A record without its identity, as the WAL keeps it. */
export const RecordContent = Type.Object(content);
/** See {@linkcode RecordContent}. */
export type RecordContent = Type.Static<typeof RecordContent>;

/** A record as sent. Unknown fields are kept by the host and ignored by code. */
export const TelemetryRecord = Type.Object({
  type: Type.Literal("telemetry"),
  node_id: Type.String({ pattern: NODE_ID_PATTERN }),
  epoch: Type.String({ pattern: EPOCH_PATTERN }),
  seq: Seq,
  ...content,
});
/** See {@linkcode TelemetryRecord}. */
export type TelemetryRecord = Type.Static<typeof TelemetryRecord>;

/** Longest name of a metric. */
const METRIC_NAME_MAX = 200;
const KNOWN_FIELDS = new Set(Object.keys(TelemetryRecord.properties));

/** What of a value in a field that nobody here knows would harm whoever reads it later; checked in depth. */
function problemIn(value: unknown, levels: number): string | undefined {
  if (typeof value === "number") {
    return Number.isFinite(value) ? undefined : "must hold finite numbers only";
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (levels === 0) return `must not be nested deeper than ${NESTING_MAX} levels`;
  for (const inner of Object.values(value)) {
    const problem = problemIn(inner, levels - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/**
 * What is wrong with a record beyond its schema, in one line: names that are too long, numbers that are none,
 * and nesting that whoever reads the record later could not follow.
 */
export function recordProblem(record: TelemetryRecord): string | undefined {
  for (const name in record.metrics) {
    if (name.length > METRIC_NAME_MAX) {
      return `/metrics must have names of at most ${METRIC_NAME_MAX} characters`;
    }
  }
  for (const name in record.diagnostics) {
    const problem = problemIn(record.diagnostics[name], NESTING_MAX);
    if (problem !== undefined) return `/diagnostics ${problem}`;
  }
  for (const name in record) {
    if (KNOWN_FIELDS.has(name)) continue;
    const problem = problemIn((record as Record<string, unknown>)[name], NESTING_MAX);
    if (problem !== undefined) return `unknown fields ${problem}`;
  }
  for (const event of record.anomaly.events ?? []) {
    const problem = problemIn(event, NESTING_MAX);
    if (problem !== undefined) return `/anomaly/events ${problem}`;
  }
  return undefined;
}

const encoder = new TextEncoder();

/** Longest content, so that with its identity it fits into a line. */
const CONTENT_BYTES_MAX = LINE_BYTES_MAX - 1_024;

/** What a record can do without, in this order, where hundreds of long names make it too long for a line. */
const CUTS: ((content: RecordContent) => RecordContent)[] = [
  (content) => {
    const { is_anomaly, score, events } = content.anomaly;
    const brief = events?.map((event) => ({ ...event, around: [] }));
    const anomaly = { is_anomaly, score, metrics: {}, ...(brief && { events: brief }) };
    return { ...content, anomaly, diagnostics: { ...content.diagnostics, cut: true } };
  },
  (content) => ({ ...content, diagnostics: { cut: true } }),
  ({ agg, ...content }) => agg ? { ...content, agg: { n: agg.n, min: {}, max: {} } } : content,
];

/**
 * The WAL's payload of a record: its JSON without identity, without newline. A longer one than a line may be
 * would end each session that sends it, for ever: it loses details, and says so in its diagnostics.
 */
export function encodeContent(content: RecordContent): Uint8Array<ArrayBuffer> {
  let bytes = encoder.encode(JSON.stringify(content));
  for (const cut of CUTS) {
    if (bytes.length <= CONTENT_BYTES_MAX) break;
    content = cut(content);
    bytes = encoder.encode(JSON.stringify(content));
  }
  return bytes;
}

/** What all lines of one epoch start with; see {@linkcode recordLine}. */
export function linePrefix(nodeId: string, epoch: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(`{"type":"telemetry","node_id":"${nodeId}","epoch":"${epoch}","seq":`);
}

/**
 * The line, newline included, that carries a record: `prefix` (from {@linkcode linePrefix}), the seq, then
 * the WAL's payload without its opening brace.
 */
export function recordLine(
  prefix: Uint8Array,
  seq: number,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const digits = String(seq);
  const line = new Uint8Array(prefix.length + digits.length + 1 + payload.length);
  line.set(prefix);
  let at = prefix.length;
  for (let i = 0; i < digits.length; i++) line[at++] = digits.charCodeAt(i);
  line[at++] = 0x2c;
  line.set(payload.subarray(1), at);
  line[line.length - 1] = 0x0a;
  return line;
}

/** Puts the identity of one epoch in front of contents that are kept by their numbers. */
export class ShapedRecords {
  #prefix: string;
  /** Shapes of lines, by those of the contents in them. */
  #shapes = new WeakMap<Shape, Shape>();

  constructor(nodeId: string, epoch: string) {
    this.#prefix = new TextDecoder().decode(linePrefix(nodeId, epoch)) + NUMBER_MARK + ",";
  }

  /** The line that carries a record; it takes the places in front of the content's numbers. */
  line(seq: number, { shape, numbers, start }: ShapedRow): ShapedLine {
    let line = this.#shapes.get(shape);
    if (line === undefined) {
      line = new Shape(this.#prefix + shape.text.slice(1));
      this.#shapes.set(shape, line);
    }
    numbers[start - ROW_SPARE] = seq;
    numbers[start - ROW_SPARE + 1] = 0;
    return { shape: line, numbers, start: start - ROW_SPARE };
  }
}
