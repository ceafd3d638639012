/** What every kind of store must do; each promise is a function of a way to open one, again and again. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { type EpochBatch, Fenced, type RecordRow, type Store } from "../../lib/store/store.ts";
import { commitTo } from "./open.ts";

const A = "9f2c4e11a0b3d5c7", B = "00000000000000bb";

/** Opens a store of which `reopen` gives the next life, as after a restart. */
export interface Subject {
  open(): Promise<Store>;
}

/** A record as it is stored. */
export function row(seq: number, epoch = A, more: Partial<RecordRow> = {}): RecordRow {
  const is_anomaly = seq % 3 === 0;
  const base = { seq, ts_wall_ms: 1_000 * seq, ts_mono_ms: seq, is_anomaly, score: 4 };
  const payload = JSON.stringify({
    node_id: "a",
    epoch,
    ...base,
    metrics: { temp_c: seq },
    anomaly: { is_anomaly, score: 4, metrics: {} },
  });
  return { ...base, payload, ...more };
}

function batch(
  records: readonly RecordRow[],
  state: Partial<EpochBatch["state"]> = {},
  more: Partial<EpochBatch> = {},
): EpochBatch {
  const high = Math.max(0, ...records.map(({ seq }) => seq));
  return {
    state: { node_id: "a", epoch: A, high_acked: high, ranges: [], max_seq: high, ...state },
    rangesChanged: true,
    records,
    gaps: [],
    ...more,
  };
}

type Promises = Readonly<Record<string, (subject: Subject) => Promise<void>>>;

/** What ledgers build on: the simulator's model keeps these, too. */
export const LEDGER_PROMISES: Promises = {
  async "refuses all of a commit with a batch whose claim was overtaken, and takes the overtaker's"(
    { open },
  ) {
    const store = await open();
    const first = await store.claim("a", A);
    const other = await store.claim("a", B);
    const second = await store.claim("a", A);
    assert(first.fence >= 1 && second.fence > first.fence, `${first.fence}, ${second.fence}`);
    const claimed = (batch: EpochBatch, { fence }: { fence: number }) => ({ ...batch, fence });
    const late = claimed(batch([row(1), row(2)]), first);
    const mine = claimed(batch([], { epoch: B, high_acked: 1, max_seq: 1 }), other);
    const error = await assertRejects(() => store.commit([mine, late], 1));
    assert(error instanceof Fenced && error.overtaken.length === 1);
    assert(error.overtaken[0] === late, "it names the caller's own batch");
    assertEquals(await store.epochCount("a"), 0, "nothing of the commit is stored");
    await store.commit([mine, claimed(batch([row(1)]), second)], 2);
    await assertRejects(() => store.commit([late], 3), Fenced);
    await store.commit([claimed(batch([row(2), row(3)]), second)], 4);
    await assertRejects(() => store.commit([late], 5), Fenced);
    assertEquals((await store.claim("a", A)).state?.high_acked, 3);
    assertEquals((await store.claim("a", B)).state?.high_acked, 1);
    await store.close();
  },

  async "takes nothing of who has claimed an epoch before a restart, or never"({ open }) {
    const store = await open();
    const { fence } = await store.claim("a", A);
    await store.close();
    const again = await open();
    const old = { ...batch([row(1)]), fence };
    const none = { ...old, fence: 0 };
    for (const late of [old, none]) await assertRejects(() => again.commit([late], 1), Fenced);
    const now = await again.claim("a", A);
    assert(now.fence > fence, `${fence}, then ${now.fence}`);
    for (const late of [old, none]) await assertRejects(() => again.commit([late], 1), Fenced);
    await again.commit([{ ...old, fence: now.fence }], 2);
    assertEquals(await again.epochCount("a"), 1);
    await again.close();
  },

  async "keeps the last ranges where a batch says that they are as before"({ open }) {
    const store = await open();
    const state = { high_acked: 0, ranges: [[7, 8]] as const, max_seq: 8 };
    await commitTo(store, [batch([row(7), row(8)], state)], 1);
    await commitTo(
      store,
      [batch([row(1)], { ...state, high_acked: 1 }, { rangesChanged: false })],
      2,
    );
    assertEquals((await store.claim("a", A)).state?.ranges, [[7, 8]]);
    assertEquals((await store.claim("a", A)).state?.high_acked, 1);
    await store.close();
  },

  async "knows nothing of an epoch that never came, and counts those that did"({ open }) {
    const store = await open();
    assertEquals((await store.claim("a", A)).state, undefined);
    await commitTo(store, [batch([row(1)]), batch([row(1, B)], { epoch: B })], 1);
    assertEquals(await store.epochCount("a"), 2);
    assertEquals(await store.epochCount("b"), 0);
    assertEquals(await store.forgetEmptyEpochs("a"), 2);
    await store.close();
  },

  async "forgets epochs only where none of their records is left"({ open }) {
    const store = await open();
    await commitTo(store, [batch([], { high_acked: 3, max_seq: 3 })], 1);
    await commitTo(store, [batch([row(1, B)], { epoch: B })], 2);
    assertEquals(await store.forgetEmptyEpochs("a"), 1);
    assertEquals((await store.claim("a", A)).state, undefined);
    assertNotEquals((await store.claim("a", B)).state, undefined);
    await store.close();
  },
};

/** All promises by name. */
export const PROMISES: Promises = {
  ...LEDGER_PROMISES,

  async "keeps what was committed over a restart, each record once"({ open }) {
    const store = await open();
    const gaps = [{ from_seq: 4, to_seq: 5, reason: "evicted" }];
    const state = { high_acked: 5, ranges: [[7, 8]] as const, max_seq: 8 };
    await commitTo(store, [batch([1, 2, 3, 7, 8].map((seq) => row(seq)), state, { gaps })], 1_000);
    await commitTo(store, [batch([1, 2].map((seq) => row(seq)), state, { gaps })], 2_000);
    await store.close();
    const again = await open();
    assertEquals({ ...(await again.claim("a", A)).state }, {
      node_id: "a",
      epoch: A,
      ...state,
      ranges: [[7, 8]],
    });
    const rows = await again.records({ node_id: "a", limit: 10 });
    assertEquals(
      rows.map(({ seq, payload }) => [seq, payload]),
      [1, 2, 3, 7, 8].map((seq) => [
        seq,
        row(seq).payload,
      ]),
    );
    const flagged = await again.records({ node_id: "a", limit: 9, anomalies_only: true });
    assertEquals(flagged.map(({ seq }) => seq), [3]);
    await again.close();
  },

  async "remembers nodes and configurations, and forgets a node with or without its records"(
    { open },
  ) {
    const store = await open();
    await store.putNodes(new Map([["a", { x: 1 }], ["b", { x: 2 }]]));
    await store.putConfig({ target: "a", cfg_version: 3, config: { sample_hz: 5 }, at_wall_ms: 1 });
    await commitTo(store, [batch([row(1)])], 1);
    await store.forgetNode("a", false);
    assertEquals((await store.records({ node_id: "a", limit: 10 })).length, 1);
    await store.close();
    const again = await open();
    assertEquals([...again.state.nodes], [["b", { x: 2 }]]);
    assertEquals(again.state.configs[0]?.cfg_version, 3);
    await again.forgetNode("a", true);
    assertEquals(await again.records({ node_id: "a", limit: 10 }), []);
    assertEquals((await again.claim("a", A)).state, undefined);
    await commitTo(again, [batch([row(1), row(2)])], 2);
    assertEquals((await again.records({ node_id: "a", limit: 10 })).length, 2);
    await again.close();
  },

  async "stores the events that can be stored, and says how many can't"({ open }) {
    const store = await open();
    const event = { at_wall_ms: 1, node_id: "a", kind: "gap", detail: { from_seq: 4 } };
    const bad = { ...event, at_wall_ms: NaN };
    assertEquals(await store.addEvents([event, bad, { ...event, at_wall_ms: 2 }]), 1);
    assertEquals((await store.events({ limit: 10 })).map((e) => e.at_wall_ms), [2, 1]);
    await store.close();
  },

  async "keeps tokens until they are taken away, and who did what, the newest first"({ open }) {
    const store = await open();
    const token = (id: string, expires_wall_ms: number | null) => ({
      ...{ id, name: "anna", role: "viewer", hash: `hash of ${id}` } as const,
      ...{ created_wall_ms: Number(id), expires_wall_ms },
    });
    await store.putToken(token("2", null));
    await store.putToken(token("1", 5));
    const entry = (at_wall_ms: number) => ({
      ...{ at_wall_ms, who: "anna", role: "admin", address: "10.0.0.1" },
      ...{ action: "put_config", target: "*", before: { a: 1 }, after: null },
    });
    for (const at of [1, 2, 3]) await store.addAudit(entry(at));
    await store.close();
    const again = await open();
    assertEquals(await again.tokens(), [token("1", 5), token("2", null)]);
    assertEquals([await again.revokeToken("1"), await again.revokeToken("1")], [true, false]);
    assertEquals(await again.tokens(), [{ ...token("1", 5), hash: "" }, token("2", null)]);
    const [newest, next] = await again.audit({ limit: 2 });
    assertEquals([newest, next?.at_wall_ms], [{ id: newest!.id, ...entry(3) }, 2]);
    assertEquals((await again.audit({ limit: 9, before_id: next!.id })).length, 1);
    await again.close();
  },

  async "gives a one-time token to one who asks, and keeps what is revoked so"({ open }) {
    const store = await open();
    const token = (hash: string, created_wall_ms: number) => ({
      ...{ hash, node_id: "pump-7", created_wall_ms, expires_wall_ms: created_wall_ms + 10 },
    });
    await store.putEnrolment(token("old", 1));
    await store.putEnrolment(token("new", 100));
    assertEquals(await store.takeEnrolment("old"), undefined, "it has expired");
    await store.close();
    const again = await open();
    const taken = await Promise.all([again.takeEnrolment("new"), again.takeEnrolment("new")]);
    assertEquals(taken, [token("new", 100), undefined]);
    const cert = (serial: string, revoked_wall_ms: number | null) => ({
      ...{ serial, node_id: "pump-7", issued_wall_ms: 1, not_after_ms: 9, revoked_wall_ms },
    });
    await again.putCertificate(cert("aa", null));
    await again.putCertificate(cert("bb", null));
    await again.putCertificate(cert("aa", 5));
    await again.putCertificate(cert("aa", null));
    assertEquals(await again.certificates(), [cert("aa", 5), cert("bb", null)]);
    assertEquals(await again.revokedSerials(), ["aa"]);
    const renew = (serial: string, fromMs: number, node_id = "pump-7") =>
      again.renewCertificate({ ...cert("cc", null), node_id }, { serial, fromMs });
    assertEquals(await renew("aa", 9), false, "it is revoked");
    assertEquals(await renew("dd", 5), false, "its node was revoked after it was given");
    assertEquals(await renew("bb", 9, "pump-8"), false, "it is another node's");
    assertEquals(await renew("bb", 1), true);
    assertEquals(await renew("dd", 6), true, "it was given after that");
    assertEquals((await again.certificates()).map(({ serial }) => serial), ["aa", "bb", "cc"]);
    await again.close();
  },

  async "keeps its name"({ open }) {
    const store = await open();
    const { host_id } = store.state;
    await store.close();
    const again = await open();
    assertEquals(again.state.host_id, host_id);
    await again.close();
  },
};
