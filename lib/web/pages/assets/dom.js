/** Making and changing elements. Text always goes in as text: nothing a node sends can become markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element. A property that starts with `on` is a listener, `class`, `data-*`, `aria-*` and the like
 * are attributes; `false`, `null` and `undefined` are left out.
 * @param {string} tag
 * @param {Record<string, unknown>} [props]
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Puts other children into `element`. */
export function fill(element, ...children) {
  element.textContent = "";
  append(element, children);
}

/**
 * A small sign from the shell's sprite.
 * @param {string} name such as `dot` or `triangle`
 */
export function shape(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#s-${name}`);
  svg.append(use);
  return svg;
}

/** Changes the sign that {@linkcode shape} made. */
export function setShape(svg, name) {
  const href = `#s-${name}`;
  const use = svg.firstChild;
  if (use.getAttribute("href") !== href) use.setAttribute("href", href);
}

/** Sets the text of an element, if it isn't that already: a write costs layout, a look costs nothing. */
export function setText(element, text) {
  if (element.shownText === text) return;
  element.shownText = text;
  element.textContent = text;
}

/** Sets an attribute, or removes it with `null`, if it isn't so already. */
export function setAttr(element, name, value) {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** An SVG element. */
export function svg(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Whether a key that was pressed belongs to a field that is being filled in. */
export function isTyping(event) {
  const target = event.target;
  return target instanceof Element &&
    target.closest("input, textarea, select, dialog[open], [contenteditable]") !== null;
}

/** Says something to a screen reader. */
export function announce(text) {
  document.getElementById("announce").textContent = text;
}
