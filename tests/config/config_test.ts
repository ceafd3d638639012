import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { helpText } from "../../lib/config/document.ts";
import { HOST_SETTINGS } from "../../lib/config/host_settings.ts";
import { NODE_SETTINGS } from "../../lib/config/node_settings.ts";
import {
  flagName,
  parseCommandLine,
  parseSettingsFile,
  resolveSettings,
} from "../../lib/config/resolve.ts";
import { checkRuntimeConfig, problemsText } from "../../lib/config/runtime.ts";
import { parseSpec } from "../../lib/config/spec.ts";
import { problemText } from "../../lib/config/setting.ts";

function resolve(args: string[], environment = {}, toml = "") {
  const line = parseCommandLine(NODE_SETTINGS, args);
  assertEquals(line.problems, []);
  const file = parseSettingsFile(toml, "node.toml").values;
  return resolveSettings(NODE_SETTINGS, { flags: line.flags, environment, file });
}

Deno.test("settings: flags win over the environment, that over the file, that over the default", () => {
  const environment = { HOLDFAST_SAMPLE_HZ: "5", HOLDFAST_ID: "from-env" };
  const result = resolve(
    ["--sample-hz", "2"],
    environment,
    'sample_hz = 1\nid = "x"\nwal_sync = "always"',
  );
  assert(result.ok);
  assertEquals(result.values.sample_hz, 2);
  assertEquals(result.values.id, "from-env");
  assertEquals(result.values.wal_sync, "always");
  assertEquals(result.values.send_interval_ms, 1_000);
});

Deno.test("settings: all that is wrong is reported at once, with setting, source, expectation and value", () => {
  const result = resolve(
    ["--sample-hz=-1", "--wal-sync", "often"],
    { HOLDFAST_ID: "a b" },
    "nonsense = 1",
  );
  assert(!result.ok);
  const texts = result.problems.map(problemText);
  assertEquals(texts.length, 4);
  assert(texts.includes('wal_sync (--wal-sync): expected one of interval, always, got "often"'));
});

Deno.test("settings: lists come from repeated flags, from one flag with semicolons, and from the file", () => {
  const flags = resolve(["--sensor", "sim", "--sensor", "linux"]);
  const joined = resolve([], { HOLDFAST_SENSORS: "sim; linux" });
  const file = resolve([], {}, 'sensors = ["sim", "linux"]');
  for (const result of [flags, joined, file]) {
    assert(result.ok);
    assertEquals(result.values.sensors, ["sim", "linux"]);
  }
});

Deno.test("command line: an unknown flag and a flag without its value are problems, not exceptions", () => {
  const line = parseCommandLine(NODE_SETTINGS, ["--colour", "red", "--id"]);
  assertEquals(line.problems.map((problem) => problem.setting), ["--colour", "--id"]);
});

Deno.test("settings file: text that is no TOML is one problem with its path", () => {
  const { problems } = parseSettingsFile("= = =", "/etc/node.toml");
  assertEquals(problems[0]?.setting, "/etc/node.toml");
});

for (const [name, table] of [["node", NODE_SETTINGS], ["host", HOST_SETTINGS]] as const) {
  Deno.test(`--help of the ${name} names every setting`, () => {
    const help = helpText(table);
    for (const setting of Object.keys(table)) {
      assertMatch(help, new RegExp(`--${flagName(setting, table)}\\b`));
    }
  });
}

Deno.test("runtime configuration: only settings that can change are taken, with the values they allow", () => {
  assertEquals(checkRuntimeConfig({ sample_hz: 5 }), { ok: true, values: { sample_hz: 5 } });
  for (
    const config of [{ data: "/x" }, { sample_hz: "fast" }, { __proto__x: 1 }, { toString: 1 }]
  ) {
    assertEquals(checkRuntimeConfig(config).ok, false);
  }
});

Deno.test("spec strings: quotes keep commas, colons and spaces together", () => {
  const { kind, options } = parseSpec(`exec:cmd='/bin/x "a, b" c:d',every_ms=100`);
  assertEquals(kind, "exec");
  assertEquals([...options], [["cmd", '/bin/x "a, b" c:d'], ["every_ms", "100"]]);
  for (const bad of ["", "Sim", "sim:x", "sim:a=1,a=2", "sim:a='x", "sim:a='x'y"]) {
    assertThrows(() => parseSpec(bad), SyntaxError);
  }
});

Deno.test("rules and detectors are read before they are sent: what is wrong is said once, with the setting's name", () => {
  const wrong = (config: Record<string, unknown>) => {
    const checked = checkRuntimeConfig(config);
    assert(!checked.ok);
    return problemsText(checked.problems);
  };
  assertEquals(wrong({ rules: ["low:rail_v"] }), 'rules (config): rule "low:rail_v": needs below=');
  assertMatch(
    wrong({ detector: "zscor" }),
    /^detector \(config\): unknown detector "zscor", known/,
  );
  assertMatch(
    wrong({ detectors: ["temp_c=ewma:span=0"] }),
    /^detectors \(config\): .*span must be/,
  );
  assertMatch(wrong({ detectors: ["zscore:threshold=4"] }), /must be METRIC=DETECTOR/);
  for (const detector of ["none", "surprise", "zscore:threshold=4"]) {
    assert(checkRuntimeConfig({ detector, detectors: [`temp_c=${detector}`] }).ok);
  }
});

Deno.test("a list's flag is its singular, unless a setting has that name", () => {
  const { flags, problems } = parseCommandLine(NODE_SETTINGS, [
    ...["--detector", "ewma", "--detectors", "temp_c=rate", "--sensor", "sim"],
  ]);
  assertEquals(problems, []);
  assertEquals({ ...flags }, {
    detector: "ewma",
    detectors: ["temp_c=rate"],
    sensors: ["sim"],
  });
});
