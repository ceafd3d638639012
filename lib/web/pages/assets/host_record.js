/** The record behind a point: what the device sent, as the host stored it. */
import { getJson, nodePath } from "./host_api.js";
import { fill, h } from "./dom.js";
import { DEVICE_CLOCK, duration, exact, HOST_CLOCK, measure, stamp, titleTime } from "./format.js";

/** JSON with its parts marked for colours. */
function pretty(value, indent = "") {
  const inner = `${indent}  `;
  if (Array.isArray(value) || (typeof value === "object" && value !== null)) {
    const isList = Array.isArray(value);
    const [opening, closing] = isList ? "[]" : "{}";
    const parts = Object.entries(value);
    if (parts.length === 0) return [opening + closing];
    const isShort = isList && parts.every(([, part]) => typeof part !== "object");
    if (isShort) return [JSON.stringify(value)];
    return [
      `${opening}\n`,
      ...parts.flatMap(([name, part], i) => [
        inner,
        ...(isList ? [] : [h("span", { class: "j-name" }, JSON.stringify(name)), ": "]),
        ...pretty(part, inner),
        i === parts.length - 1 ? "\n" : ",\n",
      ]),
      indent + closing,
    ];
  }
  const kind = value === null ? "null" : typeof value;
  return [h("span", { class: `j-${kind}` }, JSON.stringify(value))];
}

/** See the head of the file. */
export class RecordPanel {
  element = h("aside", { class: "record", "aria-label": "Record", tabindex: "-1", hidden: true });
  #id;
  #signal;
  #back;

  constructor(nodeId, signal) {
    this.#id = nodeId;
    this.#signal = signal;
  }

  /** Shows the record at a point of a chart; a flagged one where the point has one. */
  showPoint({ from, to, isFlagged }) {
    const query = new URLSearchParams({ from: Math.floor(from), to: Math.ceil(to), limit: 1 });
    if (isFlagged) query.set("anomalies", "1");
    return this.#find(query, "The record isn’t stored any more, only what was summed up from it.");
  }

  /** Shows the record with that number in that epoch, or the next one there is. */
  showSeq(epoch, seq) {
    const query = new URLSearchParams({ epoch, after_seq: seq - 1, limit: 1 });
    return this.#find(query, "There is no further record.");
  }

  close() {
    if (this.element.hidden) return false;
    this.element.hidden = true;
    this.#back?.focus?.();
    return true;
  }

  async #find(query, missing) {
    if (this.element.hidden) this.#back = document.activeElement;
    this.element.hidden = false;
    let found;
    try {
      [found] = await getJson(nodePath(this.#id, `/records?${query}`), this.#signal);
    } catch (error) {
      if (this.#signal.aborted) return;
      return this.#show(h("p", { class: "problem" }, error.message));
    }
    if (found === undefined) return this.#show(h("p", { class: "note" }, missing));
    this.#showRecord(found);
  }

  #show(...content) {
    const close = h("button", {
      type: "button",
      class: "quiet",
      "aria-label": "Close the record",
      onclick: () => this.close(),
    }, "✕");
    fill(
      this.element,
      h("div", { class: "dialog-head" }, h("h2", {}, "Record"), close),
      ...content,
    );
  }

  #showRecord(record) {
    const { seq, epoch, ts_wall_ms, received_wall_ms, anomaly } = record;
    const flagged = Object.entries(anomaly?.metrics ?? {});
    const step = (label, name, to) =>
      h("button", {
        type: "button",
        "aria-label": name,
        title: name,
        disabled: to < 1,
        onclick: () => this.showSeq(epoch, to),
      }, label);
    const copy = h("button", {
      type: "button",
      onclick: () =>
        navigator.clipboard?.writeText(JSON.stringify(record, null, 2))
          .then(() => copy.textContent = "Copied", () => copy.textContent = "Not allowed"),
    }, "Copy");
    this.#show(
      h(
        "div",
        { class: "record-tools" },
        h(
          "div",
          { class: "joined" },
          step("←", "Record before", seq - 1),
          step("→", "Next record", seq + 1),
        ),
        h("b", { class: "number" }, `seq ${exact(seq)}`),
        copy,
      ),
      h(
        "dl",
        { class: "pairs" },
        h("dt", {}, "Sampled"),
        h(
          "dd",
          { title: titleTime(ts_wall_ms, DEVICE_CLOCK) },
          stamp(ts_wall_ms, true),
          h("span", { class: "faint" }, ` ${DEVICE_CLOCK}`),
        ),
        ...(received_wall_ms === undefined ? [] : [
          h("dt", {}, "Received"),
          h(
            "dd",
            { title: titleTime(received_wall_ms, HOST_CLOCK) },
            stamp(received_wall_ms, true),
            h(
              "span",
              { class: "faint" },
              ` ${HOST_CLOCK}, ${duration(received_wall_ms - ts_wall_ms)} apart`,
            ),
          ),
        ]),
        ...(record.agg === undefined
          ? []
          : [h("dt", {}, "Stands for"), h("dd", {}, `${exact(record.agg.n)} samples`)]),
      ),
      ...(flagged.length === 0 ? [] : [
        h(
          "ul",
          { class: "flags" },
          ...flagged.map(([metric, { z, mean }]) =>
            h(
              "li",
              {},
              h("b", {}, metric),
              ` ${measure(record.metrics[metric])}, expected about ${measure(mean)} (z ${
                measure(z)
              })`,
            )
          ),
        ),
      ]),
      h("pre", { tabindex: "0", "aria-label": "The record as JSON" }, ...pretty(record)),
    );
  }
}
