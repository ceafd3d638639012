/**
 * The table of all nodes. Only the rows in sight exist: row `i` is drawn by element `i` modulo their number,
 * so that scrolling rewrites a row only when it comes into sight. The page itself scrolls.
 */
import { h, setAttr, shape } from "./dom.js";
import { COLUMNS } from "./host_columns.js";

const OVERSCAN_ROWS = 6;
const PHONE = "(max-width: 45rem)";
/** Heights of a row in CSS pixels; the style sheet has the same. */
const ROW_PX = 36;
const CARD_PX = 92;

/** See the head of the file. */
export class Table {
  element;
  /** Index of the row chosen with the keyboard; -1 for none. */
  chosen = -1;
  #rows = [];
  #pool = [];
  #body;
  #heads = new Map();
  #phone = matchMedia(PHONE);
  #options;
  #frame = 0;

  /**
   * @param {{context: () => any, onSort: (id: string) => void, onInSight: (ids: string[]) => void}} options
   */
  constructor(options, signal) {
    this.#options = options;
    const heads = COLUMNS.map((column) => this.#head(column));
    this.#body = h("div", { class: "rows", role: "rowgroup" });
    this.element = h(
      "div",
      {
        class: "table",
        role: "grid",
        tabindex: "0",
        "aria-label": "Nodes; arrow keys or j and k choose one, Enter opens it",
        "aria-readonly": "true",
        "aria-colcount": COLUMNS.length,
      },
      h(
        "div",
        { class: "heads", role: "rowgroup" },
        h("div", { class: "row head", role: "row" }, ...heads),
      ),
      this.#body,
    );
    const redraw = () => this.#schedule();
    addEventListener("scroll", redraw, { passive: true, signal });
    addEventListener("resize", redraw, { passive: true, signal });
    signal.addEventListener("abort", () => cancelAnimationFrame(this.#frame));
  }

  #head(column) {
    const button = h(
      "button",
      {
        type: "button",
        title: column.help,
        onclick: () => this.#options.onSort(column.id),
      },
      column.label,
      shape("triangle"),
    );
    const head = h("div", {
      role: "columnheader",
      class: `cell c-${column.id}${column.isNumber ? " number" : ""}`,
    }, column.key === undefined ? h("span", { title: column.help }, column.label) : button);
    this.#heads.set(column.id, head);
    return head;
  }

  /** Shows by what the rows are sorted. */
  showSort(id, isDown) {
    for (const [name, head] of this.#heads) {
      setAttr(head, "aria-sort", name !== id ? null : isDown ? "descending" : "ascending");
    }
  }

  /** Takes other rows, or the same in another order. */
  setRows(rows) {
    this.#rows = rows;
    if (this.chosen >= rows.length) this.chosen = rows.length - 1;
    setAttr(this.element, "aria-rowcount", String(rows.length + 1));
    this.draw();
  }

  get #rowPx() {
    return this.#phone.matches ? CARD_PX : ROW_PX;
  }

  #schedule() {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.draw();
    });
  }

  /** Draws what is in sight. */
  draw() {
    const height = this.#rowPx;
    const total = this.#rows.length;
    this.#body.style.height = `${total * height}px`;
    const top = this.#body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / height) - OVERSCAN_ROWS);
    const inSight = Math.ceil(innerHeight / height) + 2 * OVERSCAN_ROWS;
    const end = Math.min(total, first + inSight);
    this.#size(inSight);
    const context = this.#options.context();
    const ids = [];
    const used = new Set();
    for (let i = first; i < end; i++) {
      const row = this.#pool[i % inSight];
      used.add(row);
      ids.push(this.#rows[i].node.node_id);
      this.#show(row, i, height, context);
    }
    for (const row of this.#pool) if (!used.has(row)) row.element.hidden = true;
    const isChosenInSight = this.chosen >= first && this.chosen < end;
    setAttr(this.element, "aria-activedescendant", isChosenInSight ? `row-${this.chosen}` : null);
    this.#options.onInSight(ids);
  }

  #size(wanted) {
    while (this.#pool.length < wanted) {
      const cells = COLUMNS.map((column) => {
        const cell = h("div", {
          role: "gridcell",
          class: `cell c-${column.id}${column.isNumber ? " number" : ""}`,
          "data-label": column.label,
        });
        return { column, cell, parts: column.make?.(cell) ?? cell };
      });
      const element = h("div", { class: "row", role: "row" }, ...cells.map(({ cell }) => cell));
      this.#body.append(element);
      this.#pool.push({ element, cells, top: -1 });
    }
    while (this.#pool.length > wanted) this.#pool.pop().element.remove();
  }

  #show(row, index, height, context) {
    const { element, cells } = row;
    const entry = this.#rows[index];
    element.hidden = false;
    const top = index * height;
    if (row.top !== top) {
      row.top = top;
      element.style.transform = `translateY(${top}px)`;
      element.id = `row-${index}`;
      element.setAttribute("aria-rowindex", String(index + 2));
    }
    element.entry = entry;
    setAttr(element, "aria-selected", index === this.chosen ? "true" : null);
    setAttr(element, "data-state", entry.state);
    for (const { column, cell, parts } of cells) column.show(parts, entry, context, cell);
  }

  /** Moves the choice by `step` rows and brings it into sight. */
  move(step) {
    if (this.#rows.length === 0) return;
    const from = this.chosen === -1 ? (step > 0 ? -1 : this.#rows.length) : this.chosen;
    this.choose(Math.min(this.#rows.length - 1, Math.max(0, from + step)));
  }

  /** Chooses a row and brings it into sight. */
  choose(index) {
    this.chosen = index;
    const height = this.#rowPx;
    const top = this.#body.getBoundingClientRect().top + index * height;
    const headPx = this.#phone.matches ? 0 : ROW_PX;
    if (top < headPx) scrollBy({ top: top - headPx - height });
    else if (top + height > innerHeight) scrollBy({ top: top + 2 * height - innerHeight });
    if (document.activeElement !== this.element) this.element.focus({ preventScroll: true });
    this.draw();
  }

  /** What the chosen row shows. */
  get chosenEntry() {
    return this.#rows[this.chosen];
  }
}
