/** What values settings take, from where, and what is said of those that they don't. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { helpText, markdownTables } from "../../lib/config/document.ts";
import { HOST_SETTINGS } from "../../lib/config/host_settings.ts";
import { NODE_SETTINGS } from "../../lib/config/node_settings.ts";
import {
  environmentName,
  parseCommandLine,
  parseSettingsFile,
  resolveSettings,
} from "../../lib/config/resolve.ts";
import {
  checkRuntimeConfig,
  RUNTIME_SETTINGS,
  RUNTIME_SETTINGS_HELP,
} from "../../lib/config/runtime.ts";
import {
  checkValue,
  problemText,
  type Setting,
  type SettingTable,
} from "../../lib/config/setting.ts";

const COMMON = { help: "h", group: "g" };
const NUMBER: Setting = { ...COMMON, kind: "number", default: 1, min: 0.5, max: 10, unit: "Hz" };
const INTEGER: Setting = { ...COMMON, kind: "integer", default: 1, min: 0, max: 10 };
const TEXT: Setting = {
  ...COMMON,
  kind: "text",
  default: "",
  pattern: /^a+$/,
  expected: "only a",
  check: (text) => text === "aaa" ? "three are too many" : undefined,
};
const CHOICE: Setting = { ...COMMON, kind: "choice", default: "x", choices: ["x", "y"] };
const FLAG: Setting = { ...COMMON, kind: "flag", default: false };
const LIST: Setting = {
  ...COMMON,
  kind: "list",
  default: [],
  max: 2,
  check: (entry) => entry === "bad" ? "bad is bad" : undefined,
};

Deno.test("each kind of setting takes what it says, texts too, and nothing beyond its limits", () => {
  const cases: [Setting, given: unknown, value: unknown][] = [
    [NUMBER, 0.5, 0.5],
    [NUMBER, 10, 10],
    [NUMBER, " 2.5 ", 2.5],
    [NUMBER, 0.49, undefined],
    [NUMBER, 10.1, undefined],
    [NUMBER, "", undefined],
    [NUMBER, " ", undefined],
    [NUMBER, NaN, undefined],
    [NUMBER, true, undefined],
    [NUMBER, "2Hz", undefined],
    [INTEGER, 0, 0],
    [INTEGER, "10", 10],
    [INTEGER, 1.5, undefined],
    [INTEGER, -1, undefined],
    [INTEGER, 11, undefined],
    [TEXT, "aa", "aa"],
    [TEXT, "ab", undefined],
    [TEXT, "aaa", undefined],
    [TEXT, 1, undefined],
    [CHOICE, "y", "y"],
    [CHOICE, "z", undefined],
    [FLAG, true, true],
    [FLAG, "1", true],
    [FLAG, "true", true],
    [FLAG, "0", false],
    [FLAG, "false", false],
    [FLAG, false, false],
    [FLAG, "yes", undefined],
    [FLAG, 1, undefined],
    [LIST, ["a", "b"], ["a", "b"]],
    [LIST, "a; b ;", ["a", "b"]],
    [LIST, "", []],
    [LIST, ["a", "b", "c"], undefined],
    [LIST, "a;b;c", undefined],
    [LIST, ["a", 1], undefined],
    [LIST, ["a", "bad"], undefined],
  ];
  for (const [setting, given, value] of cases) {
    const checked = checkValue("s", setting, given, "file");
    const shown = `${setting.kind} ${JSON.stringify(given)}`;
    assertEquals(checked.ok ? checked.value : undefined, value, shown);
  }
});

Deno.test("a value that is refused is named with its setting, its source, what is needed and what came", () => {
  const cases: [Setting, given: unknown, text: string][] = [
    [NUMBER, 11, "s (file): expected a number from 0.5 to 10 (Hz), got 11"],
    [INTEGER, " ", 's (file): expected a whole number from 0 to 10, got " "'],
    [INTEGER, "x", 's (file): expected a whole number from 0 to 10, got "x"'],
    [TEXT, "b", 's (file): expected only a, got "b"'],
    [TEXT, "aaa", "s (file): three are too many"],
    [CHOICE, "z", 's (file): expected one of x, y, got "z"'],
    [FLAG, 2, "s (file): expected true or false, got 2"],
    [LIST, [1], "s (file): expected a list of at most 2 texts, got [1]"],
    [LIST, "bad", "s (file): bad is bad"],
    [TEXT, "b".repeat(100), `s (file): expected only a, got "${"b".repeat(76)}...`],
    [{ ...TEXT, secret: true }, "b", "s (file): expected only a, got a value that is not shown"],
  ];
  for (const [setting, given, text] of cases) {
    const checked = checkValue("s", setting, given, "file");
    assert(!checked.ok);
    assertEquals(problemText(checked.problem), text);
  }
});

const TABLE = {
  list_items: LIST,
  max_hz: NUMBER,
  count: INTEGER,
  verbose: FLAG,
} as unknown as SettingTable;

Deno.test("each source gives way to the one above it, setting by setting, and is the one that is named", () => {
  const flags = { count: "7" };
  const environment = { HOLDFAST_COUNT: "6", HOLDFAST_MAX_HZ: "5" };
  const file = { count: 5, max_hz: 4, verbose: true };
  const resolved = resolveSettings(TABLE, { flags, environment, file });
  assert(resolved.ok);
  assertEquals(resolved.values as unknown, { list_items: [], max_hz: 5, count: 7, verbose: true });
  const bad = resolveSettings(TABLE, {
    flags: { count: "x" },
    environment: { HOLDFAST_MAX_HZ: "x" },
    file: { verbose: "x", list_items: "bad", unknown: 1 },
  });
  assert(!bad.ok);
  assertEquals(bad.problems.map(({ setting, source }) => [setting, source]), [
    ["list_items", "file"],
    ["max_hz", "HOLDFAST_MAX_HZ"],
    ["count", "--count"],
    ["verbose", "file"],
    ["unknown", "file"],
  ]);
  assertEquals(environmentName("max_hz"), "HOLDFAST_MAX_HZ");
});

Deno.test("a default that is a list is a copy: who changes it changes nobody else's", () => {
  const resolve = () => {
    const resolved = resolveSettings(NODE_SETTINGS, { flags: {}, environment: {}, file: {} });
    assert(resolved.ok);
    return resolved.values;
  };
  resolve().sensors.push("x");
  assertEquals(resolve().sensors, ["sim"]);
});

Deno.test("a command line: settings, the file, what is done at once, and what stands beside", () => {
  const line = parseCommandLine(TABLE, [
    ...["ls", "--config", "x.toml", "--no-verbose", "--count=3", "--list-item", "a;b", "dir"],
    ...["--list-items", "c", "--help", "--version"],
  ]);
  assertEquals(line.problems, []);
  assertEquals({ ...line.flags }, { verbose: false, count: "3", list_items: ["a", "b", "c"] });
  assertEquals([line.positionals, line.config], [["ls", "dir"], "x.toml"]);
  assertEquals([line.help, line.version], [true, true]);
  for (const [flag, help, version] of [["--help", true, false], ["--version", false, true]]) {
    const one = parseCommandLine(TABLE, [`${flag}`]);
    assertEquals([one.help, one.version], [help, version] as boolean[]);
  }
  const bare = parseCommandLine(TABLE, []);
  assertEquals([bare.flags, bare.config, bare.help, bare.version], [{}, undefined, false, false]);
});

Deno.test("a flag without its value says what is missing behind it", () => {
  const texts = parseCommandLine(TABLE, ["--wobble", "1", "--config"]).problems.map(problemText);
  assertEquals(texts, [
    '--wobble (command line): expected a flag that exists (see --help), got "--wobble"',
    "--config (command line): expected a file behind it, got none",
  ]);
});

Deno.test("a settings file is TOML; what is in it is found by name", () => {
  assertEquals(parseSettingsFile('count = 3\nlist_items = ["a"]', "x"), {
    values: { count: 3, list_items: ["a"] },
    problems: [],
  });
  const { values, problems } = parseSettingsFile("count = ", "x.toml");
  assertEquals([Object.keys(values), problems[0]!.source], [[], "file"]);
});

Deno.test("a configuration says all that is wrong with it, and is used whole or not at all", () => {
  const checked = checkRuntimeConfig({ sample_hz: 5, data: "/x", colour: "red", stuck_s: -1 });
  assert(!checked.ok);
  assertEquals(checked.problems.map(problemText), [
    'data (config): expected a setting that can change at run time, got "data"',
    'colour (config): expected a setting that exists, got "colour"',
    "stuck_s (config): expected a number from 0 to 604800 (s), got -1",
  ]);
  assertEquals(checkRuntimeConfig({ sample_hz: "5", rules: "a:b" }).ok, false);
  assertEquals(checkRuntimeConfig({ sample_hz: "5", sensors: "sim;linux" }), {
    ok: true,
    values: { sample_hz: 5, sensors: ["sim", "linux"] },
  });
  assertEquals(checkRuntimeConfig({}), { ok: true, values: {} });
});

Deno.test("a running node can be told of sampling, sensors, detection, limits and sending, and of nothing that names it or its files", () => {
  assertEquals([...RUNTIME_SETTINGS], [
    ...["send_interval_ms", "wal_bytes_max", "downsample_max", "sample_hz", "sensors"],
    ...[
      "detector",
      "event_detector",
      "relations",
      "relation_groups",
      "detectors",
      "alerts_per_day",
      "events_per_hour_max",
      "learn_anomalies_s",
    ],
    ...["rules", "rail_metric", "rail_low_v", "temp_metric", "temp_high_c", "stuck_s"],
  ]);
});

Deno.test("a form knows of each setting what it may hold", () => {
  assertEquals(RUNTIME_SETTINGS_HELP.map(({ name }) => name), [...RUNTIME_SETTINGS]);
  const { help, ...hz } = RUNTIME_SETTINGS_HELP.find(({ name }) => name === "sample_hz")!;
  assertMatch(help, /Samples/);
  assertEquals(hz, {
    name: "sample_hz",
    type: "number",
    default: 10,
    min: 0.001,
    max: 1_000,
    unit: "Hz",
  });
  const rules = RUNTIME_SETTINGS_HELP.find(({ name }) => name === "rules")!;
  assertEquals([rules.type, rules.default], ["list", []]);
});

Deno.test("--help shows each setting under its group with its flag, what goes behind it, and its default", () => {
  const table = {
    list_items: { ...LIST, default: ["p", "q"], placeholder: "ITEM" },
    max_hz: NUMBER,
    mode: { ...CHOICE, group: "other", help: "word ".repeat(40).trim() + "." },
    verbose: FLAG,
    name: { ...COMMON, kind: "text", default: "" },
  } as unknown as SettingTable;
  const lines = helpText(table).split("\n");
  assertEquals(lines.slice(0, 9), [
    "g:",
    "  --list-item ITEM  (may be repeated)",
    "      h Default: p; q.",
    "  --max-hz HZ",
    "      h Default: 1.",
    "  --verbose",
    "      h Default: false.",
    "  --name TEXT",
    "      h Default: none.",
  ]);
  assertEquals(lines.slice(9, 12), ["", "other:", "  --mode x|y"]);
  const help = lines.slice(12, 15);
  assert(
    help.every((line) => line.startsWith("      word") && line.length <= 100),
    help.join("\n"),
  );
  assertEquals(help.join(" ").match(/word/g)?.length, 40);
});

Deno.test("the pages have each setting in a table of its group, and which can be changed at run time", () => {
  const table = {
    max_hz: { ...NUMBER, runtime: true, help: "How a|b." },
    names: { ...LIST, group: "other" },
  } as unknown as SettingTable;
  assertEquals(markdownTables(table, 3).split("\n"), [
    ...["### g", "", "| setting | default | what it does |", "| --- | --- | --- |"],
    "| `max_hz` | `1` | How a\\|b. Takes a number from 0.5 to 10 (Hz). Can be changed at run time. |",
    ...["", "### other", "", "| setting | default | what it does |", "| --- | --- | --- |"],
    "| `names` | `none` | h Takes a list of at most 2 texts. |",
    "",
  ]);
});

Deno.test("every default is a value that its setting takes", () => {
  // An id is made of the machine's name where none is given; a token and the LED are none.
  const without = ["id"];
  for (const table of [NODE_SETTINGS, HOST_SETTINGS] as SettingTable[]) {
    for (const [name, setting] of Object.entries(table)) {
      if (without.includes(name)) continue;
      assert(checkValue(name, setting, setting.default, "default").ok, name);
    }
  }
});

Deno.test("addresses, names and tokens: what is taken and what is not", () => {
  const cases: [SettingTable, name: string, good: string[], bad: string[]][] = [
    [NODE_SETTINGS, "host", ["h:1", "[::1]:7400", "a:1,b:2"], [
      "h",
      "h:",
      ":1",
      "a:1,",
      "a b:1",
      "h:123456",
    ]],
    [NODE_SETTINGS, "id", ["a", "A.b_c-9", "9".repeat(64)], [
      "",
      ".a",
      "-a",
      "a b",
      "9".repeat(65),
    ]],
    [NODE_SETTINGS, "http", ["off", "0.0.0.0:80"], ["", "on", "80"]],
    [HOST_SETTINGS, "http", ["off", "[::]:80"], ["", "on"]],
    [HOST_SETTINGS, "listen", ["h:0"], ["off", "a:1,b:2x"]],
    [HOST_SETTINGS, "http_token", ["", "x".repeat(16), "~".repeat(256)], [
      "x".repeat(15),
      "x".repeat(257),
      "x ".repeat(9),
    ]],
    [NODE_SETTINGS, "led_path", ["/sys"], ["sys"]],
  ];
  for (const [table, name, good, bad] of cases) {
    const takes = (text: string) => checkValue(name, table[name]!, text, "file").ok;
    for (const text of good) assert(takes(text), `${name} ${text}`);
    for (const text of bad) assert(!takes(text), `${name} ${text}`);
  }
});

Deno.test("what must not be shown is not: the host's token is a secret in logs, pages and problems", () => {
  const secrets = [
    ...Object.entries(NODE_SETTINGS as SettingTable),
    ...Object.entries(HOST_SETTINGS as SettingTable),
  ]
    .filter(([, { secret }]) => secret).map(([name]) => name);
  assertEquals(secrets, ["token", "http_token", "http_token"]);
});
