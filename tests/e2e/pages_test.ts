/** The pages as processes serve them; compiled ones (HOLDFAST_BIN) must have the files inside. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { realTest } from "../real.ts";

async function text(url: string): Promise<string> {
  const response = await fetch(url);
  const body = await response.text();
  assertEquals(response.status, 200, `${url}: ${body}`);
  return body;
}

realTest("host and node serve their pages, and each file that the host's page names", async () => {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-pages-" });
  const address = `127.0.0.1:${freePort()}`;
  const host = await new Process("host", ["--listen", address, "--data", `${directory}/host`])
    .ready();
  const node = await new Process("node", [
    ...["--id", "pump-7", "--host", address, "--data", `${directory}/node`],
  ]).ready();
  const origin = `http://127.0.0.1:${host.httpPort}`;
  const files = [...(await text(`${origin}/`)).matchAll(/="(\/assets\/[^"]+)"/g)];
  assert(files.length > 20);
  for (const [, path] of files) assert((await text(origin + path!)).length > 0, path);
  assertEquals(await text(`${origin}/nodes/pump-7`), await text(`${origin}/`));
  assertMatch(await text(`http://127.0.0.1:${node.httpPort}/`), /"node_id":"pump-7"/);
  assertEquals(await node.stop(), 0);
  assertEquals(await host.stop(), 0);
  await Deno.remove(directory, { recursive: true });
});
