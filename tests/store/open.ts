/** Opens the real store in a directory, as the host does. */
import { denoClock } from "../../lib/platform/deno_clock.ts";
import { openDisk } from "../../lib/platform/deno_disk.ts";
import { openSqliteStore } from "../../lib/store/sqlite/store.ts";
import type { EpochBatch, Store } from "../../lib/store/store.ts";

/** Rejects as {@linkcode openSqliteStore}. */
export async function openStore(directory: string, hostId: string): Promise<Store> {
  return await openSqliteStore({
    disk: await openDisk(directory),
    directory,
    hostId,
    clock: denoClock,
  });
}

/** Claims the epochs of the batches and commits these. Rejects as the store. */
export async function commitTo(
  store: Store,
  batches: readonly EpochBatch[],
  atWallMs: number,
): Promise<void> {
  const claimed = batches.map(async (batch) => {
    const { fence } = await store.claim(batch.state.node_id, batch.state.epoch);
    return { ...batch, fence };
  });
  await store.commit(await Promise.all(claimed), atWallMs);
}
