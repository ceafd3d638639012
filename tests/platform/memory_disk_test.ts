/** A directory in memory-backed storage is ours alone, or it is not used. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { memoryDiskFor } from "../../lib/platform/memory_disk.ts";
import { DiskError } from "../../lib/platform/platform.ts";
import { realTest } from "../real.ts";

async function directories(): Promise<{ data: string; shared: string; end(): Promise<void> }> {
  const [data, shared] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  return {
    data,
    shared,
    end: async () => {
      for (const path of [data, shared]) await Deno.remove(path, { recursive: true });
    },
  };
}

realTest(
  "memory-backed storage: nobody else may enter the directory, or read its files",
  async () => {
    const { data, shared, end } = await directories();
    const memory = memoryDiskFor(shared, data)!;
    assertEquals(memory.place, undefined);
    assertEquals(await memory.disk.list(), []);
    memory.disk.create("a").close();
    const place = memory.place!;
    assert(place.startsWith(`${shared}/holdfast-`), place);
    assertEquals((await Deno.stat(place)).mode! & 0o777, 0o700);
    assertEquals((await Deno.stat(`${place}/a`)).mode! & 0o777, 0o600);
    // Another data directory has another one, the same has the same, by whatever path.
    const other = memoryDiskFor(shared, shared)!;
    assertEquals(await other.disk.list(), []);
    await Deno.symlink(data, `${shared}/link`);
    const same = memoryDiskFor(shared, `${shared}/link`)!;
    assertEquals(await same.disk.list(), ["a"]);
    assert(other.place !== place && same.place === place);
    await end();
  },
);

realTest(
  "memory-backed storage: what somebody else planted there is not followed and not used",
  async () => {
    const plants: ((place: string, shared: string) => Promise<void>)[] = [
      (place, shared) => Deno.symlink(shared, place),
      (place) => Deno.writeTextFile(place, ""),
      ...[0o777, 0o770, 0o710, 0o704].map((mode) => async (place: string) => {
        await Deno.mkdir(place);
        await Deno.chmod(place, mode);
      }),
    ];
    for (const plant of plants) {
      const { data, shared, end } = await directories();
      const { dev, ino } = await Deno.stat(data);
      await plant(`${shared}/holdfast-${dev}-${ino}`, shared);
      const memory = memoryDiskFor(shared, data)!;
      const error = await assertRejects(() => memory.disk.list(), DiskError);
      assert(!error.message.includes("\n"), error.message);
      assertEquals(memory.place, undefined);
      await end();
    }
  },
);

realTest(
  "memory-backed storage: one that was removed is made again at the next look, and off is off",
  async () => {
    const { data, shared, end } = await directories();
    const memory = memoryDiskFor(shared, data)!;
    await memory.disk.list();
    memory.disk.create("a").close();
    await Deno.remove(memory.place!, { recursive: true });
    await assertRejects(() => memory.disk.sizeOf("a"), DiskError);
    assertEquals(await memory.disk.list(), []);
    memory.disk.create("b").close();
    assertEquals(await memory.disk.list(), ["b"]);
    assertEquals(memoryDiskFor("off", data), undefined);
    assertEquals(memoryDiskFor("auto", `${data}/nothing`), undefined);
    await end();
  },
);

realTest(
  "memory-backed storage: auto takes a service's own directory where that is on a tmpfs",
  async () => {
    const { data, shared, end } = await directories();
    const before = Deno.env.get("RUNTIME_DIRECTORY");
    Deno.env.set("RUNTIME_DIRECTORY", shared);
    const onDisk = memoryDiskFor("auto", data)!;
    await onDisk.disk.list().catch(() => {});
    assert(onDisk.place === undefined || !onDisk.place.startsWith(shared), onDisk.place);
    if (onDisk.place !== undefined) await Deno.remove(onDisk.place, { recursive: true });
    const service = await Deno.makeTempDir({ dir: "/dev/shm" }).catch(() => undefined);
    if (service !== undefined) {
      Deno.env.set("RUNTIME_DIRECTORY", `${service}:${shared}`);
      const memory = memoryDiskFor("auto", data)!;
      await memory.disk.list();
      assert(memory.place!.startsWith(service), memory.place);
      await Deno.remove(service, { recursive: true });
    }
    if (before === undefined) Deno.env.delete("RUNTIME_DIRECTORY");
    else Deno.env.set("RUNTIME_DIRECTORY", before);
    await end();
  },
);

realTest(
  "memory-backed storage: what a run left is found, also where a better place has come since",
  async () => {
    const { data, end } = await directories();
    const before = Deno.env.get("RUNTIME_DIRECTORY");
    const use = (path: string | undefined) =>
      path === undefined
        ? Deno.env.delete("RUNTIME_DIRECTORY")
        : Deno.env.set("RUNTIME_DIRECTORY", path);
    const service = await Deno.makeTempDir({ dir: "/dev/shm" }).catch(() => undefined);
    if (service !== undefined) {
      use(undefined);
      const first = memoryDiskFor("auto", data)!;
      await first.disk.list();
      first.disk.create("a").close();
      use(service);
      const second = memoryDiskFor("auto", data)!;
      assertEquals(await second.disk.list(), ["a"]);
      await Deno.remove(first.place!, { recursive: true });
      await Deno.remove(service, { recursive: true });
    }
    use(before);
    await end();
  },
);
