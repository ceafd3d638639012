/**
 * The state of a node, in one word each. `STATES` is the only place that has the words; pages and terminal
 * show them. Pure.
 */
import type { NodeInfo, NodeStateName } from "./node_info.ts";

/** How something looks: the page's colours and the terminal's styles follow it. */
export type Tone = "ok" | "info" | "warn" | "bad" | "off";

/** How a state is shown. Each has a word and a shape, so that colour is never alone. */
export interface StateLook {
  readonly word: string;
  readonly tone: Tone;
  readonly shape: string;
  /** Lower is more urgent. */
  readonly rank: number;
  readonly help: string;
}

/** See the head of the file. */
export const STATES: Readonly<Record<NodeStateName, StateLook>> = {
  duplicate: {
    word: "Duplicate id",
    tone: "bad",
    shape: "diamond",
    rank: 0,
    help: "Two devices use this name and keep taking the connection from each other.",
  },
  silent: {
    word: "Silent",
    tone: "bad",
    shape: "square",
    rank: 1,
    help: "Not connected, and it did not say that it stops.",
  },
  degraded: {
    word: "Degraded",
    tone: "warn",
    shape: "triangle",
    rank: 2,
    help: "Too much is unacknowledged: the node thins its records until the backlog has drained.",
  },
  reconnecting: {
    word: "Reconnecting",
    tone: "info",
    shape: "half",
    rank: 3,
    help: "The connection has just ended; nodes come back within half a minute.",
  },
  replaying: {
    word: "Catching up",
    tone: "info",
    shape: "half",
    rank: 4,
    help: "Connected, and sending what it kept while it was away.",
  },
  stopped: {
    word: "Stopped",
    tone: "off",
    shape: "ring",
    rank: 5,
    help: "It said that it stops, and did.",
  },
  live: {
    word: "Live",
    tone: "ok",
    shape: "dot",
    rank: 6,
    help: "Connected; records are stored as they come.",
  },
};

/** A node that is away for less than this is on its way back: the longest backoff of an uplink. */
export const RECONNECTING_MS = 30_000;

/** The state of a node; `nowWallMs` by the host's clock. */
export function stateOf(node: NodeInfo, nowWallMs: number): NodeStateName {
  if (node.duplicate_id) return "duplicate";
  if (!node.connected) {
    if (node.stopped) return "stopped";
    return nowWallMs - node.last_seen_wall_ms < RECONNECTING_MS ? "reconnecting" : "silent";
  }
  if (node.degraded) return "degraded";
  return node.replaying ? "replaying" : "live";
}
