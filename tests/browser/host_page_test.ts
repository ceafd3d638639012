/** The host's pages in a real browser, with a real host and nodes. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { closeBrowser } from "./browser.ts";
import { Fleet } from "./fleet.ts";
import { Site } from "./site.ts";
import { realTest } from "../real.ts";

realTest(
  "the fleet says that all is safe, follows its nodes, and names the one that fell silent",
  async () => {
    await using site = new Site();
    await site.host();
    const [, lost] = await Promise.all([site.node("pump-1"), site.otherNode("pump-2")]);
    const view = await site.hostPage();
    await view.shows(/2 nodes.*connected/);
    const row = view.page.getByRole("row").filter({ hasText: "pump-1" });
    await row.getByText("Live").waitFor();
    const rate = row.locator(".c-rate");
    await view.until("10 records a second", async () => /^(9|10)/.test(await rate.innerText()));
    await lost.kill();
    await view.shows("Silent");
    await view.page.getByRole("link", { name: "pump-2" }).first().waitFor();
    await view.close();
  },
);

realTest(
  "a node's page draws its metrics, shows the record behind a point, and returns by keyboard",
  async () => {
    await using site = new Site();
    await site.host();
    await site.node("pump-1", "--sensor", "sim:seed=3,spike_every_s=5");
    const view = await site.hostPage();
    await view.shows("Live");
    await view.page.keyboard.press("j");
    await view.page.keyboard.press("Enter");
    await view.page.getByRole("heading", { name: "pump-1" }).waitFor();
    const chart = view.page.locator(".charts .u-over").first();
    await chart.waitFor();
    for (const metric of ["temp_c", "rail_v", "pressure_bar"]) await view.shows(metric);
    await view.page.waitForTimeout(3_000);
    const box = (await chart.boundingBox())!;
    await view.page.mouse.move(box.x + box.width - 20, box.y + box.height / 2);
    await view.page.mouse.click(box.x + box.width - 20, box.y + box.height / 2);
    await view.page.getByLabel("The record as JSON").waitFor();
    assertMatch(
      await view.page.getByLabel("The record as JSON").innerText(),
      /"node_id": "pump-1"/,
    );
    await view.page.keyboard.press("Escape");
    await view.close();
  },
);

realTest("what is lost is named with its reason, on the fleet and on the node", async () => {
  await using site = new Site();
  await site.host();
  const fleet = await Fleet.connect(site.port, 1);
  await fleet.tell();
  await fleet.lose(0, 25, "evicted");
  await fleet.tell();
  const view = await site.hostPage(`/nodes/${fleet.ids[0]}`);
  await view.shows("25 lost");
  await view.shows("evicted");
  await view.page.getByRole("link", { name: /All nodes/ }).click();
  await view.shows("Lost records");
  await view.close();
  await fleet.close();
});

realTest(
  "a configuration is checked before it is sent, and the page says when the node has applied it",
  async () => {
    await using site = new Site();
    await site.host();
    const node = await site.node("pump-1");
    const view = await site.hostPage("/nodes/pump-1");
    const field = view.page.getByLabel(/^send_interval_ms/);
    await field.fill("-5");
    await field.blur();
    await view.page.locator(".setting .problem:not(:empty)").first().waitFor();
    assert(await view.page.getByRole("button", { name: "Send" }).isDisabled());
    await field.fill("250");
    await field.blur();
    await view.page.getByRole("button", { name: "Send" }).click();
    await view.page.locator('.config-state[data-tone="ok"]').filter({ hasText: "1" }).waitFor();
    assertEquals((await node.status()).config.send_interval_ms, 250);
    await view.close();
  },
);

realTest("a page says that the host is gone, and goes on by itself when it is back", async () => {
  await using site = new Site();
  let host = await site.host();
  await site.node("pump-1");
  const view = await site.hostPage();
  await view.shows("Live");
  view.expectOutage();
  await host.kill();
  await view.shows(/Connection to the host lost/);
  host = await site.host();
  await view.page.getByText(/Connection to the host lost/).waitFor({ state: "hidden" });
  await view.shows("Live");
  await view.close();
});

realTest("the page of a name that no node has says so, and shows nothing else", async () => {
  await using site = new Site();
  await site.host();
  const view = await site.hostPage("/nodes/pump-nord", { mayFail: true });
  await view.shows("No node of this name is known to the host.");
  await view.page.getByRole("heading", { name: "Diagnostics" }).waitFor({ state: "hidden" });
  await view.close();
});

realTest("fault switches are there only where the host was started with them", async () => {
  await using site = new Site();
  let host = await site.host();
  let view = await site.hostPage();
  await view.shows("Holdfast");
  assert(await view.page.getByRole("button", { name: "Faults" }).isHidden());
  await view.close();
  await host.stop();
  host = await site.host("--allow-faults");
  view = await site.hostPage();
  await view.page.getByRole("button", { name: "Faults" }).click();
  await view.page.getByRole("button", { name: /Inject drop/ }).click();
  await view.shows(/struck 0 times/);
  await view.close();
  await host.stop();
});

realTest(
  "a thousand nodes: few rows are drawn, and scrolling, sorting and filtering reach each",
  async () => {
    await using site = new Site();
    await site.host();
    const fleet = await Fleet.connect(site.port, 1_000);
    const view = await site.hostPage();
    await view.shows(/1,000 nodes.*connected/);
    assert(await view.page.getByRole("row").count() < 80);
    await view.page.keyboard.press("End");
    await view.page.mouse.wheel(0, 1e6);
    await view.shows("pump-1000");
    await view.page.keyboard.press("/");
    await view.page.keyboard.type("pump-0777");
    await view.shows("pump-0777");
    await view.page.getByText("pump-1000").waitFor({ state: "hidden" });
    await view.close();
    await fleet.close();
  },
);

realTest("on a phone and in the dark nothing is cut off", async () => {
  await using site = new Site();
  await site.host();
  await site.node("pump-1");
  for (const path of ["/", "/nodes/pump-1"]) {
    const view = await site.hostPage(path, { width: 360, height: 740, scheme: "dark" });
    await view.shows("Live");
    const ground = await view.page.evaluate("getComputedStyle(document.body).backgroundColor");
    assertEquals(ground, "rgb(16, 19, 21)");
    const clock = await view.page.getByText(/host’s clock/).first().boundingBox();
    assert(clock!.x >= 0 && clock!.x + clock!.width <= 360);
    await view.close();
  }
  await closeBrowser();
});
