/**
 * The table of nodes as `host nodes` and `host top` show it: what a summary from the host's API means, in the
 * words of the host's page, and how it becomes lines. Pure.
 */
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

/** What the table needs of a node; see `NodeInfo` in `lib/host/registry.ts`. Texts are clean. */
export interface NodeSummary {
  readonly node_id: string;
  readonly connected: boolean;
  readonly stopped: boolean;
  readonly degraded: boolean;
  readonly replaying: boolean;
  readonly duplicate_id: boolean;
  readonly backlog: number;
  readonly rate: number;
  readonly anomalies_hour: number;
  readonly gap_records: number;
  readonly wal_bytes: number;
  readonly wal_bytes_max: number;
  readonly cfg_version_desired: number;
  readonly cfg_version_applied: number;
  readonly config_error: string;
  readonly last_seen_wall_ms: number;
  readonly lag_ms: number | undefined;
  readonly clock_error_ms: number | undefined;
}

/** What a node's summary adds up to. */
export interface Verdict {
  readonly word: string;
  readonly style: Style;
  /** Lower is worse. */
  readonly rank: number;
  /** What a person should know beside the state. */
  readonly notes: readonly string[];
}

/** What nodes can be sorted by, in the order in which a key goes through them. */
export const SORTS = ["worst", "node", "lag", "backlog", "rate", "anomalies", "seen"] as const;
/** One of {@linkcode SORTS}. */
export type Sort = typeof SORTS[number];

const WAL_NEARLY_FULL = 0.8;
const CLOCK_OFF_MS = 5_000;
const MISSING = "-";
const byName = new Intl.Collator("en", { numeric: true }).compare;

/** Reads a summary; whatever is missing or of another type counts as nothing. `undefined` without an id. */
export function summaryOf(value: unknown): NodeSummary | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const given = value as Record<string, unknown>;
  if (typeof given.node_id !== "string") return undefined;
  const number = (name: string) => Number.isFinite(given[name]) ? given[name] as number : undefined;
  const some = (name: string) => number(name) ?? 0;
  return {
    node_id: clean(given.node_id),
    connected: given.connected === true,
    stopped: given.stopped === true,
    degraded: given.degraded === true,
    replaying: given.replaying === true,
    duplicate_id: given.duplicate_id === true,
    backlog: some("backlog"),
    rate: some("rate"),
    anomalies_hour: some("anomalies_hour"),
    gap_records: some("gap_records"),
    wal_bytes: some("wal_bytes"),
    wal_bytes_max: some("wal_bytes_max"),
    cfg_version_desired: some("cfg_version_desired"),
    cfg_version_applied: some("cfg_version_applied"),
    config_error: typeof given.config_error === "string" ? clean(given.config_error) : "",
    last_seen_wall_ms: some("last_seen_wall_ms"),
    lag_ms: number("lag_ms"),
    clock_error_ms: number("clock_error_ms"),
  };
}

function stateOf(node: NodeSummary): [string, Style, number] {
  if (node.duplicate_id) return ["Duplicate id", "bad", 0];
  if (!node.connected) return node.stopped ? ["Stopped", "dim", 8] : ["Silent", "bad", 1];
  if (node.degraded) return ["Degraded", "warn", 3];
  return node.replaying ? ["Catching up", "info", 7] : ["Live", "ok", 9];
}

/** State, rank and notes of a node. */
export function verdictOf(node: NodeSummary): Verdict {
  const [word, style, stateRank] = stateOf(node);
  const concerns: [rank: number, note: string][] = [];
  const fill = node.wal_bytes_max > 0 ? node.wal_bytes / node.wal_bytes_max : 0;
  if (fill >= WAL_NEARLY_FULL) concerns.push([2, `log ${Math.floor(100 * fill)} % full`]);
  if (node.config_error !== "") concerns.push([4, `config refused: ${node.config_error}`]);
  const clockMs = node.clock_error_ms ?? 0;
  if (Math.abs(clockMs) > CLOCK_OFF_MS) {
    const way = clockMs < 0 ? "behind" : "ahead";
    concerns.push([5, `clock ${duration(Math.abs(clockMs))} ${way}`]);
  }
  if (node.cfg_version_desired > node.cfg_version_applied && node.config_error === "") {
    concerns.push([6, "config not applied yet"]);
  }
  if (node.gap_records > 0) concerns.push([10, `${short(node.gap_records)} records lost so far`]);
  return {
    word,
    style,
    rank: Math.min(stateRank, ...concerns.map(([rank]) => rank)),
    notes: concerns.map(([, note]) => note),
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
      node.config_error !== ""
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
