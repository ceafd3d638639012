/** 'Is my data safe?' answered in one sentence: for the fleet, and for one node. Pure. */
import { type ConcernKind, CONCERNS, concernsOf, toneOf } from "./concerns.ts";
import type { Concern, NodeActivity, NodeInfo, NodeSummary } from "./node_info.ts";
import { stateOf, STATES, type Tone } from "./states.ts";
import { exact, plural } from "./texts.ts";

/** Adds the verdict to what is known of a node; `nowWallMs` by the host's clock. */
export function summarize(
  info: NodeInfo,
  activity: NodeActivity,
  nowWallMs: number,
): NodeSummary {
  const node = { ...info, ...activity };
  const judged = {
    ...node,
    state: stateOf(node, nowWallMs),
    concerns: concernsOf(node, nowWallMs),
  };
  return { ...judged, verdict: nodeVerdict(judged) };
}

/** The store as far as it matters here. */
export interface StoreHealth {
  readonly ok: boolean;
  readonly error?: string | undefined;
}

/** The fleet in one sentence. */
export interface FleetVerdict {
  readonly tone: Tone;
  /** Nothing was lost lately and nothing is about to be. */
  readonly safe: boolean;
  /** How many are connected. */
  readonly connection: string;
  /** Whether the data is safe; empty where there is none yet. */
  readonly safety: string;
  /** Nodes that need somebody's attention. */
  readonly attention: number;
}

function total(nodes: readonly NodeSummary[], kind: ConcernKind): { nodes: number; sum: number } {
  const found = nodes.flatMap(({ concerns }) => concerns.filter((one) => one.kind === kind));
  return { nodes: found.length, sum: found.reduce((sum, { weight }) => sum + weight, 0) };
}

function safetyOf(
  nodes: readonly NodeSummary[],
  store: StoreHealth,
  attention: number,
): { tone: Tone; safe: boolean; text: string } {
  if (!store.ok) {
    return {
      tone: "bad",
      safe: false,
      text: "The store can’t commit; nodes keep their records until it can.",
    };
  }
  const lost = total(nodes, "gap").sum;
  if (lost > 0) {
    return { tone: "bad", safe: false, text: `${exact(lost)} records were lost in the last 24 h.` };
  }
  const full = total(nodes, "wal").nodes;
  if (full > 0) {
    return {
      tone: "bad",
      safe: false,
      text: `Nothing lost, but ${plural(full, "log is", "logs are")} nearly full.`,
    };
  }
  if (attention > 0) {
    const tone = nodes.some(({ concerns }) => toneOf(concerns) === "bad") ? "bad" : "warn";
    return {
      tone: tone === "bad" ? "warn" : tone,
      safe: true,
      text: `Nothing lost; ${plural(attention, "node needs", "nodes need")} attention.`,
    };
  }
  return { tone: "ok", safe: true, text: "All data safe." };
}

/** The fleet's verdict. */
export function fleetVerdict(nodes: readonly NodeSummary[], store: StoreHealth): FleetVerdict {
  const attention = nodes.filter(({ concerns }) => concerns.length > 0).length;
  const { tone, safe, text } = safetyOf(nodes, store, attention);
  if (nodes.length === 0) {
    return {
      tone: tone === "ok" ? "info" : tone,
      safe,
      connection: "No node has connected yet.",
      safety: tone === "ok" ? "" : text,
      attention,
    };
  }
  const connected = nodes.filter((node) => node.connected).length;
  const stopped = nodes.filter((node) => !node.connected && node.stopped).length;
  const all = connected === nodes.length
    ? `All ${plural(nodes.length, "node")}`
    : `${exact(connected)} of ${exact(nodes.length)}`;
  const rest = stopped === 0 ? "" : `, ${exact(stopped)} stopped on purpose`;
  const connection = nodes.length === 1 && connected === 1
    ? "The node is connected."
    : `${all} connected${rest}.`;
  return { tone, safe, connection, safety: text, attention };
}

/** What needs attention, a line each, as `/status` lists it. */
export function attentionLines(nodes: readonly NodeSummary[], store: StoreHealth): string[] {
  const lines = nodes.flatMap(({ node_id, concerns }) =>
    concerns.map((concern) => `${node_id}: ${concernLine(concern)}`)
  );
  return store.ok ? lines : [`the store can't commit: ${store.error ?? "unknown"}`, ...lines];
}

/** A concern in one line. */
export function concernLine({ kind, text }: Concern): string {
  return `${CONCERNS[kind as ConcernKind].word}, ${text}`;
}

/** One node in one sentence: is its data safe? Ages are left to who shows it. */
export function nodeVerdict(node: Omit<NodeSummary, "verdict">): { text: string; tone: Tone } {
  const { state, concerns, backlog } = node;
  const gap = concerns.find(({ kind }) => kind === "gap");
  const wal = concerns.find(({ kind }) => kind === "wal");
  const lost = gap === undefined ? "" : ` Lost in the last 24 h: ${gap.text}.`;
  const full = wal === undefined ? "" : ` Its log is nearly full: ${wal.text}.`;
  const waiting = backlog > 0
    ? `At least ${plural(backlog, "record")} are only on the device.`
    : "Everything up to then is stored.";
  const base = {
    live: backlog > 1_000
      ? `Connected. ${
        exact(backlog)
      } records are on their way; the device keeps them until they are stored.`
      : "Connected. What it samples is stored as it comes.",
    replaying: `Catching up: ${
      exact(backlog)
    } records to go. The device keeps them until they are stored.`,
    degraded: `Degraded: ${
      exact(backlog)
    } records wait, so new ones are thinned until they have drained.`,
    reconnecting: `Reconnecting. ${waiting}`,
    silent: `Silent. ${waiting}`,
    stopped: `Stopped on purpose. ${
      backlog > 0 ? `${plural(backlog, "record")} stayed in its log.` : "Everything is stored."
    }`,
    duplicate: "Two devices use this name: rename one of them.",
  }[state];
  const isBad = gap !== undefined || wal !== undefined;
  return { text: base + lost + full, tone: isBad ? "bad" : STATES[state].tone };
}
