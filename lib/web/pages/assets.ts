/**
 * The files that the pages are made of. This is the only place that reads them, so that an executable that
 * was compiled with the folder has them inside, and nothing else of the pages touches the disk.
 */
import { readAsset } from "../../platform/deno_assets.ts";
import { sha256 } from "../../platform/digest.ts";

/** A file as it is served. */
export interface Asset {
  readonly body: string;
  /** For the header `content-type`. */
  readonly type: string;
  /** Quoted, for the header `etag`; the same as long as the body is. */
  readonly etag: string;
}

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml; charset=utf-8",
};

const cache = new Map<string, Asset>();

/** Tells versions of a file apart. */
export function fingerprint(text: string): string {
  return sha256(text, "hex").slice(0, 16);
}

/**
 * The asset of that name in the folder `assets/`, read once and kept. `undefined` where there is none, or
 * the name is not a plain file name with a known ending: a name may come from a URL.
 */
export function asset(name: string): Asset | undefined {
  const known = cache.get(name);
  if (known !== undefined) return known;
  const ending = /^[a-z0-9_]+(?:\.[a-z0-9_]+)*\.([a-z]+)$/.exec(name)?.[1];
  const type = ending === undefined ? undefined : TYPES[ending];
  if (type === undefined) return undefined;
  let body: string;
  try {
    body = readAsset(new URL(`./assets/${name}`, import.meta.url));
  } catch {
    return undefined;
  }
  const found = { body, type, etag: `"${fingerprint(body)}"` };
  cache.set(name, found);
  return found;
}

/** The text of an asset that must be there. Throws where it is missing. */
export function assetText(name: string): string {
  const found = asset(name);
  if (found === undefined) throw new Error(`the page's file ${name} is missing`);
  return found.body;
}

/** A page's skeleton with the signs that both pages use. Throws where a file is missing. */
export function skeleton(name: string): string {
  return assetText(name).replace("<!-- sprite -->", () => assetText("sprite.svg"));
}

/**
 * The headers of a page: nothing from elsewhere, no script and style but those that the sources allow, in
 * nobody's frame.
 */
export function pageHeaders(
  { script, style, img }: { script: string; style: string; img: string },
): Record<string, string> {
  return {
    "content-security-policy": `default-src 'none'; script-src ${script}; style-src ${style}; ` +
      `connect-src 'self'; img-src ${img}; base-uri 'none'; form-action 'self'; ` +
      "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
  };
}
