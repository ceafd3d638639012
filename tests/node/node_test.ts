import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Diagnostics } from "../../lib/node/diagnostics.ts";
import { Degraded, Downsampler, samplesPerRecord } from "../../lib/node/downsample.ts";
import { wordsOf } from "../../lib/config/spec.ts";
import { parseOutput } from "../../lib/node/sensors/exec.ts";
import { numberIn } from "../../lib/node/sensors/file.ts";
import { parseCpu, parseMemory, parseNetwork } from "../../lib/node/sensors/linux.ts";
import { sensorMaker } from "../../lib/node/sensors/registry.ts";
import { SIM_OPTIONS, SimSensor } from "../../lib/node/sensors/sim.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import type { RecordContent } from "../../lib/protocol/record.ts";

function sample(value: number, isAnomaly = false): RecordContent {
  return {
    ts_wall_ms: value,
    ts_mono_ms: value,
    boot_id: "b",
    metrics: { a: value },
    anomaly: { is_anomaly: isAnomaly, score: 0, metrics: {} },
    diagnostics: {},
    degraded: false,
    cfg_version: 0,
  };
}

Deno.test("Downsampler puts every sample into exactly one record, in order, anomalous ones whole", () => {
  const step = fc.record({ anomaly: fc.boolean(), n: fc.integer({ min: 1, max: 9 }) });
  fc.assert(fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
    const downsampler = new Downsampler();
    const records = steps.flatMap(({ anomaly, n }, i) => downsampler.push(sample(i, anomaly), n));
    records.push(...downsampler.flush());
    const samples = records.reduce((sum, { agg }) => sum + (agg?.n ?? 1), 0);
    assertEquals(samples, steps.length);
    const times = records.map(({ ts_mono_ms }) => ts_mono_ms);
    assertEquals(times, [...times].sort((a, b) => a - b));
    const whole = records.filter(({ anomaly }) => anomaly.is_anomaly).length;
    assertEquals(whole, steps.filter(({ anomaly }) => anomaly).length);
  }));
});

Deno.test("Downsampler keeps mean, lowest and highest value", () => {
  const downsampler = new Downsampler();
  const records = [1, 2, 6].flatMap((value) => downsampler.push(sample(value), 3));
  assertEquals(records.length, 1);
  assertEquals(records[0]?.metrics, { a: 3 });
  assertEquals(records[0]?.agg, { n: 3, min: { a: 1 }, max: { a: 6 } });
});

Deno.test("Downsampler lets no event wait and loses none, nor a rule that was broken in between", () => {
  const downsampler = new Downsampler();
  const events = [{
    id: "1-r",
    state: "close" as const,
    severity: "low" as const,
    metrics: ["a"],
    since_wall_ms: 1,
    since_mono_ms: 1,
    duration_ms: 1,
    peak: { metric: "a", value: 1, score: 4 },
    around: [[1, 1] as [number, number]],
  }];
  const told = { ...sample(3), anomaly: { is_anomaly: false, score: 1, metrics: {}, events } };
  const broken = { ...sample(2), diagnostics: { rules: ["range a"] } };
  const records = [sample(1), broken, told].flatMap((part) => downsampler.push(part, 60));
  assertEquals(records.length, 1);
  assertEquals(records[0]?.agg?.n, 3);
  assertEquals(records[0]?.anomaly.events, events);
  assertEquals(records[0]?.diagnostics.rules, ["range a"]);
  assertEquals(downsampler.push(told, 60), [told]);
});

Deno.test("Degraded goes on at 90 % of the ring and off below 50 %, and thinning grows with the pressure", () => {
  const degraded = new Degraded();
  const at = (ring: number, wal = 0, writable = true) => degraded.update({ ring, wal, writable });
  assertEquals([at(0.89), at(0.9), at(0.6), at(0.5), at(0, 0.8), at(0, 0.75), at(0, 0.7)], [
    ...[false, true, true, false],
    ...[true, true, false],
  ]);
  let last = 1;
  for (let ring = 0.9; ring < 100; ring *= 1.5) {
    const n = samplesPerRecord(true, { ring, wal: 0, writable: true }, 64);
    assert(n >= last && n >= 2 && n <= 64);
    last = n;
  }
  assertEquals(last, 64);
});

Deno.test("Diagnostics: rail_low has hysteresis, a clock jump is told once, a stuck metric is named", () => {
  const diagnostics = new Diagnostics({
    rail_metric: "rail_v",
    rail_low_v: 4.75,
    temp_metric: "temp_c",
    temp_high_c: 80,
    stuck_s: 10,
    rules: [],
  });
  const judge = (rail_v: number, monoMs: number, wallMs = monoMs) =>
    diagnostics.judge({ rail_v, still: 1 }, {}, {
      wallMs,
      monoMs,
      missedTicks: 0,
      walWritable: true,
      diskFreeBytes: undefined,
      ringPressure: 0,
    });
  assertEquals([5, 4.74, 4.8, 4.9].map((volts, i) => judge(volts, i).rail_low), [
    false,
    true,
    true,
    false,
  ]);
  assertEquals(judge(5, 100, 3_600_100).clock_jump_ms, 3_600_000);
  assertEquals(judge(5, 200, 3_600_200).clock_jump_ms, undefined);
  assertEquals(judge(5.1, 10_000, 3_610_000).stuck, ["still"]);
});

Deno.test("Diagnostics: active rules are named, keep their state over a change of others, and know the node", () => {
  const settings = {
    rail_metric: "rail_v",
    rail_low_v: 4.75,
    temp_metric: "temp_c",
    temp_high_c: 80,
    stuck_s: 0,
    rules: ["range:a:max=10", "low:node.disk_free_bytes:below=1e6", "missing:b:for=5s"],
  };
  const diagnostics = new Diagnostics(settings);
  const judge = (a: number, monoMs: number) =>
    diagnostics.judge({ a }, {}, {
      wallMs: monoMs,
      monoMs,
      missedTicks: 0,
      walWritable: true,
      diskFreeBytes: 1e5,
      ringPressure: 0,
    });
  assertEquals(judge(11, 0).rules, ["range a", "low node.disk_free_bytes"]);
  diagnostics.reconfigure({
    ...settings,
    rules: [...settings.rules.slice(0, 1), "stuck:a:for=1h"],
  });
  assertEquals(judge(9.9, 100).rules, ["range a"]);
  assertEquals(diagnostics.rules, [
    { rule: "range a", active: true },
    { rule: "stuck a", active: false },
  ]);
  judge(1, 200);
  assertEquals(judge(1, 1_300).rules, undefined);
  assertEquals(diagnostics.current.rules, undefined);
  assertThrows(() => diagnostics.reconfigure({ ...settings, rules: ["x"] }), SyntaxError);
});

Deno.test("linux sensor reads load, memory and network as the kernel writes them", () => {
  assertEquals(parseCpu("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2"), {
    busy: 150,
    total: 1_000,
  });
  const memory = parseMemory(
    "MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
  );
  assertEquals(memory, { mem_used_percent: 75, swap_used_percent: 0 });
  const network = parseNetwork(
    "Inter-|\n face |\n    lo: 9 1 0 0 0 0 0 0 9 1\n  eth0: 100 1 0 0 0 0 0 0 200 2\n",
  );
  assertEquals(network, { received: 100, sent: 200 });
});

Deno.test("file and exec sensors find numbers where people put them", () => {
  assertEquals(numberIn("41250\n", ""), 41_250);
  assertEquals(numberIn("2d 01 4b : crc=3c YES\n2d 01 t=18812", "t="), 18_812);
  assertThrows(() => numberIn("none", ""));
  assertEquals(parseOutput("temp 4.5\nhumidity: 60\nnoise\n"), { temp: 4.5, humidity: 60 });
  assertEquals(parseOutput('{"a":1,"b":"x"}'), { a: 1 });
  assertThrows(() => parseOutput("nothing here"));
  assertEquals(wordsOf(`/bin/x "a b" 'c d' e`), ["/bin/x", "a b", "c d", "e"]);
});

Deno.test("sensor specs that can't be used are refused in one line", () => {
  for (
    const bad of [
      "thermo",
      "sim:speed=1",
      "sim:seed=x",
      "file:path=/x",
      "exec",
      "file:name=a b,path=/x",
    ]
  ) {
    assertMatch(String(assertThrows(() => sensorMaker(bad))), /^SyntaxError: [^\n]+$/);
  }
});

Deno.test("sim sensor repeats itself for a seed and labels each spike", () => {
  const make = () =>
    new SimSensor({ ...SIM_OPTIONS, spike_every_s: 1, quiet_s: 0 }, { seeded: seededRandom });
  const run = (sensor: SimSensor) =>
    Array.from({ length: 500 }, (_, i) => sensor.sample(0, 100 * i));
  const first = run(make());
  assertEquals(run(make()), first);
  const injected = first.filter((reading) => reading.injected !== undefined);
  assert(injected.length > 20);
  for (const reading of injected) assert(reading.values[reading.injected![0]!] !== undefined);
});
