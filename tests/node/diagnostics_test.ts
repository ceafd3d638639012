/** What a record says beside its values, at the limits of each verdict. */
import { assertEquals } from "@std/assert";
import { Diagnostics, type NodeState } from "../../lib/node/diagnostics.ts";

const SETTINGS = {
  rail_metric: "rail_v",
  rail_low_v: 5,
  temp_metric: "temp_c",
  temp_high_c: 80,
  stuck_s: 0,
  rules: [] as string[],
};
const WELL: NodeState = {
  wallMs: 0,
  monoMs: 0,
  missedTicks: 0,
  walWritable: true,
  diskFreeBytes: undefined,
  ringPressure: 0,
};

Deno.test("rail_low and temp_high hold until the value is back inside, also while it is missing", () => {
  const diagnostics = new Diagnostics(SETTINGS);
  const course: [
    rail_v: number | undefined,
    temp_c: number | undefined,
    low: boolean,
    high: boolean,
  ][] = [
    [5, 80, false, false],
    [4.99, 80.1, true, true],
    [5.09, 78.1, true, true],
    [undefined, undefined, true, true],
    [5.11, 78, false, false],
    [5, 79, false, false],
    [undefined, undefined, false, false],
  ];
  for (const [rail_v, temp_c, low, high] of course) {
    const metrics = { ...(rail_v && { rail_v }), ...(temp_c && { temp_c }) };
    const { rail_low, temp_high } = diagnostics.judge(metrics, {}, WELL);
    assertEquals([rail_low, temp_high], [low, high ? true : undefined], `${rail_v} ${temp_c}`);
  }
});

Deno.test("the state of the node is named from its limits on, and only what is the case", () => {
  const cases: [Partial<NodeState>, Record<string, unknown>][] = [
    [{}, {}],
    [{ missedTicks: 3 }, { missed_ticks: 3 }],
    [{ walWritable: false }, { wal_not_writable: true }],
    [{ diskFreeBytes: 64 * 1_048_576 }, {}],
    [{ diskFreeBytes: 64 * 1_048_576 - 1 }, { disk_nearly_full: true }],
    [{ diskFreeBytes: 0 }, { disk_nearly_full: true }],
    [{ ringPressure: 0.89 }, {}],
    [{ ringPressure: 0.9 }, { backlog_high: true }],
  ];
  for (const [state, more] of cases) {
    const diagnostics = new Diagnostics(SETTINGS);
    const found = diagnostics.judge({}, {}, { ...WELL, ...state });
    assertEquals(found, { rail_low: false, ...more });
    assertEquals(diagnostics.current, found);
  }
  assertEquals(new Diagnostics(SETTINGS).judge({}, { a: "gone" }, WELL).missing, { a: "gone" });
});

Deno.test("wall clocks that step either way are told by how far, slow ones are followed", () => {
  const diagnostics = new Diagnostics(SETTINGS);
  const jump = (monoMs: number, wallMs: number) =>
    diagnostics.judge({}, {}, { ...WELL, monoMs, wallMs }).clock_jump_ms;
  assertEquals(jump(0, 9_000), undefined, "there is nothing to compare with");
  assertEquals(jump(100, 9_600), undefined, "half a second is none");
  assertEquals(jump(200, 10_200), undefined, "and doesn't add up");
  assertEquals(jump(300, 10_801), 501);
  assertEquals(jump(400, 5_901), -5_000);
  assertEquals(jump(500, 6_001), undefined);
});

Deno.test("a metric is stuck from stuck_s on, and no more once it changes", () => {
  const diagnostics = new Diagnostics({ ...SETTINGS, stuck_s: 2 });
  const stuck = (monoMs: number, a: number) =>
    diagnostics.judge({ a, b: monoMs }, {}, { ...WELL, monoMs, wallMs: monoMs }).stuck;
  assertEquals([0, 1_000, 1_999, 2_000].map((ms) => stuck(ms, 7)), [
    ...[undefined, undefined, undefined],
    ["a"],
  ]);
  assertEquals([stuck(3_000, 8), stuck(4_999, 8), stuck(5_000, 8)], [undefined, undefined, ["a"]]);
});

Deno.test("changed settings are judged by from the next tick on", () => {
  const diagnostics = new Diagnostics(SETTINGS);
  diagnostics.reconfigure({ ...SETTINGS, rail_metric: "other", temp_high_c: 10, stuck_s: 1 });
  const found = diagnostics.judge({ rail_v: 1, other: 6, temp_c: 11 }, {}, WELL);
  assertEquals(found, { rail_low: false, temp_high: true });
});

Deno.test("rules can be about each state of the node", () => {
  const cases: [rule: string, state: Partial<NodeState>, others: Partial<NodeState>][] = [
    ["high:node.backlog_part:above=0.5", { ringPressure: 0.6 }, { ringPressure: 0.5 }],
    ["high:node.missed_ticks:above=1", { missedTicks: 2 }, { missedTicks: 1 }],
    ["low:node.wal_writable:below=1", { walWritable: false }, { walWritable: true }],
    ["low:node.disk_free_bytes:below=10", { diskFreeBytes: 9 }, { diskFreeBytes: undefined }],
  ];
  for (const [rule, bad, good] of cases) {
    const active = (state: Partial<NodeState>) => {
      const diagnostics = new Diagnostics({ ...SETTINGS, rules: [rule] });
      diagnostics.judge({}, {}, { ...WELL, ...state });
      return diagnostics.rules[0]!.active;
    };
    assertEquals([active(bad), active(good)], [true, false], rule);
  }
});

Deno.test("a sensor's metric of a node's name is the one that counts, and rules of one name are one", () => {
  const rules = ["high:a:above=1", "high:a:above=5", "high:node.missed_ticks:above=5"];
  const diagnostics = new Diagnostics({ ...SETTINGS, rules });
  const found = diagnostics.judge({ a: 2, "node.missed_ticks": 9 }, {}, WELL);
  assertEquals(found.rules, ["high a", "high node.missed_ticks"]);
  assertEquals(diagnostics.rules, [
    { rule: "high a", active: true },
    { rule: "high node.missed_ticks", active: true },
  ]);
});
