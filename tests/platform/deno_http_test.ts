/** The HTTP server passes on every way to send a body, also those that tell no length. */
import { assertEquals } from "@std/assert";
import { bodyLimit } from "hono/body-limit";
import { Hono } from "hono";
import { serve } from "../../lib/platform/deno_http.ts";
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
