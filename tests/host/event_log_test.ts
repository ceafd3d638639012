import { configure, reset } from "@logtape/logtape";
import { assertEquals } from "@std/assert";
import { EventLog } from "../../lib/host/event_log.ts";
import type { EventRow, Store } from "../../lib/store/store.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

/** Events of one node within a minute that are told one by one. */
const TOLD = 500;

function setUp() {
  const kernel = new Kernel();
  const stored: EventRow[] = [];
  const disk = { isFull: false, refuses: 0 };
  const store = {
    addEvents: (events: readonly EventRow[]) => {
      if (disk.isFull) return Promise.reject(new Error("disk full"));
      stored.push(...events);
      return Promise.resolve(disk.refuses);
    },
  };
  const log = new EventLog(store as unknown as Store, new MachineClock(kernel, 1_000_000));
  return { log, stored, disk, pass: (ms: number) => kernel.runUntil(kernel.nowMs + ms) };
}

Deno.test("EventLog: the events of a node are told one by one, in order, with their time", async () => {
  const { log, stored, pass } = setUp();
  log.add("gap", "a", { n: 1 });
  await pass(5_000);
  log.add("connected", "b", { n: 2 });
  await log.save();
  assertEquals(stored, [
    { at_wall_ms: 1_000_000, node_id: "a", kind: "gap", detail: { n: 1 } },
    { at_wall_ms: 1_005_000, node_id: "b", kind: "connected", detail: { n: 2 } },
  ]);
});

Deno.test("EventLog: a flood of one node is a count of each kind after a minute, and hides nobody else's events", async () => {
  const { log, stored, pass } = setUp();
  for (let n = 1; n <= TOLD; n++) log.add("gap", "a", { n });
  for (let n = 1; n <= 30; n++) log.add("gap", "a", { late: n });
  log.add("connected", "a", { peer: "p" });
  log.add("gap", "b", { n: 1 });
  await pass(59_999);
  log.tick();
  await log.save();
  assertEquals(stored.length, TOLD + 1);
  assertEquals(stored.at(-1)?.node_id, "b");
  await pass(1);
  log.tick();
  await log.save();
  assertEquals(stored.slice(TOLD + 1).map(({ kind, detail }) => [kind, detail]), [
    ["gap", { late: 30, count: 30 }],
    ["connected", { peer: "p" }],
  ]);
  // The minute is over: the next one is told at once, and what was held back only once.
  log.add("gap", "a", { n: 7 });
  log.tick();
  await log.save();
  assertEquals(stored.slice(TOLD + 3).map(({ detail }) => detail), [{ n: 7 }]);
});

Deno.test("EventLog: of a flood of ever new kinds so many are counted and no more", async () => {
  const { log, stored, pass } = setUp();
  for (let n = 1; n <= TOLD; n++) log.add("gap", "a", { n });
  for (let n = 1; n <= 100; n++) log.add(`kind_${n}`, "a", { n });
  await pass(60_000);
  log.tick();
  await log.save();
  assertEquals(stored.length, TOLD + 32);
});

Deno.test("EventLog: what the disk doesn't take is written later, the newest ten thousand of it", async () => {
  const { log, stored, disk } = setUp();
  disk.isFull = true;
  for (let n = 0; n < 10_003; n++) log.add("gap", `node-${n}`, { n });
  await log.save();
  assertEquals([log.lost, stored.length], [3, 0]);
  log.add("gap", "late", { n: 10_003 });
  await log.save();
  disk.isFull = false;
  await log.save();
  assertEquals([log.lost, stored.length], [4, 10_000]);
  assertEquals([stored[0]?.detail, stored.at(-1)?.detail], [{ n: 4 }, { n: 10_003 }]);
  await log.save();
  assertEquals(stored.length, 10_000, "nothing is written twice");
});

Deno.test("EventLog: what comes while a write fails counts for the limit, too", async () => {
  const { log, stored, disk } = setUp();
  for (let n = 0; n < 10_000; n++) log.add("gap", `node-${n}`, { n });
  disk.isFull = true;
  const saving = log.save();
  for (let n = 10_000; n < 10_005; n++) log.add("gap", `node-${n}`, { n });
  await saving;
  assertEquals(log.lost, 5);
  disk.isFull = false;
  await log.save();
  assertEquals([stored.length, stored[0]?.detail], [10_000, { n: 5 }]);
});

Deno.test("EventLog: where nothing happened the disk is left alone", async () => {
  const { log, disk } = setUp();
  disk.refuses = 1;
  log.tick();
  await log.save();
  assertEquals(log.lost, 0);
});

Deno.test("EventLog: events that the store refuses are counted as lost", async () => {
  const { log, disk } = setUp();
  disk.refuses = 1;
  log.add("gap", "a", { n: 1 });
  await log.save();
  assertEquals(log.lost, 1);
});

Deno.test("EventLog: the minute of a flood begins with the first event of its node", async () => {
  const { log, stored, pass } = setUp();
  await pass(45_000);
  for (let n = 0; n <= TOLD; n++) log.add("gap", "a", { n });
  await pass(59_999);
  log.tick();
  await log.save();
  assertEquals(stored.length, TOLD);
  await pass(1);
  log.tick();
  await log.save();
  assertEquals(stored.length, TOLD + 1);
});

Deno.test("EventLog: the log shows values and names of nodes, on one line that controls no terminal", async () => {
  const { log } = setUp();
  const lines: unknown[] = [];
  await configure({
    sinks: { list: ({ properties }) => lines.push(properties) },
    loggers: [
      { category: "holdfast", sinks: ["list"] },
      { category: ["logtape", "meta"], lowestLevel: "fatal" },
    ],
  });
  log.add("anomaly_fleet", "*", { nodes: ["a", "b"], around: [[1, 2]], peak: { z: 1 }, n: 3 });
  log.add("config_refused", "a", { error: "\x1b[2J\nno", long: "x".repeat(1_000) });
  await reset();
  const [fleet, refused] = lines as { node_id: string; kind: string; text: string }[];
  assertEquals([fleet?.node_id, fleet?.kind, fleet?.text], ["*", "anomaly_fleet", "nodes=a,b n=3"]);
  const controls = [...refused!.text].filter((sign) => sign < " ");
  assertEquals([controls, refused!.text.length <= 501], [[], true]);
});

Deno.test("EventLog: what comes while others are written is written next", async () => {
  const { log, stored } = setUp();
  log.add("gap", "a", { n: 1 });
  const saving = log.save();
  log.add("gap", "a", { n: 2 });
  await saving;
  assertEquals(stored.map(({ detail }) => detail.n), [1]);
  await log.save();
  assertEquals([stored.map(({ detail }) => detail.n), log.lost], [[1, 2], 0]);
});

Deno.test("EventLog: a host that stops tells of what a flood holds back", async () => {
  const { log, stored } = setUp();
  for (let n = 1; n <= TOLD + 3; n++) log.add("gap", "a", { n });
  await log.close();
  assertEquals(stored.slice(TOLD).map(({ detail }) => detail), [{ n: TOLD + 3, count: 3 }]);
});
