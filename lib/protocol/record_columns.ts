/**
 * Records of one shape in columns, without their JSON: what all of them say alike is looked at once, and of their
 * numbers only those that have bounds. Pure.
 */
import type Type from "typebox";
import { type ColumnPart, valueAt } from "../codec/column.ts";
import { type Group, type Run, textsOf } from "../codec/lines.ts";
import type { Shape } from "../codec/shape.ts";
import { Place, templateOf } from "../codec/template.ts";
import { parseNodeMessage } from "./message.ts";
import { TelemetryRecord } from "./record.ts";

/** See the head of the file. */
export interface RecordColumns {
  /** Of their JSON. */
  readonly shape: Shape;
  /** One for each number of the shape. */
  readonly columns: readonly ColumnPart[];
  /** Those of them that hold `seq`, `ts_wall_ms`, `ts_mono_ms` and `anomaly.score`. */
  readonly seq: ColumnPart;
  readonly wall: ColumnPart;
  readonly mono: ColumnPart;
  readonly score: ColumnPart;
  readonly isAnomaly: boolean;
}

/** What the numbers of one column must be. */
interface Bound {
  readonly column: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly isInteger: boolean;
}

/** Tells of one session's shapes of which of them the lines are records. */
export class RecordShapes {
  #nodeId: string;
  #epoch: string;
  #known = new WeakMap<Shape, RecordShape | undefined>();

  /** Records of other nodes or epochs are none. */
  constructor(nodeId: string, epoch: string) {
    this.#nodeId = nodeId;
    this.#epoch = epoch;
  }

  /**
   * The lines of a run as records; `undefined` where they have to be looked at one by one: they are no records, one of
   * them is wrong, or they tell of more than numbers.
   */
  columnsOf({ group, from, to }: Run): RecordColumns | undefined {
    const { shape } = group;
    let known = this.#known.get(shape);
    if (known === undefined && !this.#known.has(shape)) {
      this.#known.set(shape, known = this.#learn({ group, from, to: from + 1 }));
    }
    return known?.columnsOf(group, from, to);
  }

  /** What a shape is, by one of its lines. */
  #learn(one: Run): RecordShape | undefined {
    const [line] = textsOf(one);
    const parsed = parseNodeMessage(line!);
    if (!parsed.ok || parsed.message.type !== "telemetry") return undefined;
    const { node_id, epoch } = parsed.message;
    if (node_id !== this.#nodeId || epoch !== this.#epoch) return undefined;
    return recordShapeOf(one.group.shape);
  }
}

/** Where numbers stand in the lines of a shape, all of which are records if their numbers are within bounds. */
class RecordShape {
  #places: Readonly<Record<"seq" | "wall" | "mono" | "score", number>>;
  #isAnomaly: boolean;
  #bounds: readonly Bound[];

  constructor(
    places: Readonly<Record<"seq" | "wall" | "mono" | "score", number>>,
    isAnomaly: boolean,
    bounds: readonly Bound[],
  ) {
    this.#places = places;
    this.#isAnomaly = isAnomaly;
    this.#bounds = bounds;
  }

  columnsOf({ shape, columns }: Group, from: number, to: number): RecordColumns | undefined {
    for (const bound of this.#bounds) {
      if (!holds(bound, columns[bound.column]!, from, to)) return undefined;
    }
    const { seq, wall, mono, score } = this.#places;
    return {
      shape,
      columns,
      seq: columns[seq]!,
      wall: columns[wall]!,
      mono: columns[mono]!,
      score: columns[score]!,
      isAnomaly: this.#isAnomaly,
    };
  }
}

/** What a shape is of which one line is a record; `undefined` where the record tells of more than numbers. */
function recordShapeOf(shape: Shape): RecordShape | undefined {
  // Allowed between tokens, and made a space of where a line is looked at.
  if (shape.text.includes("\r")) return undefined;
  // Of the kind that the schema says, as one of its lines is, but for its numbers.
  const template = templateOf(shape) as TelemetryRecord | undefined;
  if (template === undefined) return undefined;
  const { seq, ts_wall_ms, ts_mono_ms, anomaly, diagnostics } = template;
  if (anomaly.events !== undefined || Object.hasOwn(diagnostics, "clock_jump_ms")) return undefined;
  const places = [seq, ts_wall_ms, ts_mono_ms, anomaly.score].map((place: unknown) =>
    place instanceof Place ? place.column : -1
  );
  if (places.includes(-1)) return undefined;
  const bounds: Bound[] = [];
  addBounds(TelemetryRecord, template, bounds);
  const [one, wall, mono, score] = places as [number, number, number, number];
  return new RecordShape({ seq: one, wall, mono, score }, anomaly.is_anomaly, bounds);
}

/** The parts of a schema that say something of numbers. */
type Schema = Type.TSchema & {
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
};

/** Adds what a schema demands of the numbers in a value. */
function addBounds(schema: Schema, value: unknown, bounds: Bound[]): void {
  if (value instanceof Place) {
    const { type, minimum = -Infinity, maximum = Infinity } = schema;
    const isInteger = type === "integer";
    if (isInteger || minimum > -Infinity || maximum < Infinity) {
      bounds.push({ column: value.column, minimum, maximum, isInteger });
    }
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const { properties = {}, patternProperties = {} } = schema;
  const [others] = Object.values(patternProperties);
  for (const [name, inner] of Object.entries(value)) {
    const known = Object.hasOwn(properties, name) ? properties[name] : others;
    if (known !== undefined) addBounds(known, inner, bounds);
  }
}

function holds(
  { minimum, maximum, isInteger }: Bound,
  column: ColumnPart,
  from: number,
  to: number,
): boolean {
  for (let row = from; row < to; row++) {
    const value = valueAt(column, row);
    if (!(value >= minimum && value <= maximum) || (isInteger && !Number.isInteger(value))) {
      return false;
    }
  }
  return true;
}
