/** Faults on purpose, where the host was started with `--allow-faults`: a dialog that adds and clears them. */
import { change, getJson } from "./host_api.js";
import { showDialog } from "./host_dialog.js";
import { fill, h } from "./dom.js";
import { exact } from "./format.js";

const KINDS = [
  {
    kind: "drop",
    help: "cuts connections: all of them at each period, or one at a chunk with probability p",
    options: "every=30s",
  },
  { kind: "refuse", help: "closes new connections at once", options: "for=30s" },
  { kind: "stall", help: "holds acknowledgements back", options: "for=30s" },
  { kind: "delay", help: "holds received chunks back", options: "ms=200,for=1m" },
  { kind: "corrupt", help: "destroys a byte of a received chunk", options: "p=0.01,for=1m" },
  { kind: "duplicate", help: "takes a received line in twice", options: "p=0.1,for=1m" },
  { kind: "split", help: "sends in pieces of a few bytes", options: "for=1m" },
];

function describe({ kind, p, every_ms, ms, for_ms }) {
  const parts = [
    every_ms === undefined ? `p ${p}` : `every ${every_ms / 1_000} s`,
    ...(ms === undefined ? [] : [`${ms} ms`]),
    for_ms === undefined ? "until cleared" : `for ${for_ms / 1_000} s`,
  ];
  return `${kind}: ${parts.join(", ")}`;
}

/** Opens the dialog. */
export async function showFaults() {
  const list = h("div", { class: "fault-list" });
  const problem = h("p", { class: "problem", role: "alert" });
  const attempt = async (work) => {
    try {
      await work();
      problem.textContent = "";
    } catch (error) {
      problem.textContent = error.message;
    }
    await refresh();
  };
  async function refresh() {
    const { active, struck } = await getJson("/api/faults").catch(() => ({
      active: [],
      struck: {},
    }));
    const rows = active.map((fault) =>
      h(
        "li",
        {},
        describe(fault),
        h("span", { class: "faint" }, ` struck ${exact(fault.hits)} times`),
      )
    );
    const total = Object.values(struck).reduce((sum, hits) => sum + hits, 0);
    fill(
      list,
      rows.length === 0 ? h("p", { class: "note" }, "No fault is in force.") : h("ul", {}, ...rows),
      h("p", { class: "note" }, `Struck since the host’s start: ${exact(total)}.`),
    );
    clear.disabled = rows.length === 0;
  }
  const kinds = KINDS.map(({ kind, help, options }) => {
    const field = h("input", {
      type: "text",
      value: options,
      "aria-label": `Options of ${kind}`,
      spellcheck: "false",
    });
    const add = () =>
      attempt(() =>
        change("POST", "/api/faults", {
          fault: field.value.trim() === "" ? kind : `${kind}:${field.value.trim()}`,
        })
      );
    field.addEventListener("keydown", (event) => event.key === "Enter" && add());
    return h(
      "div",
      { class: "fault" },
      h("div", {}, h("b", {}, kind), h("span", { class: "note" }, ` ${help}`)),
      field,
      h("button", { type: "button", onclick: add, "aria-label": `Inject ${kind}` }, "Inject"),
    );
  });
  const clear = h("button", {
    type: "button",
    onclick: () => attempt(() => change("DELETE", "/api/faults")),
  }, "Clear all");
  const { closed } = showDialog("Faults on purpose", [
    h(
      "p",
      { class: "note" },
      "They strike the connections of all nodes. Nothing may get lost by them: that is the point.",
    ),
    list,
    ...kinds,
    problem,
    h("div", { class: "actions" }, clear),
  ]);
  await refresh();
  const timer = setInterval(refresh, 2_000);
  await closed;
  clearInterval(timer);
}
