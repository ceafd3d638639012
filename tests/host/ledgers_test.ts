import { assertEquals } from "@std/assert";
import { Ledgers } from "../../lib/host/ledgers.ts";
import type { EpochState, Store } from "../../lib/store/store.ts";
import { EPOCH } from "../messages.ts";

const OTHER_EPOCH = "00000000000000ff";

/** A store that knows those epochs of each node, of which so many stay when the empty ones are forgotten. */
function storeOf(known: readonly EpochState[], kept = known.length): Store {
  return {
    claim: (node_id: string, epoch: string) => {
      const state = known.find((one) => one.node_id === node_id && one.epoch === epoch);
      return Promise.resolve({ state, fence: 1 });
    },
    epochCount: () => Promise.resolve(known.length),
    forgetEmptyEpochs: () => Promise.resolve(kept),
  } as unknown as Store;
}

function stateOf(epoch: string): EpochState {
  return { node_id: "pump-7", epoch, high_acked: 3, ranges: [[5, 6], [9, 9]], max_seq: 12 };
}

Deno.test("Ledgers: a node that comes back during a commit keeps its ledger in memory", async () => {
  let isSettled = false;
  const ledgers = new Ledgers(storeOf([]), 4, () => isSettled);
  const before = (await ledgers.acquire("pump-7", EPOCH))!.ledger;
  ledgers.release(before);
  const after = (await ledgers.acquire("pump-7", EPOCH))!.ledger;
  isSettled = true;
  ledgers.dropIfIdle(before);
  assertEquals([before === after, ledgers.size], [true, 1]);
  ledgers.release(after);
  assertEquals(ledgers.size, 0);
});

Deno.test("Ledgers: what the store knows of an epoch comes back, and only an unknown one is new", async () => {
  const ledgers = new Ledgers(storeOf([stateOf(EPOCH)]), 4, () => true);
  const { ledger, isNew } = (await ledgers.acquire("pump-7", EPOCH))!;
  assertEquals([isNew, ledger.highAcked, ledger.maxSeq], [false, 3, 12]);
  assertEquals(ledger.ranges(9), [[5, 6], [9, 9]]);
  assertEquals((await ledgers.acquire("pump-7", OTHER_EPOCH))?.isNew, true);
  assertEquals((await ledgers.acquire("pump-7", OTHER_EPOCH))?.isNew, false, "it is in memory");
});

Deno.test("Ledgers: each node has a ledger of its own for each epoch", async () => {
  const ledgers = new Ledgers(storeOf([]), 4, () => true);
  const found = [];
  for (const [nodeId, epoch] of [["a", EPOCH], ["a", OTHER_EPOCH], ["b", EPOCH]] as const) {
    const { ledger } = (await ledgers.acquire(nodeId, epoch))!;
    assertEquals([ledger.nodeId, ledger.epoch], [nodeId, epoch]);
    found.push(ledger);
  }
  assertEquals(new Set(found).size, 3);
});

const FULL: [what: string, known: number, kept: number, isLetIn: boolean][] = [
  ["with one epoch less than it may have", 1, 1, true],
  ["with as many as it may have", 2, 2, false],
  ["with more, as the limit was lowered", 3, 3, false],
  ["with as many, of which one is empty", 2, 1, true],
  ["with more, of which too few are empty", 3, 2, false],
];
for (const [what, known, kept, isLetIn] of FULL) {
  Deno.test(`Ledgers: a node ${what} ${isLetIn ? "may" : "may not"} begin another epoch`, async () => {
    const states = Array.from({ length: known }, (_, i) => stateOf(`000000000000000${i}`));
    const store = storeOf(states, kept);
    let forgot = false;
    store.forgetEmptyEpochs = () => {
      forgot = true;
      return Promise.resolve(kept);
    };
    const ledgers = new Ledgers(store, 2, () => true);
    assertEquals(await ledgers.acquire("pump-7", EPOCH) !== undefined, isLetIn);
    assertEquals(forgot, known >= 2, "empty ones are forgotten where there is no room");
    const back = await ledgers.acquire("pump-7", states[0]!.epoch);
    assertEquals(back?.ledger.highAcked, 3, "one that is known comes in, however many there are");
  });
}

Deno.test("Ledgers: one stays in memory until its last session has ended and nothing of it waits", async () => {
  let isSettled = true;
  const ledgers = new Ledgers(storeOf([]), 4, () => isSettled);
  const { ledger } = (await ledgers.acquire("pump-7", EPOCH))!;
  await ledgers.acquire("pump-7", EPOCH);
  ledgers.dropIfIdle(ledger);
  ledgers.release(ledger);
  assertEquals(ledgers.size, 1);
  isSettled = false;
  ledgers.release(ledger);
  assertEquals(ledgers.size, 1);
  ledgers.dropIfIdle(ledger);
  assertEquals(ledgers.size, 1);
  isSettled = true;
  ledgers.dropIfIdle(ledger);
  assertEquals(ledgers.size, 0);
});

Deno.test("Ledgers: an epoch that another host has claimed is claimed anew, whoever holds its ledger still", async () => {
  let fence = 0;
  const store = {
    ...storeOf([stateOf(EPOCH)]),
    claim: () => Promise.resolve({ state: stateOf(EPOCH), fence: ++fence }),
  };
  const ledgers = new Ledgers(store, 4, () => true);
  const overtaken = (await ledgers.acquire("pump-7", EPOCH))!.ledger;
  ledgers.drop(overtaken);
  const now = (await ledgers.acquire("pump-7", EPOCH))!.ledger;
  assertEquals([overtaken.beginCommit().fence, now.beginCommit().fence], [1, 2]);
  ledgers.drop(overtaken);
  ledgers.release(overtaken);
  assertEquals(ledgers.size, 1, "what is held of it now stays");
});
