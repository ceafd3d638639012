/**
 * The last minutes of one chosen metric for every node, as a small line. Bounded: one array of SLOTS values a
 * node. Nodes that come into sight get their past from the host, one after the other.
 */
import { getJson, nodePath } from "./host_api.js";

/** Values kept for each node. */
export const SLOTS = 60;
/** Time between two of them. */
export const SLOT_MS = 2_000;
const WIDTH = 120;
const HEIGHT = 22;
const PAD = 2;

/** See the head of the file. */
export class Sparks {
  metric = "";
  #live;
  #byNode = new Map();
  #wanted = new Set();
  #isLoading = false;
  #stop = new AbortController();

  constructor(live, signal) {
    this.#live = live;
    signal.addEventListener("abort", () => this.#stop.abort());
    this.#signal = signal;
  }
  #signal;

  /** Chooses the metric; what was kept of another one is forgotten. */
  choose(metric) {
    if (metric === this.metric) return;
    this.metric = metric;
    this.#byNode.clear();
    this.#wanted.clear();
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  /** Takes the newest values of nodes in. */
  take(nodes) {
    const slot = this.#slot();
    for (const { node_id, last, connected } of nodes) {
      const value = last?.[this.metric];
      if (!connected || typeof value !== "number") continue;
      const line = this.#lineOf(node_id, slot);
      line.values[slot % SLOTS] = value;
    }
  }

  /** Path of a node's line for a box of {@linkcode WIDTH} by {@linkcode HEIGHT}; empty where there is none. */
  path(nodeId) {
    const slot = this.#slot();
    const line = this.#lineOf(nodeId, slot);
    let low = Infinity, high = -Infinity;
    for (const value of line.values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) return "";
    const span = Math.max(high - low, Math.abs(high) * 1e-4, 1e-9);
    const middle = (high + low) / 2;
    let path = "", isDrawing = false;
    for (let i = 1; i <= SLOTS; i++) {
      const value = line.values[(slot + i) % SLOTS];
      if (Number.isNaN(value)) {
        // A single missing value is bridged: a slow sampler isn't a broken line.
        if (i < SLOTS && Number.isNaN(line.values[(slot + i + 1) % SLOTS])) isDrawing = false;
        continue;
      }
      const x = ((i - 1) / (SLOTS - 1)) * WIDTH;
      const y = HEIGHT / 2 - ((value - middle) / span) * (HEIGHT - 2 * PAD);
      path += `${isDrawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      isDrawing = true;
    }
    return path;
  }

  /** These nodes are in sight: their past is fetched, if it isn't here. */
  want(nodeIds) {
    this.#wanted.clear();
    for (const id of nodeIds) {
      if (this.#byNode.get(id)?.hasPast !== true) this.#wanted.add(id);
    }
    this.#load();
  }

  /** Forgets nodes that are no more. */
  prune(known) {
    for (const id of this.#byNode.keys()) if (!known.has(id)) this.#byNode.delete(id);
  }

  #slot() {
    return Math.floor(this.#live.hostNow() / SLOT_MS);
  }

  /** The line of a node, moved on to `slot`. */
  #lineOf(nodeId, slot) {
    let line = this.#byNode.get(nodeId);
    if (line === undefined) {
      line = { values: new Float32Array(SLOTS).fill(NaN), slot, hasPast: false };
      this.#byNode.set(nodeId, line);
    }
    for (let at = Math.max(line.slot + 1, slot - SLOTS + 1); at <= slot; at++) {
      line.values[at % SLOTS] = NaN;
    }
    line.slot = Math.max(line.slot, slot);
    return line;
  }

  async #load() {
    if (this.#isLoading || this.metric === "") return;
    this.#isLoading = true;
    try {
      while (this.#wanted.size > 0 && !this.#signal.aborted) {
        const [id] = this.#wanted;
        this.#wanted.delete(id);
        await this.#loadOne(id);
      }
    } finally {
      this.#isLoading = false;
    }
  }

  async #loadOne(id) {
    const metric = this.metric;
    const slot = this.#slot();
    const line = this.#lineOf(id, slot);
    line.hasPast = true;
    const error = this.#live.entries.get(id)?.node.clock_error_ms ?? 0;
    const from = Math.round((slot - SLOTS) * SLOT_MS + error);
    const query = new URLSearchParams({ metric, from, to: from + SLOTS * SLOT_MS, points: SLOTS });
    try {
      const { t, mean } = await getJson(nodePath(id, `/series?${query}`), this.#stop.signal);
      if (metric !== this.metric) return;
      for (let i = 0; i < t.length; i++) {
        const at = Math.floor((t[i] - error) / SLOT_MS);
        if (at <= line.slot - SLOTS || at > line.slot) continue;
        if (Number.isNaN(line.values[at % SLOTS])) line.values[at % SLOTS] = mean[i];
      }
    } catch {
      // The line then starts with what comes live.
    }
  }
}
