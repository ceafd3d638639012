/** The sentence that answers 'is my data safe?' on the device itself. Pure: status in, words out. */
import { bytes, clock, count, duration, exact, plural } from "./format.js";

/** A record that waits for less is just on its way. */
const ON_THE_WAY_MS = 10_000;

function room(status) {
  const seconds = status.wal.seconds_until_full;
  return seconds === undefined || seconds === null ? undefined : duration(seconds * 1_000);
}

function lostRecords(status) {
  return status.gaps.reduce((sum, { from_seq, to_seq }) => sum + to_seq - from_seq + 1, 0);
}

/**
 * Tone, sign, headline and reason.
 * @returns {{tone: string, shape: string, text: string, because: string}}
 */
export function verdictOf(status) {
  const { link, wal, backlog, oldest_unacked_ms: oldest } = status;
  const until = clock(status.durable_until_wall_ms);
  const waiting = backlog === 0
    ? "Nothing waits for the host."
    : `${plural(backlog, "record")} wait${backlog === 1 ? "s" : ""} here, the oldest for ${
      duration(oldest)
    }.`;
  if (!wal.writable) {
    return {
      tone: "bad",
      shape: "cross",
      text: "New records are in memory only",
      because:
        `The disk takes nothing since ${until}: a power cut now loses what came after. ${waiting}`,
    };
  }
  if (status.gaps.length > 0) {
    return {
      tone: "bad",
      shape: "cross",
      text: `${plural(lostRecords(status), "record was", "records were")} lost`,
      because: `Everything else sampled until ${until} is on disk here or at the host. ${waiting}`,
    };
  }
  if (link.state !== "connected") {
    const left = room(status);
    return {
      tone: status.degraded ? "warn" : "info",
      shape: "half",
      text: "Data is safe on this device",
      because: `No host is connected${link.last_error ? `: ${link.last_error}` : ""}. ${waiting}` +
        (left === undefined ? "" : ` There is room for another ${left}.`),
    };
  }
  if (status.degraded || oldest > ON_THE_WAY_MS) {
    return {
      tone: status.degraded ? "warn" : "info",
      shape: status.degraded ? "triangle" : "half",
      text: "Data is safe, and being sent",
      because: `The host is catching up. ${waiting}`,
    };
  }
  return {
    tone: "ok",
    shape: "check",
    text: "Data is safe",
    because: `Everything sampled until ${until} is on disk here or at the host.`,
  };
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
