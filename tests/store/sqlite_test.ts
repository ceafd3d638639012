import { assert, assertEquals } from "@std/assert";
import { OPEN } from "./open.ts";
import { realTest } from "../real.ts";

realTest("SQLite store moves a damaged database aside and starts with an empty one", async () => {
  const directory = await Deno.makeTempDir();
  await Deno.writeTextFile(`${directory}/holdfast.db`, "this is no database at all, ".repeat(400));
  const store = await OPEN.sqlite(directory, "host-1");
  assertEquals(await store.epoch("a", "9f2c4e11a0b3d5c7"), undefined);
  await store.close();
  const names = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
  assert(names.some((name) => name.startsWith("holdfast.db.damaged-")));
  await Deno.remove(directory, { recursive: true });
});
