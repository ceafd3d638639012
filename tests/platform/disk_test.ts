import { assert, assertEquals } from "@std/assert";
import { openDisk } from "../../lib/platform/deno_disk.ts";
import { realTest } from "../real.ts";
import { SimDisk } from "../sim/disk.ts";
import { PROMISES } from "./disk_conformance.ts";

for (const [promise, holds] of Object.entries(PROMISES)) {
  Deno.test(`simulated disk ${promise}`, () => holds(new SimDisk()));
  realTest(`real disk ${promise}`, async () => {
    const directory = await Deno.makeTempDir();
    await holds(await openDisk(directory));
    await Deno.remove(directory, { recursive: true });
  });
}

realTest(
  "real disk: a directory is no file, and a file in the place of one is an error",
  async () => {
    const directory = await Deno.makeTempDir();
    await Deno.mkdir(`${directory}/data/sub`, { recursive: true });
    const disk = await openDisk(`${directory}/data`);
    assertEquals(await disk.list(), []);
    await Deno.writeTextFile(`${directory}/file`, "");
    const error = await openDisk(`${directory}/file`).catch((error) => error);
    assert(error instanceof Error && !error.message.includes("\n"), String(error));
    await Deno.remove(directory, { recursive: true });
  },
);
