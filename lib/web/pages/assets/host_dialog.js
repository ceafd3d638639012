/** The page's dialogs: keyboard shortcuts, and the question for a token. */
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

/** Asks for the host's token; `undefined` where the operator would rather not. */
export async function askForToken(reason) {
  const field = h("input", {
    type: "password",
    id: "token",
    autocomplete: "off",
    spellcheck: "false",
  });
  let given;
  const form = h(
    "form",
    { class: "stack" },
    h("p", {}, `The host says: ${reason}.`),
    h("label", { for: "token" }, "Token (http_token of the host)"),
    field,
    h("p", { class: "note" }, "It is kept in this page’s memory only, and gone when you close it."),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Go on")),
  );
  const { dialog, closed } = showDialog("A token is needed", [form]);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    given = field.value.trim();
    dialog.close();
  });
  field.focus();
  await closed;
  return given === "" ? undefined : given;
}
