/** Facts with a name each, as a list that is changed in place. */
import { h, setAttr, setText } from "./dom.js";
import { measure } from "./format.js";

/** A list of facts whose values change and whose names don't. */
export function factList(className, label) {
  const element = h("dl", { class: className, "aria-label": label });
  const values = new Map();
  return {
    element,
    /** @param {[string, string, {title?: string, tone?: string}?][]} items */
    show(items) {
      for (const [name, text, { title = "", tone } = {}] of items) {
        let value = values.get(name);
        if (value === undefined) {
          value = h("dd", {});
          values.set(name, value);
          element.append(h("div", {}, h("dt", {}, name), value));
        }
        setText(value, text);
        setAttr(value, "title", title === "" ? null : title);
        setAttr(value, "data-tone", tone ?? null);
      }
    },
  };
}

/** The value of a diagnostic in words. */
export function diagnosticText(value) {
  if (value === true) return "yes";
  if (value === false) return "no";
  if (typeof value === "number") return measure(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
