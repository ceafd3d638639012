/** Which configuration is in force: versions, refusals, restarts, disks that fail. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { NODE_SETTINGS, type NodeSettings } from "../../lib/config/node_settings.ts";
import { CONFIG_NAME, ConfigListener } from "../../lib/node/config_listener.ts";
import type { DiskFile } from "../../lib/platform/platform.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { SimDisk } from "../sim/disk.ts";

const DEFAULTS = Object.fromEntries(
  Object.entries(NODE_SETTINGS).map(([name, setting]) => [name, setting.default]),
) as unknown as NodeSettings;
const BASE: NodeSettings = { ...DEFAULTS, sample_hz: 1, send_interval_ms: 5 };

/** A listener that notes what it has put in force. */
async function listening(
  disk: SimDisk,
  base = BASE,
): Promise<{ listener: ConfigListener; applied: [version: number, hz: number, ms: number][] }> {
  const listener = await ConfigListener.load(disk, base);
  const applied: [number, number, number][] = [];
  listener.onApply(({ sample_hz, send_interval_ms }, version) => {
    applied.push([version, sample_hz, send_interval_ms]);
    return Promise.resolve();
  });
  return { listener, applied };
}

const set = (cfg_version: number, config: Record<string, unknown>) => ({ cfg_version, config });

Deno.test("before the first configuration the local settings are in force, as version 0", async () => {
  const { listener } = await listening(new SimDisk());
  assertEquals([listener.version, listener.config, listener.lastError], [0, {}, undefined]);
  assertEquals(listener.settings, BASE);
});

Deno.test("a configuration that was applied is in force after a restart, and after a power cut", async () => {
  const disk = new SimDisk();
  const { listener, applied } = await listening(disk);
  const answer = await listener.receive(set(7, { sample_hz: 20 }));
  assertEquals(answer, { cfg_version: 7, cfg_version_applied: 7, ok: true });
  assertEquals(applied, [[7, 20, 5]]);
  for (let seed = 0; seed < 8; seed++) {
    const cut = disk.afterPowerCut(seededRandom(seed));
    const again = await ConfigListener.load(cut, { ...BASE, send_interval_ms: 6 });
    assertEquals([again.version, again.config], [7, { sample_hz: 20 }]);
    assertEquals([again.settings.sample_hz, again.settings.send_interval_ms], [20, 6]);
    assertEquals(cut.namesNow, [CONFIG_NAME]);
  }
});

Deno.test("a newer configuration replaces the one that was kept, and old ones stay old over a restart", async () => {
  const disk = new SimDisk();
  const { listener } = await listening(disk);
  await listener.receive(set(2, { sample_hz: 20 }));
  await listener.receive(set(3, { send_interval_ms: 7 }));
  const { listener: again, applied } = await listening(disk);
  assertEquals([again.version, again.config], [3, { send_interval_ms: 7 }]);
  assertEquals(again.settings.sample_hz, 1);
  assertEquals((await again.receive(set(2, { sample_hz: 20 }))).ok, false);
  assertEquals(await again.receive(set(3, { sample_hz: 9 })), {
    cfg_version: 3,
    cfg_version_applied: 3,
    ok: true,
  });
  assertEquals([applied, again.settings.sample_hz], [[], 1]);
});

Deno.test("a configuration that is refused changes nothing, says why, and what is in force instead", async () => {
  const disk = new SimDisk();
  const { listener, applied } = await listening(disk);
  await listener.receive(set(2, { sample_hz: 20 }));
  const refused = await listener.receive(set(4, { sample_hz: -1 }));
  assertEquals([refused.cfg_version, refused.cfg_version_applied, refused.ok], [4, 2, false]);
  assertMatch(refused.error!, /^sample_hz \(config\): expected a number/);
  assertEquals(listener.lastError, refused.error);
  listener.onApply(() => Promise.reject(new Error("no such sensor")));
  const unusable = await listener.receive(set(5, { sample_hz: 7 }));
  assertEquals([unusable.cfg_version_applied, unusable.ok], [2, false]);
  assertMatch(listener.lastError!, /no such sensor/);
  assertEquals([listener.version, listener.settings.sample_hz, applied.length], [2, 20, 1]);
  assertEquals((await ConfigListener.load(disk, BASE)).version, 2);
  listener.onApply(() => Promise.resolve());
  assertEquals(
    (await listener.receive(set(5, { sample_hz: 3 }))).ok,
    true,
    "the same version again",
  );
  assertEquals(listener.lastError, undefined);
});

Deno.test("an old configuration that comes late is answered with what is in force, and is no error of the node", async () => {
  const { listener } = await listening(new SimDisk());
  await listener.receive(set(4, { sample_hz: 20 }));
  const late = await listener.receive(set(3, { sample_hz: 5 }));
  assertEquals([late.cfg_version, late.cfg_version_applied, late.ok], [3, 4, false]);
  assertEquals([listener.lastError, listener.settings.sample_hz], [undefined, 20]);
});

Deno.test("local settings that are read anew count where the host wants nothing else, under the same version", async () => {
  const disk = new SimDisk();
  const { listener, applied } = await listening(disk);
  await listener.receive(set(2, { sample_hz: 20 }));
  await listener.reload({ ...BASE, sample_hz: 3, send_interval_ms: 9 });
  assertEquals(applied, [[2, 20, 5], [2, 20, 9]]);
  await listener.receive(set(3, {}));
  assertEquals(applied.at(-1), [3, 3, 9]);
});

Deno.test("configurations take effect one after the other, in the order in which they came", async () => {
  const disk = new SimDisk();
  const { listener } = await listening(disk);
  const order: string[] = [];
  const waits: (() => void)[] = [];
  listener.onApply((_, version) => {
    order.push(`${version} begins`);
    return new Promise((resolve) =>
      waits.push(() => {
        order.push(`${version} is in force`);
        resolve();
      })
    );
  });
  const all = [
    listener.receive(set(1, {})),
    listener.receive(set(2, {})),
    listener.reload(BASE),
  ];
  for (let turn = 0; turn < 200; turn++) {
    await Promise.resolve();
    if (turn % 50 === 49) waits.shift()?.();
  }
  await Promise.all(all);
  assertEquals(order, [1, 2, 2].flatMap((v) => [`${v} begins`, `${v} is in force`]));
  assertEquals((await ConfigListener.load(disk, BASE)).version, 2);
});

Deno.test("a kept configuration that can't be used any more costs itself only: the node starts with its own settings", async () => {
  const texts = [
    "",
    "{",
    "null",
    '{"cfg_version":3}',
    '{"cfg_version":3,"config":{"sample_hz":"fast"}}',
    '{"cfg_version":3,"config":{"data":"/x"}}',
    '{"cfg_version":-1,"config":{}}',
  ];
  for (const text of texts) {
    const disk = new SimDisk();
    disk.create(CONFIG_NAME).append(new TextEncoder().encode(text));
    const { listener, applied } = await listening(disk);
    assertEquals([listener.version, listener.settings], [0, BASE], text);
    await listener.receive(set(1, { sample_hz: 4 }));
    assertEquals(applied, [[1, 4, 5]]);
    assertEquals((await ConfigListener.load(disk, BASE)).version, 1);
  }
});

Deno.test("a disk that fails costs the restart only, and the next configuration is kept again", async () => {
  for (const fault of ["writeFails", "syncFails", "capacity"] as const) {
    const disk = new SimDisk();
    const { listener, applied } = await listening(disk);
    await listener.receive(set(1, { sample_hz: 2 }));
    if (fault === "capacity") disk.faults.capacity = disk.bytes + 20;
    else disk.faults[fault] = true;
    assertEquals((await listener.receive(set(2, { sample_hz: 3 }))).ok, true);
    assertEquals(applied.at(-1), [2, 3, 5]);
    Object.assign(disk.faults, { writeFails: false, syncFails: false, capacity: Infinity });
    const kept = await ConfigListener.load(disk, BASE);
    assertEquals([kept.version, kept.settings.sample_hz], [1, 2], fault);
    await listener.receive(set(3, { sample_hz: 4 }));
    assertEquals((await ConfigListener.load(disk, BASE)).version, 3, fault);
  }
});

Deno.test("a disk that takes a file in pieces keeps all of it", async () => {
  const disk = new SimDisk();
  const create = disk.create.bind(disk);
  disk.create = (name) => {
    const file = create(name);
    const append = file.append.bind(file);
    return Object.assign(file, { append: (bytes: Uint8Array) => append(bytes.subarray(0, 10)) });
  };
  const { listener } = await listening(disk);
  await listener.receive(set(1, { sample_hz: 2 }));
  const file: DiskFile = await disk.open(CONFIG_NAME, false);
  assert(file.size > 20);
  assertEquals((await ConfigListener.load(disk, BASE)).version, 1);
});
