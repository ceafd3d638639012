/**
 * Real processes, real sockets, SIGKILL. The faster half; `tests/slow/` has the rest. With HOLDFAST_BIN set
 * the same runs against compiled executables.
 */
import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { prove } from "../../lib/demo/proof.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";

/** A host's and a node's directories and addresses, kept over restarts. */
class Site {
  readonly directory = Deno.makeTempDirSync({ prefix: "holdfast-e2e-" });
  readonly address = `127.0.0.1:${freePort()}`;

  host(...args: string[]): Promise<Process> {
    return new Process("host", [
      ...["--listen", this.address, "--data", `${this.directory}/host`, "--allow-faults"],
      ...args,
    ]).ready();
  }
  node(id: string, ...args: string[]): Promise<Process> {
    return new Process("node", [
      ...["--id", id, "--host", this.address, "--data", `${this.directory}/${id}`],
      ...["--sample-hz", "50", "--send-interval-ms", "100", "--reconnect-ms-max", "500"],
      ...["--sensor", "sim", "--stop-grace-ms", "20000"],
      ...args,
    ]).ready();
  }
  prove(...ids: string[]): ReturnType<typeof prove> {
    return prove(
      `${this.directory}/host`,
      new Map(ids.map((id) => [id, `${this.directory}/${id}`])),
    );
  }
  remove(): void {
    Deno.removeSync(this.directory, { recursive: true });
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

realTest(
  "20 rounds of kill -9 on either side under faults lose nothing and store nothing twice",
  async () => {
    const site = new Site();
    const faults = ["duplicate:p=0.1", "corrupt:p=0.01", "split:p=0.5", "drop:p=0.005"]
      .flatMap((fault) => ["--fault", fault]);
    let host = await site.host(...faults);
    let node = await site.node("pump-7");
    for (let round = 0; round < 20; round++) {
      await wait(100 + 40 * (round % 5));
      if (round % 2 === 0) {
        await node.kill();
        node = await site.node("pump-7");
      } else {
        await host.kill();
        host = await site.host(...faults);
      }
    }
    await host.send("DELETE", "/api/faults", {});
    assertEquals(await node.stop(), 0);
    assertEquals(await host.stop(), 0);
    const proof = await site.prove("pump-7");
    assert(proof.produced > 100, JSON.stringify(proof));
    assertEquals([proof.missing, proof.duplicates, proof.gaps], [0, 0, 0]);
    site.remove();
  },
);

realTest(
  "SIGTERM ends a node with status 0, everything sent, and a final heartbeat at the host",
  async () => {
    const site = new Site();
    const host = await site.host();
    const node = await site.node("pump-7");
    await eventually("records", async () => (await host.status()).store.records > 20);
    assertEquals(await node.stop(), 0);
    await eventually(
      "final heartbeat",
      () => Promise.resolve(host.log.includes("final_heartbeat")),
    );
    const status = await host.status();
    assertEquals(status.nodes[0].stopped, true);
    assertEquals(await host.stop(), 0);
    assertEquals((await site.prove("pump-7")).missing, 0);
    site.remove();
  },
);

realTest(
  "a host whose database was deleted gets what the node still has and a declared gap for the rest",
  async () => {
    const site = new Site();
    let host = await site.host();
    const node = await site.node("pump-7");
    await eventually("records", async () => (await host.status()).store.records > 100);
    await host.kill();
    Deno.removeSync(`${site.directory}/host`, { recursive: true });
    host = await site.host();
    await eventually("backlog", async () => (await node.status()).backlog < 50);
    assertEquals(await node.stop(), 0);
    await host.stop();
    const proof = await site.prove("pump-7");
    assertEquals([proof.missing, proof.duplicates], [0, 0]);
    site.remove();
  },
);

realTest("a node whose data directory was deleted starts anew under a new epoch", async () => {
  const site = new Site();
  const host = await site.host();
  let node = await site.node("pump-7");
  await eventually("records", async () => (await host.status()).store.records > 50);
  const before = (await node.status()).epoch;
  await node.kill();
  Deno.removeSync(`${site.directory}/pump-7`, { recursive: true });
  node = await site.node("pump-7");
  await eventually("backlog", async () => (await node.status()).high_acked > 20);
  assertNotEquals((await node.status()).epoch, before);
  await node.stop();
  await host.stop();
  const proof = await site.prove("pump-7");
  assertEquals([proof.duplicates, proof.nodes.length], [0, 2]);
  site.remove();
});

realTest(
  "two nodes with one id are reported as a duplicate id and neither loses a record",
  async () => {
    const site = new Site();
    const host = await site.host();
    const first = await site.node("pump-7");
    const second = await new Process("node", [
      ...["--id", "pump-7", "--host", site.address, "--data", `${site.directory}/copy`],
      ...["--send-interval-ms", "100", "--reconnect-ms-max", "500", "--stop-grace-ms", "20000"],
    ]).ready();
    await eventually("duplicate id", async () => (await host.status()).nodes[0].duplicate_id);
    assertEquals(await first.stop(), 0);
    assertEquals(await second.stop(), 0);
    await host.stop();
    assertMatch(host.log, /duplicate_id/);
    const copies = new Map([["pump-7", `${site.directory}/copy`]]);
    for (
      const proof of [await site.prove("pump-7"), await prove(`${site.directory}/host`, copies)]
    ) {
      assertEquals([proof.missing, proof.duplicates], [0, 0]);
    }
    site.remove();
  },
);

realTest(
  "a configuration set while a node was away reaches it, survives its restart, and a bad one changes nothing",
  async () => {
    const site = new Site();
    const host = await site.host();
    let node = await site.node("pump-7");
    await node.stop();
    await host.send("PUT", "/api/nodes/pump-7/config", { sample_hz: 20 });
    assertMatch(
      String(
        await assertRejects(() => host.send("PUT", "/api/nodes/pump-7/config", { sample_hz: -1 })),
      ),
      /sample_hz/,
    );
    node = await site.node("pump-7");
    await eventually(
      "applied",
      async () => (await host.status()).nodes[0].cfg_version_applied === 1,
    );
    await node.kill();
    node = await site.node("pump-7");
    assertEquals((await node.status()).config, { sample_hz: 20 });
    await node.stop();
    await host.stop();
    site.remove();
  },
);

realTest(
  "a second node on one data directory and a busy port are refused with one line",
  async () => {
    const site = new Site();
    const node = await site.node("pump-7");
    const second = new Process("node", ["--data", `${site.directory}/pump-7`, "--id", "x"]);
    assertEquals((await second.ended).code, 1);
    await eventually(
      "its word",
      () => Promise.resolve(second.log.includes("another node runs on")),
    );
    const busy = new Process("node", ["--data", `${site.directory}/y`, "--id", "y"], node.httpPort);
    assertEquals((await busy.ended).code, 1);
    await eventually("its word", () => Promise.resolve(busy.log.includes("the port is in use")));
    await node.kill();
    site.remove();
  },
);

realTest(
  "SIGHUP reads the settings file again, and a second signal ends a node at once",
  async () => {
    const site = new Site();
    const file = `${site.directory}/node.toml`;
    await Deno.writeTextFile(file, "send_interval_ms = 100\nsample_hz = 5\n");
    const node = await new Process("node", [
      ...["--id", "a", "--data", `${site.directory}/a`, "--config", file, "--host", site.address],
    ]).ready();
    await Deno.writeTextFile(file, "send_interval_ms = 100\nsample_hz = 50\n");
    node.signal("SIGHUP");
    const { samples } = await node.status();
    await wait(1_000);
    assert((await node.status()).samples - samples > 20);
    node.signal("SIGTERM");
    await wait(200);
    node.signal("SIGTERM");
    assertEquals((await node.ended).code, 130);
    site.remove();
  },
);
