import { assertEquals } from "@std/assert";
import { runSeed } from "./run.ts";

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
