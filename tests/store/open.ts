/** Opens the real stores in a directory, as the host does. */
import { denoClock } from "../../lib/platform/deno_clock.ts";
import { openDisk } from "../../lib/platform/deno_disk.ts";
import { openNdjsonStore } from "../../lib/store/ndjson/store.ts";
import { openSqliteStore } from "../../lib/store/sqlite/store.ts";
import type { Store } from "../../lib/store/store.ts";

/** The kinds of stores that keep files. */
export const OPEN = {
  sqlite: async (directory: string, hostId: string): Promise<Store> =>
    await openSqliteStore({ disk: await openDisk(directory), directory, hostId, clock: denoClock }),
  ndjson: async (directory: string, hostId: string): Promise<Store> =>
    await openNdjsonStore({ disk: await openDisk(directory), hostId, clock: denoClock }),
};
