/** What happened to a node: events with a filter, and the ranges that were lost. */
import { getJson, nodePath } from "./host_api.js";
import { fill, h, setAttr, setText } from "./dom.js";
import {
  ago,
  count,
  DEVICE_CLOCK,
  duration,
  exact,
  HOST_CLOCK,
  measure,
  shortStamp,
  titleTime,
  whatMoved,
} from "./format.js";

const STEPS = [100, 300, 1_000];
const EVERY_MS = 15_000;
const GAPS_LIMIT = 200;
const GAPS_SHOWN = 8;
/** Room around something that is shown on the charts. */
const MARGIN_MS = 20_000;

const GROUPS = [
  ["All", /./],
  [
    "Link",
    /^(connected|disconnected|restarted|superseded|duplicate_id|final_heartbeat|new_epoch|refused)/,
  ],
  ["Replays", /^repla/],
  ["Gaps", /^gap/],
  ["Config", /^config/],
  ["Anomalies", /^anomaly/],
];
const TONES = [
  [/^(disconnected|duplicate_id|gap|config_refused)/, "bad"],
  [/^(superseded|restarted|new_epoch|config_ahead|clock)/, "warn"],
  [/^anomaly_open/, "info"],
  [/^(connected|config_applied|replayed)/, "ok"],
];

function toneOf(kind) {
  return TONES.find(([pattern]) => pattern.test(kind))?.[1] ?? "off";
}

/** What an event says, in words. */
export function eventText({ kind, detail }) {
  if (kind.startsWith("anomaly_") && Array.isArray(detail.metrics)) {
    const { severity, peak, duration_ms } = detail;
    const parts = [`${severity}: ${whatMoved(detail)}`];
    if (peak) {
      parts.push(`peak ${peak.metric} ${measure(peak.value)} (score ${measure(peak.score)})`);
    }
    if (duration_ms > 0) parts.push(`for ${duration(duration_ms)}`);
    return parts.join(", ");
  }
  return Object.entries(detail ?? {}).map(([name, value]) => {
    const text = typeof value === "object"
      ? JSON.stringify(value)
      : typeof value === "number"
      ? exact(value)
      : value;
    return `${name.replaceAll("_", " ")} ${text}`;
  }).join(", ");
}

/** The device's time that an event is about, where it says so. */
function spanOf({ detail }) {
  const since = detail?.since_wall_ms;
  if (!Number.isFinite(since)) return undefined;
  return [since - MARGIN_MS, since + (detail.duration_ms ?? 0) + MARGIN_MS];
}

/**
 * @param {{nodeId: string, live: any, onSpan: (from: number, to: number) => void,
 *   onGaps: (gaps: any[]) => void}} options
 */
export function createHistory({ nodeId, live, onSpan, onGaps }, signal) {
  let group = 0, text = "", step = 0, events = [], seen = "", timer = 0;
  const list = h("div", { class: "events" });
  const gapList = h("div", { class: "gaps" });
  const field = h("input", {
    type: "search",
    placeholder: "Filter",
    "aria-label": "Filter events by text",
    spellcheck: "false",
    oninput: () => {
      text = field.value.trim().toLowerCase();
      draw();
    },
  });
  const chips = GROUPS.map(([label], i) =>
    h("button", {
      type: "button",
      class: "chip",
      onclick: () => {
        group = i;
        draw();
      },
    }, label)
  );
  const more = h("button", {
    type: "button",
    onclick: () => {
      step++;
      load();
    },
  }, "Show older");
  const note = h("p", { class: "note" });

  function draw() {
    chips.forEach((chip, i) => setAttr(chip, "aria-pressed", String(i === group)));
    const [, pattern] = GROUPS[group];
    const now = live.hostNow();
    const wanted = events.filter((event) =>
      pattern.test(event.kind) &&
      (text === "" || `${event.kind} ${eventText(event)}`.toLowerCase().includes(text))
    );
    fill(list, ...wanted.map((event) => eventRow(event, now)));
    setText(note, wanted.length === 0 ? "No such event." : "");
    more.hidden = events.length < STEPS[step] || step === STEPS.length - 1;
  }

  function eventRow(event, now) {
    const span = spanOf(event);
    return h(
      "div",
      { class: "event" },
      h("time", {
        title: `${titleTime(event.at_wall_ms, HOST_CLOCK)}, ${ago(now - event.at_wall_ms)}`,
      }, shortStamp(event.at_wall_ms, now)),
      h(
        "span",
        { class: "event-kind", "data-tone": toneOf(event.kind) },
        event.kind.replaceAll("_", " "),
      ),
      h("span", { class: "event-text" }, eventText(event)),
      span &&
        h("button", { type: "button", class: "link", onclick: () => onSpan(...span) }, "show"),
    );
  }

  function drawGaps(gaps) {
    const now = live.hostNow();
    if (gaps.length === 0) {
      return fill(
        gapList,
        h("p", { class: "note" }, "None: no record of this node was ever lost."),
      );
    }
    const rows = gaps.slice(0, GAPS_SHOWN).map((gap) => {
      const records = gap.to_seq - gap.from_seq + 1;
      const { from_wall_ms: from, to_wall_ms: to } = gap;
      const isPlaced = Number.isFinite(from) && Number.isFinite(to);
      const where = isPlaced
        ? `${shortStamp(from, now)} – ${shortStamp(to, now)} ${DEVICE_CLOCK}`
        : `seq ${exact(gap.from_seq)} – ${exact(gap.to_seq)}`;
      return h(
        "div",
        { class: "gap" },
        h("b", {}, `${exact(records)} lost`),
        h("span", {}, gap.reason.replaceAll("_", " ")),
        h("span", {
          class: "faint",
          title: `seq ${exact(gap.from_seq)} to ${exact(gap.to_seq)}, declared ${
            titleTime(gap.declared_wall_ms, HOST_CLOCK)
          }`,
        }, where),
        isPlaced &&
          h("button", {
            type: "button",
            class: "link",
            onclick: () => onSpan(from - MARGIN_MS, to + MARGIN_MS),
          }, "show"),
      );
    });
    const rest = gaps.length - rows.length;
    fill(gapList, ...rows, rest > 0 && h("p", { class: "note" }, `and ${count(rest)} more`));
  }

  async function load() {
    clearTimeout(timer);
    timer = setTimeout(load, EVERY_MS);
    if (document.hidden) return;
    try {
      events = await getJson(nodePath(nodeId, `/events?limit=${STEPS[step]}`), signal);
      draw();
      const gaps = await getJson(nodePath(nodeId, `/gaps?limit=${GAPS_LIMIT}`), signal);
      drawGaps(gaps);
      onGaps(gaps);
    } catch {
      // What is shown stays; the bar at the top says that the host is gone.
    }
  }

  live.on("nodes", (nodes) => {
    const node = nodes.find(({ node_id }) => node_id === nodeId);
    if (node === undefined) return;
    const { connected, boot_id, cfg_version_applied, cfg_version_desired, gap_records, replaying } =
      node;
    const state = [
      connected,
      boot_id,
      cfg_version_applied,
      cfg_version_desired,
      gap_records,
      replaying,
    ].join();
    if (state === seen) return;
    const isFirst = seen === "";
    seen = state;
    clearTimeout(timer);
    // The host writes events once a second.
    if (!isFirst) timer = setTimeout(load, 1_200);
  }, signal);
  signal.addEventListener("abort", () => clearTimeout(timer));
  load();

  const eventsBox = h(
    "section",
    { class: "card" },
    h("h2", {}, "Events", h("span", { class: "whose" }, HOST_CLOCK)),
    h("div", { class: "card-tools" }, h("div", { class: "chips" }, ...chips), field),
    list,
    note,
    more,
  );
  const gapsBox = h("section", { class: "card" }, h("h2", {}, "Gaps"), gapList);
  return { eventsBox, gapsBox };
}
