import { assertEquals, assertRejects } from "@std/assert";
import { ConfigAuthority } from "../../lib/host/config_authority.ts";
import { CFG_VERSION_JUMP_MAX } from "../../lib/limits.ts";
import type { ConfigRow, Store } from "../../lib/store/store.ts";

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

function restored(...configs: ConfigRow[]): ConfigAuthority {
  return new ConfigAuthority({
    state: { host_id: "h", nodes: new Map(), configs },
    putConfig: () => Promise.resolve(),
  } as unknown as Store);
}
function rowOf(target: string, cfg_version: number): ConfigRow {
  return { target, cfg_version, config: { sample_hz: cfg_version }, at_wall_ms: 0 };
}

Deno.test("ConfigAuthority: after a restart all is in force that was, and versions go on above it", async () => {
  for (const rows of [[rowOf("*", 9), rowOf("pump-7", 4)], [rowOf("pump-7", 4), rowOf("*", 9)]]) {
    const configs = restored(...rows);
    const versions = () => ["pump-7", "pump-8"].map((id) => configs.desired(id)?.cfg_version);
    assertEquals(versions(), [9, 9]);
    assertEquals((await configs.set("pump-7", { sample_hz: 1 }, 5)).cfg_version, 10);
    assertEquals(versions(), [10, 9]);
  }
  assertEquals(restored(rowOf("pump-7", 4)).desired("pump-8"), undefined);
});

Deno.test("ConfigAuthority: what was set before the restart is not set again for a node that is ahead", async () => {
  const configs = restored(rowOf("*", 2), rowOf("pump-7", 1));
  assertEquals(configs.noteVersion("pump-7", 7), undefined);
  assertEquals((await configs.set("*", {}, 5)).cfg_version, 8);
});

Deno.test("ConfigAuthority: a version that a node reports is followed so far, and never down", async () => {
  const after = async (version: number) => {
    const configs = restored(rowOf("*", 5));
    configs.noteVersion("pump-7", version);
    return (await configs.set("*", {}, 0)).cfg_version;
  };
  const jump = CFG_VERSION_JUMP_MAX;
  assertEquals(await after(5 + jump), 6 + jump);
  for (const version of [6 + jump, 5, 3, 0]) assertEquals(await after(version), 6);
});

Deno.test("ConfigAuthority: only what the node would get is set again, and only where it is ahead", async () => {
  const configs = restored(rowOf("pump-7", 5));
  await configs.set("*", { sample_hz: 1 }, 0);
  assertEquals(configs.noteVersion("pump-7", 6), undefined, "it has what it should have");
  assertEquals(configs.noteVersion("pump-7", 7)?.target, "*");
  assertEquals(configs.noteVersion("pump-7", 7), undefined, "known by now");
  await configs.set("pump-9", { sample_hz: 2 }, 0);
  assertEquals(configs.noteVersion("pump-8", 9)?.config, { sample_hz: 1 });
});

Deno.test("ConfigAuthority: who gets a configuration may change what it got, and nobody else's", () => {
  const configs = restored(rowOf("*", 5));
  (configs.desired("pump-7")!.config as Record<string, unknown>).sample_hz = 99;
  assertEquals(configs.desired("pump-7")?.config, { sample_hz: 5 });
});

Deno.test("ConfigAuthority: versions are given out in order, durable before they are in force", async () => {
  const writes: { row: ConfigRow; done: (error?: Error) => void }[] = [];
  const configs = new ConfigAuthority({
    state: { host_id: "h", nodes: new Map(), configs: [] },
    putConfig: (row: ConfigRow) =>
      new Promise<void>((resolve, reject) =>
        writes.push({ row, done: (error) => error === undefined ? resolve() : reject(error) })
      ),
  } as unknown as Store);
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve));
  const first = configs.set("*", { sample_hz: 1 }, 10);
  const second = configs.set("pump-7", { sample_hz: 2 }, 20);
  await settle();
  assertEquals([writes.length, configs.desired("pump-7")], [1, undefined]);
  writes[0]!.done(new Error("disk full"));
  await assertRejects(() => first, Error, "disk full");
  await settle();
  assertEquals(writes.length, 2);
  writes[1]!.done();
  const row = await second;
  assertEquals(writes[1]!.row, row);
  assertEquals([row.target, row.config, row.at_wall_ms], ["pump-7", { sample_hz: 2 }, 20]);
  assertEquals(configs.desired("pump-7"), { cfg_version: row.cfg_version, config: row.config });
  assertEquals(configs.desired("pump-8"), undefined);
  assertEquals(writes.map(({ row }) => row.cfg_version), [1, 2], "none is used twice");
});
