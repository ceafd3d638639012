/** Logging in, what stands in the audit trail, and being out when a token is taken away. */
import { assert, assertEquals } from "@std/assert";
import { hostCommand } from "../command.ts";
import { closeBrowser } from "./browser.ts";
import { Site } from "./site.ts";
import { realTest } from "../real.ts";

realTest(
  "who has a token logs in, sees who changed what, and is led to the login when it is revoked",
  async () => {
    const pictures = Deno.env.get("HOLDFAST_PICTURES");
    await using site = new Site();
    await site.host();
    await site.node("pump-1");
    const cli = async (...args: string[]) => {
      const { code, out, error } = await hostCommand(...args, "--data", site.hostData);
      assertEquals([code, error], [0, ""]);
      return out.trim();
    };
    const token = await cli("token", "create", "--role", "admin", "--name", "anna");
    const address = `http://127.0.0.1:${site.httpPort}`;
    const wait = Date.now() + 10_000;
    while (Date.now() < wait) {
      const { status } = await fetch(`${address}/status`).then(async (
        r,
      ) => (await r.body?.cancel(), r));
      if (status === 401) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const view = await site.hostPage("/nodes/pump-1", { mayFail: true });
    const picture = async (name: string) => {
      if (pictures !== undefined) await view.page.screenshot({ path: `${pictures}/${name}.png` });
    };
    const field = view.page.getByLabel("Token");
    await picture("login");
    await field.fill("hf_wrong");
    await view.page.getByRole("button", { name: "Log in" }).click();
    await view.shows("This token is not valid.");
    await picture("login-wrong");
    await view.page.getByLabel("Token").fill(token);
    await view.page.getByRole("button", { name: "Log in" }).click();
    await view.shows("Live");
    assertEquals(new URL(view.page.url()).pathname, "/nodes/pump-1");
    await view.shows("anna");

    // A change by the page itself goes through, and is told of.
    const changed = await view.page.evaluate(`fetch("/api/nodes/pump-1/config", {
    method: "PUT", headers: { "content-type": "application/json" }, body: '{"sample_hz":5}' }).then((r) => r.status)`);
    assertEquals(changed, 200);
    await view.page.getByRole("link", { name: "Audit" }).click();
    await view.shows("Who changed what");
    await view.shows("set the configuration of");
    await view.shows("sample_hz 5");
    await view.shows("made a token for");
    await picture("audit");
    assert(!(await view.page.content()).includes(token.slice(14)), "no secret is shown");
    await view.page.goBack();
    await view.shows("Live");

    await cli("token", "revoke", "anna");
    await view.page.waitForURL(/\/login\?next=/, { timeout: 20_000 });
    await view.page.getByLabel("Token").waitFor();
    await view.page.close();
  },
);

realTest("a host with an authority gives the one line with which a device joins", async () => {
  const pictures = Deno.env.get("HOLDFAST_PICTURES");
  await using site = new Site();
  const { code } = await hostCommand("pki", "init", "--name", "localhost", "--data", site.hostData);
  assertEquals(code, 0);
  await site.host();
  const view = await site.hostPage();
  await view.page.getByRole("button", { name: "Add node" }).click();
  await view.page.getByLabel("Name of the new node").fill("localhost");
  await view.page.getByRole("button", { name: "Make a token" }).click();
  await view.shows("that is a name of the host");
  await view.page.getByLabel("Name of the new node").fill("pump-7");
  await view.page.getByRole("button", { name: "Make a token" }).click();
  const line = view.page.getByLabel(/Run this on pump-7/);
  const command = await line.inputValue();
  assert(/^node enroll hfe_\S+_pump-7 --host 127\.0\.0\.1:\d+$/.test(command), command);
  if (pictures !== undefined) await view.page.screenshot({ path: `${pictures}/add.png` });
  await view.page.close();
  await closeBrowser();
});
