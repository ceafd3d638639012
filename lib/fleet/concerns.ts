/**
 * What is wrong with a node, and what to do about it: the one list that API, `/status`, pages, terminal,
 * metrics and alerts show. Pure.
 */
import type { Concern, NodeActivity, NodeInfo } from "./node_info.ts";
import type { Tone } from "./states.ts";
import { stateOf } from "./states.ts";
import { bytesText, exact, plural, spanText } from "./texts.ts";

/** How a kind of concern is shown, and what an operator can do. */
export interface ConcernLook {
  readonly word: string;
  /** Its name as a filter. */
  readonly chip: string;
  readonly severity: "bad" | "warn";
  readonly shape: string;
  readonly todo: string;
}

/** The kinds, the gravest first. */
export const CONCERNS = {
  gap: {
    word: "Lost records",
    chip: "Lost records",
    severity: "bad",
    shape: "cross",
    todo:
      "The gaps list says which and why. For evicted raise wal_bytes_max, for corrupt replace the card, for unsynced shorten wal_sync_interval_ms.",
  },
  silent: {
    word: "Silent",
    chip: "Silent",
    severity: "bad",
    shape: "square",
    todo:
      "Check the device's power and its network; if it is up, link.last_error in its /status says why it can't connect.",
  },
  duplicate: {
    word: "Duplicate id",
    chip: "Duplicate id",
    severity: "bad",
    shape: "diamond",
    todo: "Two devices use this name: give one of them another --node-id.",
  },
  wal: {
    word: "Log nearly full",
    chip: "Log nearly full",
    severity: "bad",
    shape: "triangle",
    todo:
      "Bring the node back to its host or raise wal_bytes_max: at the limit the oldest records are lost.",
  },
  refused: {
    word: "Config refused",
    chip: "Config refused",
    severity: "warn",
    shape: "triangle",
    todo: "Set a configuration that the node can use; the text says what is wrong with this one.",
  },
  degraded: {
    word: "Degraded",
    chip: "Degraded",
    severity: "warn",
    shape: "triangle",
    todo: "Records are thinned until the backlog has drained: check the link, or lower sample_hz.",
  },
  config: {
    word: "Config not applied",
    chip: "Config pending",
    severity: "warn",
    shape: "triangle",
    todo: "The node is connected and has not applied what it was sent: look at its log.",
  },
  clock: {
    word: "Clock off",
    chip: "Clock off",
    severity: "warn",
    shape: "triangle",
    todo: "Check the device's time service and the battery of its clock.",
  },
} as const satisfies Record<string, ConcernLook>;
/** A name of {@linkcode CONCERNS}. */
export type ConcernKind = keyof typeof CONCERNS;
/** The names, the gravest first. */
export const CONCERN_KINDS = Object.keys(CONCERNS) as ConcernKind[];

/** Losses that were declared within it are a concern. */
export const LOST_LATELY_MS = 86_400_000;
/** Fill of a log from which on it is nearly full. */
export const WAL_NEARLY_FULL = 0.8;
/** Difference of a device's clock from which on it is off. */
export const CLOCK_OFF_MS = 5_000;
/** A configuration on its way for less than this is no concern. */
export const CONFIG_GRACE_MS = 10_000;

/** Makes a {@linkcode Concern}; `since` where it is known. */
export function concern(
  kind: string,
  severity: Concern["severity"],
  text: string,
  weight: number,
  since?: number,
): Concern {
  return {
    kind,
    severity,
    text,
    weight,
    ...(since === undefined ? {} : { since_wall_ms: since }),
  };
}

/** How a severity or a verdict looks. */
export function toneOf(concerns: readonly Concern[]): Tone {
  if (concerns.some(({ severity }) => severity === "bad")) return "bad";
  return concerns.length > 0 ? "warn" : "ok";
}

/** How full the log of a node is, from 0 to 1; `undefined` where that isn't known. */
export function walFill(node: Pick<NodeInfo, "wal_bytes" | "wal_bytes_max">): number | undefined {
  return node.wal_bytes_max > 0 ? node.wal_bytes / node.wal_bytes_max : undefined;
}

/** Whether another configuration is wanted than applied, for longer than it takes. */
export function isConfigLate(node: NodeInfo, nowWallMs: number): boolean {
  const { cfg_version_desired, cfg_version_applied, config_pending_since_wall_ms: since } = node;
  return cfg_version_desired > cfg_version_applied && node.connected && since !== undefined &&
    nowWallMs - since > CONFIG_GRACE_MS;
}

/** What is wrong with a node, the gravest first; `nowWallMs` by the host's clock. */
export function concernsOf(
  node: NodeInfo & Pick<NodeActivity, "clock_error_ms">,
  nowWallMs: number,
): Concern[] {
  const found: Concern[] = [];
  const add = (kind: ConcernKind, text: string, weight: number, since?: number) => {
    found.push(concern(kind, CONCERNS[kind].severity, text, weight, since));
  };
  const lost = node.lost_lately;
  if (lost !== undefined && nowWallMs - lost.last_wall_ms < LOST_LATELY_MS) {
    const why = lost.reasons.join(", ").replaceAll("_", " ");
    add("gap", `${plural(lost.records, "record")} (${why})`, lost.records, lost.last_wall_ms);
  }
  if (stateOf(node, nowWallMs) === "silent") {
    const waits = node.backlog > 0
      ? `${plural(node.backlog, "record")} or more only on the device`
      : "everything up to then is stored";
    add("silent", waits, -node.last_seen_wall_ms, node.last_seen_wall_ms);
  }
  if (node.duplicate_id) {
    const text = plural(node.takeovers, "takeover");
    add("duplicate", text, node.takeovers, node.duplicate_since_wall_ms);
  }
  const fill = walFill(node);
  if (fill !== undefined && fill >= WAL_NEARLY_FULL) {
    const text = `${Math.floor(fill * 100)} % of ${bytesText(node.wal_bytes_max)}`;
    add("wal", text, fill, node.wal_full_since_wall_ms);
  }
  if (node.config_error !== undefined) {
    add("refused", node.config_error, node.cfg_version_desired, node.config_error_since_wall_ms);
  }
  if (node.degraded) {
    add("degraded", `backlog ${exact(node.backlog)}`, node.backlog, node.degraded_since_wall_ms);
  }
  if (isConfigLate(node, nowWallMs) && node.config_error === undefined) {
    const text = `wants v${node.cfg_version_desired}, has v${node.cfg_version_applied}`;
    const late = node.cfg_version_desired - node.cfg_version_applied;
    add("config", text, late, node.config_pending_since_wall_ms);
  }
  const { clock_error_ms: error } = node;
  if (error !== undefined && Math.abs(error) > CLOCK_OFF_MS) {
    // Coarse, so that a clock that drifts is not another concern each second.
    const coarse = Math.sign(error) * Math.floor(Math.abs(error) / 1_000) * 1_000;
    const text = `${spanText(coarse)} ${error > 0 ? "ahead" : "behind"}`;
    add("clock", text, Math.abs(coarse), node.clock_off_since_wall_ms);
  }
  return found;
}
