/**
 * The table of nodes as `host nodes` and `host top` show it: what a summary from the host's API means, in the
 * words of the host's page, and how it becomes lines. Pure.
 */
import { CONCERN_KINDS, type ConcernKind } from "../fleet/concerns.ts";
import { isNodeSummary, type NodeSummary as Summary } from "../fleet/node_info.ts";
import { STATES, type Tone } from "../fleet/states.ts";
import { concernLine } from "../fleet/verdict.ts";
import {
  clean,
  duration,
  lineOf,
  pad,
  type Paint,
  type Piece,
  short,
  type Style,
  widthOf,
} from "./terminal_text.ts";

/** A node as the host summarizes it. Texts are clean. */
export type NodeSummary = Summary;

/** What a node's summary adds up to. */
export interface Verdict {
  readonly word: string;
  readonly style: Style;
  /** Lower is worse; from {@linkcode QUIET_RANK} on nobody needs to look. */
  readonly rank: number;
  /** What a person should know beside the state. */
  readonly notes: readonly string[];
}

/** Ranks from here on are those of nodes without a concern. */
export const QUIET_RANK = 100;

/** What nodes can be sorted by, in the order in which a key goes through them. */
export const SORTS = ["worst", "node", "lag", "backlog", "rate", "anomalies", "seen"] as const;
/** One of {@linkcode SORTS}. */
export type Sort = typeof SORTS[number];

const MISSING = "-";
const byName = new Intl.Collator("en", { numeric: true }).compare;

/** Reads a summary from an answer; `undefined` where it is none. */
export function summaryOf(value: unknown): NodeSummary | undefined {
  return isNodeSummary(value) ? cleaned(value) as NodeSummary : undefined;
}

/** A value with all its texts clean: names and errors come from devices. */
function cleaned(value: unknown): unknown {
  if (typeof value === "string") return clean(value);
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [clean(name), cleaned(inner)]),
  );
}

/** How a tone looks on a terminal. */
const STYLES: Readonly<Record<Tone, Style>> = {
  ok: "ok",
  info: "info",
  warn: "warn",
  bad: "bad",
  off: "dim",
};

/** State, rank and notes of a node. */
export function verdictOf({ state, concerns }: NodeSummary): Verdict {
  const { word, tone, rank } = STATES[state];
  const kinds = concerns.map(({ kind }) => CONCERN_KINDS.indexOf(kind as ConcernKind));
  // The state says what the concern of the same name would say.
  const notes = concerns.filter(({ kind }) => kind !== state || kind === "silent");
  return {
    word,
    style: STYLES[tone],
    rank: kinds.length > 0 ? Math.min(...kinds) : QUIET_RANK + rank,
    notes: notes.map((concern) => concernLine(concern)),
  };
}

/** Largest first, except names. */
const KEYS: Readonly<Record<Sort, (node: NodeSummary) => number>> = {
  worst: (node) => -verdictOf(node).rank,
  node: () => 0,
  lag: (node) => node.lag_ms ?? -1,
  backlog: (node) => node.backlog,
  rate: (node) => node.rate,
  anomalies: (node) => node.anomalies_hour,
  seen: (node) => node.last_seen_wall_ms,
};

/** Sorted anew; names decide between equals, `pump-2` before `pump-10`. */
export function sorted(nodes: readonly NodeSummary[], sort: Sort): NodeSummary[] {
  return nodes.map((node) => ({ node, key: KEYS[sort](node) }))
    .sort((a, b) => b.key - a.key || byName(a.node.node_id, b.node.node_id))
    .map(({ node }) => node);
}

interface Column {
  readonly label: string;
  readonly width: number;
  readonly isNumber?: boolean;
  readonly text: (node: NodeSummary, nowMs: number) => string;
  /** Looks like that where it is worth a look. */
  readonly style?: (node: NodeSummary) => Style | undefined;
}

/** Between the name, which comes first, and the notes, which come last. */
const COLUMNS: readonly Column[] = [
  {
    label: "STATE",
    width: 12,
    text: (node) => verdictOf(node).word,
    style: (node) => verdictOf(node).style,
  },
  {
    label: "LAG",
    width: 7,
    isNumber: true,
    text: ({ lag_ms }) => lag_ms === undefined ? MISSING : duration(lag_ms),
  },
  {
    label: "BACKLOG",
    width: 7,
    isNumber: true,
    text: ({ backlog }) => short(backlog),
  },
  {
    label: "REC/S",
    width: 6,
    isNumber: true,
    text: ({ connected, rate }) =>
      !connected ? MISSING : rate < 100 ? rate.toFixed(1) : short(rate),
  },
  {
    label: "ANOM/H",
    width: 6,
    isNumber: true,
    text: ({ anomalies_hour }) => short(anomalies_hour),
    style: ({ anomalies_hour }) => anomalies_hour > 0 ? "warn" : undefined,
  },
  {
    label: "CONFIG",
    width: 6,
    text: ({ cfg_version_applied: applied, cfg_version_desired: wanted }) =>
      wanted > applied ? `v${applied}>v${wanted}` : applied === 0 ? MISSING : `v${applied}`,
    style: (node) =>
      node.config_error !== undefined
        ? "bad"
        : node.cfg_version_desired > node.cfg_version_applied
        ? "warn"
        : undefined,
  },
  {
    label: "SEEN",
    width: 7,
    isNumber: true,
    text: ({ connected, last_seen_wall_ms: seen }, nowMs) =>
      seen === 0 ? MISSING : connected && nowMs - seen < 60_000 ? "now" : duration(nowMs - seen),
  },
];

const NODE_LABEL = "NODE";
const GAP = "  ";
/** Columns that a name may take, whatever the terminal. */
const NAME_WIDTH_MIN = 10;

/**
 * The table's lines, the heading first, none wider than `width` columns. `nowMs` is the host's wall clock;
 * `nameWidth` the columns of the longest name, also of nodes that are not among these lines.
 */
export function tableLines(
  nodes: readonly NodeSummary[],
  nowMs: number,
  width: number,
  paint: Paint,
  nameWidth: number = nameWidthOf(nodes),
): string[] {
  const cells = nodes.map((node) => COLUMNS.map(({ text }) => text(node, nowMs)));
  const widths = COLUMNS.map(({ label, width }, i) =>
    Math.max(label.length, width, ...cells.map((row) => row[i]!.length))
  );
  const others = widths.reduce((sum, width) => sum + GAP.length + width, 0);
  const name = Math.min(nameWidth, Math.max(NAME_WIDTH_MIN, width - others));
  const heading = [
    pad(NODE_LABEL, name),
    ...COLUMNS.map(({ label, isNumber }, i) => pad(label, widths[i]!, isNumber)),
    "NOTE",
  ];
  return [
    lineOf([["bold", heading.join(GAP)]], width, paint),
    ...nodes.map((node, row) => {
      const pieces: Piece[] = [pad(node.node_id, name)];
      for (const [i, { isNumber, style }] of COLUMNS.entries()) {
        const text = pad(cells[row]![i]!, widths[i]!, isNumber);
        const look = style?.(node);
        pieces.push(GAP, look === undefined ? text : [look, text]);
      }
      const notes = verdictOf(node).notes.join("; ");
      return lineOf([...pieces, GAP, ["dim", notes]], width, paint);
    }),
  ];
}

/** Columns of the longest name. */
export function nameWidthOf(nodes: readonly NodeSummary[]): number {
  return nodes.reduce((most, { node_id }) => Math.max(most, widthOf(node_id)), NODE_LABEL.length);
}
