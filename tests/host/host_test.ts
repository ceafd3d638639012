import { strict as assert } from "node:assert";
import fc from "fast-check";
import { creditFor } from "../../lib/host/credit.ts";
import { parseFault } from "../../lib/host/faults.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import { Session } from "../../lib/host/session.ts";
import { openSqliteStore } from "../../lib/platform/sqlite_store.ts";
import type { RecordRow } from "../../lib/platform/store.ts";
import { EPOCH, hello } from "../messages.ts";

function row(seq: number): RecordRow {
  return {
    seq,
    ts_wall_ms: seq,
    ts_mono_ms: seq,
    is_anomaly: seq % 3 === 0,
    score: 4,
    payload: `{"seq":${seq}}`,
  };
}

function newLedger(): Ledger {
  return new Ledger({ node_id: "a", epoch: EPOCH, high_acked: 0, ranges: [], max_seq: 0 });
}

Deno.test("Ledger takes each seq once, whatever the order, and acks only what was committed", () => {
  const step = fc.record({
    kind: fc.constantFrom("record", "gap", "commit", "fail"),
    from: fc.integer({ min: 1, max: 40 }),
    size: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const ledger = newLedger();
    const durable = new Set<number>();
    let pending = new Set<number>();
    for (const { kind, from, size } of steps) {
      if (kind === "record") {
        const known = durable.has(from) || pending.has(from);
        assert.equal(ledger.offer(row(from)), !known);
        pending.add(from);
      } else if (kind === "gap") {
        const lost = ledger.offerGap({
          from_seq: from,
          to_seq: from + size - 1,
          reason: "evicted",
        });
        const listed = lost.flatMap(({ from_seq, to_seq }) =>
          Array.from({ length: to_seq - from_seq + 1 }, (_, i) => from_seq + i)
        );
        for (const seq of listed) {
          assert.ok(!durable.has(seq) && !pending.has(seq));
          pending.add(seq);
        }
      } else if (kind === "commit") {
        ledger.committed(ledger.take().state);
        for (const seq of pending) durable.add(seq);
        pending = new Set();
      } else {
        ledger.take();
        ledger.rollBack();
        pending = new Set();
      }
      let high = 0;
      while (durable.has(high + 1)) high++;
      assert.equal(ledger.highAcked, high);
      for (const [low, top] of ledger.ranges(100)) {
        for (let seq = low; seq <= top; seq++) assert.ok(durable.has(seq));
      }
    }
  }));
});

Deno.test("creditFor() shares fairly, starves nobody, and is generous to one alone", () => {
  const alone = creditFor(256 << 20, 1);
  assert.ok(alone.records >= 8_192 && alone.bytes >= 4 << 20);
  const many = creditFor(256 << 20, 10_000);
  assert.ok(many.bytes >= 65_536 && many.records >= 256);
});

Deno.test("parseFault() reads durations and probabilities, and refuses what it doesn't know", () => {
  assert.deepEqual(parseFault("drop:every=30s"), { kind: "drop", p: 1, every_ms: 30_000 });
  assert.deepEqual(parseFault("delay:ms=200,for=10s,p=0.5"), {
    kind: "delay",
    p: 0.5,
    for_ms: 10_000,
    ms: 200,
  });
  for (const bad of ["explode", "drop:every=soon", "delay:p=2", "split:ms=3"]) {
    assert.throws(() => parseFault(bad), SyntaxError);
  }
});

const HELLO = hello("pump-7", { ts_wall_ms: 0, ts_mono_ms: 0 });

const REFUSALS: [name: string, identity: string | undefined, lines: unknown[], code: string][] = [
  ["anything before the hello", undefined, [{
    type: "gap",
    from_seq: 1,
    to_seq: 1,
    reason: "evicted",
  }], "bad_order"],
  ["a second hello", undefined, [HELLO, HELLO], "bad_order"],
  ["a protocol version it does not speak", undefined, [{ ...HELLO, proto: [9] }], "unsupported"],
  ["a node_id that is not the certificate's", "pump-8", [HELLO], "forbidden"],
  ["what is not JSON", undefined, ["hello"], "bad_message"],
  ["a gap that ends before it starts", undefined, [HELLO, {
    type: "gap",
    from_seq: 5,
    to_seq: 1,
    reason: "evicted",
  }], "bad_message"],
];
for (const [name, identity, lines, code] of REFUSALS) {
  Deno.test(`Session refuses ${name} with ${code}`, () => {
    const session = new Session({ handshakeMs: 1_000, heartbeatMs: 1_000 }, identity, 0);
    let last;
    for (const line of lines) {
      last = session.receive(typeof line === "string" ? line : JSON.stringify(line), 0);
      if (last.kind === "hello") session.welcomed(0);
    }
    assert.equal(last?.kind === "refuse" ? last.code : last?.kind, code);
  });
}

Deno.test("Session counts a node as gone after three silent heartbeats, and a mute one after the handshake time", () => {
  const session = new Session({ handshakeMs: 500, heartbeatMs: 1_000 }, undefined, 0);
  assert.equal(session.checkSilence(499), undefined);
  assert.equal(session.checkSilence(500)?.kind, "refuse");
  session.receive(JSON.stringify(HELLO), 100);
  session.welcomed(100);
  assert.equal(session.checkSilence(3_099), undefined);
  assert.equal(session.checkSilence(3_100)?.kind, "refuse");
});

Deno.test("SQLite store keeps records, gaps, epochs and configs over a restart, each record once", async () => {
  const directory = await Deno.makeTempDir();
  const store = await openSqliteStore(directory, "host-1");
  const state = {
    node_id: "a",
    epoch: EPOCH,
    high_acked: 5,
    ranges: [[7, 8]] as const,
    max_seq: 8,
  };
  const gaps = [{ from_seq: 4, to_seq: 5, reason: "evicted" }];
  await store.commit([{ state, records: [1, 2, 3, 7, 8].map(row), gaps }], 1_000);
  await store.commit([{ state, records: [1, 2].map(row), gaps }], 2_000);
  await store.putConfig({ target: "a", cfg_version: 3, config: { sample_hz: 5 }, at_wall_ms: 1 });
  await store.addEvents([{ at_wall_ms: 1, node_id: "a", kind: "gap", detail: { from_seq: 4 } }]);
  await store.close();
  const again = await openSqliteStore(directory, "host-2");
  assert.equal(again.state.host_id, "host-1");
  assert.deepEqual(again.state.epochs, [{ ...state, ranges: [[7, 8]] }]);
  assert.equal(again.state.configs[0]?.cfg_version, 3);
  const records = await again.records({ node_id: "a", limit: 10 });
  assert.deepEqual(
    records.map(({ seq, payload }) => [seq, payload]),
    [1, 2, 3, 7, 8].map((seq) => [seq, `{"seq":${seq}}`]),
  );
  assert.deepEqual(
    (await again.records({ node_id: "a", limit: 9, anomalies_only: true })).map(({ seq }) => seq),
    [3],
  );
  assert.equal((await again.gaps({ node_id: "a", limit: 10 })).length, 1);
  assert.equal((await again.events({ limit: 10 }))[0]?.kind, "gap");
  assert.equal(await again.retain({ olderThanWallMs: 1_500 }), 5);
  await again.close();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("SQLite store moves a damaged database aside and starts with an empty one", async () => {
  const directory = await Deno.makeTempDir();
  await Deno.writeTextFile(`${directory}/holdfast.db`, "this is no database at all, ".repeat(400));
  const store = await openSqliteStore(directory, "host-1");
  assert.deepEqual(store.state.epochs, []);
  await store.close();
  const names = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
  assert.ok(names.some((name) => name.startsWith("holdfast.db.damaged-")));
  await Deno.remove(directory, { recursive: true });
});
