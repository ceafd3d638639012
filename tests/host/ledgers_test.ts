import { assertEquals } from "@std/assert";
import { Ledgers } from "../../lib/host/ledgers.ts";
import type { Store } from "../../lib/store/store.ts";
import { EPOCH } from "../messages.ts";

Deno.test("Ledgers: a node that comes back during a commit keeps its ledger in memory", async () => {
  let isSettled = false;
  const store: Partial<Store> = {
    epoch: () => Promise.resolve(undefined),
    epochCount: () => Promise.resolve(0),
  };
  const ledgers = new Ledgers(store as Store, 4, () => isSettled);
  const before = (await ledgers.acquire("pump-7", EPOCH))!.ledger;
  ledgers.release(before);
  const after = (await ledgers.acquire("pump-7", EPOCH))!.ledger;
  isSettled = true;
  ledgers.dropIfIdle(before);
  assertEquals([before === after, ledgers.size], [true, 1]);
  ledgers.release(after);
  assertEquals(ledgers.size, 0);
});
