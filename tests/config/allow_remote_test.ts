import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseAllowance, remoteProblem } from "../../lib/config/allow_remote.ts";
import { NODE_SETTINGS } from "../../lib/config/node_settings.ts";
import { RUNTIME_SETTINGS } from "../../lib/config/runtime.ts";

/** Whether a host may set these sensors where the owner allowed that. */
function may(sensor: string, ...allowed: readonly string[]): boolean {
  return remoteProblem({ sensors: [sensor] }, allowed) === undefined;
}

Deno.test("without a word of the owner a host sets no sensors and no limit of the disk, but all else", () => {
  const owners = RUNTIME_SETTINGS.filter((name) =>
    remoteProblem({ [name]: name === "sensors" ? ["sim"] : 1 }, []) !== undefined
  );
  assertEquals(owners, ["wal_bytes_max", "sensors"]);
  assertEquals(remoteProblem({ sample_hz: 5, rules: [], detector: "ewma" }, []), undefined);
  assertEquals(remoteProblem({ sensors: [] }, []), undefined, "none at all harms nothing");
});

const ALLOWED: [sensor: string, by: string, is: boolean][] = [
  ["sim", "sensors=sim", true],
  ["sim:extra=4", "sensors=linux, sim", true],
  ["linux", "sensors=sim", false],
  ["exec:cmd=/opt/read", "sensors=sim,linux", false],
  ["exec:cmd=/opt/read", "exec:/opt/read", true],
  ["exec:cmd='/opt/read --all'", "exec:/opt/read", true],
  ["exec:cmd=/opt/read2", "exec:/opt/read", false],
  ["exec:cmd=/opt/read/../../bin/sh", "exec:/opt/read", false],
  ["exec:cmd=read", "exec:/opt/read", false],
  ["exec:cmd=\"'/opt/read' --all\"", "exec:/opt/read", true],
  ["exec:cmd='/usr/bin/python3 /opt/read.py --all'", "exec:/usr/bin/python3 /opt/read.py", true],
  ["exec:cmd='/usr/bin/python3 -c evil'", "exec:/usr/bin/python3 /opt/read.py", false],
  ["exec:cmd=/usr/bin/python3", "exec:/usr/bin/python3 /opt/read.py", false],
  ["exec:path=/opt/read,cmd=/bin/sh", "exec:/opt/read", false],
  ["exec", "exec:/opt/read", false],
  ["file:name=a,path=/sys/class/x", "file:/sys/class", true],
  ["file:name=a,path=/sys/class", "file:/sys/class/", true],
  ["file:name=a,path=/sys/classes", "file:/sys/class", false],
  ["file:name=a,path=/sys/class/../../etc/shadow", "file:/sys/class", false],
  ["file:name=a,path=/sys/class/./x", "file:/sys/class", false],
  ["file:name=a,path=/sys/class//x", "file:/sys/class", false],
  ["file:name=a,path=sys/class", "file:/sys/class", false],
  ["file:name=a,path=/opt/read", "exec:/opt/read", false],
  ["exec:cmd=/sys/class", "file:/sys/class", false],
  ["constructor", "sensors=sim", false],
  ["sim:", "wal_bytes_max", false],
  ["not a spec", "sensors=sim", false],
];
for (const [sensor, by, is] of ALLOWED) {
  Deno.test(`--allow-remote '${by}' ${is ? "allows" : "does not allow"} ${sensor}`, () => {
    assertEquals(may(sensor, by), is);
  });
}

Deno.test("each of several sensors has to be allowed, and one line says what would allow it", () => {
  const sensors = ["sim", "exec:cmd='/opt/read --all'"];
  const problem = remoteProblem({ sensors }, ["sensors=sim"])!;
  assertMatch(problem, /^sensors is the device owner's to set: "exec:.*--allow-remote 'exec:\/opt/);
  assertEquals(remoteProblem({ sensors }, ["sensors=sim", "exec:/opt/read"]), undefined);
  assertMatch(
    remoteProblem({ wal_bytes_max: 1 }, ["sensors=sim"])!,
    /--allow-remote wal_bytes_max/,
  );
  assertEquals(remoteProblem({ wal_bytes_max: 1 }, ["wal_bytes_max"]), undefined);
});

for (
  const entry of [
    ...["", "sensors", "sensors=", "sensors=exec", "sensors=sim,file", "exec:", "exec:read"],
    ...["exec:../read", "file:", "file:x", "file:/a/../b", "file:/", "sample_hz", "constructor"],
    ...["data", "nonsense", "wal_bytes_max=5"],
  ]
) {
  Deno.test(`--allow-remote '${entry}' is a mistake that is told`, () => {
    const error = assertThrows(() => parseAllowance(entry), SyntaxError);
    assert(error.message.includes(`"${entry}"`) && !error.message.includes("\n"));
    assertEquals(NODE_SETTINGS.allow_remote.check(entry), error.message);
  });
}
