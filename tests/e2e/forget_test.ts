/** A node that is gone for good leaves the list, through the real program. */
import { assertEquals, assertMatch } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";

realTest(
  "host forget takes a node off the list, with or without its records, but none that is connected",
  async () => {
    const directory = await Deno.makeTempDir();
    const address = `127.0.0.1:${freePort()}`;
    const host = await new Process("host", ["--listen", address, "--data", `${directory}/h`])
      .ready();
    const node = await new Process("node", [
      ...["--host", address, "--data", `${directory}/n`, "--id", "pump-7"],
    ]).ready();
    await eventually("records", async () => (await host.status()).store.records > 5);
    const url = `http://127.0.0.1:${host.httpPort}`;
    const forget = async (...args: string[]) => {
      const root = new URL("../../", import.meta.url).pathname;
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", `${root}host.ts`, "forget", "pump-7", "--url", url, ...args],
      }).output();
      return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
    };
    assertMatch((await forget()).text, /is connected/);
    await node.stop();
    await eventually("gone", async () => !(await host.status()).nodes[0].connected);
    assertEquals((await forget()).code, 0);
    assertEquals((await host.status()).nodes_known, 0);
    assertEquals((await host.status()).store.records > 5, true);
    await host.stop();
    await Deno.remove(directory, { recursive: true });
  },
);
