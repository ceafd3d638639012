/** One node: is its data safe, its charts, what happened to it, its configuration. */
import { getJson, nodePath } from "./host_api.js";
import { Board } from "./host_board.js";
import { createConfig } from "./host_config.js";
import { fill, h, isTyping, setAttr, setShape, setText, shape } from "./dom.js";
import { createDetails, createDiagnostics, createStrip } from "./host_facts.js";
import { createHistory } from "./host_history.js";
import { RecordPanel } from "./host_record.js";
import { STATES, verdictText } from "./host_state.js";

/**
 * Draws a node into `main` until `signal` aborts.
 * @param {{live: import("./host_live.js").Live, open: (path: string) => void}} page
 */
export function showNode(main, { live, open }, nodeId, signal) {
  document.title = `${nodeId} · Holdfast`;
  const sign = shape("dot");
  const word = h("span", {});
  const badge = h("span", { class: "badge" }, sign, word);
  const verdict = h("p", { class: "node-verdict", role: "status" });
  const head = h(
    "section",
    { class: "top node-head", "aria-label": "State of the node" },
    h("a", { class: "back", href: "/", "data-link": true }, "← All nodes"),
    h("div", { class: "node-title" }, h("h1", {}, nodeId), badge),
    verdict,
  );
  const strip = createStrip();
  const details = createDetails();
  const diagnostics = createDiagnostics();
  const record = new RecordPanel(nodeId, signal);
  const board = new Board({ nodeId, live, onPoint: (point) => record.showPoint(point) }, signal);
  const history = createHistory({
    nodeId,
    live,
    onSpan(from, to) {
      board.show(from, to);
      board.element.scrollIntoView({ block: "start" });
    },
    onGaps: (gaps) => board.setGaps(gaps),
  }, signal);
  const config = createConfig({ nodeId, live }, signal);
  const parts = [
    strip.element,
    h("div", { class: "node-main" }, board.element, record.element),
    h(
      "div",
      { class: "node-lower" },
      h("div", { class: "column" }, history.eventsBox),
      h("div", { class: "column" }, history.gapsBox, diagnostics.element, details.element),
      h("div", { class: "column" }, config.element),
    ),
  ];
  let newest = -Infinity;

  function draw() {
    const entry = live.entries.get(nodeId);
    const isUnknown = entry === undefined && live.host !== undefined;
    for (const part of parts) part.hidden = isUnknown;
    if (isUnknown) setText(verdict, "No node of this name is known to the host.");
    if (entry === undefined) {
      badge.hidden = true;
      return;
    }
    const { word: text, tone, shape: name, help } = STATES[entry.state];
    badge.hidden = false;
    setAttr(badge, "data-tone", tone);
    setAttr(badge, "title", help);
    setShape(sign, name);
    setText(word, text);
    setText(verdict, verdictText(entry.node, live.hostNow()));
    setAttr(verdict, "data-tone", entry.node.verdict.tone);
    strip.show(entry, live.hostNow(), board.clockError());
    details.show(entry);
    config.show(entry);
  }

  function takeRecords(records) {
    for (const one of records) {
      if (one.ts_wall_ms < newest) continue;
      newest = one.ts_wall_ms;
      diagnostics.show(one);
    }
  }

  fill(main, head, ...parts);

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.querySelector("dialog[open]") !== null) return;
    if (isTyping(event)) return event.target.blur();
    if (!record.close()) open("/");
  }, { signal });
  live.follow(nodeId);
  live.on("nodes", (nodes) => {
    if (
      !document.hidden && (nodes.length === 0 || nodes.some(({ node_id }) => node_id === nodeId))
    ) draw();
  }, signal);
  live.on("records", takeRecords, signal);
  const timer = setInterval(() => {
    if (!document.hidden) draw();
  }, 1_000);
  signal.addEventListener("abort", () => clearInterval(timer));
  getJson(nodePath(nodeId, "/records?order=newest&limit=1"), signal).then(takeRecords, () => {});
  draw();
}
