/** A session on a connection, as the host keeps it. */
import { strict as assert } from "node:assert";
import { TestHost, until } from "../web/test_host.ts";

Deno.test("a node that doesn't wait for the welcome is heard: what follows its hello is stored", async () => {
  const test = await TestHost.start();
  const records = [1, 2, 3].map((seq) => test.record("pump-7", seq));
  const wire = await test.connect("pump-7", {}, records);
  const isAcked = async (seq: number) => {
    await test.clock.advance(100);
    return wire.sent.includes(`"high_acked":${seq}`);
  };
  await until("the first are stored", () => isAcked(3));
  wire.say(test.record("pump-7", 4));
  await until("what comes later too", () => isAcked(4));
  assert.equal(test.host.registry.nodes[0]!.records, 4);
  await test.stop();
});
