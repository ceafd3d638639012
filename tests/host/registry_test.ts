/** What the host remembers of its nodes: looking changes nothing, and saving forgets nothing. */
import { assertEquals } from "@std/assert";
import { Registry } from "../../lib/host/registry.ts";
import type { Hello } from "../../lib/protocol/message.ts";
import type { Store } from "../../lib/store/store.ts";
import { hello } from "../messages.ts";
import { realTest } from "../real.ts";
import { ManualClock, TestHost, until } from "../web/test_host.ts";

realTest(
  "looking at a node that is away changes nothing: its wait for a configuration begins when it is back",
  async () => {
    const test = await TestHost.start();
    const wire = await test.filled("pump-7", 3);
    wire.close();
    await until("it is away", () => !test.host.registry.get("pump-7")!.connected);
    await test.host.setConfig("pump-7", { sample_hz: 5 });
    const before = structuredClone(test.host.registry.get("pump-7"));
    assertEquals(test.host.summaries()[0]!.cfg_version_desired, 1);
    assertEquals(test.host.registry.get("pump-7"), before);
    await test.clock.advance(20_000);
    await test.connect("pump-7", { next_seq: 4 });
    assertEquals(test.host.summaries()[0]!.concerns, []);
    await test.stop();
  },
);

Deno.test("what a node says while the registry is being saved is saved the next time", async () => {
  const saved: unknown[] = [];
  let release = () => {};
  const store = {
    state: { nodes: new Map() },
    putNodes: (nodes: ReadonlyMap<string, { version: string }>) => {
      saved.push([...nodes.values()].map(({ version }) => version));
      return new Promise<void>((resolve) => release = resolve);
    },
  } as unknown as Store;
  const registry = new Registry(store, new ManualClock(), 10);
  const connect = (version: string) => {
    const message = hello("pump-7", { ts_wall_ms: 1, ts_mono_ms: 1 }, { version });
    const about = { peer: "p", encoding: "ndjson", highAcked: 0, configVersion: 0 };
    return registry.connected(message as unknown as Hello, about);
  };
  registry.register(connect("1"));
  const saving = registry.save();
  connect("2");
  release();
  await saving;
  const again = registry.save();
  release();
  await again;
  assertEquals(saved, [["1"], ["2"]]);
});
