/** Who is let in, what is told of it, and what stays when sessions of one node take turns. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Admission } from "../../lib/host/admission.ts";
import { ConfigAuthority } from "../../lib/host/config_authority.ts";
import type { EventLog } from "../../lib/host/event_log.ts";
import type { Intake } from "../../lib/host/intake.ts";
import { Ledgers } from "../../lib/host/ledgers.ts";
import { Registry } from "../../lib/host/registry.ts";
import type { SessionDriver } from "../../lib/host/session_driver.ts";
import type { Hello } from "../../lib/protocol/message.ts";
import type { Claim, EpochState, Store } from "../../lib/store/store.ts";
import { EPOCH, hello } from "../messages.ts";
import { ManualClock } from "../web/test_host.ts";

const MOMENT = { ts_wall_ms: 0, ts_mono_ms: 0 };
const OTHER_EPOCH = "00000000000000ff";
const KNOWN: EpochState = {
  node_id: "pump-7",
  epoch: EPOCH,
  high_acked: 3,
  ranges: [[5, 6]],
  max_seq: 6,
};

class FakeDriver {
  isClosed = false;
  node: unknown;
  ledger: unknown;
  refusals: unknown[][] = [];
  ended: Promise<void> = Promise.resolve();
  readonly nodeId: string;
  readonly connection: { peer: string };
  constructor(nodeId: string, peer: string) {
    this.nodeId = nodeId;
    this.connection = { peer };
  }
  refuse(...what: unknown[]): void {
    this.refusals.push(what);
    this.isClosed = true;
  }
}

function setUp({ epochs = [] as EpochState[], nodes = new Map<string, unknown>() } = {}) {
  const store = {
    state: { host_id: "h", nodes, configs: [] },
    claim: (node_id: string, epoch: string): Promise<Claim> => {
      const state = epochs.find((one) => one.node_id === node_id && one.epoch === epoch);
      return Promise.resolve({ state, fence: 1 });
    },
    epochCount: () => Promise.resolve(epochs.length),
    forgetEmptyEpochs: () => Promise.resolve(epochs.length),
    putConfig: () => Promise.resolve(),
  };
  const told: [kind: string, nodeId: string, detail: Record<string, unknown>][] = [];
  const hidden: unknown[][] = [];
  const registry = new Registry(store as unknown as Store, new ManualClock(), 10);
  const configs = new ConfigAuthority(store as unknown as Store);
  const ledgers = new Ledgers(store as unknown as Store, 2, () => true);
  const admission = new Admission({
    registry,
    ledgers,
    intake: { settled: () => Promise.resolve() } as unknown as Intake,
    configs,
    events: {
      add: (...event: [string, string, Record<string, unknown>]) => told.push(event),
    } as unknown as EventLog,
    onHidden: (...what) => hidden.push(what),
  });
  const enter = async (peer: string, more: Record<string, unknown> = {}, nodeId = "pump-7") => {
    const driver = new FakeDriver(nodeId, peer);
    const message = hello(nodeId, MOMENT, more) as unknown as Hello;
    const answer = await admission.admit(driver as unknown as SessionDriver, message, "block");
    if (answer.ok) driver.node = answer.node;
    return { driver, answer, session: driver as unknown as SessionDriver };
  };
  return { admission, registry, ledgers, configs, store, told, hidden, enter };
}

Deno.test("Admission goes on from what is stored of the epoch, and tells with what", async () => {
  const { enter, told, configs, admission } = setUp({ epochs: [KNOWN] });
  await configs.set("*", { sample_hz: 5 }, 0);
  const { answer, driver } = await enter("p:1", { next_seq: 11 });
  assert(answer.ok);
  assertEquals([answer.ledger.highAcked, answer.ledger.maxSeq], [3, 6]);
  assertEquals(answer.config, { cfg_version: 1, config: { sample_hz: 5 } });
  const { high_acked, backlog, cfg_version_desired, peer, encoding } = answer.node;
  assertEquals([high_acked, backlog, cfg_version_desired], [3, 7, 1]);
  assertEquals([peer, encoding], ["p:1", "block"]);
  assertEquals(admission.sessionOf(answer.ledger) as unknown, driver);
  const detail = { peer: "p:1", version: "1", encoding: "block", backlog: 7 };
  assertEquals(told, [["connected", "pump-7", detail]]);
});

Deno.test("Admission tells a restart of a node from a new connection, and a new epoch with the one before", async () => {
  const nodes = new Map<string, unknown>([["pump-8", { records: 4 }]]);
  const { enter, told, admission } = setUp({ epochs: [KNOWN], nodes });
  const kinds = async (nodeId: string, more: Record<string, unknown>) => {
    told.length = 0;
    admission.ended((await enter("p", more, nodeId)).session);
    return told.map(([kind]) => kind).filter((kind) => kind !== "disconnected");
  };
  assertEquals(await kinds("pump-7", { boot_id: "1" }), ["connected"]);
  assertEquals(await kinds("pump-7", { boot_id: "1" }), ["connected"]);
  assertEquals(await kinds("pump-7", { boot_id: "2" }), ["connected"], "nothing of it was stored");
  assertEquals(await kinds("pump-8", { epoch: OTHER_EPOCH }), ["new_epoch", "connected"]);
  assertEquals(await kinds("pump-8", { boot_id: "2" }), ["new_epoch", "restarted"]);
  assertEquals(told.find(([kind]) => kind === "new_epoch")?.[2], {
    epoch: EPOCH,
    before: OTHER_EPOCH,
  });
});

Deno.test("Admission: a restart is another boot, whatever the epoch", async () => {
  for (const epoch of [EPOCH, OTHER_EPOCH]) {
    for (const [boot_id, kind] of [["1", "connected"], ["2", "restarted"]]) {
      const nodes = new Map<string, unknown>([["pump-7", { boot_id: "1", epoch }]]);
      const { enter, told } = setUp({ epochs: [KNOWN], nodes });
      await enter("p", { boot_id });
      assertEquals(told.map(([kind]) => kind), [kind]);
    }
  }
});

Deno.test("Admission: a host that is full, whose store fails, or that forgets the node says when to come again", async () => {
  const full = setUp({ epochs: [KNOWN, { ...KNOWN, epoch: "0000000000000001" }] });
  const refusal = async (from: ReturnType<typeof setUp>) => {
    const { answer } = await from.enter("p", { epoch: OTHER_EPOCH });
    return answer.ok || [answer.code, answer.retryAfterMs];
  };
  assertEquals(await refusal(full), ["busy", 60_000]);
  assertEquals(full.told, [["too_many_epochs", "pump-7", { epoch: OTHER_EPOCH }]]);
  const failing = setUp();
  failing.store.claim = () => Promise.reject(new Error("disk I/O error"));
  assertEquals(await refusal(failing), ["store_failed", 1_000]);
  const forgetting = setUp();
  await forgetting.admission.whileClosed("pump-7", async () => {
    assertEquals(await refusal(forgetting), ["busy", 1_000]);
    assert((await forgetting.enter("p", {}, "pump-8")).answer.ok);
  });
  assertEquals(await refusal(forgetting), true);
});

Deno.test("Admission: a newer connection waits for the end of the older, which is told to stay away", async () => {
  const { enter, told, admission, registry, ledgers } = setUp();
  const older = await enter("p:1");
  const end = Promise.withResolvers<void>();
  older.driver.ended = end.promise;
  let isIn = false;
  const entering = enter("p:2").then((entered) => {
    isIn = true;
    return entered;
  });
  await new Promise<void>((resolve) => setTimeout(resolve));
  assertEquals(isIn, false);
  const [[code, , retryAfterMs] = []] = older.driver.refusals;
  assertEquals([code, retryAfterMs], ["superseded", 5_000]);
  end.resolve();
  const newer = await entering;
  assert(newer.answer.ok);
  told.length = 0;
  admission.ended(older.session);
  assertEquals(told, [], "the node is not gone");
  assertEquals([...admission.sessions], [["pump-7", newer.session]]);
  assertEquals(admission.sessionOf(newer.answer.ledger), newer.session);
  assertEquals([registry.get("pump-7")?.connected, ledgers.size], [true, 1]);
  admission.ended(newer.session);
  assertEquals([admission.sessions.size, ledgers.size], [0, 0]);
  assertEquals(admission.sessionOf(newer.answer.ledger), undefined);
});

Deno.test("Admission: of several connections that come at once the last one speaks for the node", async () => {
  const { enter, admission, ledgers } = setUp();
  const first = await enter("p:1");
  const end = Promise.withResolvers<void>();
  first.driver.ended = end.promise;
  const second = enter("p:2"), third = enter("p:3");
  end.resolve();
  assertEquals([(await second).answer.ok, (await third).answer.ok], [false, true]);
  for (const { session } of [first, await second]) admission.ended(session);
  assertEquals([...admission.sessions], [["pump-7", (await third).session]]);
  assertEquals(ledgers.size, 1);
});

Deno.test("Admission tells takeovers with both addresses, and many of them as two nodes of one name", async () => {
  const { enter, told } = setUp();
  for (const peer of ["p:1", "p:2", "p:3", "p:4"]) await enter(peer);
  assertEquals(told.filter(([kind]) => kind !== "connected"), [
    ["superseded", "pump-7", { by: "p:2", from: "p:1" }],
    ["superseded", "pump-7", { by: "p:3", from: "p:2" }],
    ["duplicate_id", "pump-7", { by: "p:4", from: "p:3" }],
  ]);
});

Deno.test("Admission: a node that leaves is told of with what is durable of it, and its ledger goes", async () => {
  const { enter, told, admission, registry, ledgers } = setUp({
    epochs: [KNOWN],
    nodes: new Map([["pump-7", { boot_id: "b" }]]),
  });
  const { session, answer } = await enter("p");
  assert(answer.ok);
  admission.ended(session);
  assertEquals(told.at(-1), ["disconnected", "pump-7", { high_acked: 3 }]);
  assertEquals([admission.sessions.size, ledgers.size], [0, 0]);
  assertEquals(admission.sessionOf(answer.ledger), undefined);
  assertEquals(registry.get("pump-7")?.connected, false);
});

Deno.test("Admission: a connection that ends while the store is asked leaves no ledger behind", async () => {
  const { admission, ledgers, store } = setUp();
  const driver = new FakeDriver("pump-7", "p");
  store.claim = () => {
    driver.isClosed = true;
    return Promise.resolve({ state: undefined, fence: 1 });
  };
  const session = driver as unknown as SessionDriver;
  const { ok } = await admission.admit(
    session,
    hello("pump-7", MOMENT) as unknown as Hello,
    "block",
  );
  admission.ended(session);
  assertEquals([ok, ledgers.size, admission.sessions.size], [false, 0, 0]);
});

Deno.test("Admission: where nothing is set nothing is wanted of a node, whatever it has", async () => {
  const { enter, hidden } = setUp();
  const { answer } = await enter("p", { cfg_version: 7 });
  assertEquals(answer.ok && [answer.config, answer.node.cfg_version_desired], [undefined, 0]);
  assertEquals(hidden, []);
});

Deno.test("Admission: a configuration behind versions that the host forgot is set again for its target", async () => {
  const { enter, told, hidden, configs } = setUp();
  await configs.set("*", { sample_hz: 5 }, 0);
  const { answer } = await enter("p", { cfg_version: 7 });
  assertEquals(hidden, [["*", { sample_hz: 5 }]]);
  assertEquals(told.find(([kind]) => kind === "config_ahead")?.[2], { cfg_version: 7 });
  assertEquals(answer.ok && answer.config?.cfg_version, 1);
  hidden.length = 0;
  await enter("p", { cfg_version: 7 });
  assertEquals(hidden, []);
});

Deno.test("Admission: a node is forgotten by one at a time, never while it is connected, and may then come back", async () => {
  const { enter, admission } = setUp();
  const { session } = await enter("p");
  const nothing = () => Promise.resolve();
  await assertRejects(() => admission.whileClosed("pump-7", nothing), Error, "is connected");
  admission.ended(session);
  await admission.whileClosed("pump-7", async () => {
    const second = () => admission.whileClosed("pump-7", nothing);
    await assertRejects(second, Error, "is being forgotten already");
  });
  const failing = () => Promise.reject(new Error("disk I/O error"));
  await assertRejects(() => admission.whileClosed("pump-7", failing), Error, "disk I/O error");
  assert((await enter("p")).answer.ok);
});
