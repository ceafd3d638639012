/** Each metric's last minutes as a line: value, range of each second, and where it was flagged. */
import { h, setAttr, setText, svg } from "./dom.js";
import { clock, DEVICE_CLOCK, measure } from "./format.js";

const SPAN_MS = 300_000;
const WIDTH = 300;
const HEIGHT = 40;
const PAD = 3;
/** A second without values for that long breaks the line. */
const BREAK_MS = 2_500;

/** The values as `/api/recent` gives them, brought up to date by the last seconds of each tick. */
export class RecentValues {
  t = [];
  metrics = {};

  /** Takes the last seconds in. Whether they fitted; otherwise all is to be asked for again. */
  merge(recent) {
    const names = Object.keys(recent.metrics);
    const isSame = names.length === Object.keys(this.metrics).length &&
      names.every((name) => name in this.metrics);
    const at = this.t.indexOf(recent.t[0]);
    if (!isSame || at < 0) return false;
    this.t = [...this.t.slice(0, at), ...recent.t];
    const from = Math.max(0, this.t.length - SPAN_MS / 1_000);
    this.t = this.t.slice(from);
    for (const name of names) {
      for (const part of ["min", "max", "last", "flagged"]) {
        const merged = [...this.metrics[name][part].slice(0, at), ...recent.metrics[name][part]];
        this.metrics[name][part] = merged.slice(from);
      }
    }
    return true;
  }
}

function bounds({ min, max }) {
  let low = Infinity, high = -Infinity;
  for (const value of min) if (value !== null && value < low) low = value;
  for (const value of max) if (value !== null && value > high) high = value;
  return { low, high };
}

/** Paths for a box of WIDTH by HEIGHT: the band of each second's range, the line, the flagged seconds. */
function paths(t, metric, now) {
  const { low, high } = bounds(metric);
  const span = Math.max(high - low, Math.abs(high) * 1e-4, 1e-9);
  const middle = (high + low) / 2;
  const x = (ms) => (((ms - now + SPAN_MS) / SPAN_MS) * WIDTH).toFixed(1);
  const y = (value) => (HEIGHT / 2 - ((value - middle) / span) * (HEIGHT - 2 * PAD)).toFixed(1);
  let line = "", flags = "", band = "", top = "", bottom = "";
  let beforeMs = -Infinity;
  const close = () => {
    if (top !== "") band += `M${top.slice(1)}${bottom}Z`;
    top = bottom = "";
  };
  t.forEach((ms, i) => {
    const value = metric.last[i];
    if (value === null || ms < now - SPAN_MS || ms > now + 1_000) return;
    const isBroken = ms - beforeMs > BREAK_MS;
    if (isBroken) close();
    line += `${isBroken ? "M" : "L"}${x(ms)} ${y(value)}`;
    top += `L${x(ms)} ${y(metric.max[i])}`;
    bottom = `L${x(ms)} ${y(metric.min[i])}${bottom}`;
    if (metric.flagged[i]) flags += `M${x(ms)} ${HEIGHT}V${HEIGHT - 6}`;
    beforeMs = ms;
  });
  close();
  return { line, band, flags, low, high };
}

function makeRow(name) {
  const chart = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
  });
  const band = svg("path", { class: "line-band" });
  const line = svg("path", { class: "line" });
  const flags = svg("path", { class: "line-flags" });
  chart.append(band, line, flags);
  const value = h("b", { class: "metric-value" });
  const z = h("span", { class: "metric-z" });
  const high = h("span", { class: "metric-high" });
  const low = h("span", { class: "metric-low" });
  const element = h(
    "li",
    { class: "metric" },
    h("span", { class: "metric-name" }, name),
    value,
    z,
    h("span", { class: "metric-range" }, high, low),
    h("span", { class: "metric-chart" }, chart),
  );
  return { element, chart, band, line, flags, value, z, high, low };
}

/** The list of metrics. */
export class MetricRows {
  #list;
  #rows = new Map();

  constructor(list) {
    this.#list = list;
  }

  /** Shows the values of `status` and the lines of `recent`. */
  show(status, recent) {
    for (const [name, row] of this.#rows) {
      if (name in status.metrics) continue;
      row.element.remove();
      this.#rows.delete(name);
    }
    for (const [name, metric] of Object.entries(status.metrics)) {
      let row = this.#rows.get(name);
      if (row === undefined) {
        row = makeRow(name);
        this.#rows.set(name, row);
        this.#list.append(row.element);
      }
      this.#showValue(row, metric);
      this.#showLine(row, name, recent, status.now_wall_ms);
    }
  }

  #showValue(row, { value, z, score, usual, alert_score, is_anomaly }) {
    setText(row.value, measure(value));
    const isKnown = typeof z === "number" || typeof score === "number";
    const shown = typeof z === "number"
      ? `z ${z.toFixed(1).replace("-0.0", "0.0")}`
      : `score ${measure(score)}`;
    setText(row.z, !isKnown ? "" : is_anomaly ? `anomaly, ${shown}` : shown);
    setAttr(row.z, "data-tone", is_anomaly ? "bad" : null);
    setAttr(
      row.z,
      "title",
      isKnown ? judgementText(score, usual, alert_score) : null,
    );
  }

  #showLine(row, name, recent, now) {
    const metric = recent.metrics[name];
    if (metric === undefined || recent.t.length === 0) return;
    const { line, band, flags, low, high } = paths(recent.t, metric, now);
    row.line.setAttribute("d", line);
    row.band.setAttribute("d", band);
    row.flags.setAttribute("d", flags);
    setText(row.high, measure(high));
    setText(row.low, measure(low));
    setAttr(
      row.chart,
      "aria-label",
      `${name} since ${clock(recent.t[0])} (${DEVICE_CLOCK}): ${measure(low)} to ${measure(high)}`,
    );
  }
}

/** What is usual of a metric, and how near it is to an event. */
function judgementText(score, usual, alertScore) {
  const range = usual === undefined ? "" : `Usually ${measure(usual[0])} to ${measure(usual[1])}. `;
  return `${range}Score ${measure(score)}; an event needs ${measure(alertScore)} at present`;
}
