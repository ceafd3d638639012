/** A server that listens anew after it went deaf stays closed once it was closed. */
import { assertEquals } from "@std/assert";
import net from "node:net";
import { parseAddress } from "../../lib/platform/address.ts";
import { ProbedServer } from "../../lib/platform/probed_server.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";

/** A server that never hears of a connection, as one whose process ran out of descriptors. */
function deaf(): net.Server {
  const server = net.createServer();
  const emit = server.emit.bind(server);
  server.emit = (name: string, ...args: unknown[]) =>
    name === "connection" ? true : emit(name, ...args);
  return server;
}

/** A server that takes its time to listen. */
function slow(ms: number): net.Server {
  const server = net.createServer((socket) => socket.destroy());
  const listen = server.listen.bind(server) as (...args: unknown[]) => net.Server;
  server.listen = ((...args: unknown[]) => {
    setTimeout(() => listen(...args), ms);
    return server;
  }) as typeof server.listen;
  return server;
}

function isReachable(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(parseAddress(address));
    socket.on("error", () => resolve(false));
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

realTest("a server that goes deaf listens anew", async () => {
  let made = 0;
  const probed = await ProbedServer.listen("127.0.0.1:0", () => made++ === 0 ? deaf() : slow(0));
  await eventually("it listens anew", () => made === 2, 10_000);
  await eventually("it is reached", () => isReachable(probed.address));
  probed.close();
});

realTest("closed while it listens anew, it doesn't come back", async () => {
  let made = 0;
  const probed = await ProbedServer.listen("127.0.0.1:0", () => made++ === 0 ? deaf() : slow(300));
  await eventually("it listens anew", () => made === 2, 10_000);
  probed.close();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assertEquals(await isReachable(probed.address), false);
});
