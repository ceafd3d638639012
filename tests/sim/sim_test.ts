import { assertEquals } from "@std/assert";
import { runSeed } from "./run.ts";
import { DESTRUCTIVE, FAULT_NAMES } from "./story.ts";

const SAFE = FAULT_NAMES.filter((name) => !DESTRUCTIVE.includes(name));

/** Seeds that once failed, each with what an operator would have seen. */
const STORIES: { seed: number; story: string; minutes?: number; safe?: boolean }[] = [
  { seed: 51, story: "uplink stuck on a hole after the host lost its data" },
  { seed: 3, story: "the log was a segment header larger than its limit" },
  { seed: 22, story: "a configuration set on a restored host never reached a node" },
  { seed: 341, story: "a ring larger than the log kept the node off a good disk for ever" },
  { seed: 155, story: "an uplink took all of a core while records got new numbers" },
  { seed: 1188, story: "two samples at one moment when the rate changed" },
  { seed: 2, story: "records in a sealed segment counted as synced", minutes: 5, safe: true },
  { seed: 138, story: "a number given twice after two crashes", minutes: 5, safe: true },
];

for (const { seed, story, minutes = 10, safe = false } of STORIES) {
  Deno.test(`simulator: seed ${seed} stays mended: ${story}`, async () => {
    const options = { nodes: 4, minutes, ...(safe ? { only: SAFE } : {}) };
    const { error } = await runSeed(seed, options);
    assertEquals(error, undefined);
  });
}

Deno.test("simulator: twelve seeds of failures lose nothing in silence and store nothing twice", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const { error } = await runSeed(seed, { nodes: 3, minutes: 4 });
    assertEquals(error, undefined, `seed ${seed}: ${error}`);
  }
});

Deno.test("simulator: the same seed gives the same run, to the last event", async () => {
  const first = await runSeed(7, { nodes: 2, minutes: 3 });
  const second = await runSeed(7, { nodes: 2, minutes: 3 });
  assertEquals(second, first);
});

/** What of the real world a run may not touch, by the object that has it. */
const FORBIDDEN: [object, string[]][] = [
  [Date, ["now"]],
  [performance, ["now"]],
  [Math, ["random"]],
  [crypto, ["getRandomValues", "randomUUID"]],
  [globalThis, ["setTimeout", "setInterval", "fetch", "WebSocket", "Worker"]],
  [Deno, [
    ...["open", "openSync", "readFile", "readFileSync", "writeFile", "writeFileSync", "readDir"],
    ...["readTextFile", "writeTextFile", "mkdir", "remove", "rename", "stat", "statSync"],
    ...["connect", "listen", "connectTls", "listenTls", "serve", "Command"],
  ]],
];

Deno.test("simulator: a run touches no real clock, disk, socket, process or randomness", async () => {
  const saved: [object, string, PropertyDescriptor | undefined][] = [];
  const touched: string[] = [];
  for (const [owner, names] of FORBIDDEN) {
    for (const name of names) {
      saved.push([owner, name, Object.getOwnPropertyDescriptor(owner, name)]);
      const trap = () => {
        touched.push(name);
        throw new Error(`${name} was called`);
      };
      Object.defineProperty(owner, name, { value: trap, configurable: true, writable: true });
    }
  }
  try {
    const { error } = await runSeed(14, { nodes: 2, minutes: 2 });
    assertEquals(error, undefined);
  } finally {
    for (const [owner, name, descriptor] of saved) {
      if (descriptor === undefined) Reflect.deleteProperty(owner, name);
      else Object.defineProperty(owner, name, descriptor);
    }
  }
  assertEquals(touched, []);
});
