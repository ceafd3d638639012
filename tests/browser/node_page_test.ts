/** The node's own page in a real browser: it must answer when everything else is gone. */
import { assert, assertEquals } from "@std/assert";
import { closeBrowser } from "./browser.ts";
import { Site } from "./site.ts";
import { realTest } from "../real.ts";

realTest(
  "the first answer alone says whether data is safe, and all of the page is under 100 KB",
  async () => {
    await using site = new Site();
    await site.host();
    await site.node("pump-7");
    const view = await site.nodePage();
    await view.shows("Data is safe");
    assertEquals(
      view.requests.map((url) => new URL(url).pathname).slice(0, 3),
      ["/", "/api/live", "/api/recent"],
    );
    const value = view.page.locator(".metric-value").first();
    const before = await value.innerText();
    await view.until("the value moves", async () => await value.innerText() !== before);
    const line = view.page.locator(".metric .line").first();
    await view.until(
      "a line is drawn",
      async () => /^M.+L/.test(await line.getAttribute("d") ?? ""),
    );
    assert(view.bytes > 10_000 && view.bytes < 100_000, `${view.bytes} bytes`);
    await view.close();
  },
);

realTest(
  "with the host gone it says that data is safe here, how much waits, and for how long there is room",
  async () => {
    await using site = new Site();
    let host = await site.host();
    await site.node("pump-7");
    const view = await site.nodePage();
    await view.shows("Data is safe");
    await host.kill();
    await view.shows("Data is safe on this device");
    await view.shows(/No host is connected.*records wait here.*room for another/);
    host = await site.host();
    await view.page.getByText("Data is safe on this device").waitFor({ state: "hidden" });
    await view.shows("Data is safe");
    await view.close();
  },
);

realTest("when the node itself is gone the page says so, and goes on by itself", async () => {
  await using site = new Site();
  let node = await site.node("pump-7");
  const view = await site.nodePage();
  await view.shows("Data is safe on this device");
  view.expectOutage();
  await node.kill();
  await view.shows(/This node doesn’t answer/);
  node = await site.node("pump-7");
  await view.page.getByText(/This node doesn’t answer/).waitFor({ state: "hidden" });
  await view.close();
});

realTest("an anomaly is marked on its line and listed as an event", async () => {
  await using site = new Site();
  await site.node("pump-7", "--sensor", "sim:seed=4,spike_every_s=8");
  const view = await site.nodePage({ width: 360, height: 740, scheme: "dark" });
  await view.page.locator('.line-flags[d^="M"]').first().waitFor({ state: "attached" });
  await view.shows(/Anomalies/);
  await view.close();
  await closeBrowser();
});
