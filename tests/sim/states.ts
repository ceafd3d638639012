/**
 * Which states of the production code a run reached, read from what it logs: a run of many seeds that never
 * reached one of them tests less than it claims.
 */
import type { LogRecord } from "@logtape/logtape";

/** Each state with the log message, or the host's event, that shows it. */
export const STATES = {
  "backlog replayed": "event replayed",
  "node restarted": "event restarted",
  "new epoch": "event new_epoch",
  "session superseded": "event superseded",
  "duplicate id reported": "event duplicate_id",
  "config applied": "event config_applied",
  "config refused by a node": "event config_refused",
  "config behind a forgotten version": "event config_ahead",
  "config not saved": "configuration {version} is in force but not saved: {reason}",
  "gap evicted": "event gap evicted",
  "gap corrupt": "event gap corrupt",
  "gap unsynced": "event gap unsynced",
  "gap unwritten": "event gap unwritten",
  "gap compacted": "event gap compacted",
  "torn tail cut": "cut {bytes} torn bytes off {name}",
  "disk failed": "{what}, going on in memory: {reason}",
  "disk recovered": "disk takes records again, from seq {first}",
  "tail taken over": "{records} records were in memory only when the last run ended",
  "memory failed": "memory doesn't take the log's tail, records go to the disk: {reason}",
  "memory in use again": "memory takes the log's tail again",
  "damage found": "log is damaged: seq {from} to {to} can't be read",
  "host had less than it acked":
    "host has all only up to seq {high_acked}, {lost} once acked records are gone here too",
  "numbers moved above the host's":
    "host has other records up to seq {seq} of this epoch: numbering goes on above",
  "records thinned": "degraded: records are thinned",
  "no longer thinned": "no longer degraded",
  "store failed": "store can't commit: {reason}",
  "store recovered": "store takes records again",
  "host fell silent": "silence host",
  "node fell silent": "silence node",
} as const;

/** What of a log record tells a state. */
export function stateKey({ rawMessage, properties }: LogRecord): string {
  const template = String(rawMessage);
  if (template === "{node_id}: {kind} {text}") {
    const { kind, reason } = properties;
    return `event ${kind}${kind === "gap" ? ` ${reason}` : ""}`;
  }
  if (template.startsWith("link to") && properties.reason === "host fell silent") {
    return "silence host";
  }
  if (template.includes("closed with {code}") && properties.code === "timeout") {
    return "silence node";
  }
  return template;
}

/** How often each state was reached, from the counts of keys. */
export function statesIn(keys: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(STATES).filter(([, key]) => keys.has(key)).map((
      [name, key],
    ) => [name, keys.get(key)!]),
  );
}
