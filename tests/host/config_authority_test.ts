import { assertEquals, assertRejects } from "@std/assert";
import { ConfigAuthority } from "../../lib/host/config_authority.ts";
import type { Store } from "../../lib/store/store.ts";

function authority(putConfig: () => Promise<void>): ConfigAuthority {
  return new ConfigAuthority({
    state: { host_id: "h", nodes: new Map(), configs: [] },
    putConfig,
  } as unknown as Store);
}

Deno.test("ConfigAuthority: what the store refuses is not in force", async () => {
  const configs = authority(() => Promise.reject(new Error("disk I/O error")));
  await assertRejects(() => configs.set("*", { sample_hz: 5 }, 0));
  assertEquals(configs.desired("pump-7"), undefined);
});

Deno.test("ConfigAuthority: what was set here and is hidden behind a forgotten version is set again", async () => {
  for (const target of ["*", "pump-7"]) {
    const configs = authority(() => Promise.resolve());
    await configs.set(target, { sample_hz: 5 }, 0);
    assertEquals(configs.noteVersion("pump-7", 7)?.target, target);
  }
});

Deno.test("ConfigAuthority: of a node's own and everybody's the newer version counts, whatever the clock said", async () => {
  const configs = authority(() => Promise.resolve());
  await configs.set("*", { sample_hz: 5 }, 9_000_000);
  await configs.set("pump-7", { sample_hz: 7 }, 1_000);
  assertEquals(configs.desired("pump-7")?.config, { sample_hz: 7 });
  await configs.set("*", { sample_hz: 9 }, 500);
  assertEquals(configs.desired("pump-7")?.config, { sample_hz: 9 });
});
