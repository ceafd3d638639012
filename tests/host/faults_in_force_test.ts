/** Injected faults do what they say, as long and as often as they say, and nothing else. */
import { assert, assertEquals } from "@std/assert";
import { type FaultKind, Faults, parseDurationMs, parseFault } from "../../lib/host/faults.ts";
import type { Connection, Random } from "../../lib/platform/platform.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

function setUp(chances: readonly number[] = []) {
  const kernel = new Kernel();
  const chance = [...chances];
  const random = { below: () => chance.shift() ?? 0 } as unknown as Random;
  const faults = new Faults(new MachineClock(kernel, 1e12), random);
  const add = (text: string) => faults.add(parseFault(text));
  const strikes = (kind: FaultKind) => faults.strikes(kind)?.kind;
  const pass = (ms: number) => kernel.runUntil(kernel.nowMs + ms);
  return { faults, add, strikes, pass };
}

const SPECS: [text: string, p: number, more: Record<string, number>][] = [
  ["drop", 0.01, {}],
  ["drop:p=0.5", 0.5, {}],
  ["drop:every=2m", 1, { every_ms: 120_000 }],
  ["drop:every=2m,p=1", 1, { every_ms: 120_000 }],
  ["refuse:for=1h", 1, { for_ms: 3_600_000 }],
  ["stall", 1, {}],
  ["delay", 1, { ms: 200 }],
  ["delay:ms=5", 1, { ms: 5 }],
  ["corrupt", 0.01, {}],
  ["duplicate", 0.1, {}],
  ["split:p=0", 0, {}],
];
for (const [text, p, more] of SPECS) {
  Deno.test(`parseFault() reads ${text}`, () => {
    assertEquals(parseFault(text) as unknown, { kind: text.split(":")[0], p, ...more });
  });
}

Deno.test("parseDurationMs() reads each unit, and milliseconds without one", () => {
  const texts = ["500", "500ms", "1.5s", "2m", "1h"];
  assertEquals(texts.map(parseDurationMs), [500, 500, 1_500, 120_000, 3_600_000]);
});

Deno.test("Faults: one strikes as long as it lasts, is counted, and leaves other kinds alone", async () => {
  const { faults, add, strikes, pass } = setUp();
  add("refuse:for=10s");
  const [first] = faults.active;
  assertEquals([strikes("refuse"), strikes("corrupt"), strikes("drop")], ["refuse", ...none(2)]);
  await pass(9_999);
  assertEquals([strikes("refuse"), faults.active.length], ["refuse", 1]);
  await pass(1);
  assertEquals([strikes("refuse"), faults.active.length], [undefined, 0]);
  assertEquals([first?.hits, faults.struck.refuse, faults.struck.drop], [2, 2, 0]);
  add("refuse");
  await pass(1e9);
  assertEquals(strikes("refuse"), "refuse", "until it is cleared");
});

function none(count: number): undefined[] {
  return Array.from({ length: count }, () => undefined);
}

Deno.test("Faults: one strikes with its probability, and a second one has its own chance", () => {
  const { add, strikes, faults } = setUp([499_999, 500_000, 999_999, 500_000, 9]);
  const first = add("corrupt:p=0.5");
  assertEquals([1, 2, 3].map(() => strikes("corrupt")), ["corrupt", undefined, undefined]);
  const second = add("corrupt:p=0.1");
  assert(first.id !== second.id);
  assertEquals([strikes("corrupt"), first.hits, second.hits], ["corrupt", 1, 1]);
  assertEquals(faults.struck.corrupt, 2);
});

Deno.test("Faults: drop cuts all at each interval, and then nothing at a chunk", async () => {
  const { faults, add, strikes, pass } = setUp();
  add("drop:every=30s,for=70s");
  const drops: number[] = [];
  for (let second = 0; second < 120; second++) {
    if (faults.dropsAll()) drops.push(second);
    await pass(1_000);
  }
  add("drop:every=30s");
  assertEquals(strikes("drop"), undefined);
  assertEquals(drops, [30, 60]);
  assertEquals(faults.struck.drop, 2);
});

Deno.test("Faults: no two have one name, also where the first is over", async () => {
  const { faults, add, pass } = setUp();
  const ids = [add("refuse:for=1s").id, add("stall").id];
  await pass(1_000);
  assertEquals(faults.active.length, 1);
  ids.push(add("delay").id);
  assertEquals(new Set(ids).size, 3);
});

Deno.test("Faults: acks are held back while a stall lasts, each is counted", async () => {
  const { faults, add, pass } = setUp();
  assertEquals(faults.holdsAcks(), false);
  add("delay");
  add("stall:for=5s");
  assertEquals([faults.holdsAcks(), faults.holdsAcks(), faults.struck.stall], [true, true, 2]);
  await pass(5_000);
  assertEquals(faults.holdsAcks(), false);
});

Deno.test("Faults: what is cleared strikes no more", async () => {
  const { faults, add, strikes, pass } = setUp();
  for (const text of ["drop:every=1s", "stall", "refuse"]) add(text);
  faults.clear();
  await pass(5_000);
  assertEquals([faults.dropsAll(), faults.holdsAcks(), strikes("refuse")], [
    false,
    false,
    undefined,
  ]);
  assertEquals(faults.active, []);
  add("drop:every=1s");
  assertEquals(faults.dropsAll(), false);
});

class Pipe implements Connection {
  readonly peer = "p:1";
  readonly identity = "pump-7";
  readonly written: Uint8Array[] = [];
  chunks: (Uint8Array | undefined)[];
  isClosed = false;
  constructor(...chunks: (Uint8Array | undefined)[]) {
    this.chunks = chunks;
  }
  read(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.chunks.shift());
  }
  write(bytes: Uint8Array): Promise<void> {
    this.written.push(bytes);
    return Promise.resolve();
  }
  close(): void {
    this.isClosed = true;
  }
}

Deno.test("Faults: a connection without any is as it was", async () => {
  const { faults } = setUp();
  const pipe = new Pipe(Uint8Array.of(1, 2), undefined);
  const connection = faults.wrap(pipe);
  assertEquals([connection.peer, connection.identity], ["p:1", "pump-7"]);
  assertEquals(await connection.read(), Uint8Array.of(1, 2));
  assertEquals(await connection.read(), undefined);
  await connection.write(Uint8Array.of(3));
  assertEquals(pipe.written, [Uint8Array.of(3)]);
  assertEquals(pipe.isClosed, false);
  connection.close();
  assertEquals(pipe.isClosed, true);
});

Deno.test("Faults: a damaged chunk differs in one byte that is no text, as a copy", async () => {
  const { faults, add } = setUp([0, 2]);
  add("corrupt:p=1");
  const chunk = Uint8Array.of(1, 2, 3, 4);
  assertEquals(await faults.wrap(new Pipe(chunk)).read(), Uint8Array.of(1, 2, 0xff, 4));
  assertEquals(chunk, Uint8Array.of(1, 2, 3, 4));
});

Deno.test("Faults: a dropped connection is closed at a chunk, which is lost", async () => {
  const { faults, add } = setUp();
  add("drop:p=1");
  const pipe = new Pipe(Uint8Array.of(1));
  assertEquals(await faults.wrap(pipe).read(), undefined);
  assertEquals(pipe.isClosed, true);
});

Deno.test("Faults: a delayed chunk comes so much later, whole", async () => {
  const { faults, add, pass } = setUp();
  add("delay:ms=300");
  const read: unknown[] = [];
  faults.wrap(new Pipe(Uint8Array.of(1))).read().then((chunk) => read.push(chunk));
  await pass(299);
  assertEquals(read, []);
  await pass(1);
  assertEquals(read, [Uint8Array.of(1)]);
});

Deno.test("Faults: what leaves in pieces is what was written, the first 512 bytes in small ones", async () => {
  for (const length of [0, 1, 40, 511, 512, 2_000]) {
    const { faults, add } = setUp(Array.from({ length: 2_000 }, (_, i) => i % 40 === 0 ? 2 : 6));
    add("split");
    const bytes = Uint8Array.from({ length }, (_, i) => i % 251);
    const pipe = new Pipe();
    await faults.wrap(pipe).write(bytes);
    assertEquals(Uint8Array.from(pipe.written.flatMap((piece) => [...piece])), bytes);
    const [last, ...pieces] = pipe.written.toReversed();
    assert(pieces.every((piece) => piece.length <= 7));
    assert(last!.length <= Math.max(0, length - 512));
  }
});
