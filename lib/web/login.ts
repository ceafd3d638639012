/** The page on which people show their token, and the cookie that they get for it. Works without JavaScript. */
import type { Context, Hono } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";
import { html } from "hono/html";
import { addressGroup } from "../platform/address.ts";
import { asset } from "./pages/assets.ts";
import { type AccessOptions, addressOf, isFromOwnPage, refuse } from "./access.ts";

/** How long a browser keeps the cookie; the token may end before. */
const COOKIE_S = 30 * 86_400;
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
};

/** A path of ours to go on to; the start where a link says anything else. */
function nextOf(text: unknown): string {
  return typeof text === "string" && /^\/(?![/\\])[\x21-\x7e]*$/.test(text) ? text : "/";
}

/** What the page is called and made of. */
export interface LoginLook {
  readonly title: string;
  /** Where a token comes from, in a sentence, and the command or setting for that. */
  readonly hint: string;
  readonly code: string;
}

const STYLES = ["page.css", "login.css"];

/** Adds `/login`, what it looks like, and `/logout`. */
export function addLogin(
  app: Hono,
  { door, cookie, isSecure }: AccessOptions,
  look: LoginLook,
): void {
  const page = (c: Context, next: string, problem: string, status: 200 | 401 | 429 = 200) =>
    c.html(
      html`
        <!doctype html>
        <html lang="en">
          <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>${look.title}: log in</title>
            ${STYLES.map((name) => html`<link rel="stylesheet" href="/assets/${name}">`)}
          </head>
          <body class="login">
            <main>
              <h1>${look.title}</h1>
              <form method="post" action="/login" class="stack">
                <input type="hidden" name="next" value="${next}">
                <label for="token">Token</label>
                <input id="token" name="token" type="password" autocomplete="current-password"
                  spellcheck="false" required autofocus ${problem === ""
                    ? ""
                    : "aria-describedby=problem aria-invalid=true"}>
                <p id="problem" class="problem" role="alert">${problem}</p>
                <button type="submit" class="primary">Log in</button>
              </form>
              <p class="note">${look.hint} <code>${look.code}</code></p>
            </main>
          </body>
        </html>
      `,
      status,
      HEADERS,
    );
  app.get("/login", (c) => {
    const next = nextOf(c.req.query("next"));
    return door.isLoginNeeded ? page(c, next, "") : c.redirect(next);
  });
  for (const name of STYLES) {
    app.get(`/assets/${name}`, (c) => {
      const { body, type } = asset(name)!;
      return c.body(body, 200, { "content-type": type });
    });
  }
  app.post("/login", async (c) => {
    if (c.req.header("origin") !== undefined && !isFromOwnPage(c)) {
      return refuse(c, 403, "log in on this site's own page");
    }
    const { token, next } = await c.req.parseBody().catch(() => ({} as Record<string, unknown>));
    const given = typeof token === "string" ? token.trim() : "";
    const verdict = await door.judge(given, addressGroup(addressOf(c)));
    if (verdict.person === undefined) {
      const isSlowed = verdict.retryAfterMs !== undefined;
      const problem = verdict.reason[0]!.toUpperCase() + verdict.reason.slice(1) + ".";
      return page(c, nextOf(next), problem, isSlowed ? 429 : 401);
    }
    setCookie(c, cookie, given, {
      ...{ httpOnly: true, secure: isSecure, sameSite: "Lax", path: "/", maxAge: COOKIE_S },
    });
    return c.redirect(nextOf(next), 303);
  });
  app.post("/logout", (c) => {
    deleteCookie(c, cookie, { path: "/", secure: isSecure });
    return c.redirect("/login", 303);
  });
}
