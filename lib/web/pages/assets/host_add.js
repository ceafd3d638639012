/** The dialog that makes the one line with which a new device joins. */
import { fill, h } from "./dom.js";
import { change } from "./host_api.js";
import { showDialog } from "./host_dialog.js";

/** Asks for a name, and shows the line to paste on the device. */
export function showAddNode() {
  const field = h("input", {
    id: "node-id",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}",
  });
  const problem = h("p", { class: "problem", role: "alert" });
  const form = h(
    "form",
    { class: "stack" },
    h("label", { for: "node-id" }, "Name of the new node"),
    field,
    problem,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "submit", class: "primary" }, "Make a token"),
    ),
  );
  const { dialog } = showDialog("Add a node", [form]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const { command, node_id } = await change("POST", "/api/enrolments", {
        node_id: field.value.trim(),
      });
      const line = h("input", { id: "line", value: command, readonly: true, class: "line" });
      fill(
        form,
        h("label", { for: "line" }, `Run this on ${node_id}, once, within seven days`),
        line,
        h(
          "p",
          { class: "note" },
          "Then start the node with --host as in that line. The token is shown this once.",
        ),
      );
      line.focus();
      line.select();
    } catch (error) {
      problem.textContent = `Not made: ${error.message}.`;
    }
  });
  field.focus();
  return dialog;
}
