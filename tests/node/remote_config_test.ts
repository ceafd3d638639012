/** Whatever a host sends as a configuration, it reaches nothing on a device that the owner didn't allow. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { remoteProblem } from "../../lib/config/allow_remote.ts";
import { NODE_SETTINGS, type NodeSettings } from "../../lib/config/node_settings.ts";
import { chooseDetectors } from "../../lib/anomaly/choice.ts";
import { makeSensors } from "../../lib/node/choices.ts";
import { SENSORS } from "../../lib/node/sensors/registry.ts";
import { ConfigListener } from "../../lib/node/config_listener.ts";
import type { SensorRuntime } from "../../lib/node/sensors/sensor.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { SimDisk } from "../sim/disk.ts";
import { ManualClock } from "../web/test_host.ts";

const BASE = Object.fromEntries(
  Object.entries(NODE_SETTINGS).map(([name, setting]) => [name, setting.default]),
) as unknown as NodeSettings;

/** What a device was made to do. */
interface Reached {
  readonly programs: string[];
  readonly paths: string[];
}

/** A listener that puts settings in force as a node does, and reads all sensors once. */
async function device(allow_remote: string[]): Promise<ConfigListener & { reached: Reached }> {
  const reached: Reached = { programs: [], paths: [] };
  const path = <T>(value: T) => (name: string) => {
    reached.paths.push(name);
    return Promise.resolve(value);
  };
  const runtime: SensorRuntime = {
    clock: new ManualClock(),
    seeded: seededRandom,
    readText: path("1"),
    listDirectory: path([]),
    run: (command) => {
      reached.programs.push(command.join(" "));
      return Promise.resolve("a 1");
    },
    diskSpace: path({ total: 2, free: 1 }),
  };
  const listener = await ConfigListener.load(new SimDisk(), { ...BASE, allow_remote });
  listener.onApply(async (settings) => {
    chooseDetectors(settings);
    const stop = new AbortController();
    const sensors = makeSensors(settings.sensors, runtime);
    const running = sensors.map((sensor) => sensor.run(stop.signal));
    await Promise.resolve();
    stop.abort();
    await Promise.race([Promise.all(running), Promise.resolve()]);
  });
  return Object.assign(listener, { reached });
}

const word = fc.constantFrom(
  ...["/opt/read", "/opt/read2", "/bin/sh", "read", "..", "/sys/class/hwmon", "/sys/class/../x"],
  ...["/etc/shadow", "-c", "evil", "'", '"', "\\", ",", "=", ":", ";", "\0", " "],
);
const text = fc.oneof(fc.array(word, { maxLength: 4 }).map((words) => words.join("")), fc.string());
const sensor = fc.oneof(
  text,
  fc.tuple(
    fc.constantFrom("exec", "file", "linux", "sim", "__proto__", "Exec"),
    fc.array(fc.tuple(fc.constantFrom("cmd", "path", "name", "disk", "every_ms", "after"), text), {
      maxLength: 3,
    }),
    fc.constantFrom("", "'", '"'),
  ).map(([kind, options, quote]) =>
    `${kind}:${options.map(([name, value]) => `${name}=${quote}${value}${quote}`).join(",")}`
  ),
);
const value = fc.oneof(
  fc.array(sensor, { maxLength: 3 }),
  text,
  fc.integer(),
  fc.double(),
  fc.jsonValue({ maxDepth: 2 }),
);
const config = fc.dictionary(
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("sensors", ...Object.keys(NODE_SETTINGS)) },
    fc.constantFrom("__proto__", "constructor", "allow-remote"),
    fc.string(),
  ),
  value,
  { maxKeys: 4 },
);

/** Throws so many configurations at a device. */
async function thrown(listener: ConfigListener, runs: number): Promise<void> {
  let version = 0;
  await fc.assert(
    fc.asyncProperty(config, async (config) => {
      const { ok, error } = await listener.receive({ cfg_version: ++version, config });
      assert(ok || (error !== undefined && !/[\n\r]/.test(error)), `said ${error}`);
    }),
    { numRuns: runs, endOnFailure: true },
  );
}

Deno.test("of 50,000 configurations none starts a program or opens a file", async () => {
  const listener = await device([]);
  await thrown(listener, 50_000);
  assertEquals(listener.reached, { programs: [], paths: [] });
});

Deno.test("of 50,000 configurations none reaches more than the owner allowed", async () => {
  const allowed = ["sensors=sim", "exec:/opt/read", "file:/sys/class/hwmon", "wal_bytes_max"];
  const listener = await device(allowed);
  await thrown(listener, 50_000);
  await listener.receive({ cfg_version: 1e6, config: { sensors: ["exec:cmd='/opt/read -a'"] } });
  const { programs, paths } = listener.reached;
  assertEquals(programs.at(-1), "/opt/read -a", "what is allowed works");
  for (const program of programs) assertMatch(program, /^\/opt\/read( |$)/);
  for (const path of paths) assertMatch(path, /^\/sys\/class\/hwmon(\/(?!\.\.?(\/|$))[^/]+)*$/);
});

Deno.test("of each kind of sensor that there is it is told what would allow it", () => {
  for (const kind of Object.keys(SENSORS)) {
    const given = { exec: "exec:cmd=/opt/read", file: "file:name=a,path=/sys/a" }[kind] ?? kind;
    const problem = remoteProblem({ sensors: [given] }, [])!;
    const [, entry] = /--allow-remote '(.*)'$/.exec(problem)!;
    assertEquals(remoteProblem({ sensors: [given] }, [entry!]), undefined);
  }
  assertMatch(remoteProblem({ sensors: ["modem"] }, [])!, /there is no sensor "modem"/);
});

Deno.test("a refused configuration is refused whole, says why, and may be allowed later", async () => {
  const config = { sample_hz: 5, sensors: ["exec:cmd=/opt/read"] };
  const listener = await device([]);
  const answer = await listener.receive({ cfg_version: 3, config });
  assertEquals([answer.ok, answer.cfg_version_applied], [false, 0]);
  assertMatch(answer.error!, /owner's to set.*--allow-remote 'exec:\/opt\/read'/);
  assertEquals([listener.settings.sample_hz, listener.lastError], [10, answer.error]);
  await listener.reload({ ...BASE, allow_remote: ["exec:/opt/read"] });
  assertEquals((await listener.receive({ cfg_version: 3, config })).ok, true);
  assertEquals(listener.settings.sample_hz, 5);
});

Deno.test("what the owner no longer allows is out of force at once, and after a restart", async () => {
  const disk = new SimDisk();
  const allowing = { ...BASE, allow_remote: ["sensors=linux"] };
  const listener = await ConfigListener.load(disk, allowing);
  listener.onApply(() => Promise.resolve());
  await listener.receive({ cfg_version: 3, config: { sensors: ["linux"], sample_hz: 5 } });
  assertEquals(listener.settings.sensors, ["linux"]);
  await listener.reload(BASE);
  assertEquals([listener.version, listener.settings.sensors], [0, ["sim"]]);
  assertEquals(listener.settings.sample_hz, 10, "it was in force as a whole, and so it goes");
  assertMatch(listener.lastError!, /owner's to set/);
  const again = await ConfigListener.load(disk, BASE);
  assertEquals([again.version, again.settings.sensors], [0, ["sim"]]);
  const allowed = await ConfigListener.load(disk, allowing);
  assertEquals([allowed.version, allowed.settings.sensors], [3, ["linux"]]);
});

Deno.test("a reload that fails leaves in force what was, also where it would have ended a configuration", async () => {
  const listener = await device(["sensors=linux"]);
  await listener.receive({ cfg_version: 3, config: { sensors: ["linux"] } });
  listener.onApply(() => Promise.reject(new Error("no such sensor")));
  await assertRejects(() => listener.reload({ ...BASE, sample_hz: 99 }));
  assertEquals([listener.version, listener.settings.sensors], [3, ["linux"]]);
  assertEquals(listener.settings.sample_hz, 10);
});
