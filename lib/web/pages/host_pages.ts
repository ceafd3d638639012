/**
 * The host's pages: one shell that draws the fleet at `/` and a node at `/nodes/ID`, and its files. Files are
 * served under a name that changes with their contents, so that a browser asks for each only once.
 */
import type { Context, Hono } from "hono";
import { forbidden } from "../access.ts";
import { asset, assetText, fingerprint, pageHeaders, skeleton } from "./assets.ts";

/** Modules of the page, in the order of need; the shell asks for all of them at once. */
const MODULES = [
  "host.js",
  "host_live.js",
  "dom.js",
  "facts.js",
  "theme_button.js",
  "format.js",
  "fleet.js",
  "host_state.js",
  "host_api.js",
  "host_dialog.js",
  "host_faults.js",
  "host_fleet.js",
  "host_attention.js",
  "host_table.js",
  "host_columns.js",
  "host_sparks.js",
  "host_node.js",
  "host_facts.js",
  "host_board.js",
  "host_chart.js",
  "host_series.js",
  "host_record.js",
  "host_history.js",
  "host_audit.js",
  "host_add.js",
  "host_config.js",
];
/** The rest: style, drawing library, what runs before the first paint. */
const FILES = [
  "page.css",
  "host_fleet.css",
  "host_node.css",
  "icon.svg",
  "theme.js",
  "uplot.min.css",
  "uplot.min.js",
];
const SHELL = "host.html";

/** What every answer of the pages carries. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = pageHeaders({
  script: "'self'",
  style: "'self'",
  img: "'self' data:",
});

const FOREVER = "public, max-age=31536000, immutable";
const ASK_AGAIN = "no-cache";

interface Shell {
  readonly html: string;
  readonly etag: string;
  /** Part of the files' addresses; changes when any of them does. */
  readonly version: string;
}

function buildShell(): Shell {
  const shell = skeleton(SHELL);
  const bodies = [shell, ...[...MODULES, ...FILES].map(assetText)];
  const version = fingerprint(bodies.join("\0"));
  const preloads = MODULES.map((name) => `<link rel="modulepreload" href="/assets/${name}">`);
  const html = shell.replace("<!-- modules -->", preloads.join("\n    "))
    .replaceAll('="/assets/', `="/assets/${version}/`);
  return { html, version, etag: `"${fingerprint(html)}"` };
}

/** A browser's tag may come back as a weak one: the server weakens it where it compresses. */
function isKnown(c: Context, etag: string): boolean {
  return (c.req.header("if-none-match") ?? "").replace(/^W\//, "") === etag;
}

function answer(c: Context, body: string, type: string, etag: string, cache: string): Response {
  const headers = { ...PAGE_HEADERS, etag, "cache-control": cache };
  if (isKnown(c, etag)) return c.body(null, 304, headers);
  return c.body(body, 200, { ...headers, "content-type": type });
}

/**
 * Adds `/`, `/nodes/:id` and `/assets/...` to the host's app. Throws where a file is missing, so that a host
 * without its pages doesn't start.
 */
export function addHostPages(app: Hono): void {
  const { html, etag, version } = buildShell();
  const names = new Set([...MODULES, ...FILES]);
  const shell = (c: Context) =>
    forbidden(c, "viewer") ?? answer(c, html, "text/html; charset=utf-8", etag, ASK_AGAIN);
  app.get("/", shell);
  app.get("/nodes/:id", shell);
  app.get("/audit", shell);
  app.get("/assets/:version/:name", (c) => {
    const name = c.req.param("name");
    const found = names.has(name) ? asset(name) : undefined;
    if (found === undefined) return c.notFound();
    const cache = c.req.param("version") === version ? FOREVER : ASK_AGAIN;
    return answer(c, found.body, found.type, found.etag, cache);
  });
}
