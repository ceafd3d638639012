/**
 * The chart of one metric, by uPlot: the band from lowest to highest with the mean as a line, marks where
 * records were flagged, hatching where records were lost. All charts of a board share window and cursor.
 */
import { fill, h, setText } from "./dom.js";
import { clock, count, day, measure } from "./format.js";
import { Series } from "./host_series.js";

const HEIGHT_PX = 148;
const SYNC_KEY = "holdfast";
/** A press that moved by less is a click. */
const CLICK_PX = 4;
const MARKS_MAX = 600;
const MARK_PX = 4;
const HOUR_MS = 3_600_000;

/** The drawing library, loaded when a chart is drawn for the first time. */
let library;
export function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    const script = h("script", { src: document.body.dataset.uplot });
    script.addEventListener("load", () => resolve(globalThis.uPlot));
    script.addEventListener("error", () => {
      library = undefined;
      reject(new Error("the drawing library can’t be loaded"));
    });
    document.head.append(script);
  });
  return library;
}

/** Colours of the theme, as the canvas needs them. */
export function readColors() {
  const probe = h("i", { hidden: true });
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const names = ["accent", "band", "ink-2", "ink-3", "line", "grid", "surface", "bad", "hatch"];
  const colors = Object.fromEntries(names.map((name) => [name, read(name)]));
  probe.remove();
  return colors;
}

function timeLabels(splits, stepMs) {
  let before;
  return splits.map((ms) => {
    const date = day(ms);
    const isNewDay = date !== before;
    before = date;
    const short = date.slice(5);
    if (stepMs >= 24 * HOUR_MS) return short;
    const time = stepMs < 1_000
      ? clock(ms, true).slice(3)
      : stepMs < 60_000
      ? clock(ms)
      : clock(ms).slice(0, 5);
    return isNewDay && stepMs >= HOUR_MS && time === "00:00" ? short : time;
  });
}

/** See the head of the file. */
export class Chart {
  element;
  series = new Series();
  isVisible = false;
  isDirty = true;
  /** By `performance.now()`. */
  loadedAt = -Infinity;
  #plot;
  #columns = { data: [[], [], [], []], flagged: [], n: [] };
  #o;
  #readout;
  #plotBox;
  #pressX = 0;
  #size = "";

  /**
   * @param {{metric: string, uPlot: any, view: {from: number, to: number}, colors: () => any,
   *   gaps: () => any[], onSelect: (from: number, to: number) => void,
   *   onPoint: (point: {metric: string, from: number, to: number, isFlagged: boolean}) => void,
   *   onCursor: (ms: number | undefined) => void}} options
   */
  constructor(options) {
    this.#o = options;
    this.#readout = h("span", { class: "readout" });
    this.#plotBox = h("div", { class: "plot" });
    this.element = h(
      "figure",
      { class: "chart", "data-metric": options.metric },
      h("figcaption", {}, h("b", {}, options.metric), this.#readout),
      this.#plotBox,
    );
  }

  /** Most columns that make sense: one a pixel. */
  get points() {
    const px = this.#plot?.over.clientWidth || this.#plotBox.clientWidth - 60;
    return Math.max(50, Math.min(4_000, Math.round(px)));
  }

  #make() {
    const { uPlot, view, colors } = this.#o;
    const axis = {
      stroke: () => colors()["ink-3"],
      grid: { stroke: () => colors().grid, width: 1 },
      ticks: { stroke: () => colors().grid, width: 1, size: 4 },
      font: "11px system-ui, sans-serif",
    };
    this.#plot = new uPlot(
      {
        width: this.#plotBox.clientWidth,
        height: HEIGHT_PX,
        ms: 1,
        pxAlign: false,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: {
          sync: { key: SYNC_KEY },
          drag: { x: true, y: false, setScale: false },
          points: { size: 6 },
          bind: { dblclick: () => null },
        },
        scales: { x: { time: true, range: () => [view.from, view.to] } },
        axes: [
          {
            ...axis,
            size: 26,
            space: 70,
            values: (_plot, splits, _axis, _space, step) => timeLabels(splits, step),
          },
          { ...axis, size: 56, space: 30, values: (_plot, splits) => splits.map(axisText) },
        ],
        series: [
          {},
          { points: { show: false } },
          { points: { show: false } },
          { stroke: () => colors().accent, width: 1.4, points: { show: false } },
        ],
        bands: [{ series: [1, 2], fill: () => colors().band }],
        hooks: {
          drawClear: [(plot) => this.#drawGaps(plot)],
          draw: [(plot) => this.#drawMarks(plot)],
          setSelect: [(plot) => this.#selected(plot)],
          setCursor: [(plot) => this.#showReadout(plot)],
        },
      },
      this.#columns.data,
      this.#plotBox,
    );
    const { over } = this.#plot;
    over.addEventListener("mousedown", (event) => this.#pressX = event.clientX);
    over.addEventListener("click", (event) => {
      if (Math.abs(event.clientX - this.#pressX) < CLICK_PX) this.#clicked();
    });
  }

  /** Draws the window anew with what there is. */
  draw() {
    if (!this.isVisible || this.#plotBox.clientWidth === 0) return;
    const { view } = this.#o;
    this.series.trim(view.from);
    this.#columns = this.series.columns();
    if (this.#plot === undefined) this.#make();
    else {
      this.#fit();
      this.#plot.setData(this.#columns.data);
    }
    this.#showReadout(this.#plot);
  }

  #fit() {
    const width = this.#plotBox.clientWidth;
    const size = `${width}x${devicePixelRatio}`;
    if (size === this.#size) return;
    this.#size = size;
    if (width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT_PX });
  }

  /** Draws with other colours or gaps. */
  redraw() {
    this.#plot?.redraw(false);
  }

  destroy() {
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width < CLICK_PX) return;
    const from = plot.posToVal(left, "x");
    const to = plot.posToVal(left + width, "x");
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.#o.onSelect(from, to);
  }

  #clicked() {
    const { idx } = this.#plot.cursor;
    if (idx === null || idx === undefined || this.#columns.n[idx] === undefined) return;
    const from = this.#columns.data[0][idx];
    this.#o.onPoint({
      metric: this.#o.metric,
      from,
      to: from + this.series.stepMs,
      isFlagged: this.#columns.flagged[idx] > 0,
    });
  }

  #showReadout(plot) {
    const [t, high, low, mean] = this.#columns.data;
    const { idx, left } = plot.cursor;
    const isPointing = idx !== null && idx !== undefined && left >= 0;
    this.#o.onCursor(isPointing ? plot.posToVal(left, "x") : undefined);
    const at = isPointing ? idx : t.length - 1;
    this.#readout.classList.toggle("is-pointing", isPointing);
    if (at < 0 || mean[at] === null || mean[at] === undefined) {
      return setText(this.#readout, isPointing ? "no data" : "–");
    }
    const flagged = this.#columns.flagged[at];
    const parts = [measure(mean[at])];
    if (isPointing && high[at] !== low[at]) {
      parts.push(`${measure(low[at])} … ${measure(high[at])}`);
      parts.push(`${count(this.#columns.n[at])} values`);
    }
    if (isPointing && flagged > 0) parts.push(`${count(flagged)} flagged`);
    setText(this.#readout, parts.join("  ·  "));
  }

  #drawGaps(plot) {
    const { ctx, bbox } = plot;
    const colors = this.#o.colors();
    const ratio = devicePixelRatio;
    const { from, to } = this.#o.view;
    let labelEnd = -Infinity;
    ctx.save();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    for (const { from_wall_ms, to_wall_ms, reason, from_seq, to_seq } of this.#o.gaps()) {
      const start = from_wall_ms ?? from, end = to_wall_ms ?? to;
      if (end < from || start > to) continue;
      const x = Math.max(bbox.left, plot.valToPos(start, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(end, "x", true));
      const width = Math.max(2 * ratio, right - x);
      ctx.fillStyle = hatch(ctx, colors.hatch, ratio);
      ctx.fillRect(x, bbox.top, width, bbox.height);
      const label = `lost: ${count(to_seq - from_seq + 1)} (${reason.replaceAll("_", " ")})`;
      const size = ctx.measureText(label).width + 8 * ratio;
      const at = Math.min(x, bbox.left + bbox.width - size);
      if (at < labelEnd) continue;
      labelEnd = at + size;
      ctx.fillStyle = colors.surface;
      ctx.fillRect(at, bbox.top, size, 15 * ratio);
      ctx.fillStyle = colors.bad;
      ctx.fillText(label, at + 4 * ratio, bbox.top + 2 * ratio);
    }
    ctx.restore();
  }

  #drawMarks(plot) {
    const { flagged, data } = this.#columns;
    const [t, high, low, mean] = data;
    const { ctx, bbox } = plot;
    const colors = this.#o.colors();
    const size = MARK_PX * devicePixelRatio;
    let drawn = 0;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height);
    ctx.clip();
    ctx.fillStyle = colors.bad;
    ctx.strokeStyle = colors.surface;
    ctx.lineWidth = devicePixelRatio;
    for (let i = flagged.length - 1; i >= 0 && drawn < MARKS_MAX; i--) {
      if (!(flagged[i] > 0)) continue;
      const isUp = high[i] - mean[i] >= mean[i] - low[i];
      const x = plot.valToPos(t[i], "x", true);
      const y = plot.valToPos(isUp ? high[i] : low[i], "y", true);
      ctx.beginPath();
      ctx.moveTo(x, y - size);
      ctx.lineTo(x + size, y);
      ctx.lineTo(x, y + size);
      ctx.lineTo(x - size, y);
      ctx.closePath();
      ctx.fill();
      ctx.stroke();
      drawn++;
    }
    ctx.restore();
  }
}

function axisText(value) {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(1);
  return String(Number(value.toPrecision(6)));
}

const patterns = new Map();

/** Diagonal lines: a shade that is told from a band without colour. */
function hatch(ctx, color, ratio) {
  const key = `${color} ${ratio}`;
  const known = patterns.get(key);
  if (known !== undefined) return known;
  const size = Math.round(7 * ratio);
  const tile = h("canvas", { width: size, height: size });
  const pen = tile.getContext("2d");
  pen.strokeStyle = color;
  pen.lineWidth = 1.5 * ratio;
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  const pattern = ctx.createPattern(tile, "repeat");
  if (patterns.size > 8) patterns.clear();
  patterns.set(key, pattern);
  return pattern;
}

/** Empties a box of charts. */
export function clearCharts(box, charts) {
  for (const chart of charts) chart.destroy();
  fill(box);
}
