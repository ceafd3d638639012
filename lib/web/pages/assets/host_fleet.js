/** The fleet: verdict, filters, table. */
import { createAttention } from "./host_attention.js";
import { COLUMNS } from "./host_columns.js";
import { announce, fill, h, isTyping, setAttr, setText, shape } from "./dom.js";
import { byName, bytes, count, plural } from "./format.js";
import { Sparks } from "./host_sparks.js";
import { CONCERNS, groupsOf, STATES } from "./host_state.js";
import { Table } from "./host_table.js";

/** Rows change places at most that often: what moves can't be read. */
const SORT_EVERY_MS = 5_000;

/** Filters by chip: the states, then the concerns that aren't states, then anomalies. */
const CHIPS = [
  ["all", "All", () => true],
  ["attention", "Needs attention", ({ concerns }) => concerns.length > 0],
  ...Object.entries(STATES).map(([id, { word, shape, tone }]) => [
    id,
    word,
    ({ state }) => state === id,
    shape,
    tone,
  ]),
  ...Object.entries(CONCERNS).filter(([id]) => !(id in STATES)).map((
    [id, { chip, shape, severity }],
  ) => [
    id,
    chip,
    ({ concerns }) => concerns.some(({ kind }) => kind === id),
    shape,
    severity,
  ]),
  ["anomalies", "Anomalies 1 h", ({ node }) => (node.anomalies_hour ?? 0) > 0],
];
/** Shown also when they count nothing. */
const ALWAYS = new Set(["all", "attention", "silent", "live"]);

/** What the operator chose; kept while a node is looked at. */
const choice = { text: "", chip: "all", sort: "state", isDown: false, metric: "", scroll: 0 };

/**
 * Draws the fleet into `main` until `signal` aborts.
 * @param {{live: import("./host_live.js").Live, open: (path: string) => void}} page
 */
export function showFleet(main, { live, open }, signal) {
  document.title = "Holdfast";
  const attention = createAttention({ onGroup: (kind) => setChip(kind) });
  const facts = h("dl", { class: "strip", "aria-label": "The fleet in numbers" });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Filter by state" });
  const field = h("input", {
    type: "search",
    placeholder: "Filter by name, address, version",
    "aria-label": "Filter nodes by text",
    "aria-keyshortcuts": "/",
    spellcheck: "false",
    value: choice.text,
  });
  const metric = h("select", { "aria-label": "Metric of the small lines" });
  const shown = h("p", { class: "visually-hidden", role: "status" });
  const nothing = h("p", { class: "empty", hidden: true });
  const sparks = new Sparks(live, signal);
  const table = new Table({
    context: () => ({ now: live.hostNow(), metric: sparks.metric, sparks }),
    onSort: (id) => setSort(id),
    onInSight: (ids) => sightChanged(ids),
  }, signal);

  let rows = [];
  let sortedAt = -Infinity;
  let sightTimer = 0;
  let isFirst = true;

  function sightChanged(ids) {
    clearTimeout(sightTimer);
    sightTimer = setTimeout(() => sparks.want(ids), 250);
  }

  function matches(entry) {
    const { node } = entry;
    const text = choice.text.toLowerCase();
    if (text === "") return true;
    return [node.node_id, node.peer, node.version, STATES[entry.state].word]
      .some((part) => String(part ?? "").toLowerCase().includes(text));
  }

  function compareBy() {
    const column = COLUMNS.find(({ id }) => id === choice.sort) ?? COLUMNS[0];
    const context = { metric: sparks.metric };
    const compare = column.compare ?? ((a, b) => a < b ? -1 : a > b ? 1 : 0);
    const sign = choice.isDown ? -1 : 1;
    return (a, b) =>
      sign * compare(column.key(a, context), column.key(b, context)) ||
      byName(a.node.node_id, b.node.node_id);
  }

  /** Which rows there are, and their order unless it must rest. */
  function arrange(force) {
    const found = CHIPS.find(([id]) => id === choice.chip) ?? CHIPS[0];
    const wanted = [...live.entries.values()].filter((entry) => found[2](entry) && matches(entry));
    const isSame = wanted.length === rows.length;
    const now = performance.now();
    const mayRest = isSame && now - sortedAt < SORT_EVERY_MS;
    const isWatched = isSame &&
      (table.element.querySelector(".rows:hover") !== null || table.chosen >= 0);
    if (!force && (mayRest || isWatched)) {
      const still = new Set(wanted);
      if (rows.every((row) => still.has(row))) return;
    }
    const chosen = table.chosenEntry;
    sortedAt = now;
    rows = wanted.sort(compareBy());
    table.chosen = chosen === undefined ? -1 : rows.indexOf(chosen);
    const isEmpty = rows.length === 0 && live.entries.size > 0;
    nothing.hidden = !isEmpty;
    if (isEmpty) setText(nothing, "No node is like that.");
  }

  function drawFacts() {
    let backlog = 0, rate = 0, anomalies = 0;
    for (const { node } of live.entries.values()) {
      backlog += node.backlog;
      rate += node.rate;
      anomalies += node.anomalies_hour ?? 0;
    }
    const { store } = live.host ?? {};
    const items = [
      ["Backlog", plural(backlog, "record")],
      ["Arriving", `${count(rate)} rec/s`],
      ["Anomalies, last hour", count(anomalies)],
      ["Stored", store?.records === undefined ? "–" : plural(store.records, "record")],
      ["Store", store?.bytes === undefined ? "–" : bytes(store.bytes)],
    ];
    if (facts.childElementCount === 0) {
      fill(facts, ...items.map(([name]) => h("div", {}, h("dt", {}, name), h("dd", {}))));
    }
    items.forEach(([, text], i) => setText(facts.children[i].lastChild, text));
  }

  function drawChips() {
    const counts = new Map(CHIPS.map(([id]) => [id, 0]));
    for (const entry of live.entries.values()) {
      for (const [id, , test] of CHIPS) if (test(entry)) counts.set(id, counts.get(id) + 1);
    }
    if (chips.childElementCount === 0) fill(chips, ...CHIPS.map(makeChip));
    CHIPS.forEach(([id], i) => {
      const chip = chips.children[i];
      const isChosen = choice.chip === id;
      chip.hidden = counts.get(id) === 0 && !ALWAYS.has(id) && !isChosen;
      setAttr(chip, "aria-pressed", String(isChosen));
      setText(chip.lastChild, count(counts.get(id)));
    });
  }

  function makeChip([id, label, , sign, tone]) {
    return h(
      "button",
      { type: "button", class: "chip", onclick: () => setChip(id === choice.chip ? "all" : id) },
      sign && h("span", { class: `tone-${tone}` }, shape(sign)),
      label,
      h("b", {}),
    );
  }

  function drawMetrics() {
    const names = new Set();
    for (const { node } of live.entries.values()) {
      for (const name of Object.keys(node.last ?? {})) names.add(name);
    }
    const list = [...names].sort(byName);
    if (list.join() !== [...metric.options].map(({ value }) => value).join()) {
      fill(metric, ...list.map((name) => h("option", { value: name }, name)));
    }
    if (!names.has(choice.metric) && list.length > 0) {
      choice.metric = list.includes("temp_c") ? "temp_c" : list[0];
    }
    if (metric.value !== choice.metric) metric.value = choice.metric;
    metric.disabled = list.length === 0;
    sparks.choose(choice.metric);
  }

  function draw(force = false) {
    if (live.host !== undefined) {
      const { verdict, strangers } = live.host;
      const groups = groupsOf(live.entries.values());
      attention.show({ ...verdict, groups, strangers }, live.hostNow());
      document.title = verdict.attention === 0 ? "Holdfast" : `(${verdict.attention}) Holdfast`;
    }
    drawFacts();
    drawChips();
    arrange(force);
    table.setRows(rows);
    table.showSort(choice.sort, choice.isDown);
  }

  function setChip(id) {
    choice.chip = id;
    table.chosen = -1;
    draw(true);
    setText(shown, `${plural(rows.length, "node")} shown`);
  }

  function setSort(id) {
    const column = COLUMNS.find((one) => one.id === id);
    if (choice.sort === id) choice.isDown = !choice.isDown;
    else Object.assign(choice, { sort: id, isDown: column.down === true });
    draw(true);
    announce(`Sorted by ${column.label}, ${choice.isDown ? "descending" : "ascending"}`);
  }

  function clearFilter() {
    field.value = choice.text = "";
    setChip("all");
    field.blur();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && (event.target === field || !isTyping(event))) {
      table.chosen = -1;
      return clearFilter();
    }
    if (event.target === field && event.key === "Enter") {
      event.preventDefault();
      return rows.length === 1 ? openRow(rows[0]) : table.choose(0);
    }
    if (event.target === field && event.key === "ArrowDown") return table.choose(0);
    if (isTyping(event)) return;
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
    const isPage = event.key.startsWith("Page") && table.chosen === -1;
    if (step !== undefined && !isPage) table.move(step);
    else if (event.key === "Home" && table.chosen >= 0) table.choose(0);
    else if (event.key === "End" && table.chosen >= 0) table.choose(rows.length - 1);
    else if (event.key === "Enter" && table.chosenEntry && !event.target.closest("a, button")) {
      openRow(table.chosenEntry);
    } else if (event.key === "/") field.focus();
    else return;
    event.preventDefault();
  }

  function openRow({ node }) {
    choice.scroll = scrollY;
    open(`/nodes/${encodeURIComponent(node.node_id)}`);
  }

  field.addEventListener("input", () => {
    choice.text = field.value.trim();
    table.chosen = -1;
    draw(true);
    setText(shown, `${plural(rows.length, "node")} shown`);
  });
  metric.addEventListener("change", () => {
    choice.metric = metric.value;
    sparks.choose(choice.metric);
    draw(choice.sort === "value");
  });
  table.element.addEventListener("click", (event) => {
    const row = event.target.closest(".rows .row");
    if (row === null || event.target.closest("a") || getSelection().type === "Range") return;
    openRow(row.entry);
  });
  document.addEventListener("keydown", onKey, { signal });

  fill(
    main,
    attention.element,
    facts,
    h(
      "section",
      { class: "fleet", "aria-label": "Nodes" },
      h(
        "div",
        { class: "tools" },
        h("label", { class: "search" }, field, h("kbd", { "aria-hidden": "true" }, "/")),
        h("label", { class: "choose" }, h("span", {}, "Line shows"), metric),
        chips,
      ),
      shown,
      table.element,
      nothing,
    ),
  );

  live.follow(undefined);
  live.on("nodes", (nodes) => {
    drawMetrics();
    sparks.take(nodes);
    if (document.hidden) return;
    draw(isFirst);
    if (isFirst && live.entries.size > 0) {
      isFirst = false;
      scrollTo(0, choice.scroll);
    }
  }, signal);
  live.on("host", () => document.hidden || drawFacts(), signal);
  const timer = setInterval(() => {
    if (document.hidden) return;
    sparks.prune(live.entries);
    draw();
  }, 1_000);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    clearTimeout(sightTimer);
    choice.scroll = scrollY;
  });
  if (live.entries.size > 0) {
    drawMetrics();
    draw(true);
    isFirst = false;
    scrollTo(0, choice.scroll);
  }
}
