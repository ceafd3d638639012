/** The facts of a node: the strip under its name, the details, its diagnostics. */
import { fill, h, setText } from "./dom.js";
import { diagnosticText, factList } from "./facts.js";
import {
  ago,
  bytes,
  count,
  DEVICE_CLOCK,
  duration,
  exact,
  HOST_CLOCK,
  stamp,
  titleTime,
} from "./format.js";
import { walFill } from "./host_state.js";

function clockText(error) {
  if (!Number.isFinite(error)) return "–";
  if (Math.abs(error) < 1_000) return "agrees";
  return `${duration(error)} ${error > 0 ? "ahead" : "behind"}`;
}

/** The strip under a node's name. */
export function createStrip() {
  const list = factList("strip", "The node in numbers");
  return {
    element: list.element,
    show({ node, concerns }, now, clockError) {
      const has = (kind) => concerns.some((concern) => concern.kind === kind);
      const fill = walFill(node);
      const { cfg_version_applied: applied, cfg_version_desired: wanted } = node;
      const isPending = wanted > applied;
      list.show([
        ["Last seen", ago(now - node.last_seen_wall_ms), {
          title: titleTime(node.last_seen_wall_ms, HOST_CLOCK),
          tone: has("silent") ? "bad" : undefined,
        }],
        ["Lag", Number.isFinite(node.lag_ms) ? duration(node.lag_ms) : "–", {
          title: "How far the newest stored record is behind",
        }],
        ["Backlog", count(node.backlog), {
          title: `${exact(node.backlog)} records that only the device has`,
        }],
        ["Arriving", node.connected ? `${node.rate.toFixed(1)} rec/s` : "–"],
        [
          "Log on the device",
          fill === undefined ? "–" : `${Math.floor(fill * 100)} % of ${bytes(node.wal_bytes_max)}`,
          {
            tone: has("wal") ? "bad" : undefined,
          },
        ],
        [
          "Config",
          isPending ? `v${applied}, wants v${wanted}` : applied === 0 ? "its own" : `v${applied}`,
          {
            title: node.config_error ?? "",
            tone: node.config_error ? "bad" : isPending ? "warn" : undefined,
          },
        ],
        ["Anomalies, last hour", count(node.anomalies_hour ?? 0)],
        ["Device’s clock", clockText(clockError), {
          title: `${DEVICE_CLOCK} compared with the ${HOST_CLOCK}`,
          tone: has("clock") ? "warn" : undefined,
        }],
      ]);
    },
  };
}

/** Everything else that the host knows of a node. */
export function createDetails() {
  const list = factList("pairs", "Details");
  const element = h("section", { class: "card" }, h("h2", {}, "Details"), list.element);
  return {
    element,
    show({ node }) {
      const time = (ms) => [stamp(ms), { title: titleTime(ms, HOST_CLOCK) }];
      list.show([
        ["Software", node.version],
        ["Address", node.peer],
        ["Encoding", node.encoding],
        [node.connected ? "Connected since" : "Last connected", ...time(node.connected_wall_ms)],
        ["First seen", ...time(node.first_seen_wall_ms)],
        ["Epoch", node.epoch, {
          title: "Numbers count within one epoch; a new one begins with an empty log",
        }],
        ["Stored up to", `seq ${exact(node.high_acked)}`],
        ["Next on the device", `seq ${exact(node.next_seq)}`],
        ["Received twice", exact(node.duplicates)],
        ["Lost for good", exact(node.gap_records), {
          tone: node.gap_records > 0 ? "bad" : undefined,
        }],
        ["Missed ticks", exact(node.missed_ticks)],
        ["Anomalies in all", exact(node.anomalies)],
      ]);
    },
  };
}

/** What the newest record says is the case on the device. */
export function createDiagnostics() {
  const body = h("div", {});
  const whose = h("span", { class: "whose" });
  const element = h("section", { class: "card" }, h("h2", {}, "Diagnostics", whose), body);
  let shown = "";
  return {
    element,
    show(record) {
      setText(whose, `${stamp(record.ts_wall_ms).slice(11)} ${DEVICE_CLOCK}`);
      whose.title = titleTime(record.ts_wall_ms, DEVICE_CLOCK);
      const found = Object.entries(record.diagnostics ?? {});
      if (record.degraded) found.unshift(["degraded", true]);
      const text = JSON.stringify(found);
      if (text === shown) return;
      shown = text;
      const isQuiet = found.every(([, value]) => value === false);
      fill(
        body,
        isQuiet && h("p", { class: "note" }, "Nothing unusual."),
        h(
          "dl",
          { class: "pairs" },
          ...found.map(([name, value]) =>
            h(
              "div",
              {},
              h("dt", {}, name.replaceAll("_", " ")),
              h("dd", { "data-tone": value === false ? null : "warn" }, diagnosticText(value)),
            )
          ),
        ),
      );
    },
  };
}
