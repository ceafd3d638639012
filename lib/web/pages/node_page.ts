/**
 * The node's own page: one document with everything inside, so that a phone on a bad link sees it after one
 * request. Style and script are allowed by their hash alone.
 */
import type { NodeStatus } from "../../node/status.ts";
import { sha256 } from "../../platform/digest.ts";
import { assetText, pageHeaders, skeleton } from "./assets.ts";

const STYLES = ["page.css", "node.css"];
/** Runs before the first paint. */
const EARLY_SCRIPT = "theme.js";
/** Modules in the order of need, joined to one: a module may import only from those before it. */
const MODULES = [
  "dom.js",
  "format.js",
  "facts.js",
  "theme_button.js",
  "node_verdict.js",
  "node_lines.js",
  "node.js",
];

/** See the head of the file. */
export interface NodePage {
  readonly headers: Readonly<Record<string, string>>;
  /** The document, which shows `status` until it hears more. */
  html(status: NodeStatus): string;
}

/** A module without its imports from the others and without the word `export`, to stand beside them. */
function joined(name: string): string {
  return assetText(name).replaceAll(/^import [^;]*? from "\.\/[\w.]+";$/gm, "").replaceAll(
    /^export /gm,
    "",
  );
}

/** JSON inside a script element: no markup can begin in it. */
function inlineJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** Builds the page. Throws where a file of it is missing. */
export function nodePage(): NodePage {
  const style = STYLES.map(assetText).join("\n");
  const early = assetText(EARLY_SCRIPT);
  const script = MODULES.map(joined).join("\n");
  const [before, after] = skeleton("node.html")
    .replace("<!-- style -->", () => `<style>${style}</style>`)
    .replace("<!-- theme -->", () => `<script>${early}</script>`)
    .replace("<!-- script -->", () => `<script type="module">${script}</script>`)
    .split("<!-- status -->") as [string, string];
  const hash = (code: string) => `'sha256-${sha256(code, "base64")}'`;
  return {
    headers: {
      ...pageHeaders({
        script: `${hash(early)} ${hash(script)}`,
        style: hash(style),
        img: "data:",
      }),
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
    },
    html: (status) =>
      `${before}<script type="application/json" id="status">${inlineJson(status)}</script>${after}`,
  };
}
