/** A host that others than its own machine reach, with curl and openssl as the other side. Needs both. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort } from "../../lib/demo/processes.ts";
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
