/**
 * What the host says of its nodes, put in order for the page: which need attention, by kind. States, concerns and
 * sentences are the host's own (`lib/fleet/`); here they are only sorted, and ages are added.
 */
import { CONCERNS } from "./fleet.js";
import { ago, duration } from "./format.js";

export { CONCERNS, STATES } from "./fleet.js";

/** How full the log of a node is, from 0 to 1; `undefined` where that isn't known. */
export function walFill(node) {
  return node.wal_bytes_max > 0 ? node.wal_bytes / node.wal_bytes_max : undefined;
}

/** A concern with its age, where the age is what matters. `now` by the host's clock. */
export function concernText({ kind, text, since_wall_ms }, now) {
  if (since_wall_ms === undefined) return text;
  if (kind === "silent") return `for ${duration(now - since_wall_ms)}, ${text}`;
  return kind === "gap" ? `${text}, ${ago(now - since_wall_ms)}` : text;
}

/**
 * What needs attention, the gravest kind first.
 * @param {Iterable<{node: any, concerns: any[]}>} entries
 */
export function groupsOf(entries) {
  const found = new Map();
  for (const { node, concerns } of entries) {
    for (const concern of concerns) {
      const list = found.get(concern.kind) ?? [];
      list.push({ node, concern });
      found.set(concern.kind, list);
    }
  }
  return Object.keys(CONCERNS).filter((kind) => found.has(kind)).map((kind) => ({
    kind,
    items: found.get(kind).sort((a, b) => b.concern.weight - a.concern.weight),
  }));
}

/** A node in one sentence, with the age of what is over. */
export function verdictText(node, now) {
  const isAway = ["silent", "reconnecting", "stopped"].includes(node.state);
  return isAway
    ? `${node.verdict.text} Last seen ${ago(now - node.last_seen_wall_ms)}.`
    : node.verdict.text;
}
