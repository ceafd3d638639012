/** A session on a connection, as the host keeps it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { SEQ_JUMP_MAX } from "../../lib/limits.ts";
import { WireEncoder } from "../../lib/protocol/wire.ts";
import { settle, TestHost, until } from "../web/test_host.ts";
import { realTest } from "../real.ts";

realTest(
  "a node that doesn't wait for the welcome is heard: what follows its hello is stored",
  async () => {
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
    assertEquals(test.host.registry.nodes[0]!.records, 4);
    await test.stop();
  },
);

realTest(
  "a replay is told of where there was one, not where a few records were on their way",
  async () => {
    const test = await TestHost.start();
    for (const [nodeId, backlog] of [["few", 3], ["many", 40]] as const) {
      const records = Array.from({ length: backlog }, (_, i) => test.record(nodeId, i + 1));
      const wire = await test.connect(nodeId, { next_seq: backlog + 1 }, records);
      await until("all is stored", async () => {
        await test.clock.advance(100);
        return wire.sent.includes(`"high_acked":${backlog}`);
      });
    }
    await until("events are stored", async () => {
      await test.clock.advance(1_000);
      const events = await test.host.store.events({ limit: 10 });
      return events.some(({ kind }) => kind === "replayed");
    });
    const events = await test.host.store.events({ kind: "replayed", limit: 10 });
    assertEquals(events.map(({ node_id }) => node_id), ["many"]);
    assert(test.host.registry.nodes.every(({ replaying }) => !replaying));
    await test.stop();
  },
);

realTest("what a node repeats is acked again at once, without another commit", async () => {
  const test = await TestHost.start();
  const wire = await test.filled("pump-7", 2);
  const acks = () => wire.sent.split('"high_acked":2').length - 1;
  await until("the second is acked", async () => {
    await test.clock.advance(100);
    return acks() > 0;
  });
  const before = acks();
  wire.say(test.record("pump-7", 2));
  await settle();
  wire.say({ type: "gap", from_seq: 1, to_seq: 2, reason: "evicted" });
  await settle();
  assertEquals(acks() - before, 2);
  await test.stop();
});

for (
  const [how, leave] of [
    ["half-closes", (_test: TestHost, wire: { endInput(): void }) => wire.endInput()],
    ["is sent away by a host that stops", (test: TestHost) => void test.host.stop()],
  ] as const
) {
  realTest(
    `a node that ${how} is told of all that it sent, also where it reads slowly and a commit is under way`,
    async () => {
      const test = await TestHost.start();
      const wire = await test.connect("pump-7");
      wire.isDeaf = true;
      wire.say(test.record("pump-7", 1));
      await until("the first ack is on its way", async () => {
        await test.clock.advance(100);
        return wire.sent.includes('"high_acked":1');
      });
      const { store } = test.host;
      const commit = store.commit.bind(store);
      let begun = false, goOn = () => {};
      const mayGoOn = new Promise<void>((resolve) => goOn = resolve);
      store.commit = async (...args) => {
        begun = true;
        await mayGoOn;
        return commit(...args);
      };
      wire.say(test.record("pump-7", 2));
      await until("the commit has begun", async () => {
        await test.clock.advance(100);
        return begun;
      });
      leave(test, wire);
      await settle();
      goOn();
      await until("closed", async () => {
        await test.clock.advance(100);
        return wire.isClosed;
      });
      assert(wire.sent.includes('"high_acked":2'), wire.sent);
      if (how === "half-closes") await test.stop();
    },
  );
}

realTest(
  "a node whose epoch another host claims meanwhile is told to come again, and nothing more is acked",
  async () => {
    const test = await TestHost.start();
    const wire = await test.filled("pump-7", 2), other = await test.filled("pump-8", 2);
    const isAcked = (of: typeof wire, seq: number) => async () => {
      await test.clock.advance(100);
      return of.sent.includes(`"high_acked":${seq}`);
    };
    await until(
      "both are acked",
      async () => await isAcked(wire, 2)() && await isAcked(other, 2)(),
    );
    const { epoch } = test.host.registry.get("pump-7")!;
    await test.host.store.claim("pump-7", epoch);
    wire.say(test.record("pump-7", 3));
    other.say(test.record("pump-8", 3));
    await until("the other one is acked", isAcked(other, 3));
    assertMatch(wire.sent, /"code":"superseded",.*another host has claimed.*"retry_after_ms":1000/);
    assert(!wire.sent.includes('"high_acked":3'));
    assertEquals(test.host.commitStats.overtaken, 1);
    assertEquals(test.host.commitStats.last_error, undefined, "the store is well");
    const again = await test.connect("pump-7", {}, [test.record("pump-7", 3)]);
    await until("it is acked once it has come again", isAcked(again, 3));
    await test.stop();
  },
);

/** A connected node that speaks blocks, and how it says lines in one of them. */
async function connectWithBlocks(test: TestHost) {
  const wire = await test.connect("pump-7", { encodings: ["block"] });
  const encoder = new WireEncoder();
  encoder.use("block");
  const say = (...records: readonly unknown[]) =>
    wire.sayBytes(
      encoder.encode(
        records.map((record) => new TextEncoder().encode(JSON.stringify(record) + "\n")),
      ),
    );
  return { wire, say };
}

realTest(
  "of a block nothing behind a record that is refused is taken in, of whatever shape",
  async () => {
    const test = await TestHost.start();
    const { wire, say } = await connectWithBlocks(test);
    const records = [1, SEQ_JUMP_MAX + 9, 2].map((seq) => test.record("pump-7", seq));
    say(...records, test.record("pump-7", 3, { note: "of another shape" }));
    await until("the node is sent away", () => wire.isClosed);
    await until("what came before it is stored", async () => {
      await test.clock.advance(100);
      return (await test.host.store.size()).records > 0;
    });
    assertEquals(test.host.registry.nodes[0]!.records, 1);
    assertEquals((await test.host.store.size()).records, 1);
    await test.stop();
  },
);

realTest("a fault that doubles records doubles those that come in blocks, too", async () => {
  const test = await TestHost.start({ allowFaults: true });
  const { say } = await connectWithBlocks(test);
  test.host.faults.add({ kind: "duplicate", p: 1 });
  say(...[1, 2, 3].map((seq) => test.record("pump-7", seq)));
  await until("they are taken in", () => test.host.registry.nodes[0]?.records === 3);
  assertEquals(test.host.registry.nodes[0]!.duplicates, 3);
  await test.stop();
});
