/** Debian's Chromium for the tests of the pages, and what every page must keep to. */
import { assert, assertEquals } from "@std/assert";
import type { Browser, Page } from "npm:playwright-core@1.60.0";
import { eventually } from "../eventually.ts";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let running: Promise<Browser> | undefined;

/** Loaded when it is needed: it asks for the home directory at once. */
async function launch(): Promise<Browser> {
  const { chromium } = await import("npm:playwright-core@1.60.0");
  return await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
}

/** How the page is looked at. */
export interface View {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
  /** Requests may fail from the start. */
  readonly mayFail?: boolean;
}

/** A page that notes what it must not do. */
export class Watched {
  readonly page: Page;
  readonly requests: string[] = [];
  /** Bytes of the bodies that were answered whole, before any decoding. */
  bytes = 0;
  #problems: string[] = [];
  #mayFail = false;

  private constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.#problems.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !this.#mayFail) this.#problems.push(message.text());
    });
    page.on("request", (request) => this.requests.push(request.url()));
    page.on("response", async (response) => {
      if (response.headers()["content-type"]?.startsWith("text/event-stream")) return;
      const sizes = await response.request().sizes().catch(() => undefined);
      this.bytes += sizes?.responseBodySize ?? 0;
    });
  }

  static async open(url: string, view: View = {}): Promise<Watched> {
    const { width = 1280, height = 800, scheme = "light", mayFail = false } = view;
    running ??= launch();
    const browser = await running;
    const page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme });
    const watched = new Watched(page);
    watched.#mayFail = mayFail;
    await page.goto(url);
    return watched;
  }

  /** From here on the other side is taken away: what the browser says of failed requests is no problem. */
  expectOutage(): void {
    this.#mayFail = true;
  }

  /** Waits until the page shows `text` somewhere. */
  async shows(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor({ timeout: 20_000 });
  }

  /** Waits until it holds; the policy of the pages forbids what Playwright would wait with. */
  until(what: string, holds: () => Promise<boolean>): Promise<void> {
    return eventually(what, holds, 20_000);
  }

  /** Nothing was thrown, refused by the policy, asked for elsewhere, or wider than the screen. */
  async close(): Promise<void> {
    assertEquals(this.#problems, []);
    const { origin } = new URL(this.page.url());
    for (const url of this.requests) {
      assert(url.startsWith(origin) || url.startsWith("data:"), `asked elsewhere: ${url}`);
    }
    const tooWide = await this.page.evaluate(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    );
    assert(Number(tooWide) <= 0, "the page scrolls sideways");
    await this.page.close();
  }
}

/** Ends the browser; the last test of a file does. */
export async function closeBrowser(): Promise<void> {
  await (await running)?.close();
  running = undefined;
}
