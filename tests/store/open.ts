/** Opens the real store in a directory, as the host does. */
import { denoClock } from "../../lib/platform/deno_clock.ts";
import { openDisk } from "../../lib/platform/deno_disk.ts";
import { openSqliteStore } from "../../lib/store/sqlite/store.ts";
import type { Store } from "../../lib/store/store.ts";

/** Rejects as {@linkcode openSqliteStore}. */
export async function openStore(directory: string, hostId: string): Promise<Store> {
  return await openSqliteStore({
    disk: await openDisk(directory),
    directory,
    hostId,
    clock: denoClock,
  });
}
