/** The top of the fleet: is my data safe, what is wrong, where. */
import { fill, h, setAttr, setText, shape } from "./dom.js";
import { count } from "./format.js";
import { CONCERNS, concernText } from "./host_state.js";

/** Nodes named in one line; the rest is behind the line's button. */
const NAMED_MAX = 4;
const SHAPES = { ok: "check", info: "ring", warn: "triangle", bad: "cross" };

/**
 * @param {{onGroup: (kind: string) => void}} options what happens when a kind of concern is chosen
 * @returns {{element: HTMLElement, show: (verdict: any, now: number) => void}}
 */
export function createAttention({ onGroup }) {
  const sign = h("span", { class: "verdict-sign" });
  const connection = h("span", {});
  const safety = h("span", { class: "verdict-safety" });
  const title = h("h1", { class: "verdict" }, sign, h("span", {}, connection, " ", safety));
  const list = h("ul", { class: "attention", "aria-label": "What needs attention" });
  const strangers = h("p", { class: "strangers", role: "status" });
  const element = h(
    "section",
    { class: "top", "aria-label": "State of the fleet" },
    title,
    list,
    strangers,
  );
  let shown = "";

  function show(verdict, now) {
    setAttr(element, "data-tone", verdict.tone);
    if (sign.dataset.shape !== verdict.tone) {
      sign.dataset.shape = verdict.tone;
      fill(sign, shape(SHAPES[verdict.tone]));
    }
    setText(connection, verdict.connection);
    setText(safety, verdict.safety);
    setText(strangers, verdict.strangers ?? "");
    // The list is made anew only where it says something else: a click must not lose its target.
    const text = JSON.stringify(verdict.groups.map(({ kind, items }) => [
      kind,
      items.length,
      items.slice(0, NAMED_MAX).map((
        { node, concern },
      ) => [node.node_id, concernText(concern, now)]),
    ]));
    if (text === shown) return;
    shown = text;
    const focused = document.activeElement?.dataset?.kind;
    fill(list, ...verdict.groups.map((group) => row(group, now)));
    list.hidden = verdict.groups.length === 0;
    if (focused !== undefined) list.querySelector(`[data-kind="${focused}"]`)?.focus();
  }

  function row({ kind, items }, now) {
    const { word, severity: tone, shape: sign } = CONCERNS[kind];
    const named = items.slice(0, NAMED_MAX).map(({ node, concern }) =>
      h(
        "span",
        { class: "attention-node" },
        h(
          "a",
          { href: `/nodes/${encodeURIComponent(node.node_id)}`, "data-link": true },
          node.node_id,
        ),
        h("span", { class: "faint" }, ` ${concernText(concern, now)}`),
      )
    );
    const more = items.length - named.length;
    const button = h(
      "button",
      {
        type: "button",
        class: "attention-kind",
        "data-kind": kind,
        onclick: () => onGroup(kind),
        title: "Show these in the table",
      },
      h("span", { class: `tone-${tone}` }, shape(sign)),
      word,
      h("b", {}, count(items.length)),
    );
    return h(
      "li",
      {},
      button,
      h(
        "div",
        { class: "attention-nodes" },
        ...named,
        more > 0 && h("span", { class: "faint" }, `and ${count(more)} more`),
      ),
    );
  }

  return { element, show };
}
