/**
 * The charts of a node's metrics over one window of time: live or standing, from the last minute to the last
 * month. Only charts in sight are loaded and drawn. Times by the device's clock.
 */
import { ApiError, getJson, nodePath } from "./host_api.js";
import { Chart, clearCharts, loadLibrary, readColors } from "./host_chart.js";
import { fill, h, isTyping, setAttr, setText } from "./dom.js";
import { clock, DEVICE_CLOCK, duration, stamp } from "./format.js";

const MINUTE = 60_000, HOUR = 3_600_000, DAY = 86_400_000;
const RANGES = [
  ["1 min", MINUTE],
  ["10 min", 10 * MINUTE],
  ["1 h", HOUR],
  ["6 h", 6 * HOUR],
  ["1 d", DAY],
  ["7 d", 7 * DAY],
  ["30 d", 30 * DAY],
];
const SPAN_MS_MIN = 500;
const SPAN_MS_MAX = 400 * DAY;
const ZOOM = 1.6;
const WHEEL_ZOOM = 1.0015;
const PAN_PART = 0.25;
/** After a change of the window the host is asked when it has rested for this long. */
const REST_MS = 120;
const RELOAD_MS = 60_000;
const RELOAD_REPLAYING_MS = 5_000;
const PARALLEL = 3;
/** How long a difference of the clocks counts, in records' arrivals. */
const CLOCK_SAMPLES = 30;

/** See the head of the file. */
export class Board {
  element;
  #id;
  #live;
  #signal;
  #onPoint;
  #view = { from: 0, to: 0 };
  #range = 10 * MINUTE;
  #isLive = true;
  #charts = new Map();
  #gaps = [];
  #colors = readColors();
  #grid = h("div", { class: "charts" });
  #message = h("p", { class: "empty" }, "Loading…");
  #windowText = h("span", { class: "window" });
  #cursorText = h("span", { class: "cursor-time" });
  #buttons = [];
  #liveButton;
  #uPlot;
  #fetching = new AbortController();
  #restTimer = 0;
  #errors = [];
  #observer;
  #metricsAt = -Infinity;
  #drawFrame = 0;

  /** @param {{nodeId: string, live: any, onPoint: (point: any) => void}} options */
  constructor({ nodeId, live, onPoint }, signal) {
    this.#id = nodeId;
    this.#live = live;
    this.#onPoint = onPoint;
    this.#signal = signal;
    this.element = h(
      "section",
      { class: "board", "aria-label": "Charts" },
      this.#tools(),
      this.#message,
      this.#grid,
    );
    this.#readAddress();
    this.#observer = new IntersectionObserver((changes) => this.#sight(changes), {
      rootMargin: "200px",
    });
    const resize = new ResizeObserver(() => this.#drawSoon());
    resize.observe(this.#grid);
    this.#grid.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#grid.addEventListener("dblclick", () => this.follow());
    document.addEventListener("themechange", () => {
      this.#colors = readColors();
      for (const chart of this.#charts.values()) chart.redraw();
    }, { signal });
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
    live.on("records", (records) => this.#take(records), signal);
    live.on("link", () => live.link === "live" && this.#reload(), signal);
    const timer = setInterval(() => this.#tick(), 1_000);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      clearTimeout(this.#restTimer);
      cancelAnimationFrame(this.#drawFrame);
      this.#fetching.abort();
      this.#observer.disconnect();
      resize.disconnect();
      clearCharts(this.#grid, this.#charts.values());
      this.#charts.clear();
    });
    this.#start();
  }

  async #start() {
    try {
      this.#uPlot = await loadLibrary();
    } catch (error) {
      return setText(this.#message, error.message);
    }
    if (this.#signal.aborted) return;
    this.#moveLive();
    await this.#loadMetrics();
  }

  #tools() {
    this.#buttons = RANGES.map(([label, range], i) =>
      h("button", {
        type: "button",
        title: `The last ${label} (key ${i + 1})`,
        onclick: () => this.follow(range),
      }, label)
    );
    this.#liveButton = h("button", {
      type: "button",
      class: "live-button",
      title: "Follow live (key l)",
      onclick: () => this.follow(),
    }, "Live");
    const small = (label, name, action) =>
      h("button", { type: "button", "aria-label": name, title: name, onclick: action }, label);
    return h(
      "div",
      { class: "board-tools" },
      this.#liveButton,
      h("div", { class: "joined", role: "group", "aria-label": "Range" }, ...this.#buttons),
      h(
        "div",
        { class: "joined", role: "group", "aria-label": "Move and zoom" },
        small("←", "Earlier", () => this.pan(-1)),
        small("→", "Later", () => this.pan(1)),
        small("−", "Zoom out", () => this.zoom(ZOOM)),
        small("+", "Zoom in", () => this.zoom(1 / ZOOM)),
      ),
      h("div", { class: "board-time" }, this.#windowText, this.#cursorText),
    );
  }

  /** Now by the device's clock, as far as this page can tell. */
  deviceNow() {
    return this.#live.hostNow() + this.clockError();
  }

  /** Device's clock minus the host's in ms: what the host says, else what arriving records show. */
  clockError() {
    const said = this.#live.entries.get(this.#id)?.node.clock_error_ms;
    if (Number.isFinite(said)) return said;
    return this.#errors.length === 0 ? 0 : Math.max(...this.#errors);
  }

  /** Goes on live, with another range if one is given. */
  follow(range = this.#range) {
    this.#range = Math.max(range, 1_000);
    this.#isLive = true;
    this.#moveLive();
    this.#changed();
  }

  /** Shows a window of the past. */
  show(from, to) {
    const middle = (from + to) / 2;
    const span = Math.min(SPAN_MS_MAX, Math.max(SPAN_MS_MIN, to - from));
    this.#isLive = false;
    this.#range = span;
    this.#view.from = middle - span / 2;
    this.#view.to = middle + span / 2;
    this.#changed();
  }

  /** Makes the window longer or shorter by a factor, around `at` from 0 to 1. */
  zoom(factor, at = 0.5) {
    const span = this.#view.to - this.#view.from;
    const next = Math.min(SPAN_MS_MAX, Math.max(SPAN_MS_MIN, span * factor));
    if (this.#isLive) return this.follow(next);
    const fixed = this.#view.from + span * at;
    this.show(fixed - next * at, fixed + next * (1 - at));
  }

  /** Moves the window by a part of its length. */
  pan(direction) {
    const shift = (this.#view.to - this.#view.from) * PAN_PART * direction;
    if (this.#isLive && direction > 0) return;
    if (this.#view.to + shift >= this.deviceNow()) return this.follow();
    this.show(this.#view.from + shift, this.#view.to + shift);
  }

  /** Takes the gaps of the node, to shade them. */
  setGaps(gaps) {
    this.#gaps = gaps;
    for (const chart of this.#charts.values()) chart.redraw();
  }

  #moveLive() {
    this.#view.to = this.deviceNow();
    this.#view.from = this.#view.to - this.#range;
  }

  #readAddress() {
    const query = new URLSearchParams(location.search);
    const from = Number(query.get("from")),
      to = Number(query.get("to")),
      range = Number(query.get("range"));
    if (from > 0 && to > from) {
      this.#isLive = false;
      this.#range = to - from;
      Object.assign(this.#view, { from, to });
    } else if (range >= 1_000) this.#range = Math.min(range, SPAN_MS_MAX);
  }

  #writeAddress() {
    const { from, to } = this.#view;
    const query = this.#isLive
      ? `range=${Math.round(this.#range)}`
      : `from=${Math.round(from)}&to=${Math.round(to)}`;
    history.replaceState(history.state, "", `${location.pathname}?${query}`);
  }

  #changed() {
    this.#showTools();
    this.#drawSoon();
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      this.#writeAddress();
      this.#reload();
    }, REST_MS);
  }

  #showTools() {
    setAttr(this.#liveButton, "aria-pressed", String(this.#isLive));
    RANGES.forEach(([, range], i) =>
      setAttr(this.#buttons[i], "aria-pressed", String(this.#isLive && range === this.#range))
    );
    const { from, to } = this.#view;
    const isShort = to - from < 10_000;
    const end = stamp(from).slice(0, 10) === stamp(to).slice(0, 10)
      ? clock(to, isShort)
      : stamp(to);
    setText(
      this.#windowText,
      this.#isLive
        ? `last ${duration(this.#range)}, ${DEVICE_CLOCK}`
        : `${stamp(from, isShort)} – ${end}, ${DEVICE_CLOCK}`,
    );
  }

  #cursor(ms) {
    setText(this.#cursorText, ms === undefined ? "" : clock(ms, this.#range < 2 * HOUR));
  }

  #wheel(event) {
    const over = event.target.closest(".u-over");
    if (over === null) return;
    const isZoom = event.ctrlKey || event.metaKey;
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    const isPan = !isZoom && Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY);
    if (!isZoom && !isPan) return;
    event.preventDefault();
    const box = over.getBoundingClientRect();
    if (isZoom) {
      return this.zoom(
        WHEEL_ZOOM ** (event.deltaY * (event.deltaY % 1 === 0 ? 1 : 5)),
        (event.clientX - box.left) / box.width,
      );
    }
    const shift = (sideways / box.width) * (this.#view.to - this.#view.from);
    if (this.#view.to + shift >= this.deviceNow()) return this.#isLive || this.follow();
    this.show(this.#view.from + shift, this.#view.to + shift);
  }

  #key(event) {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const range = RANGES[Number(event.key) - 1];
    if (range !== undefined) this.follow(range[1]);
    else if (event.key === "ArrowLeft") this.pan(-1);
    else if (event.key === "ArrowRight") this.pan(1);
    else if (event.key === "+" || event.key === "=") this.zoom(1 / ZOOM);
    else if (event.key === "-") this.zoom(ZOOM);
    else if (event.key === "l") this.follow();
    else return;
    event.preventDefault();
  }

  #sight(changes) {
    for (const { target, isIntersecting } of changes) {
      const chart = this.#charts.get(target.dataset.metric);
      if (chart === undefined) continue;
      chart.isVisible = isIntersecting;
    }
    this.#drawSoon();
    this.#load();
  }

  async #loadMetrics() {
    this.#metricsAt = performance.now();
    let metrics;
    try {
      metrics = await getJson(nodePath(this.#id, "/metrics"), this.#signal);
    } catch (error) {
      if (this.#charts.size === 0 && error instanceof ApiError) {
        setText(this.#message, `The metrics can’t be read: ${error.message}.`);
      }
      return;
    }
    if (this.#signal.aborted) return;
    for (const { name } of metrics) {
      if (this.#charts.has(name)) continue;
      const chart = new Chart({
        metric: name,
        uPlot: this.#uPlot,
        view: this.#view,
        colors: () => this.#colors,
        gaps: () => this.#gaps,
        onSelect: (from, to) => this.show(from, to),
        onPoint: this.#onPoint,
        onCursor: (ms) => this.#cursor(ms),
      });
      this.#charts.set(name, chart);
      this.#grid.append(chart.element);
      this.#observer.observe(chart.element);
    }
    this.#message.hidden = this.#charts.size > 0;
    setText(this.#message, "Nothing of this node is stored yet.");
    this.#showTools();
  }

  /** Asks the host anew for everything in sight. */
  #reload() {
    for (const chart of this.#charts.values()) chart.isDirty = true;
    this.#fetching.abort();
    this.#fetching = new AbortController();
    if (this.#charts.size === 0 && this.#uPlot !== undefined) this.#loadMetrics();
    this.#load();
  }

  async #load() {
    const { signal } = this.#fetching;
    const next = () => [...this.#charts.values()].find((chart) => chart.isVisible && chart.isDirty);
    const worker = async () => {
      for (let chart = next(); chart !== undefined && !signal.aborted; chart = next()) {
        chart.isDirty = false;
        await this.#loadChart(chart, signal);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
  }

  async #loadChart(chart, signal) {
    const { points } = chart;
    const from = Math.floor(this.#view.from);
    const to = Math.ceil(this.#view.to);
    const query = new URLSearchParams({ metric: chart.element.dataset.metric, from, to, points });
    try {
      chart.series.load(await getJson(nodePath(this.#id, `/series?${query}`), signal), points);
      chart.loadedAt = performance.now();
      chart.draw();
    } catch {
      // Cut off by a newer window, or the host is gone: it is asked again then.
      if (!signal.aborted) chart.loadedAt = performance.now();
    }
  }

  #take(records) {
    const now = this.#live.hostNow();
    let isNew = false;
    for (const record of records) {
      this.#errors.push(record.ts_wall_ms - now);
      for (const [metric, value] of Object.entries(record.metrics)) {
        const chart = this.#charts.get(metric);
        if (chart === undefined) isNew = true;
        else if (this.#isLive && chart.series.length > 0) {
          chart.series.add({
            t: record.ts_wall_ms,
            value,
            low: record.agg?.min[metric] ?? value,
            high: record.agg?.max[metric] ?? value,
            n: record.agg?.n ?? 1,
            isFlagged: record.anomaly?.metrics?.[metric] !== undefined,
          });
        }
      }
    }
    this.#errors.splice(0, Math.max(0, this.#errors.length - CLOCK_SAMPLES));
    if (isNew && this.#uPlot !== undefined && performance.now() - this.#metricsAt > 5_000) {
      this.#loadMetrics();
    }
  }

  #tick() {
    if (document.hidden || this.#uPlot === undefined) return;
    if (this.#isLive) this.#moveLive();
    const isReplaying = this.#live.entries.get(this.#id)?.node.replaying === true;
    const every = isReplaying ? RELOAD_REPLAYING_MS : RELOAD_MS;
    const isOpen = this.#isLive || isReplaying;
    for (const chart of this.#charts.values()) {
      if (isOpen && performance.now() - chart.loadedAt > every) chart.isDirty = true;
    }
    if (this.#live.link === "live") this.#load();
    if (this.#isLive) this.#drawSoon();
    this.#showTools();
  }

  #drawSoon() {
    if (this.#drawFrame !== 0) return;
    this.#drawFrame = requestAnimationFrame(() => {
      this.#drawFrame = 0;
      for (const chart of this.#charts.values()) chart.draw();
    });
  }

  /** Empties the board; for a node that isn't known. */
  clear(text) {
    fill(this.#grid);
    this.#message.hidden = false;
    setText(this.#message, text);
  }
}
