/** The live stream: what it tells, and that slow or vanished clients cost nothing. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { CLIENTS_MAX } from "../../lib/web/host_live.ts";
import { TestHost, until } from "./test_host.ts";
import { realTest } from "../real.ts";

// deno-lint-ignore no-explicit-any -- judged by the tests
type Events = { event: string; data: any }[];

/** Reads one chunk: the events of one second. */
async function second(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Events> {
  const { value } = await reader.read();
  return new TextDecoder().decode(value).trimEnd().split("\n\n").map((text) => {
    const [, event, data] = /^event: (\w+)\ndata: (.*)$/s.exec(text)!;
    return { event: event!, data: JSON.parse(data!) };
  });
}

function dataOf(events: Events, name: string) {
  return events.find(({ event }) => event === name)?.data;
}

realTest(
  "a stream tells all nodes at first, then only what changed, and the records of one node",
  async () => {
    const test = await TestHost.start();
    const wire = await test.filled("pump-7", 3);
    await test.connect("pump-8");
    const response = await test.get("/api/live?node=pump-7");
    assertEquals(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    const reader = response.body!.getReader();
    const first = await second(reader);
    assertEquals(dataOf(first, "host").nodes_connected, 2);
    assertEquals(dataOf(first, "nodes").map((node: { node_id: string }) => node.node_id), [
      "pump-7",
      "pump-8",
    ]);
    assertEquals(dataOf(first, "nodes")[0].last.temp_c, 40.375);
    wire.say(test.record("pump-7", 4));
    const next = second(reader);
    await test.clock.advance(1_100);
    const told = await next;
    const changed = dataOf(told, "nodes").find((node: { node_id: string }) =>
      node.node_id === "pump-7"
    );
    assertEquals(changed.records, 4);
    assertEquals(changed.version, undefined, "what didn't change isn't told again");
    assertEquals(dataOf(told, "records").map(({ seq }: { seq: number }) => seq), [4]);
    await reader.cancel();
    await test.stop();
  },
);

realTest(
  "a client that reads nothing is let go, one that missed a second gets all anew",
  async () => {
    const test = await TestHost.start();
    await test.connect("pump-7");
    // A thread answers in real time: seconds of the clock that is moved by hand would pass untold.
    const size = await test.host.store.size();
    test.host.store.size = () => Promise.resolve(size);
    const slow = (await test.get("/api/live")).body!.getReader();
    const stuck = await test.get("/api/live");
    await test.clock.advance(4_000);
    await second(slow);
    await test.clock.advance(1_100);
    const again = await second(slow);
    assertEquals(dataOf(again, "nodes")[0].version, "1", "told in whole");
    await test.clock.advance(15_000);
    const reader = stuck.body!.getReader();
    assertMatch(
      String(
        await assertRejects(async () => {
          for (;;) if ((await reader.read()).done) return;
        }),
      ),
      /takes nothing/,
    );
    await slow.cancel().catch(() => {});
    await test.stop();
  },
);

realTest("clients that vanish leave nothing behind, and there are never too many", async () => {
  const test = await TestHost.start();
  const open: Response[] = [];
  for (let i = 0; i < CLIENTS_MAX; i++) open.push(await test.get("/api/live?node=pump-7"));
  const refused = await test.get("/api/live");
  assertEquals(refused.status, 503);
  assertMatch((await refused.json()).error, /no more are allowed/);
  for (const { body } of open) await body!.cancel();
  await test.clock.advance(2_000);
  const again = await test.get("/api/live");
  assertEquals(again.status, 200);
  const reader = again.body!.getReader();
  await until("first events", async () => (await second(reader)).length > 0);
  await reader.cancel();
  await test.stop();
});
