/**
 * The page's copy of the host's state, kept live by server-sent events. It outlives views: a view subscribes
 * and unsubscribes. Everything here is bounded by the number of nodes.
 */

import { getJson } from "./host_api.js";

const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
/** Without any event for that long the connection counts as dead: the host sends one each second. */
const QUIET_MS = 8_000;

/** @typedef {{node: any, state: string, concerns: any[]}} Entry */

/** See the head of the file. Its events: `host`, `nodes` (ids that changed), `records`, `link`. */
export class Live {
  /** @type {Map<string, Entry>} */
  entries = new Map();
  /** The last `host` event. */
  host = undefined;
  /** @type {"connecting" | "live" | "lost"} */
  link = "connecting";
  /** When the next attempt is made, by `performance.now()`. */
  retryAt = 0;

  #listeners = new Map();
  #source = undefined;
  #nodeId = undefined;
  #attempt = 0;
  #heardAt = 0;
  #hostAt = 0;
  #isFresh = false;
  #retryTimer = 0;

  constructor() {
    setInterval(() => this.#watch(), 1_000);
    addEventListener("online", () => this.retry());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => event.persisted && this.retry());
  }

  /** Subscribes until `signal` aborts. */
  on(kind, listener, signal) {
    const set = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, set);
    set.add(listener);
    signal.addEventListener("abort", () => set.delete(listener), { once: true });
  }

  /** Follows the fleet and, with an id, the records of that node. */
  follow(nodeId) {
    if (this.#source !== undefined && this.#nodeId === nodeId) return;
    this.#nodeId = nodeId;
    this.#open();
  }

  /** The host's clock, as far as this page can tell. */
  hostNow() {
    if (this.host === undefined) return Date.now();
    return this.host.now_wall_ms + performance.now() - this.#hostAt;
  }

  /** The time by the host's clock of what is shown; `undefined` before the first event. */
  get shownAt() {
    return this.host?.now_wall_ms;
  }

  /** Tries at once, instead of when the wait is over. */
  retry() {
    this.#attempt = 0;
    this.#open();
  }

  #emit(kind, detail) {
    for (const listener of this.#listeners.get(kind) ?? []) listener(detail);
  }

  #close() {
    clearTimeout(this.#retryTimer);
    this.#source?.close();
    this.#source = undefined;
  }

  #open() {
    this.#close();
    const query = this.#nodeId === undefined ? "" : `?node=${encodeURIComponent(this.#nodeId)}`;
    const source = new EventSource(`/api/live${query}`);
    this.#source = source;
    this.#isFresh = true;
    this.#heardAt = performance.now();
    const listen = (kind, take) =>
      source.addEventListener(kind, (event) => {
        if (source !== this.#source) return;
        this.#heardAt = performance.now();
        this.#setLink("live");
        take(JSON.parse(event.data));
      });
    listen("host", (host) => this.#takeHost(host));
    listen("nodes", (nodes) => this.#takeNodes(nodes));
    listen("records", (records) => this.#emit("records", records));
    // The browser's own reconnecting has neither backoff nor a limit: it is not left to it.
    source.addEventListener("error", () => source === this.#source && this.#lose());
  }

  #setLink(link) {
    if (link === "live") this.#attempt = 0;
    if (link === this.link) return;
    this.link = link;
    this.#emit("link");
  }

  #lose() {
    this.#close();
    // A stream doesn't say why it ends: where it is for want of a login, this leads there.
    getJson("/api/me").catch(() => {});
    const wait = BACKOFF_MS[Math.min(this.#attempt++, BACKOFF_MS.length - 1)];
    const jittered = wait * (0.75 + Math.random() / 2);
    this.retryAt = performance.now() + jittered;
    this.#retryTimer = setTimeout(() => this.#open(), jittered);
    this.#setLink("lost");
    this.#emit("link");
  }

  #watch() {
    const isQuiet = performance.now() - this.#heardAt > QUIET_MS;
    if (this.#source !== undefined && isQuiet) this.#lose();
    else if (this.link === "lost") this.#emit("link");
  }

  #takeHost(host) {
    this.host = host;
    this.#hostAt = performance.now();
    this.#emit("host");
  }

  #takeNodes(nodes) {
    if (this.#isFresh) {
      // All of them: those that are gone are forgotten.
      this.#isFresh = false;
      const known = new Set(nodes.map(({ node_id }) => node_id));
      for (const id of this.entries.keys()) if (!known.has(id)) this.entries.delete(id);
    }
    for (const node of nodes) this.#put(node);
    this.#emit("nodes", nodes);
  }

  /** After the first list, the host sends only what changed of a node. */
  #put(changes) {
    const entry = this.entries.get(changes.node_id) ?? {};
    const node = { ...entry.node, ...changes };
    // What isn't known any more.
    for (const name in changes) if (changes[name] === null) delete node[name];
    entry.node = node;
    entry.state = node.state;
    entry.concerns = node.concerns;
    this.entries.set(node.node_id, entry);
  }
}
