/** A host under load, as a real process: memory, retention, and what a commit waits for. */
import { assert } from "@std/assert";
import { CONTENT, Replayer } from "../../bench/replayer.ts";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { denoTransport } from "../../lib/platform/deno_transport.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";

function peakMb(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) / 1_024;
}

async function withHost(
  args: readonly string[],
  run: (host: Process, address: string, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const address = `127.0.0.1:${freePort()}`;
  const host = await new Process("host", ["--listen", address, "--data", directory, ...args])
    .ready();
  try {
    await run(host, address, directory);
  } finally {
    await host.stop();
    await Deno.remove(directory, { recursive: true });
  }
}

async function drain(address: string, nodes: number, each: number, from = 0): Promise<void> {
  const prepared = Replayer.prepare(CONTENT, each, "block");
  const all = Array.from({ length: nodes }, (_, i) => new Replayer(`load-${from + i}`, prepared));
  await Promise.all(all.map((one) => one.run(denoTransport(), address)));
}

realTest("a host stays below 256 MB while a hundred nodes drain at once", async () => {
  await withHost([], async (host, address) => {
    await drain(address, 100, 4_000);
    const peak = peakMb(host.pid);
    console.log(`host: peak ${peak.toFixed(0)} MB`);
    assert(peak < 256, `${peak} MB`);
  });
});

realTest(
  "retention by bytes keeps up with the fastest ingest and gives the space back",
  async () => {
    const limit = 3_000_000;
    await withHost(["--retention-bytes", String(limit)], async (host, address, directory) => {
      let most = 0;
      for (let round = 0; round < 6; round++) {
        await drain(address, 20, 2_500, 20 * round);
        most = Math.max(most, (await Deno.stat(`${directory}/holdfast.db`)).size);
      }
      console.log(`store: at most ${(most / 1e6).toFixed(0)} MB of ${limit / 1e6}`);
      assert(most < 2 * limit, `${most} bytes while 6 MB came in`);
      await eventually("within the limit", async () => {
        const { size } = await Deno.stat(`${directory}/holdfast.db`);
        return size < 1.2 * limit;
      }, 20_000);
      const { store } = await host.status();
      assert(store.retained_away_records > 100_000);
    });
  },
);
