/** A reading is judged once: what a sensor tells again between two readings is no news. */
import { assert, assertEquals } from "@std/assert";
import { MetricBank } from "../../lib/anomaly/bank.ts";
import { chooseDetectors } from "../../lib/anomaly/choice.ts";
import { Diagnostics } from "../../lib/node/diagnostics.ts";
import { LinuxSensor } from "../../lib/node/sensors/linux.ts";
import { PolledSensor, type SensorRuntime } from "../../lib/node/sensors/sensor.ts";
import { gaussian } from "../anomaly/noise.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const SETTINGS = {
  sample_hz: 10,
  alerts_per_day: 1,
  events_per_hour_max: 12,
  learn_anomalies_s: 1_800,
};
const ZSCORE = chooseDetectors({ detector: "zscore", detectors: [] });
const NONE: ReadonlySet<string> = new Set();

/** A sensor of two metrics, of which one changes each three seconds at most. */
class Slow extends PolledSensor {
  values: Record<string, number> = { fast: 1, slow: 1 };
  protected override periodMs(metric: string): number {
    return metric === "slow" ? 3_000 : 0;
  }
  protected read(): Promise<Record<string, number>> {
    return Promise.resolve({ ...this.values });
  }
}

/** Runs a sensor that is read each second; `say` gets the time and what is new, at ten ticks a second. */
async function ticking(
  make: (runtime: SensorRuntime) => PolledSensor,
  more: Partial<SensorRuntime>,
  seconds: number,
  say: (ms: number, news: string[], sensor: PolledSensor) => void,
): Promise<void> {
  const kernel = new Kernel(), clock = new MachineClock(kernel, 0);
  const sensor = make({ clock, ...more } as SensorRuntime);
  const stop = new AbortController();
  const running = sensor.run(stop.signal);
  for (let tick = 0; tick < 10 * seconds; tick++) {
    // Between two readings, as ticks are.
    await kernel.runUntil(100 * tick + 50);
    const { values, repeated = NONE } = sensor.sample(0, clock.monotonicMs());
    say(100 * tick, Object.keys(values).filter((name) => !repeated.has(name)), sensor);
  }
  stop.abort();
  await kernel.runUntil(clock.monotonicMs() + 2_000);
  await running;
}

Deno.test("each reading is new at one tick, and what changes seldom only as often as it can", async () => {
  const news: [number, string][] = [];
  await ticking((runtime) => new Slow("s", runtime, 1_000, 100), {}, 7, (ms, names) => {
    for (const name of names) news.push([Math.floor(ms / 1_000), name]);
  });
  const of = (metric: string) => news.filter(([, name]) => name === metric).map(([at]) => at);
  assertEquals(of("fast"), [0, 1, 2, 3, 4, 5, 6]);
  assertEquals(of("slow"), [0, 3, 6]);
});

Deno.test("a value that changed is new whatever its period says", async () => {
  let news = 0;
  await ticking((runtime) => new Slow("s", runtime, 1_000, 100), {}, 9, (ms, names, sensor) => {
    if (ms === 4_500) (sensor as Slow).values = { fast: 1, slow: 2 };
    if (names.includes("slow") && ms >= 4_500 && ms < 6_000) news++;
  });
  assertEquals(news, 1);
});

Deno.test("the load of a machine is new each five seconds, its memory each second", async () => {
  const texts: Record<string, string> = {
    "/proc/loadavg": "0.50 0.40 0.30 1/100 1000",
    "/proc/stat": "cpu 1 2 3 4 5 6 7 8",
    "/proc/meminfo": "MemTotal: 100 kB\nMemAvailable: 50 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB",
  };
  const runtime = {
    readText: (path: string) =>
      texts[path] === undefined ? Promise.reject(new Error("none")) : Promise.resolve(texts[path]!),
    listDirectory: () => Promise.resolve([]),
    diskSpace: () => Promise.resolve(undefined),
  };
  const counts: Record<string, number> = {};
  const make = (runtime: SensorRuntime) => new LinuxSensor({ every_ms: 1_000, disk: "/" }, runtime);
  await ticking(make, runtime, 20, (_ms, names) => {
    for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  });
  assertEquals([counts.load1, counts.mem_used_percent], [4, 20]);
});

Deno.test("what is told again is neither judged nor learned: windows count readings", () => {
  const noise = gaussian(3);
  const bank = new MetricBank(ZSCORE, SETTINGS, "r");
  let value = 0, flags = 0;
  // One reading in fifty ticks: for a window of samples it would be flat with a jump now and then.
  for (let tick = 0; tick < 50 * 400; tick++) {
    const isNew = tick % 50 === 0;
    if (isNew) value = noise();
    const now = { monoMs: 100 * tick, wallMs: 100 * tick };
    const block = bank.observe({ load: value }, now, isNew ? NONE : new Set(["load"]));
    if (!isNew) assertEquals(block, { is_anomaly: false, score: 0, metrics: {} });
    if (block.is_anomaly) flags++;
  }
  const { std, mean } = bank.last.get("load")!;
  assert(Math.abs(std - 1) < 0.2 && Math.abs(mean) < 0.3, `${mean} ${std}`);
  assert(flags <= 6, `${flags} of 400 readings`);
  assertEquals(bank.events.opened, 0);
});

Deno.test("an event of what is read seldom doesn't end between two readings", () => {
  const noise = gaussian(4);
  const bank = new MetricBank(ZSCORE, SETTINGS, "r");
  const told: string[] = [];
  let value = 0;
  for (let tick = 0; tick < 200 * 300; tick++) {
    const isNew = tick % 200 === 0;
    const reading = tick / 200;
    if (isNew) value = reading >= 250 && reading < 258 ? 40 + reading : noise();
    const now = { monoMs: 100 * tick, wallMs: 100 * tick };
    const { events = [] } = bank.observe({ level: value }, now, isNew ? NONE : new Set(["level"]));
    told.push(...events.map(({ state }) => state).filter((state) => state !== "update"));
  }
  assertEquals(told, ["open", "close"]);
});

Deno.test("a reading that is told for a minute isn't stuck; three that agree for so long are", () => {
  const diagnostics = new Diagnostics({
    rail_metric: "",
    rail_low_v: 0,
    temp_metric: "",
    temp_high_c: 0,
    stuck_s: 30,
    rules: [],
  });
  const stuckAt: number[] = [];
  for (let second = 0; second < 150; second++) {
    const repeated = second % 60 === 0 ? NONE : new Set(["level"]);
    const found = diagnostics.judge({ level: 5 }, {}, {
      ...{ wallMs: 1_000 * second, monoMs: 1_000 * second, repeated },
      ...{ missedTicks: 0, walWritable: true, diskFreeBytes: undefined, ringPressure: 0 },
    });
    if (found.stuck !== undefined) stuckAt.push(second);
  }
  assertEquals(stuckAt[0], 120);
});

Deno.test("what is read each five minutes is there all the time: its readings are no gaps, and an event is told", () => {
  const noise = gaussian(5);
  const bank = new MetricBank(ZSCORE, { ...SETTINGS, sample_hz: 1 }, "r");
  let value = 0, openedAt: number | undefined;
  for (let tick = 0; tick < 300 * 410; tick++) {
    const isNew = tick % 300 === 0, reading = tick / 300;
    if (isNew) value = noise() + (reading >= 400 ? 12 : 0);
    const now = { monoMs: 1_000 * tick, wallMs: 1_000 * tick };
    const { events = [] } = bank.observe({ level: value }, now, isNew ? NONE : new Set(["level"]));
    if (reading >= 300 && events.some(({ state }) => state === "open")) openedAt ??= reading;
  }
  assert(openedAt !== undefined && openedAt >= 400 && openedAt < 403, `${openedAt}`);
});
