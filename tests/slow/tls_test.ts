/** Promise 7: with TLS on, a node is who its certificate says, and only that. Needs openssl and faketime. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { realTest } from "../real.ts";

function openssl(directory: string, command: string): void {
  const { success, stderr } = new Deno.Command("sh", { args: ["-c", command], cwd: directory })
    .outputSync();
  assert(success, new TextDecoder().decode(stderr));
}

/** An authority, and certificates for the host and two nodes, as docs/operations.md makes them. */
function makeCertificates(directory: string): void {
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  for (const authority of ["ca", "other"]) {
    openssl(
      directory,
      `openssl req -x509 ${key} -days 3650 -subj /CN=${authority} -keyout ${authority}.key -out ${authority}.pem`,
    );
  }
  certify(directory, "localhost");
  certify(directory, "pump-7");
  certify(directory, "stranger", { authority: "other" });
}

/** A key and a certificate for `name`, in files of that name; made `at` another time, where that is given. */
function certify(
  directory: string,
  name: string,
  { authority = "ca", at }: { authority?: string; at?: string } = {},
): void {
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  openssl(directory, `openssl req ${key} -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`);
  openssl(
    directory,
    `printf 'subjectAltName=DNS:${name},IP:127.0.0.1' > ext; ${
      at === undefined ? "" : `faketime '${at}'`
    } openssl x509 -req -in ${name}.csr -CA ${authority}.pem -CAkey ${authority}.key -CAcreateserial -days 365 -out ${name}.pem -extfile ext`,
  );
}

/** Waits until `holds`, for 20 s at most; whether it does. */
async function comes(holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + 20_000;
  while (!await holds()) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

realTest(
  "TLS lets a node in under its certificate's name only, and nobody without a certificate",
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-tls-" });
    makeCertificates(directory);
    const port = freePort();
    const tls = (name: string) => [
      ...["--tls-ca", `${directory}/ca.pem`],
      ...["--tls-cert", `${directory}/${name}.pem`, "--tls-key", `${directory}/${name}.key`],
    ];
    const host = await new Process("host", [
      ...["--listen", `127.0.0.1:${port}`, "--data", `${directory}/host`, ...tls("localhost")],
    ]).ready();
    const node = (id: string, data: string, args: string[]) =>
      new Process("node", [
        ...["--id", id, "--host", `localhost:${port}`, "--data", `${directory}/${data}`],
        ...["--send-interval-ms", "100", "--reconnect-ms-max", "200", ...args],
      ]).ready();
    const good = await node("pump-7", "good", tls("pump-7"));
    const liar = await node("pump-8", "liar", tls("pump-7"));
    const stranger = await node("stranger", "stranger", tls("stranger"));
    const plain = await node("plain", "plain", []);
    const bare = await node("bare", "bare", ["--tls-ca", `${directory}/ca.pem`]);
    assert(await comes(async () => (await host.status()).store.records >= 50));
    const status = await host.status();
    assertEquals(status.nodes.map((known: { node_id: string }) => known.node_id), ["pump-7"]);
    assertMatch((await liar.status()).link.last_error, /forbidden/);
    assertMatch((await stranger.status()).link.last_error, /forbidden.*of another authority/);
    assertMatch((await bare.status()).link.last_error, /forbidden.*shows no certificate/);
    assertMatch(host.log, /refused: its certificate is of another authority/);
    assertMatch(
      status.attention.at(-1),
      /connections were refused in the last 10 min, the last from/,
    );
    assert(status.counters.untrusted_connections >= 2);
    for (const refused of [liar, stranger, plain, bare]) {
      assertEquals((await refused.status()).link.sessions, 0);
      await refused.kill();
    }
    assertEquals(await good.stop(), 0);
    assertEquals(await host.stop(), 0);
    await Deno.remove(directory, { recursive: true });
  },
);

realTest(
  "a node without a certificate proves itself by its token over TLS; revoking it ends the session within seconds",
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-tls-" });
    makeCertificates(directory);
    const address = `localhost:${freePort()}`;
    const host = await new Process("host", [
      ...["--listen", address.replace("localhost", "127.0.0.1"), "--data", `${directory}/host`],
      ...["--tls-ca", `${directory}/ca.pem`],
      ...["--tls-cert", `${directory}/localhost.pem`, "--tls-key", `${directory}/localhost.key`],
    ]).ready();
    const command = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "host.ts", "token", ...args],
        env: { HOLDFAST_DATA: "" },
      }).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout).trim();
    };
    const data = ["--data", `${directory}/host`];
    const token = await command("create", "--role", "node", "--name", "pump-7", ...data);
    const node = (id: string, shown: string) =>
      new Process("node", [
        ...["--id", id, "--host", address, "--data", `${directory}/${id}-data`],
        ...["--tls-ca", `${directory}/ca.pem`, "--token", shown],
        ...["--send-interval-ms", "100", "--reconnect-ms-max", "200"],
      ]).ready();
    const good = await node("pump-7", token), liar = await node("pump-8", token);
    assert(await comes(async () => (await host.status()).store.records >= 30), host.log);
    assertMatch((await liar.status()).link.last_error, /forbidden.*token is that of "pump-7"/);
    assertMatch(await command("ls", ...data), /node {6}.*pump-7/);
    await command("revoke", "pump-7", ...data);
    const isOut = async () => (await good.status()).link.state !== "connected";
    assert(await comes(isOut), good.log);
    assertMatch((await good.status()).link.last_error, /forbidden.*was revoked/);
    const second = await command("create", "--role", "node", "--name", "pump-7", ...data);
    await good.stop();
    const again = await node("pump-7", second);
    const isDrained = async () => {
      const known = (await host.status()).nodes
        .find(({ node_id }: { node_id: string }) => node_id === "pump-7");
      return known.connected && known.high_acked > 60 && known.gap_records === 0;
    };
    assert(await comes(isDrained), again.log);
    for (const process of [host, good, liar, again]) {
      assert(!process.log.includes(token) && !process.log.includes(second));
    }
    for (const process of [again, liar, host]) assertEquals(await process.stop(), 0);
    await Deno.remove(directory, { recursive: true });
  },
);

realTest(
  "a certificate is renewed under a running host and node, by address, and each side says what is wrong with one",
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-tls-" });
    makeCertificates(directory);
    const address = `127.0.0.1:${freePort()}`;
    const tls = (name: string) => [
      ...["--tls-ca", `${directory}/ca.pem`],
      ...["--tls-cert", `${directory}/${name}.pem`, "--tls-key", `${directory}/${name}.key`],
    ];
    certify(directory, "pump-7", { at: "2024-01-01" });
    certify(directory, "pump-8", { at: "2037-01-01" });
    const host = await new Process("host", [
      ...["--listen", address, "--data", `${directory}/host`, ...tls("localhost")],
    ]).ready();
    const node = (id: string) =>
      new Process("node", [
        ...["--id", id, "--host", address, "--data", `${directory}/${id}`, ...tls(id)],
        ...["--send-interval-ms", "100", "--reconnect-ms-max", "200"],
      ]).ready();
    const late = await node("pump-7"), early = await node("pump-8");
    const says = async (process: Process, error: RegExp) =>
      error.test((await process.status()).link.last_error ?? "");
    assert(await comes(() => says(late, /forbidden.*certificate has expired/)), late.log);
    assert(await comes(() => says(early, /forbidden.*certificate is not valid yet/)), early.log);
    assertMatch(late.log, /a certificate expired \d+ days ago/);
    // The renewed ones take their place; a signal saves the wait of ten seconds.
    certify(directory, "pump-7");
    Deno.kill(late.pid, "SIGHUP");
    assert(await comes(async () => (await late.status()).link.state === "connected"), late.log);
    const { sessions } = (await late.status()).link;
    certify(directory, "localhost");
    Deno.kill(host.pid, "SIGHUP");
    assert(
      await comes(() => Promise.resolve(/certificates were renewed/.test(host.log))),
      host.log,
    );
    assertEquals((await late.status()).link.sessions, sessions, "connections live on");
    // What can't be used changes nothing.
    await Deno.writeTextFile(`${directory}/localhost.pem`, "nonsense");
    Deno.kill(host.pid, "SIGHUP");
    assert(
      await comes(() => Promise.resolve(/stay as they were: tls_cert holds no/.test(host.log))),
    );
    certify(directory, "pump-8");
    Deno.kill(early.pid, "SIGHUP");
    assert(await comes(async () => (await early.status()).link.state === "connected"), early.log);
    for (const process of [late, early, host]) assertEquals(await process.stop(), 0);
    await Deno.remove(directory, { recursive: true });
  },
);

realTest("files that are no certificates end the start with what is wrong", async () => {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-tls-" });
  makeCertificates(directory);
  const cases: [ca: string, cert: string, key: string, says: RegExp][] = [
    ["/etc/hostname", "pump-7.pem", "pump-7.key", /tls_ca holds no certificate/],
    ["ca.pem", "pump-7.key", "pump-7.key", /tls_cert holds no certificate/],
    ["ca.pem", "pump-7.pem", "pump-7.pem", /tls_key holds no private key/],
    ["ca.pem", "pump-7.pem", "localhost.key", /tls_key is not the key of tls_cert/],
    ["ca.pem", "nothing.pem", "localhost.key", /cannot read tls_cert "nothing.pem"/],
  ];
  for (const [ca, cert, key, says] of cases) {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", new URL("../../node.ts", import.meta.url).pathname, "--id", "a"],
        ...["--data", "data", "--tls-ca", ca, "--tls-cert", cert, "--tls-key", key],
      ],
      cwd: directory,
    }).output();
    assertEquals(code, 2);
    assertMatch(new TextDecoder().decode(stderr), says);
  }
  await Deno.remove(directory, { recursive: true });
});
