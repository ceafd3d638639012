/** The node in numbers. Pure: status in, words out. What it means the node says itself (`lib/fleet/`). */
import { bytes, clock, count, duration, exact } from "./format.js";

function room(status) {
  const seconds = status.wal.seconds_until_full;
  return seconds === undefined || seconds === null ? undefined : duration(seconds * 1_000);
}

/** The strip under the verdict: name, text, and tone or title where there is one. */
export function stripOf(status) {
  const { link, wal, backlog } = status;
  const isConnected = link.state === "connected";
  const left = room(status);
  const fill = wal.bytes / wal.bytes_max;
  const open = status.events.open;
  return [
    ["Link", isConnected ? link.host : link.state, {
      tone: isConnected ? "ok" : "warn",
      title: isConnected ? `Host ${link.host_id ?? ""}` : `${link.host}: ${link.last_error ?? ""}`,
    }],
    [isConnected ? "Connected for" : "Not connected for", sinceText(link.since_wall_ms, status)],
    ["Backlog", count(backlog), { title: `${exact(backlog)} records that only this device has` }],
    ["Oldest of them", backlog === 0 ? "–" : duration(status.oldest_unacked_ms)],
    ["Log on disk", `${(100 * fill).toFixed(fill < 0.1 ? 1 : 0)} % of ${bytes(wal.bytes_max)}`, {
      tone: fill >= 0.8 ? "bad" : undefined,
      title: `${exact(wal.bytes)} bytes`,
    }],
    [isConnected ? "Room for an outage of" : "Full in", left ?? "–", {
      title: "At the rate of the last minute, if the host acknowledged nothing from now on",
    }],
    ["Durable until", clock(status.durable_until_wall_ms), {
      title: "What was sampled up to then survives a power cut of this device",
    }],
    ["Anomalies", open > 0 ? `${open} open` : "none open", {
      tone: open > 0 ? "warn" : undefined,
      title: `${exact(status.events.opened)} events and ${
        exact(status.anomalies)
      } flagged records since the start`,
    }],
  ];
}

function sinceText(sinceMs, status) {
  return duration(Math.max(0, status.now_wall_ms - sinceMs));
}
