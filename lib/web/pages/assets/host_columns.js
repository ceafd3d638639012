/** The columns of the fleet's table: what a cell shows, and what it is sorted by. */
import { h, setAttr, setShape, setText, shape, svg } from "./dom.js";
import {
  ago,
  byName,
  bytes,
  count,
  duration,
  exact,
  HOST_CLOCK,
  measure,
  titleTime,
} from "./format.js";
import { CONCERNS, STATES, walFill } from "./host_state.js";

const MISSING = "–";

function setTitle(element, text) {
  setAttr(element, "title", text);
}

/** Gravity of a row: those with concerns first, then by state. */
function gravity({ state, concerns }) {
  const kinds = Object.keys(CONCERNS);
  const worst = concerns.length === 0 ? kinds.length : kinds.indexOf(concerns[0].kind);
  return worst * 10 + STATES[state].rank;
}

function lagOf(node) {
  return Number.isFinite(node.lag_ms) ? node.lag_ms : undefined;
}

/**
 * `make` fills a new cell and gives back what `show` needs; `key` gives what is sorted by; `down` says that
 * the first click sorts from high to low.
 */
export const COLUMNS = [
  {
    id: "state",
    label: "State",
    key: gravity,
    make(cell) {
      const sign = shape("dot");
      const word = h("span", {});
      const also = h("span", { class: "also" });
      cell.append(sign, word, also);
      return { sign, word, also };
    },
    show({ sign, word, also }, { state, concerns }, _context, cell) {
      const { word: text, tone, shape: name, help } = STATES[state];
      setAttr(cell, "data-tone", tone);
      setShape(sign, name);
      setText(word, text);
      const others = concerns.filter(({ kind }) => kind !== state).map(({ kind }) =>
        CONCERNS[kind]
      );
      setText(
        also,
        others.length === 0 ? "" : others.map(({ word }) => word.toLowerCase()).join(", "),
      );
      const details = concerns.map((concern) => `${CONCERNS[concern.kind].word}: ${concern.text}`);
      setTitle(cell, [help, ...details].join("\n"));
    },
  },
  {
    id: "node",
    label: "Node",
    key: ({ node }) => node.node_id,
    compare: byName,
    make(cell) {
      const link = h("a", { "data-link": true, tabindex: "-1" });
      cell.append(link);
      return { link };
    },
    show({ link }, { node }) {
      setText(link, node.node_id);
      setAttr(link, "href", `/nodes/${encodeURIComponent(node.node_id)}`);
      setTitle(link, `${node.node_id}, ${node.peer}, version ${node.version}`);
    },
  },
  {
    id: "seen",
    label: "Last seen",
    help: `Last sign of life, by the ${HOST_CLOCK}`,
    key: ({ node }) => node.last_seen_wall_ms,
    show(cell, { node }, { now }) {
      setText(cell, ago(now - node.last_seen_wall_ms));
      setTitle(cell, titleTime(node.last_seen_wall_ms, HOST_CLOCK));
    },
  },
  {
    id: "lag",
    label: "Lag",
    isNumber: true,
    down: true,
    help: "How far the newest stored record is behind",
    key: ({ node }) => lagOf(node) ?? -1,
    show(cell, { node }) {
      const lag = lagOf(node);
      setText(cell, lag === undefined ? MISSING : duration(lag));
    },
  },
  {
    id: "backlog",
    label: "Backlog",
    isNumber: true,
    down: true,
    help: "Records that the device has and the host has not, as far as the host knows",
    key: ({ node }) => node.backlog,
    show(cell, { node }) {
      setText(cell, count(node.backlog));
      setAttr(cell, "data-quiet", node.backlog === 0 ? "" : null);
      setTitle(cell, `${exact(node.backlog)} records`);
    },
  },
  {
    id: "rate",
    label: "Rec/s",
    isNumber: true,
    down: true,
    help: "Records stored a second, over the last seconds",
    key: ({ node }) => node.rate,
    show(cell, { node }) {
      setText(cell, node.connected ? rate(node.rate) : MISSING);
      setAttr(cell, "data-quiet", node.connected ? null : "");
    },
  },
  {
    id: "wal",
    label: "Log",
    isNumber: true,
    down: true,
    help: "How full the write-ahead log on the device is",
    key: ({ node }) => walFill(node) ?? -1,
    make(cell) {
      const bar = h("meter", { min: "0", max: "1", low: "0.6", high: "0.8", optimum: "0" });
      const text = h("span", {});
      cell.append(text, bar);
      return { bar, text };
    },
    show({ bar, text }, { node }, _context, cell) {
      const fill = walFill(node);
      setText(text, fill === undefined ? MISSING : percent(fill));
      if (bar.value !== (fill ?? 0)) bar.value = fill ?? 0;
      setTitle(cell, `${bytes(node.wal_bytes)} of ${bytes(node.wal_bytes_max)}`);
    },
  },
  {
    id: "config",
    label: "Config",
    isNumber: true,
    down: true,
    help: "Version applied, and the one that is wanted where it differs",
    key: ({ node }) => node.cfg_version_desired - node.cfg_version_applied,
    show(cell, { node }) {
      const { cfg_version_desired: wanted, cfg_version_applied: applied } = node;
      const isPending = wanted > applied;
      setText(
        cell,
        isPending ? `v${applied} → v${wanted}` : applied === 0 ? MISSING : `v${applied}`,
      );
      setAttr(cell, "data-quiet", isPending ? null : "");
      setAttr(cell, "data-tone", node.config_error ? "bad" : isPending ? "warn" : null);
      setTitle(cell, node.config_error ?? (isPending ? "wanted and not applied yet" : "as wanted"));
    },
  },
  {
    id: "anomalies",
    label: "Anomalies 1 h",
    isNumber: true,
    down: true,
    help: "Records flagged in the last hour",
    key: ({ node }) => node.anomalies_hour ?? 0,
    show(cell, { node }) {
      const flagged = node.anomalies_hour ?? 0;
      setText(cell, count(flagged));
      setAttr(cell, "data-quiet", flagged === 0 ? "" : null);
    },
  },
  {
    id: "value",
    label: "Value",
    isNumber: true,
    down: true,
    help: "Newest value of the metric chosen above",
    key: ({ node }, { metric }) => node.last?.[metric] ?? -Infinity,
    show(cell, { node }, { metric }) {
      const value = node.last?.[metric];
      setText(cell, measure(value));
      setAttr(cell, "data-quiet", node.connected ? null : "");
    },
  },
  {
    id: "spark",
    label: "Last 2 min",
    help: `The metric chosen above over the last two minutes, by the ${HOST_CLOCK}`,
    make(cell) {
      const path = svg("path");
      const picture = svg("svg", {
        class: "spark",
        viewBox: "0 0 120 22",
        preserveAspectRatio: "none",
      });
      picture.setAttribute("aria-hidden", "true");
      picture.append(path);
      cell.append(picture);
      return { path };
    },
    show({ path }, { node }, { sparks }) {
      setAttr(path, "d", sparks.path(node.node_id));
    },
  },
];

function rate(value) {
  return value >= 100 ? count(value) : value.toFixed(1);
}

function percent(fill) {
  return fill > 0 && fill < 0.01 ? "<1 %" : `${Math.floor(fill * 100)} %`;
}
