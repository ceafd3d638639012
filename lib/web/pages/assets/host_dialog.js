/** The page's dialogs: keyboard shortcuts. */
import { fill, h } from "./dom.js";

/**
 * Shows a modal dialog; it is gone from the page once closed. Resolves then.
 * @param {string} title
 * @param {(Node | string)[]} content
 */
export function showDialog(title, content) {
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Close" }, "✕");
  const dialog = h("dialog", { "aria-label": title });
  fill(dialog, h("div", { class: "dialog-head" }, h("h2", {}, title), close), ...content);
  document.body.append(dialog);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(undefined);
    });
  });
  dialog.showModal();
  return { dialog, closed };
}

const KEYS = [
  ["j k  or  ↓ ↑", "move through the table"],
  ["Enter", "open the node"],
  ["/", "filter"],
  ["Esc", "clear the filter; leave a node or a panel"],
  ["← →", "node: earlier, later"],
  ["+ −", "node: zoom in, zoom out"],
  ["l", "node: follow live"],
  ["1 … 7", "node: last minute … last 30 days"],
  ["t", "theme: system, light, dark"],
  ["?", "this list"],
];

/** Shows the keyboard shortcuts. */
export function showHelp() {
  const rows = KEYS.map(([key, text]) =>
    h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, text))
  );
  const mouse = h(
    "p",
    { class: "note" },
    "On a chart: drag to zoom, Ctrl + wheel or pinch to zoom, Shift + wheel to move, double-click to go back to live, click for the record behind a point.",
  );
  showDialog("Keyboard", [h("table", { class: "keys" }, h("tbody", {}, ...rows)), mouse]);
}
