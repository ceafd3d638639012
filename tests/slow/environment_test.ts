/** What needs root or Debian packages: a disk that is really full, a wall clock that really goes back, promtool. */
import { assert, assertEquals } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { prove } from "../../lib/demo/proof.ts";
import { eventually } from "../eventually.ts";
import { isAllowed, realTest } from "../real.ts";

const isRoot = isAllowed && Deno.uid() === 0;

function run(program: string, ...args: string[]): { ok: boolean; text: string } {
  try {
    const { success, stdout, stderr } = new Deno.Command(program, { args }).outputSync();
    const decoder = new TextDecoder();
    return { ok: success, text: decoder.decode(stdout) + decoder.decode(stderr) };
  } catch (error) {
    return { ok: false, text: String(error) };
  }
}

/** Debian's libfaketime, where it is installed. */
const fakeTime = ["x86_64", "aarch64"]
  .map((arch) => `/usr/lib/${arch}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => run("test", "-f", path).ok);

realTest({
  name: "a node on a full disk goes on in memory, returns to the disk by itself, and loses nothing",
  ignore: !isRoot,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-full-" });
    const small = `${directory}/small`;
    await Deno.mkdir(small);
    const mounted = run("mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", small);
    assert(mounted.ok, mounted.text);
    try {
      const address = `127.0.0.1:${freePort()}`;
      const node = await new Process("node", [
        ...["--id", "a", "--host", address, "--data", `${small}/a`, "--sample-hz", "100"],
        ...["--send-interval-ms", "100", "--reconnect-ms-max", "500", "--stop-grace-ms", "20000"],
      ]).ready();
      const filler = `${small}/filler`;
      await Deno.writeFile(filler, new Uint8Array(300_000));
      await eventually("disk full, records thinned", async () => {
        const { wal, degraded } = await node.status();
        return !wal.writable && degraded;
      });
      await Deno.remove(filler);
      await eventually("disk used again", async () => (await node.status()).wal.writable);
      const host = await new Process("host", ["--listen", address, "--data", `${directory}/host`])
        .ready();
      await eventually("drained", async () => (await node.status()).backlog < 50);
      assertEquals(await node.stop(), 0);
      await host.stop();
      const proof = await prove(`${directory}/host`, new Map([["a", `${small}/a`]]));
      assertEquals([proof.missing, proof.duplicates, proof.gaps], [0, 0, 0]);
    } finally {
      // Lazily: where the test fails the node still runs, and the failure is to be seen.
      run("umount", "--lazy", small);
      await Deno.remove(directory, { recursive: true });
    }
  },
});

realTest({
  name:
    "a node that is started with its clock set back a year goes on numbering and says nothing false",
  ignore: fakeTime === undefined,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-clock-" });
    const address = `127.0.0.1:${freePort()}`;
    const host = await new Process("host", ["--listen", address, "--data", `${directory}/host`])
      .ready();
    const args = [
      "--id",
      "a",
      "--host",
      address,
      "--data",
      `${directory}/a`,
      "--send-interval-ms",
      "100",
    ];
    const now = await new Process("node", args).ready();
    await eventually("records", async () => (await host.status()).store.records > 10);
    await now.stop();
    const port = freePort();
    const script = new URL("../../node.ts", import.meta.url).pathname;
    const past = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", script, ...args, "--http", `127.0.0.1:${port}`],
      env: { LD_PRELOAD: fakeTime!, FAKETIME: "-365d" },
      stdout: "null",
      stderr: "null",
    }).spawn();
    await eventually("records of the past", async () => (await host.status()).store.records > 40);
    past.kill("SIGTERM");
    await past.status;
    await host.stop();
    const proof = await prove(`${directory}/host`, new Map([["a", `${directory}/a`]]));
    assertEquals([proof.missing, proof.duplicates, proof.gaps], [0, 0, 0]);
    await Deno.remove(directory, { recursive: true });
  },
});

realTest({
  name: "promtool finds nothing to complain about in the metrics of host and node",
  ignore: !run("promtool", "--version").ok,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-metrics-" });
    const address = `127.0.0.1:${freePort()}`;
    const host = await new Process("host", [
      ...["--listen", address, "--data", `${directory}/host`, "--allow-faults"],
    ]).ready();
    const node = await new Process("node", [
      ...["--id", "a", "--host", address, "--data", `${directory}/a`, "--send-interval-ms", "100"],
    ]).ready();
    await eventually("records", async () => (await host.status()).store.records > 10);
    for (const { httpPort } of [host, node]) {
      const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
      const file = `${directory}/metrics.txt`;
      await Deno.writeTextFile(file, text);
      const check = run("sh", "-c", `promtool check metrics < ${file}`);
      assert(check.ok, check.text);
    }
    await node.stop();
    await host.stop();
    await Deno.remove(directory, { recursive: true });
  },
});
