import { assert, assertEquals } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { realTest } from "../real.ts";

realTest(
  "a client in Python, written from docs/protocol.md alone, gets along with the host",
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-interop-" });
    const port = freePort();
    const host = await new Process("host", ["--listen", `127.0.0.1:${port}`, "--data", directory])
      .ready();
    const client = new URL("../interop/client.py", import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command("python3", { args: [client, String(port)] })
      .output();
    assert(success, new TextDecoder().decode(stderr));
    const gaps = await (await fetch(`http://127.0.0.1:${host.httpPort}/api/nodes/py-1/gaps`))
      .json();
    // Seq 4 had arrived, so the gap from 3 to 5 covers 3 and 5 only.
    assertEquals(gaps.map((gap: { from_seq: number }) => gap.from_seq).sort(), [3, 5]);
    await host.stop();
    await Deno.remove(directory, { recursive: true });
  },
);
