/** Devices get, renew and lose their certificates, as real processes, and no record is lost over it. Needs faketime. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { hostCommand, nodeCommand } from "../command.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";

/** A fleet in a directory of its own. */
class Fleet {
  readonly address = `localhost:${freePort()}`;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }
  static async make(): Promise<Fleet> {
    const fleet = new Fleet(await Deno.makeTempDir({ prefix: "holdfast-enroll-" }));
    await fleet.host("pki", "init", "--name", "localhost");
    return fleet;
  }

  path(name: string): string {
    return `${this.#directory}/${name}`;
  }
  /** Runs `host` on the fleet's directory; what it printed. */
  async host(...args: string[]): Promise<string> {
    const { code, out, error } = await hostCommand(...args, "--data", this.path("host"));
    assertEquals([code, error], [0, ""]);
    return out.trim();
  }
  /** Runs `host` where it has to say no; what it said. */
  async fails(...args: string[]): Promise<string> {
    const { code, error } = await hostCommand(...args, "--data", this.path("host"));
    assert(code !== 0);
    return error;
  }
  async startHost(under: readonly string[] = []): Promise<Process> {
    const listen = this.address.replace("localhost", "127.0.0.1");
    const args = ["--listen", listen, "--data", this.path("host")];
    return await new Process("host", args, freePort(), under).ready();
  }
  async startNode(name: string, under: readonly string[] = []): Promise<Process> {
    const args = ["--host", this.address, "--data", this.path(name), "--send-interval-ms", "100"];
    const fast = ["--reconnect-ms-max", "300"];
    return await new Process("node", [...args, ...fast], freePort(), under).ready();
  }
  /** Gets a device a certificate; what was said where it didn't. */
  async enroll(name: string, token: string): Promise<string> {
    const args = ["enroll", token, "--host", this.address, "--data", this.path(name)];
    const { code, text } = await nodeCommand(...args);
    return code === 0 ? "" : text;
  }
  serial(name: string): string {
    const args = ["x509", "-noout", "-serial", "-in", this.path(`${name}/pki/node.pem`)];
    return new TextDecoder().decode(new Deno.Command("openssl", { args }).outputSync().stdout);
  }
  async remove(): Promise<void> {
    await Deno.remove(this.#directory, { recursive: true });
  }
}

realTest(
  "a token enrolls one device, once; revoked it is out within seconds, and enrolled anew it sends what it kept",
  async () => {
    const fleet = await Fleet.make();
    const host = await fleet.startHost();
    const token = await fleet.host("pki", "token", "pump-7");
    assertMatch(await fleet.enroll("a", "hfe_nonsense"), /give the one token/);
    assertEquals(await fleet.enroll("a", token), "");
    assertMatch(await fleet.enroll("b", token), /was used, or is none of this host/);
    assertEquals((await Deno.stat(fleet.path("a/pki/node.key"))).mode! & 0o777, 0o600);
    const node = await fleet.startNode("a");
    const stored = async () => (await host.status()).store.records;
    await eventually("records come", async () => await stored() > 20, 20_000);
    assertEquals((await host.status()).nodes[0].node_id, "pump-7");

    assertMatch(await fleet.host("pki", "revoke", "pump-7"), /1 certificate is revoked/);
    const out = async () =>
      /certificate is revoked/.test((await node.status()).link.last_error ?? "");
    await eventually("it is out", out, 3_000);
    assert(/refused: its certificate is revoked/.test(host.log));
    const before = (await node.status()).high_acked;
    await eventually(
      "it samples",
      async () => (await node.status()).next_seq > before + 30,
      10_000,
    );
    assertEquals((await node.status()).high_acked, before, "not for a moment in between");

    assertEquals(await fleet.enroll("a", await fleet.host("pki", "token", "pump-7")), "");
    Deno.kill(node.pid, "SIGHUP");
    await eventually(
      "all is stored",
      async () => {
        const { high_acked, gaps } = await node.status();
        return high_acked > before + 30 && gaps.length === 0;
      },
      20_000,
    );
    const trail = await fleet.host("audit");
    for (const action of ["pki_token", "enroll", "pki_revoke"]) assert(trail.includes(action));
    const secret = token.slice(48);
    for (const text of [host.log, node.log, trail]) assert(!text.includes(secret));
    for (const process of [node, host]) assertEquals(await process.stop(), 0);
    await fleet.remove();
  },
);

realTest(
  "the authority is changed under a fleet that goes on sending; who wasn't there is named, and the former one is dropped",
  async () => {
    const fleet = await Fleet.make();
    const host = await fleet.startHost(["env", "HOLDFAST_BROADCAST_MS=500"]);
    for (const name of ["a", "away"]) {
      const token = await fleet.host("pki", "token", name === "a" ? "pump-7" : "pump-8");
      assertEquals(await fleet.enroll(name, token), "");
    }
    const before = await fleet.host("pki", "token", "pump-9");
    const node = await fleet.startNode("a");
    const stored = async () => (await host.status()).store.records;
    await eventually("records come", async () => await stored() > 20, 20_000);
    const serial = fleet.serial("a"), sessions = (await node.status()).link.sessions;

    assertMatch(await fleet.host("pki", "rotate"), /2 nodes renew while they are connected/);
    assertMatch(await fleet.fails("pki", "rotate"), /being changed already/);
    await eventually("it renews", () => Promise.resolve(fleet.serial("a") !== serial), 40_000);
    assertMatch(await fleet.fails("pki", "rotate", "--finish"), /1 nodes have .* alone: pump-8/);
    assertMatch(await fleet.host("pki", "ls"), /pump-8 .*of the former authority/);
    // Tokens from before and from now are good for devices that come meanwhile.
    assertEquals(await fleet.enroll("b", before), "");
    assertEquals(await fleet.enroll("c", await fleet.host("pki", "token", "pump-10")), "");
    const away = await fleet.startNode("away");
    await eventually(
      "who was away renews",
      async () => !(await fleet.host("pki", "ls")).includes("former authority"),
      40_000,
    );

    await fleet.host("pki", "rotate", "--finish");
    const authority = () => Deno.readTextFileSync(fleet.path("a/pki/ca.pem"));
    const isNew = () => authority() === Deno.readTextFileSync(fleet.path("host/pki/ca.pem"));
    await eventually("the former one is forgotten", () => Promise.resolve(isNew()), 40_000);
    assertEquals((await node.status()).link.sessions, sessions, "no session was cut over it");
    await node.kill();
    const again = await fleet.startNode("a");
    const { next_seq } = await again.status();
    await eventually(
      "all is stored",
      async () => {
        const { high_acked, gaps } = await again.status();
        return high_acked > next_seq && gaps.length === 0;
      },
      20_000,
    );
    assertEquals(await fleet.enroll("d", await fleet.host("pki", "token", "pump-11")), "");
    const actions = await fleet.host("audit");
    for (const action of ["pki_rotate ", "pki_rotate_finish"]) assert(actions.includes(action));
    for (const process of [again, away, host]) assertEquals(await process.stop(), 0);
    await fleet.remove();
  },
);

realTest("a change of the authority that was cut off anywhere can be taken again", async () => {
  const fleet = await Fleet.make();
  const host = await fleet.startHost();
  const path = (name: string) => fleet.path(`host/pki/${name}`);
  const text = (name: string) => Deno.readTextFileSync(path(name));
  const former = text("ca.pem"), key = text("ca.key");
  // Cut off before the newer one counted: its key took the place of the former one's, which is kept.
  Deno.writeTextFileSync(path("ca-former.key"), key, { mode: 0o600 });
  Deno.writeTextFileSync(path("ca.key"), text("host.key"));
  assertMatch(await fleet.fails("pki", "rotate", "--finish"), /no authority is being changed/);
  assertEquals(await fleet.enroll("a", await fleet.host("pki", "token", "pump-7")), "");
  await fleet.host("pki", "rotate");
  assert(text("ca.pem").endsWith(former) && text("ca.pem").length > former.length);
  assertEquals(text("ca-former.key"), key);
  // Cut off at the end: the former one counts no more, and its key is still there.
  await fleet.host("pki", "rotate", "--finish", "--force");
  assert(!text("ca.pem").includes(former));
  Deno.writeTextFileSync(path("ca-former.key"), key, { mode: 0o600 });
  assertMatch(await fleet.host("pki", "rotate", "--finish"), /counts no more/);
  assert(!(await fleet.host("pki", "ls")).includes("former authority"));
  assertEquals([...Deno.readDirSync(fleet.path("host/pki"))].map(({ name }) => name).sort(), [
    ...["ca.key", "ca.pem", "host.key", "host.pem"],
  ]);
  assertEquals(await host.stop(), 0);
  await fleet.remove();
});

realTest("a host that isn't the one that made a token is told nothing", async () => {
  const fleet = await Fleet.make(), stranger = await Fleet.make();
  const host = await fleet.startHost();
  const strange = await stranger.startHost();
  const token = await stranger.host("pki", "token", "pump-7");
  assertMatch(await fleet.enroll("a", token), /isn't the host that made this token/);
  // The token is still good where it comes from.
  assertEquals(await stranger.enroll("a", token), "");
  for (const process of [host, strange]) assertEquals(await process.stop(), 0);
  for (const one of [fleet, stranger]) await one.remove();
});

realTest(
  "after a year off a device renews its certificate by itself, and nothing of what it kept is lost",
  async () => {
    const fleet = await Fleet.make();
    let host = await fleet.startHost();
    assertEquals(await fleet.enroll("a", await fleet.host("pki", "token", "pump-7")), "");
    let node = await fleet.startNode("a");
    await eventually("records come", async () => (await host.status()).store.records > 10, 20_000);
    assertEquals(await host.stop(), 0);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await node.kill();
    const serial = fleet.serial("a");
    // In its own place, which faketime itself doesn't do.
    const preload = "LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=+400d";
    const later = ["sh", "-c", `exec env ${preload} "$@"`, "sh"];
    host = await fleet.startHost(later);
    node = await fleet.startNode("a", later);
    await eventually(
      "it is let in",
      async () => (await node.status()).link.state === "connected",
      60_000,
    );
    assert(fleet.serial("a") !== serial);
    await eventually("all is stored", async () => {
      const { backlog, gaps } = await node.status();
      return backlog < 20 && gaps.length === 0;
    }, 20_000);
    assertMatch(node.log, /a certificate expired 2\d\d days ago/);
    assertMatch(node.log, /the certificate is renewed/);
    for (const process of [node, host]) assertEquals(await process.stop(), 0);
    await fleet.remove();
  },
);
