/**
 * Strangers at both listeners of a real host, in every way that we know, while nodes with certificates send at 10 Hz:
 * nothing of theirs is lost, newcomers get in, the host stays small and goes on refusing.
 */
import { assert, assertEquals } from "@std/assert";
import net from "node:net";
import tls from "node:tls";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { hostCommand, nodeCommand } from "../command.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";

const ATTACK_MS = 20_000;
const random = seededRandom(1);
const noise = (length: number) =>
  Array.from({ length }, () => String.fromCharCode(32 + random.below(95))).join("");

/** What is said on the link by who isn't trusted. */
const LINES: readonly (() => string)[] = [
  () => "",
  () => noise(200_000),
  () => "[".repeat(50_000) + "\n",
  () => `{"type":"enroll","token":"hfe_${noise(40).replace(/["\\]/g, "x")}"}\n`,
  () =>
    `{"type":"enroll","token":"x","csr":"-----BEGIN CERTIFICATE REQUEST-----\\n${
      "A".repeat(6_000)
    }"}\n`,
  () => `{"type":"enroll","cert":"-----BEGIN X-----\\nAA","csr":"-----BEGIN X-----\\nAA"}\n`,
  () => `{"type":"hello","proto":[1],"node_id":"pump-0","epoch":"00000000000000bb"}\n`,
  () => `{"type":"__proto__"}\n{"type":"telemetry"}\n`,
];
/** What is asked of the pages, whole or not. */
const REQUESTS: readonly (() => string)[] = [
  () => "GET / HTTP/1.1\r\nhost: a\r\n",
  () => `GET /status HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${noise(40)}\r\n\r\n`,
  () => "GET /api/live HTTP/1.1\r\nhost: localhost\r\n\r\n",
  () => "POST /login HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\ntoken=",
  () => `GET /${"a".repeat(20_000)} HTTP/1.1\r\nhost: a\r\n\r\n`,
  () =>
    `PUT /api/config HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"a":[[[[`,
  () => noise(5_000),
];

/** Keeps so many connections open that each say something, and opens others for those that are closed. */
function attack(count: number, connect: () => net.Socket, says: () => string): () => void {
  let isOver = false;
  const sockets = new Set<net.Socket>();
  const open = () => {
    if (isOver) return;
    const socket = connect();
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      if (!isOver) setTimeout(open, 100 + random.below(400));
    });
    socket.once(socket instanceof tls.TLSSocket ? "secureConnect" : "connect", () => {
      const text = says();
      if (text !== "") socket.write(text);
    });
  };
  for (let i = 0; i < count; i++) setTimeout(open, random.below(2_000));
  return () => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
  };
}

function peakMb(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) / 1_024;
}

realTest(
  "two thousand strangers lose nobody a record, keep no newcomer out and make the host not large",
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-attack-" });
    const data = ["--data", `${directory}/host`];
    assertEquals((await hostCommand("pki", "init", "--name", "localhost", ...data)).code, 0);
    const port = freePort();
    const host = await new Process("host", ["--listen", `127.0.0.1:${port}`, ...data]).ready();
    const { out: admin } = await hostCommand(
      "token",
      "create",
      "--role",
      "admin",
      "--name",
      "a",
      ...data,
    );
    const headers = { authorization: `Bearer ${admin.trim()}` };
    const join = async (name: string) => {
      const { out: token } = await hostCommand("pki", "token", name, ...data);
      const mine = ["--host", `localhost:${port}`, "--data", `${directory}/${name}`];
      const { code, text } = await nodeCommand("enroll", token.trim(), ...mine);
      assertEquals(code, 0, text);
      const fast = ["--send-interval-ms", "100", "--reconnect-ms-max", "1000"];
      return await new Process("node", [...mine, ...fast]).ready();
    };
    const nodes = [await join("pump-0"), await join("pump-1")];
    await eventually("acks", async () => (await nodes[1]!.status()).high_acked > 10, 20_000);

    const one = <T>(list: readonly (() => T)[]) => () => list[random.below(list.length)]!();
    const link = () => net.connect({ host: "127.0.0.1", port });
    const secure = () => tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
    const pages = () => net.connect({ host: "127.0.0.1", port: host.httpPort });
    const ends = [
      attack(1_100, link, () => ""),
      attack(150, link, () => noise(2_000)),
      attack(250, secure, one(LINES)),
      attack(500, pages, one(REQUESTS)),
    ];
    const waits: number[] = [];
    const deadline = performance.now() + ATTACK_MS;
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    nodes.push(await join("pump-2"));
    await eventually(
      "a newcomer is let in",
      async () => (await nodes[2]!.status()).high_acked > 10,
      30_000,
    );
    while (performance.now() < deadline) {
      for (const node of nodes) waits.push((await node.status()).oldest_unacked_ms);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const asked = await fetch(`http://127.0.0.1:${host.httpPort}/status`, { headers });
    const { counters } = await asked.json();
    for (const end of ends) end();
    waits.sort((a, b) => a - b);
    const p99 = waits[Math.floor(0.99 * waits.length)]!;
    console.log(
      `oldest record without an ack: p50 ${waits[waits.length >> 1]!.toFixed(0)} ms, p99 ${
        p99.toFixed(0)
      } ms; host's peak ${peakMb(host.pid).toFixed(0)} MB, ` +
        `${counters.refused_connections + counters.untrusted_connections} refused`,
    );
    assert(peakMb(host.pid) < 512);
    assert(counters.untrusted_connections > 0, "strangers were counted");
    for (const node of nodes) {
      const { gaps, safe } = await node.status();
      assertEquals([gaps, safe], [[], true]);
      assertEquals(await node.stop(), 0);
    }
    const { code, out } = await hostCommand("verify", ...data);
    assertEquals(code, 0, out);
    assertEquals(await host.stop(), 0);
    await Deno.remove(directory, { recursive: true });
  },
);
