/**
 * `host top` without the terminal: what is known, what keys do to it, and the screen's lines. Pure.
 *
 * ```
 * heading: host, fleet, store          row 1
 * sort, filter, what is in view        row 2
 * the table, its heading first         rows 3 to the last but one
 * keys, or the filter being typed      last row
 * ```
 */
import {
  nameWidthOf,
  type NodeSummary,
  QUIET_RANK,
  type Sort,
  sorted,
  SORTS,
  summaryOf,
  tableLines,
  verdictOf,
} from "./node_table.ts";
import { clean, lineOf, type Paint, type Piece, plain, short } from "./terminal_text.ts";

/** The host as it tells of itself each second. Texts are clean. */
export interface HostSummary {
  readonly now_wall_ms: number;
  readonly version: string;
  readonly nodes_known: number;
  readonly nodes_connected: number;
  readonly store: {
    readonly ok: boolean;
    readonly error: string;
    readonly bytes: number;
    readonly records: number;
  };
}

/** Rows and columns of a terminal. */
export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** A key as {@linkcode keysOf} names it: a character, or one of these. */
export type Key = string;

/** Rows that are not nodes. */
const FRAME_ROWS = 4;
const FILTER_MAX = 64;
const KEYS_LINE = "q quit   s sort   / filter   j k or arrows scroll   g top   G end";

/** Reads the data of a `host` event; whatever is missing counts as nothing. */
export function hostOf(value: unknown): HostSummary {
  const given = (value ?? {}) as Record<string, unknown>;
  const store = (given.store ?? {}) as Record<string, unknown>;
  const number = (from: Record<string, unknown>, name: string) =>
    Number.isFinite(from[name]) ? from[name] as number : 0;
  return {
    now_wall_ms: number(given, "now_wall_ms"),
    version: clean(String(given.version ?? "")),
    nodes_known: number(given, "nodes_known"),
    nodes_connected: number(given, "nodes_connected"),
    store: {
      ok: store.ok === true,
      error: clean(String(store.error ?? "")),
      bytes: number(store, "bytes"),
      records: number(store, "records"),
    },
  };
}

/** The keys in what a terminal in raw mode sent at once. */
export function keysOf(text: string): Key[] {
  const names: Record<string, string> = {
    "[A": "up",
    "OA": "up",
    "[B": "down",
    "OB": "down",
    "[5~": "pageup",
    "[6~": "pagedown",
    "[H": "home",
    "OH": "home",
    "[1~": "home",
    "[F": "end",
    "OF": "end",
    "[4~": "end",
  };
  const found = text.matchAll(/\p{Cc}(\[[0-9;]*[A-Za-z~]|O[A-Za-z])|[^]/gu);
  return [...found].flatMap(([whole, sequence]) => {
    if (sequence !== undefined && whole.startsWith("\x1b")) return names[sequence] ?? "unknown";
    if (sequence !== undefined) return [...whole];
    switch (whole) {
      case "\x1b":
        return "escape";
      case "\r":
      case "\n":
        return "enter";
      case "\x7f":
      case "\b":
        return "backspace";
      case "\x03":
        return "interrupt";
      case "\x15":
        return "clear";
      default:
        return whole;
    }
  });
}

/** See the head of the file. */
export class TopView {
  #nodes = new Map<string, NodeSummary>();
  /** What the nodes were made from. */
  #raw = new Map<string, Record<string, unknown>>();
  #host: HostSummary | undefined;
  #url: string;
  #sort: Sort = "worst";
  #filter = "";
  #isTyping = false;
  #offset = 0;
  #lost: string | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** Takes in the data of an event of the host's live stream; kinds that aren't shown are ignored. */
  take(event: string, data: unknown): void {
    if (event === "host") this.#host = hostOf(data);
    if (event !== "nodes" || !Array.isArray(data)) return;
    for (const value of data) {
      // After the first list, the host sends only what changed of a node.
      const raw: Record<string, unknown> = { ...this.#raw.get(value?.node_id), ...value };
      // `null` stands for what isn't known any more.
      for (const [name, field] of Object.entries(raw)) if (field === null) delete raw[name];
      const node = summaryOf(raw);
      if (node === undefined) continue;
      this.#raw.set(node.node_id, raw);
      this.#nodes.set(node.node_id, node);
    }
  }

  /** Whether host and nodes were heard of. */
  get isComplete(): boolean {
    return this.#host !== undefined && (this.#nodes.size > 0 || this.#host.nodes_known === 0);
  }

  /** The connection is lost, or back where `reason` is `undefined`. */
  link(reason: string | undefined): void {
    this.#lost = reason === undefined ? undefined : clean(reason);
  }

  /** Forgets the nodes: another stream tells of all of them. */
  restart(): void {
    this.#nodes.clear();
    this.#raw.clear();
  }

  /** What a key does; true where it ends the program. */
  press(key: Key, { rows }: Size): boolean {
    if (key === "interrupt") return true;
    if (this.#isTyping) {
      this.#type(key);
      return false;
    }
    const page = Math.max(1, rows - FRAME_ROWS - 1);
    const moves: Record<string, number> = {
      up: -1,
      k: -1,
      down: 1,
      j: 1,
      pageup: -page,
      pagedown: page,
      " ": page,
      home: -Infinity,
      g: -Infinity,
      end: Infinity,
      G: Infinity,
    };
    if (key === "q") return true;
    if (key === "s") {
      this.#sort = SORTS[(SORTS.indexOf(this.#sort) + 1) % SORTS.length]!;
      this.#offset = 0;
    } else if (key === "/") this.#isTyping = true;
    else if (key === "escape") this.#filter = "";
    else this.#offset += moves[key] ?? 0;
    this.#clamp(this.#rows().length, rows);
    return false;
  }

  /** The screen: exactly `rows` lines, none wider than `columns`. */
  screen({ rows, columns }: Size, paint: Paint): string[] {
    const all = this.#rows();
    const room = this.#clamp(all.length, rows);
    const inView = all.slice(this.#offset, this.#offset + room);
    const now = this.#host?.now_wall_ms ?? 0;
    const table = tableLines(inView, now, columns, paint, nameWidthOf(all));
    const shown = inView.length === 0
      ? `none of ${this.#nodes.size}`
      : `${this.#offset + 1}-${this.#offset + inView.length} of ${all.length}`;
    const filter = this.#filter === "" ? "" : `   filter: ${this.#filter}`;
    const last: Piece = this.#isTyping
      ? `/${this.#filter}_   enter keeps, escape ends`
      : ["dim", KEYS_LINE];
    const lines = [
      this.#heading(columns, paint),
      lineOf([["dim", `sorted by ${this.#sort}${filter}   ${shown}`]], columns, paint),
      ...table,
    ].slice(0, Math.max(0, rows - 1));
    while (lines.length < rows - 1) lines.push("");
    return [...lines, lineOf([last], columns, paint)].slice(0, rows);
  }

  /** The whole as plain lines, for a pipe. */
  snapshot(): string[] {
    const table = tableLines(this.#rows(), this.#host?.now_wall_ms ?? 0, Infinity, plain);
    return [this.#heading(Infinity, plain), ...table];
  }

  #heading(columns: number, paint: Paint): string {
    if (this.#lost !== undefined) {
      return lineOf([["bad", `no connection: ${this.#lost}`]], columns, paint);
    }
    if (this.#host === undefined) return lineOf([`asking ${this.#url} …`], columns, paint);
    const { version, store, nodes_known: known, nodes_connected: connected } = this.#host;
    const troubled =
      [...this.#nodes.values()].filter((node) => verdictOf(node).rank < QUIET_RANK).length;
    return lineOf(
      [
        ["bold", `holdfast ${version}`],
        `   ${connected} of ${known} nodes connected, `,
        troubled === 0 ? "none needs a look" : ["warn", `${troubled} to look at`],
        "   store ",
        store.ok ? ["ok", "ok"] : ["bad", `FAILS: ${store.error || "it can't commit"}`],
        `, ${short(store.records)} records, ${short(store.bytes)}B`,
      ],
      columns,
      paint,
    );
  }

  #type(key: Key): void {
    if (key === "enter") this.#isTyping = false;
    else if (key === "escape") {
      this.#isTyping = false;
      this.#filter = "";
    } else if (key === "backspace") this.#filter = this.#filter.slice(0, -1);
    else if (key === "clear") this.#filter = "";
    else if (key.length <= 2 && clean(key) === key && this.#filter.length < FILTER_MAX) {
      this.#filter += key;
    }
    this.#offset = 0;
  }

  #rows(): NodeSummary[] {
    const wanted = this.#filter.toLowerCase();
    const nodes = [...this.#nodes.values()];
    const kept = wanted === ""
      ? nodes
      : nodes.filter((node) =>
        node.node_id.toLowerCase().includes(wanted) ||
        verdictOf(node).word.toLowerCase().includes(wanted)
      );
    return sorted(kept, this.#sort);
  }

  /** Keeps what is in view inside of what there is; the rows that fit. */
  #clamp(count: number, rows: number): number {
    const room = Math.max(0, rows - FRAME_ROWS);
    this.#offset = Math.max(0, Math.min(this.#offset, count - room));
    return room;
  }
}

/** What to write to turn one screen into the next: only the lines that differ. */
export function screenUpdate(before: readonly string[], after: readonly string[]): string {
  let text = "";
  for (const [row, line] of after.entries()) {
    if (before[row] !== line) text += `\x1b[${row + 1};1H\x1b[2K${line}`;
  }
  return text;
}
