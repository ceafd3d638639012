/** The HTTP server passes on every way to send a body, also those that tell no length. */
import { assertEquals } from "@std/assert";
import { bodyLimit } from "hono/body-limit";
import { Hono } from "hono";
import net from "node:net";
import tls from "node:tls";
import { makeAuthority, makeKey, makeRequest, sign } from "../../lib/identity/pki.ts";
import { serve } from "../../lib/platform/deno_http.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { realTest } from "../real.ts";

realTest(
  "a change is answered whether its body has a length, comes in chunks or is missing",
  async () => {
    const app = new Hono();
    app.use(bodyLimit({ maxSize: 100, onError: (c) => c.text("too long", 413) }));
    app.on(["PUT", "DELETE"], "/x", async (c) => c.text(`got ${await c.req.text()}`));
    const server = await serve("127.0.0.1:0", (request) => app.fetch(request));
    const send = async (method: string, body: BodyInit | null = null) => {
      const response = await fetch(`http://${server.address}/x`, { method, body });
      return `${response.status} ${await response.text()}`;
    };
    const chunks = (text: string) => new Response(text).body!;
    assertEquals(await send("PUT", "five"), "200 got five");
    assertEquals(await send("PUT", chunks("five")), "200 got five");
    assertEquals(await send("PUT", "x".repeat(101)), "413 too long");
    assertEquals(await send("PUT", chunks("x".repeat(101))), "413 too long");
    assertEquals(await send("DELETE"), "200 got ");
    await server.close();
  },
);

realTest(
  "a method that no page has is refused as such, and the next request is answered",
  async () => {
    const server = await serve("127.0.0.1:0", () => new Response("here"));
    const { hostname, port } = new URL(`http://${server.address}`);
    const status = (method: string) =>
      new Promise<string>((resolve) => {
        const socket = net.connect(Number(port), hostname);
        socket.write(`${method} / HTTP/1.1\r\nHost: localhost\r\n\r\n`);
        socket.once("data", (chunk: Uint8Array) => {
          resolve(new TextDecoder().decode(chunk).slice(9, 12));
          socket.destroy();
        });
      });
    assertEquals([await status("TRACE"), await status("GET")], ["405", "200"]);
    await server.close();
  },
);

realTest(
  "who shows no certificate is answered once, whatever else they send behind it",
  async () => {
    const nowMs = Date.now(), random = seededRandom(1);
    const authority = await makeAuthority("a", { nowMs, days: 2 }, random);
    const key = await makeKey();
    const wanted = { names: ["localhost"], kind: "host", nowMs, days: 1 } as const;
    const cert = await sign(authority, await makeRequest(key, "h"), wanted, random);
    const seen: unknown[] = [];
    const server = await serve("127.0.0.1:0", (_request, { certificate }) => {
      seen.push(certificate);
      return new Response("no");
    }, { ca: authority.cert, cert, key, isMutual: true });
    const port = Number(server.address.split(":").at(-1));
    const socket = tls.connect({
      port,
      host: "127.0.0.1",
      ca: authority.cert,
      servername: "localhost",
    });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50));
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 2_000))]);
    await server.close();
    assertEquals(seen, [{ distrust: "it shows no certificate" }]);
  },
);

for (const scheme of ["http", "https"]) {
  realTest(
    `${scheme}: while six hundred connections say nothing a new one is answered, and streams go on`,
    async () => {
      const nowMs = Date.now(), random = seededRandom(1);
      const authority = await makeAuthority("a", { nowMs, days: 2 }, random);
      const key = await makeKey();
      const wanted = { names: ["localhost", "127.0.0.1"], kind: "host", nowMs, days: 1 } as const;
      const cert = await sign(authority, await makeRequest(key, "h"), wanted, random);
      let cancelled = false;
      const stream = () =>
        new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new TextEncoder().encode("x")),
            cancel: () => void (cancelled = true),
          }),
        );
      const tls = { ca: authority.cert, cert, key };
      const server = await serve(
        "127.0.0.1:0",
        async (request) => {
          if (request.url.endsWith("/stream")) return stream();
          await request.text();
          return new Response("here");
        },
        scheme === "https" ? tls : undefined,
      );
      const client = Deno.createHttpClient({ caCerts: [authority.cert] });
      const ask = (path: string) => fetch(`${scheme}://${server.address}${path}`, { client });
      const open = await ask("/stream");
      const reader = open.body!.getReader();
      await reader.read();
      const port = Number(server.address.split(":").at(-1));
      const silent = Array.from({ length: 600 }, () => {
        const socket = net.connect({ host: "127.0.0.1", port });
        socket.on("error", () => {});
        const head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n";
        // Half a head, or half a body.
        if (scheme === "http") socket.write(random.below(2) === 0 ? head : `${head}\r\nx`);
        return socket;
      });
      await new Promise((resolve) => setTimeout(resolve, 500));
      for (let i = 0; i < 3; i++) assertEquals(await (await ask("/")).text(), "here");
      assertEquals(cancelled, false);
      for (const socket of silent) socket.destroy();
      await reader.cancel();
      client.close();
      await server.close();
      await new Promise((resolve) => setTimeout(resolve, 200));
    },
  );
}

realTest(
  "who is answered before the request was whole, and sends the rest then, holds no place",
  async () => {
    const server = await serve("127.0.0.1:0", () => new Response("here"));
    const port = Number(server.address.split(":").at(-1));
    const early = Array.from({ length: 512 }, () =>
      new Promise<net.Socket>((resolve) => {
        const socket = net.connect({ host: "127.0.0.1", port });
        socket.on("error", () => {});
        socket.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n");
        socket.once("data", () => {
          socket.write("12345");
          resolve(socket);
        });
      }));
    const sockets = await Promise.all(early);
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (let i = 0; i < 3; i++) {
      const response = await fetch(`http://${server.address}/`);
      assertEquals(await response.text(), "here");
    }
    for (const socket of sockets) socket.destroy();
    await server.close();
    await new Promise((resolve) => setTimeout(resolve, 200));
  },
);
