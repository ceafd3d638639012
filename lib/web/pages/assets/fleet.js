/** Made from lib/fleet/ by deno task docs. */
export const STATES = {
  "duplicate": {
    "word": "Duplicate id",
    "tone": "bad",
    "shape": "diamond",
    "rank": 0,
    "help": "Two devices use this name and keep taking the connection from each other.",
  },
  "silent": {
    "word": "Silent",
    "tone": "bad",
    "shape": "square",
    "rank": 1,
    "help": "Not connected, and it did not say that it stops.",
  },
  "degraded": {
    "word": "Degraded",
    "tone": "warn",
    "shape": "triangle",
    "rank": 2,
    "help": "Too much is unacknowledged: the node thins its records until the backlog has drained.",
  },
  "reconnecting": {
    "word": "Reconnecting",
    "tone": "info",
    "shape": "half",
    "rank": 3,
    "help": "The connection has just ended; nodes come back within half a minute.",
  },
  "replaying": {
    "word": "Catching up",
    "tone": "info",
    "shape": "half",
    "rank": 4,
    "help": "Connected, and sending what it kept while it was away.",
  },
  "stopped": {
    "word": "Stopped",
    "tone": "off",
    "shape": "ring",
    "rank": 5,
    "help": "It said that it stops, and did.",
  },
  "live": {
    "word": "Live",
    "tone": "ok",
    "shape": "dot",
    "rank": 6,
    "help": "Connected; records are stored as they come.",
  },
};
export const CONCERNS = {
  "gap": {
    "word": "Lost records",
    "chip": "Lost records",
    "severity": "bad",
    "shape": "cross",
    "todo":
      "The gaps list says which and why. For evicted raise wal_bytes_max, for corrupt replace the card, for unsynced shorten wal_sync_interval_ms.",
  },
  "silent": {
    "word": "Silent",
    "chip": "Silent",
    "severity": "bad",
    "shape": "square",
    "todo":
      "Check the device's power and its network; if it is up, link.last_error in its /status says why it can't connect.",
  },
  "duplicate": {
    "word": "Duplicate id",
    "chip": "Duplicate id",
    "severity": "bad",
    "shape": "diamond",
    "todo": "Two devices use this name: give one of them another --node-id.",
  },
  "wal": {
    "word": "Log nearly full",
    "chip": "Log nearly full",
    "severity": "bad",
    "shape": "triangle",
    "todo":
      "Bring the node back to its host or raise wal_bytes_max: at the limit the oldest records are lost.",
  },
  "refused": {
    "word": "Config refused",
    "chip": "Config refused",
    "severity": "warn",
    "shape": "triangle",
    "todo": "Set a configuration that the node can use; the text says what is wrong with this one.",
  },
  "degraded": {
    "word": "Degraded",
    "chip": "Degraded",
    "severity": "warn",
    "shape": "triangle",
    "todo":
      "Records are thinned until the backlog has drained: check the link, or lower sample_hz.",
  },
  "config": {
    "word": "Config not applied",
    "chip": "Config pending",
    "severity": "warn",
    "shape": "triangle",
    "todo": "The node is connected and has not applied what it was sent: look at its log.",
  },
  "clock": {
    "word": "Clock off",
    "chip": "Clock off",
    "severity": "warn",
    "shape": "triangle",
    "todo": "Check the device's time service and the battery of its clock.",
  },
};
