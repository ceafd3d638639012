/** A host that others than its own machine reach, with curl and openssl as the other side. Needs both. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { hostCommand } from "../command.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";

const HOST = new URL("../../host.ts", import.meta.url).pathname;

async function run(program: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" })
    .output();
  return { code, text: [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("") };
}

/** A host that listens on all addresses; what it logged so far. */
async function exposed(...args: string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", HOST, ...args],
    ...{ stdin: "null", stdout: "null", stderr: "piped" } as const,
  }).spawn();
  let log = "";
  const reading = (async () => {
    for await (const chunk of child.stderr) log += new TextDecoder().decode(chunk);
  })();
  const stop = async () => {
    child.kill("SIGTERM");
    await reading;
    return (await child.status).code;
  };
  await eventually("it serves", () => Promise.resolve(/page on /.test(log)), 20_000);
  return { log: () => log, stop };
}

realTest(
  "beyond loopback pages are https, nobody asks without a token, and the log has no secret",
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-https-" });
    const data = ["--data", `${directory}/host`];
    const [link, http] = [freePort(), freePort()];
    const listeners = ["--listen", `0.0.0.0:${link}`, "--http", `0.0.0.0:${http}`];
    const refused = await hostCommand(...listeners, ...data);
    assertEquals(refused.code, 2);
    assertMatch(
      refused.error,
      /can be reached from outside: make certificates with host pki init, or set --insecure/,
    );
    await hostCommand("pki", "init", "--name", "localhost", ...data);
    const host = await exposed(...listeners, ...data);
    assertMatch(host.log(), /page on https:\/\//);
    assertMatch(host.log(), /nobody can log in yet: host token create/);
    const { out: token } = await hostCommand(
      "token",
      "create",
      "--role",
      "viewer",
      "--name",
      "anna",
      ...data,
    );
    const ca = ["--cacert", `${directory}/host/pki/ca.pem`];
    const curl = (...args: string[]) =>
      run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", ...args);
    const url = `https://localhost:${http}`;
    const bearer = ["-H", `authorization: Bearer ${token.trim()}`];
    assertEquals((await curl(...ca, `${url}/status`)).text, "401");
    await eventually(
      "the token is known",
      async () => (await curl(...ca, ...bearer, `${url}/status`)).text === "200",
      10_000,
    );
    assertEquals((await curl(...ca, ...bearer, `${url}/api/audit`)).text, "403");
    assertEquals((await curl(...ca, `${url}/healthz`)).text, "200");
    assertEquals((await curl(...ca, "-H", "accept: text/html", `${url}/`)).text, "302");
    const put = ["-X", "PUT", "-H", "content-type: application/json", "-d", "{}"];
    assertEquals((await curl(...ca, ...bearer, ...put, `${url}/api/config`)).text, "403");
    // Neither without the authority, nor in the open, nor by an old protocol.
    assertMatch((await curl(`${url}/status`)).text, /certificate/);
    const elsewhere = ["--resolve", `other.example:${http}:127.0.0.1`];
    const asOther = await curl(...ca, ...elsewhere, `https://other.example:${http}/healthz`);
    assertMatch(asOther.text, /other\.example|subject name|certificate/);
    assert(asOther.code !== 0, "another name than the certificate's");
    assert((await curl(`http://localhost:${http}/status`)).code !== 0);
    assert((await curl(...ca, "--tls-max", "1.2", `${url}/status`)).code !== 0);
    const cookie = await run(
      "curl",
      "-sS",
      "-D",
      "-",
      "-o",
      "/dev/null",
      ...ca,
      "-d",
      `token=${token.trim()}`,
      `${url}/login`,
    );
    assertMatch(
      cookie.text,
      /set-cookie: holdfast_host=\S+; Max-Age=\d+; Path=\/; HttpOnly; Secure; SameSite=Lax/i,
    );
    assertMatch(cookie.text, /strict-transport-security/i);
    const old = await run("openssl", "s_client", "-connect", `localhost:${link}`, "-tls1_1");
    assert(!/Cipher is (?!\(NONE\))/.test(old.text), old.text);
    assert(!host.log().includes(token.trim().slice(14)), "the log has the token");
    assertEquals(await host.stop(), 0);
    await Deno.remove(directory, { recursive: true });
  },
);

realTest("with --insecure a host says so in its log and its status", async () => {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-https-" });
  const http = freePort();
  const host = await exposed(
    ...["--listen", `0.0.0.0:${freePort()}`, "--http", `127.0.0.1:${http}`],
    ...["--data", directory, "--insecure"],
  );
  assertMatch(host.log(), /insecure: without TLS whoever is on the way reads and changes/);
  const status = await (await fetch(`http://127.0.0.1:${http}/status`)).json();
  assertEquals(status.insecure, true);
  assertEquals(await host.stop(), 0);
  await Deno.remove(directory, { recursive: true });
});

realTest(
  "with http_mtls host and node ask for a certificate before any token, and say what is wrong with one",
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-mtls-" });
    const at = (name: string) => `${directory}/${name}`;
    const data = ["--data", at("host")];
    const [link, http, page] = [freePort(), freePort(), freePort()];
    const listen = ["--listen", `127.0.0.1:${link}`];
    const early = await hostCommand(...listen, "--http-mtls", ...data);
    assertMatch(early.error, /http_mtls needs certificates: see host pki init/);
    await hostCommand("pki", "init", "--name", "localhost", ...data);
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    /** A key and a certificate of the host's authority. */
    const certify = async (name: string, kind: string) => {
      const request = ["req", ...key, "-subj", `/CN=${name}`, "-keyout", at(`${name}.key`)];
      assertEquals((await run("openssl", ...request, "-out", at(`${name}.csr`))).code, 0);
      const asked = ["pki", "sign", at(`${name}.csr`), "--name", name, "--kind", kind];
      const { out, error } = await hostCommand(...asked, ...data);
      assertEquals(error, "");
      await Deno.writeTextFile(at(`${name}.pem`), out);
    };
    const alone = ["req", "-x509", ...key, "-subj", "/CN=mallory", "-days", "9"];
    await run("openssl", ...alone, "-keyout", at("mallory.key"), "-out", at("mallory.pem"));
    const host = await exposed(
      ...[...listen, "--http", `127.0.0.1:${http}`, "--http-mtls", ...data],
    );
    await certify("anna", "person");
    await certify("pump-7", "node");
    const create = ["token", "create", "--role", "viewer", "--name", "anna"];
    const { out: token } = await hostCommand(...create, ...data);
    const ask = (port: number, who: string | undefined, path: string, ...more: string[]) => {
      const shown = who === undefined
        ? []
        : ["--cert", at(`${who}.pem`), "--key", at(`${who}.key`)];
      const args = ["-sS", "--cacert", at("host/pki/ca.pem"), ...shown, ...more];
      return run("curl", ...args, `https://localhost:${port}${path}`);
    };
    const bearer = ["-H", `Authorization: Bearer ${token.trim()}`];
    for (const path of ["/", "/healthz", "/login", "/api/nodes"]) {
      assertMatch((await ask(http, undefined, path, ...bearer)).text, /shows no certificate/);
    }
    assertMatch((await ask(http, "mallory", "/api/nodes", ...bearer)).text, /another authority/);
    await eventually(
      "a token is needed, too",
      async () => /a token is needed/.test((await ask(http, "anna", "/api/nodes")).text),
      5_000,
    );
    assertEquals((await ask(http, "anna", "/api/nodes", ...bearer)).text, "[]");
    assertMatch(host.log(), /refused: its certificate is of another authority/);

    // A person's certificate is none of a node, whatever the node calls itself.
    const tls = (who: string) => [
      ...["--tls-ca", at("host/pki/ca.pem")],
      ...["--tls-cert", at(`${who}.pem`), "--tls-key", at(`${who}.key`)],
    ];
    const node = (id: string, who: string, ...more: string[]) => [
      ...["--id", id, "--host", `localhost:${link}`, "--data", at(`data-${who}`), ...tls(who)],
      ...["--reconnect-ms-max", "200", ...more],
    ];
    const liar = await new Process("node", node("anna", "anna")).ready();
    const refused = async () =>
      /its certificate names no node/.test((await liar.status()).link.last_error ?? "");
    await eventually("it is refused", refused, 20_000);
    assertEquals(await liar.stop(), 0);

    const device = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", HOST.replace("host.ts", "node.ts"), ...node("pump-7", "pump-7")],
        ...["--http", `127.0.0.1:${page}`, "--http-mtls"],
      ],
      ...{ stdin: "null", stdout: "null", stderr: "null" } as const,
    }).spawn();
    // Its own certificate is for the name pump-7.
    const own = ["--connect-to", `pump-7:${page}:127.0.0.1:${page}`];
    const shows = (who: string | undefined) =>
      run(
        "curl",
        ...["-sS", "--cacert", at("host/pki/ca.pem"), ...own],
        ...(who === undefined ? [] : ["--cert", at(`${who}.pem`), "--key", at(`${who}.key`)]),
        ...["-H", "Host: localhost", `https://pump-7:${page}/status`],
      );
    await eventually(
      "its page is there",
      async () => /"node_id":\s*"pump-7"/.test((await shows("anna")).text),
      20_000,
    );
    assertMatch((await shows(undefined)).text, /shows no certificate/);
    device.kill("SIGTERM");
    await device.status;

    await hostCommand("pki", "revoke", "person:anna", ...data);
    const isOut = async () =>
      /certificate is revoked/.test((await ask(http, "anna", "/api/nodes", ...bearer)).text);
    await eventually("who is revoked is out", isOut, 5_000);
    assert(!host.log().includes(token.trim()));
    assertEquals(await host.stop(), 0);
    await Deno.remove(directory, { recursive: true });
  },
);
