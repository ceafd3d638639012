/**
 * What a node's summary means: one state, a list of concerns, and for the fleet the sentence that answers
 * 'is my data safe?'. Pure: summary in, verdict out. All times by the host's clock.
 */
import { ago, bytes, count, duration, exact, plural } from "./format.js";

/**
 * @typedef {"ok" | "info" | "warn" | "bad" | "off"} Tone
 * @typedef {{word: string, tone: Tone, shape: string, rank: number, help: string}} State
 * @typedef {{kind: string, text: string, weight: number}} Concern
 * @typedef {{records: number, last_ms: number, reasons: Set<string>}} RecentGaps
 */

/** The states; a lower rank is more urgent. Each has a word and a shape, so that colour is never alone. */
export const STATES = {
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
  replaying: {
    word: "Catching up",
    tone: "info",
    shape: "half",
    rank: 3,
    help: "Connected, and sending what it kept while it was away.",
  },
  stopped: {
    word: "Stopped",
    tone: "off",
    shape: "ring",
    rank: 4,
    help: "It said that it stops, and did.",
  },
  live: {
    word: "Live",
    tone: "ok",
    shape: "dot",
    rank: 5,
    help: "Connected; records are stored as they come.",
  },
};

/** Kinds of concern, the gravest first. `chip` is their name as a filter. */
export const CONCERNS = {
  gap: { word: "Lost records", chip: "Lost records", tone: "bad", shape: "cross" },
  silent: { word: "Silent", chip: "Silent", tone: "bad", shape: "square" },
  duplicate: { word: "Duplicate id", chip: "Duplicate id", tone: "bad", shape: "diamond" },
  wal: { word: "Log nearly full", chip: "Log nearly full", tone: "bad", shape: "triangle" },
  refused: { word: "Config refused", chip: "Config refused", tone: "warn", shape: "triangle" },
  degraded: { word: "Degraded", chip: "Degraded", tone: "warn", shape: "triangle" },
  config: { word: "Config not applied", chip: "Config pending", tone: "warn", shape: "triangle" },
  clock: { word: "Clock off", chip: "Clock off", tone: "warn", shape: "triangle" },
};

/** Gaps that were declared within it are shown as a concern. */
export const GAP_RECENT_MS = 86_400_000;
const WAL_NEARLY_FULL = 0.8;
const CLOCK_OFF_MS = 5_000;
/** A configuration on its way for less than this is no concern. */
const CONFIG_GRACE_MS = 10_000;

/** @returns {keyof typeof STATES} */
export function stateOf(node) {
  if (node.duplicate_id) return "duplicate";
  if (!node.connected) return node.stopped ? "stopped" : "silent";
  if (node.degraded) return "degraded";
  return node.replaying ? "replaying" : "live";
}

/** How full the log of a node is, from 0 to 1; `undefined` where that isn't known. */
export function walFill(node) {
  return node.wal_bytes_max > 0 ? node.wal_bytes / node.wal_bytes_max : undefined;
}

/** Device's wall clock minus the host's, where the host knows it. */
export function clockError(node) {
  return Number.isFinite(node.clock_error_ms) ? node.clock_error_ms : undefined;
}

/**
 * What somebody should look at.
 * @param {any} node its summary
 * @param {number} now
 * @param {{gaps?: RecentGaps, configSince?: number}} known gaps of the last day, and since when another
 *   configuration is wanted than applied
 * @returns {Concern[]} the gravest first
 */
export function concernsOf(node, now, known) {
  const found = [];
  const add = (kind, text, weight) => found.push({ kind, text, weight });
  const { gaps } = known;
  if (gaps !== undefined && now - gaps.last_ms < GAP_RECENT_MS) {
    const why = [...gaps.reasons].join(", ").replaceAll("_", " ");
    add("gap", `${exact(gaps.records)} records (${why}), ${ago(now - gaps.last_ms)}`, gaps.records);
  }
  if (!node.connected && !node.stopped) {
    const age = now - node.last_seen_wall_ms;
    add("silent", `for ${duration(age)}`, age);
  }
  if (node.duplicate_id) add("duplicate", plural(node.takeovers ?? 0, "takeover"), node.takeovers);
  const fill = walFill(node);
  if (fill !== undefined && fill >= WAL_NEARLY_FULL) {
    add("wal", `${Math.floor(fill * 100)} % of ${bytes(node.wal_bytes_max)}`, fill);
  }
  if (node.config_error) add("refused", node.config_error, node.cfg_version_desired);
  if (node.degraded) add("degraded", `backlog ${count(node.backlog)}`, node.backlog);
  const isLate = node.cfg_version_desired > node.cfg_version_applied &&
    now - (known.configSince ?? -Infinity) > CONFIG_GRACE_MS;
  if (isLate && !node.config_error) {
    const text = `wants v${node.cfg_version_desired}, has v${node.cfg_version_applied}`;
    add("config", text, node.cfg_version_desired - node.cfg_version_applied);
  }
  const error = clockError(node);
  if (error !== undefined && Math.abs(error) > CLOCK_OFF_MS) {
    add("clock", `${duration(error)} ${error > 0 ? "ahead" : "behind"}`, Math.abs(error));
  }
  return found;
}

function safety(store, found, attention) {
  if (store?.ok === false) {
    return { tone: "bad", text: "The store can’t commit; nodes keep their records until it can." };
  }
  const lost = (found.get("gap") ?? []).reduce((sum, { concern }) => sum + concern.weight, 0);
  if (lost > 0) return { tone: "bad", text: `${exact(lost)} records were lost in the last 24 h.` };
  const full = found.get("wal")?.length ?? 0;
  if (full > 0) {
    return {
      tone: "bad",
      text: `Nothing lost, but ${plural(full, "log is", "logs are")} nearly full.`,
    };
  }
  if (attention > 0) {
    const text = `Nothing lost; ${plural(attention, "node needs", "nodes need")} attention.`;
    return { tone: "warn", text };
  }
  return { tone: "ok", text: "All data safe." };
}

/**
 * The fleet in one sentence, and what needs attention, by kind.
 * @param {Iterable<{node: any, concerns: Concern[]}>} entries
 * @param {{store?: {ok: boolean, error?: string}} | undefined} host
 */
export function fleetVerdict(entries, host) {
  let known = 0, connected = 0, stopped = 0, attention = 0;
  const found = new Map();
  for (const { node, concerns } of entries) {
    known++;
    if (node.connected) connected++;
    else if (node.stopped) stopped++;
    if (concerns.length > 0) attention++;
    for (const concern of concerns) {
      const list = found.get(concern.kind) ?? [];
      list.push({ node, concern });
      found.set(concern.kind, list);
    }
  }
  const groups = Object.keys(CONCERNS).filter((kind) => found.has(kind)).map((kind) => ({
    kind,
    items: found.get(kind).sort((a, b) => b.concern.weight - a.concern.weight),
  }));
  const verdict = safety(host?.store, found, attention);
  const all = known === connected
    ? `All ${plural(known, "node")}`
    : `${count(connected)} of ${count(known)}`;
  const rest = stopped === 0 ? "" : `, ${count(stopped)} stopped on purpose`;
  if (known === 0) {
    const isOk = verdict.tone === "ok";
    return {
      tone: isOk ? "info" : verdict.tone,
      connection: "No node has connected yet.",
      safety: isOk ? "" : verdict.text,
      groups,
      attention,
    };
  }
  return {
    tone: verdict.tone,
    connection: known === 1 && connected === 1
      ? "The node is connected."
      : `${all} connected${rest}.`,
    safety: verdict.text,
    groups,
    attention,
  };
}

/** One node in one sentence: is its data safe? */
export function nodeVerdict(node, concerns, now) {
  const state = stateOf(node);
  const gap = concerns.find(({ kind }) => kind === "gap");
  const wal = concerns.find(({ kind }) => kind === "wal");
  const lost = gap === undefined ? "" : ` Lost in the last 24 h: ${gap.text}.`;
  const full = wal === undefined ? "" : ` Its log is nearly full: ${wal.text}.`;
  const last = ago(now - node.last_seen_wall_ms);
  const base = {
    live: node.backlog > 1_000
      ? `Connected. ${
        count(node.backlog)
      } records are on their way; the device keeps them until they are stored.`
      : "Connected. What it samples is stored as it comes.",
    replaying: `Catching up: ${
      count(node.backlog)
    } records to go. The device keeps them until they are stored.`,
    degraded: `Degraded: ${
      count(node.backlog)
    } records wait, so new ones are thinned until they have drained.`,
    silent: `Silent: last seen ${last}. ${
      node.backlog > 0
        ? `At least ${plural(node.backlog, "record")} are only on the device.`
        : "Everything up to then is stored."
    }`,
    stopped: `Stopped on purpose ${last}. ${
      node.backlog > 0
        ? `${plural(node.backlog, "record")} stayed in its log.`
        : "Everything is stored."
    }`,
    duplicate: "Two devices use this name: rename one of them.",
  }[state];
  const isBad = gap !== undefined || wal !== undefined;
  return { text: base + lost + full, tone: isBad ? "bad" : STATES[state].tone };
}
