/** Promise 7: with TLS on, a node is who its certificate says, and only that. Needs openssl. */
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
  for (const [name, authority] of [["localhost", "ca"], ["pump-7", "ca"], ["stranger", "other"]]) {
    openssl(directory, `openssl req ${key} -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`);
    openssl(
      directory,
      `printf 'subjectAltName=DNS:${name}' > ext; openssl x509 -req -in ${name}.csr -CA ${authority}.pem -CAkey ${authority}.key -CAcreateserial -days 825 -out ${name}.pem -extfile ext`,
    );
  }
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
    const deadline = performance.now() + 20_000;
    while ((await host.status()).store.records < 50 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const status = await host.status();
    assert(status.store.records >= 50);
    assertEquals(status.nodes.map((known: { node_id: string }) => known.node_id), ["pump-7"]);
    assertMatch((await liar.status()).link.last_error, /forbidden/);
    for (const refused of [liar, stranger, plain, bare]) {
      assertEquals((await refused.status()).link.sessions, 0);
      await refused.kill();
    }
    assertEquals(await good.stop(), 0);
    assertEquals(await host.stop(), 0);
    await Deno.remove(directory, { recursive: true });
  },
);
