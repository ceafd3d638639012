/** The node's page: shows the status that came with it, then what the stream tells. */
import { fill, h, setShape, setText, shape } from "./dom.js";
import {
  bytes,
  clock,
  DEVICE_CLOCK,
  duration,
  exact,
  measure,
  shortStamp,
  stamp,
  titleTime,
  whatMoved,
} from "./format.js";
import { diagnosticText, factList } from "./facts.js";
import { setUpTheme } from "./theme_button.js";
import { stripOf } from "./node_verdict.js";
import { MetricRows, RecentValues } from "./node_lines.js";

const RETRY_MS = 5_000;
/** Without any event for that long the connection counts as dead: the node sends one each second. */
const SILENT_MS = 6_000;
const byId = (id) => document.getElementById(id);

const status = JSON.parse(byId("status").textContent);
const recent = new RecentValues();
const rows = new MetricRows(byId("metrics"));
const strip = factList("strip", "The node in numbers");
const software = factList("pairs", "Software");
const sign = shape("dot");
const verdictText = document.createElement("span");
let source;
let heardAt = performance.now();
let isLoading = false;

function card(title, body, whose) {
  const note = whose === undefined ? null : h("span", { class: "whose" }, whose);
  return h("section", { class: "card" }, h("h2", {}, title, note), body);
}
const events = h("div", {});
const diagnostics = h("div", {});
const config = h("div", {});

byId("verdict").append(h("span", { class: "verdict-sign" }, sign), verdictText);
byId("strip").append(strip.element);
byId("cards").append(
  card("Events", events, DEVICE_CLOCK),
  card("Diagnostics", diagnostics),
  card("Configuration", config),
  card("Software", software.element),
);

const shownTexts = new WeakMap();
/** Draws `element` anew if what it shows is something else than before. */
function redraw(element, content, draw) {
  const text = JSON.stringify(content);
  if (shownTexts.get(element) === text) return;
  shownTexts.set(element, text);
  fill(element, ...draw(content));
}

function pairs(entries) {
  return h(
    "dl",
    { class: "pairs" },
    ...entries.map(([name, text, tone]) =>
      h("div", {}, h("dt", {}, name), h("dd", { "data-tone": tone }, text))
    ),
  );
}

function drawEvents({ events, held }) {
  if (events.length === 0) return [h("p", { class: "note" }, "No anomaly since the node started.")];
  const now = status.now_wall_ms;
  return [
    h(
      "ul",
      { class: "event-list" },
      ...events.map((event) => {
        const isOpen = event.state !== "close";
        const tone = !isOpen ? "off" : event.severity === "high" ? "bad" : "warn";
        return h(
          "li",
          {},
          h("span", { class: `tone-${tone}` }, shape(isOpen ? "triangle" : "ring")),
          h(
            "time",
            { title: titleTime(event.since_wall_ms, DEVICE_CLOCK) },
            shortStamp(event.since_wall_ms, now),
          ),
          h(
            "span",
            { class: "event-text" },
            h("b", {}, whatMoved(event)),
            ` ${event.peak.metric} ${measure(event.peak.value)}, ${event.severity}, ${
              isOpen ? "open" : duration(event.duration_ms)
            }`,
          ),
        );
      }),
    ),
    held > 0 &&
    h("p", { class: "note" }, `${exact(held)} more were held back by the limit per hour.`),
  ];
}

function drawDiagnostics({ diagnostics, rules }) {
  const found = Object.entries(diagnostics).map((
    [name, value],
  ) => [name, diagnosticText(value), value === false ? null : "warn"]);
  const judged = rules.map((
    { rule, active },
  ) => [rule, active ? "active" : "quiet", active ? "warn" : null]);
  const isQuiet = [...found, ...judged].every(([, , tone]) => tone === null);
  return [isQuiet && h("p", { class: "note" }, "Nothing unusual."), pairs([...found, ...judged])];
}

function drawConfig({ version, config }) {
  const entries = Object.entries(config).map((
    [name, value],
  ) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  const note = version === 0
    ? "Its own settings; the host has sent none."
    : `Version ${version}, from the host.`;
  return [h("p", { class: "note" }, note), pairs(entries)];
}

function draw() {
  const { verdict } = status;
  byId("verdict").dataset.tone = verdict.tone;
  setShape(sign, verdict.shape);
  setText(verdictText, verdict.text);
  setText(byId("because"), verdict.because);
  document.title = `${verdict.text} – ${status.node_id}`;
  setText(byId("name"), status.node_id);
  setText(byId("clock"), `${clock(status.now_wall_ms)} ${DEVICE_CLOCK}`);
  byId("clock").title = titleTime(status.now_wall_ms, DEVICE_CLOCK);
  // The verdict says it in its own words.
  const attention = status.concerns.filter(({ kind }) => kind !== "link").map(({ text }) => text);
  redraw(byId("attention"), attention, (lines) => lines.map((line) => h("li", {}, line)));
  strip.show(stripOf(status));
  rows.show(status, recent);
  const covered = recent.t.length === 0 ? "" : `since ${clock(recent.t[0])}, ${DEVICE_CLOCK}`;
  setText(byId("span"), covered);
  redraw(events, { events: status.last_events, held: status.events.held_back }, drawEvents);
  redraw(diagnostics, { diagnostics: status.diagnostics, rules: status.rules }, drawDiagnostics);
  redraw(config, { version: status.cfg_version, config: status.config }, drawConfig);
  software.show([
    ["Version", status.version],
    ["Running for", duration(status.uptime_s * 1_000), {
      title: `Since ${stamp(status.now_wall_ms - status.uptime_s * 1_000)} ${DEVICE_CLOCK}`,
    }],
    ["Samples", `${exact(status.samples)}, ${exact(status.missed_ticks)} missed`],
    ["Samples a record", exact(status.downsample_n)],
    ["Next record", `seq ${exact(status.next_seq)}`],
    ["Acknowledged", `seq ${exact(status.high_acked)}`],
    ["Written a day", bytes(status.wal.written_bytes_per_day), {
      title: `${exact(status.wal.written_bytes)} bytes of records went to the disk`,
    }],
    ["Waiting for acks in", status.wal.tail.directory ?? status.wal.tail.in, {
      title: status.wal.tail.error ?? `${exact(status.wal.tail.bytes)} bytes in memory`,
    }],
    ["Sent", bytes(status.link.sent_bytes)],
    ...(status.insecure ? [["Link", "without TLS: insecure is set"]] : []),
    ["Epoch", status.epoch],
  ]);
}

async function loadRecent() {
  if (isLoading) return;
  isLoading = true;
  try {
    const answer = await fetch("/api/recent");
    if (answer.status === 401) location.assign("/login");
    if (answer.ok) Object.assign(recent, await answer.json());
  } catch {
    // The stream says whether the node can be reached.
  }
  isLoading = false;
  draw();
}

function listen() {
  source?.close();
  source = new EventSource("/api/live");
  heardAt = performance.now();
  source.addEventListener("open", loadRecent);
  source.addEventListener("status", ({ data }) => {
    Object.assign(status, JSON.parse(data));
    heardAt = performance.now();
    setLost(false);
  });
  source.addEventListener("recent", ({ data }) => {
    if (recent.merge(JSON.parse(data))) draw();
    else loadRecent();
  });
}

function setLost(isLost) {
  byId("lost").hidden = !isLost;
  document.body.classList.toggle("is-lost", isLost);
  if (!isLost) return;
  const shown = `${shortStamp(status.now_wall_ms, status.now_wall_ms)}, ${DEVICE_CLOCK}`;
  setText(byId("lost"), `This node doesn’t answer. Shown is its state of ${shown}. Trying again.`);
}

let triedAt = 0;
setInterval(() => {
  const now = performance.now();
  if (document.hidden || now - heardAt < SILENT_MS) return;
  setLost(true);
  if (now - triedAt < RETRY_MS) return;
  triedAt = now;
  // A stream doesn't say why it ends: where it is for want of a login, this leads there.
  loadRecent();
  const heard = heardAt;
  listen();
  heardAt = heard;
}, 1_000);

// Nobody looks: the link is left to the records.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) source?.close();
  else listen();
});

const nextTheme = setUpTheme();
document.addEventListener("keydown", (event) => {
  if (event.key === "t" && !event.ctrlKey && !event.metaKey && !event.altKey) nextTheme();
});
draw();
listen();
