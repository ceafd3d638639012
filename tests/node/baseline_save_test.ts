/** When the file of baselines is written, how large it gets, and what of it comes back after a restart. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { crc32 } from "node:zlib";
import type { MetricBank, SavedMetric } from "../../lib/anomaly/bank.ts";
import type { SavedEvent } from "../../lib/anomaly/events.ts";
import {
  BASELINE_NAME,
  BaselineFile,
  baselineLines,
  parseBaselines,
} from "../../lib/node/baseline_file.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { SimDisk } from "../sim/disk.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";
import { quiet } from "./links.ts";

const WALL_MS = 1_763_900_000_000;
const DAY_MS = 86_400_000;

function metric(name: string, bytes = 1): SavedMetric {
  return { metric: name, spec: "zscore", detector: "x".repeat(bytes), budget: [1] };
}

function event(id: string): SavedEvent {
  return {
    id,
    since_wall_ms: WALL_MS - 5,
    metrics: ["a"],
    joined_ms: [5],
    peak: { metric: "a", value: 1, score: 4 },
    strength: 2,
  };
}

/** A file on a disk, for a bank that has `metrics` and `events`, and notes what it is given back. */
class Bench {
  readonly kernel: Kernel;
  readonly clock: MachineClock;
  readonly file: BaselineFile;
  readonly restored: Parameters<MetricBank["restore"]>[] = [];
  readonly saves: number[] = [];
  /** When events were written by themselves. */
  readonly told: number[] = [];
  metrics: SavedMetric[] = [metric("a")];
  events: SavedEvent[] = [];
  sampleHz = 10;

  constructor(readonly disk = new SimDisk(), laterMs = 0) {
    this.kernel = new Kernel();
    this.clock = new MachineClock(this.kernel, WALL_MS + laterMs);
    disk.onChange = (what) => what === "rename" && this.saves.push(this.kernel.nowMs);
    this.file = new BaselineFile({
      disk,
      clock: this.clock,
      sampleHz: () => this.sampleHz,
      bank: {
        saved: () => this.metrics.values(),
        savedEvents: () => this.events,
        restore: (...args: Parameters<MetricBank["restore"]>) => this.restored.push(args),
      } as unknown as MetricBank,
    });
  }

  /** From here on notes when events are written by themselves. */
  noteTold(): void {
    const saveEvents = this.file.saveEvents.bind(this.file);
    this.file.saveEvents = () => {
      this.told.push(this.kernel.nowMs);
      return saveEvents();
    };
  }

  async run(ms: number): Promise<void> {
    await this.kernel.runUntil(this.kernel.nowMs + ms);
    await quiet();
  }

  async save(): Promise<void> {
    const saved = this.file.save();
    await this.run(0);
    await saved;
  }
}

Deno.test("baselines are written each fifteen minutes, and not when the node stops", async () => {
  const bench = new Bench();
  const stop = new AbortController();
  const running = bench.file.run(stop.signal);
  await bench.run(3_000_000);
  assertEquals(bench.saves, [900_000, 1_800_000, 2_700_000]);
  stop.abort();
  await running;
  await bench.run(3_000_000);
  assertEquals(bench.saves.length, 3);
});

Deno.test("what happened to an event is written within a second, in place, with a pause to what was written before", async () => {
  const bench = new Bench();
  await bench.save();
  bench.noteTold();
  bench.file.run(new AbortController().signal);
  await bench.run(10_000);
  bench.file.soon();
  await bench.run(100);
  bench.file.soon();
  await bench.run(900);
  assertEquals(bench.told, [11_000], "both with one");
  await bench.run(100);
  bench.file.soon();
  await bench.run(20_000);
  assertEquals(bench.told, [11_000, 16_000, 21_000]);
  assertEquals(bench.saves, [0], "the long file stays as it is");
  await bench.run(868_800);
  assertEquals(bench.saves, [0]);
  await bench.run(100);
  assertEquals(bench.saves, [0, 900_000], "it has its own time");
});

Deno.test("a restart goes on with the events of whatever was written last, and a power cut while they are written leaves those before", async () => {
  const bench = new Bench();
  bench.events = [event("1-r")];
  await bench.save();
  const written: string[][] = [["1-r"]];
  for (const ids of [["1-r", "2-r"], ["2-r"], []]) {
    bench.events = ids.map(event);
    const before = new Set(written.at(-1)), expected = [...before];
    bench.disk.onChange = () => {
      for (let seed = 0; seed < 4; seed++) {
        cuts.push(bench.disk.clone().afterPowerCut(seededRandom(seed)));
      }
    };
    const cuts: SimDisk[] = [];
    const saved = bench.file.saveEvents();
    await bench.run(0);
    await saved;
    bench.disk.onChange = undefined;
    written.push(ids);
    assert(cuts.length > 0);
    for (const cut of cuts) {
      const later = new Bench(cut);
      await later.file.load();
      const found = later.restored[0]![1].map(({ id }) => id);
      const isOne = [expected, ids].some((some) => some.join() === found.join());
      assert(isOne, `${found} of ${expected} or ${ids}`);
    }
    const later = new Bench(bench.disk.clone().afterPowerCut(seededRandom(9)));
    await later.file.load();
    assertEquals(later.restored[0]![1].map(({ id }) => id), ids);
    assertEquals(later.restored[0]![0], [metric("a")]);
  }
  bench.events = [event("9-r")];
  await bench.save();
  const later = new Bench(bench.disk.afterKill());
  await later.file.load();
  assertEquals(later.restored[0]![1], [event("9-r")], "the long file is the newer one");
  later.events = [];
  await later.file.saveEvents();
  const last = new Bench(later.disk.afterKill());
  await last.file.load();
  assertEquals(last.restored[0]![1], [], "turns go on over a restart");
});

Deno.test("of events that are too many for their place the first ones are kept", async () => {
  const bench = new Bench();
  await bench.save();
  bench.events = Array.from({ length: 12 }, (_, i) => ({
    ...event(`${i}`),
    metrics: Array.from({ length: 40 }, (_, m) => `a metric of a long name ${m}`),
  }));
  await bench.file.saveEvents();
  const later = new Bench(bench.disk.afterKill());
  await later.file.load();
  const found = later.restored[0]![1].map(({ id }) => id);
  assert(found.length >= 2 && found.length < 12);
  assertEquals(found, bench.events.slice(0, found.length).map(({ id }) => id));
});

Deno.test("a long file is written less often: within 50 MB a day", async () => {
  const bench = new Bench();
  bench.metrics = Array.from({ length: 8 }, (_, i) => metric(`m${i}`, 100_000));
  bench.file.run(new AbortController().signal);
  await bench.run(900_000);
  const bytes = bench.disk.lengthNow(BASELINE_NAME);
  await bench.run(2_000_000);
  assertEquals(bench.saves.length, 2);
  const waitMs = bench.saves[1]! - 900_000;
  assert(Math.abs(bytes * DAY_MS / waitMs - 50e6) < 1e6, `${waitMs} ms`);
});

Deno.test("the file stays within two mebibytes: a metric that no longer fits is left out, those behind it are not", async () => {
  const bench = new Bench();
  const sizes = [900_000, 900_000, 900_000, 10, 200_000];
  bench.metrics = sizes.map((bytes, i) => metric(`m${i}`, bytes));
  await bench.save();
  assert(bench.disk.lengthNow(BASELINE_NAME) <= 2 * 1_048_576);
  const later = new Bench(bench.disk.afterKill());
  await later.file.load();
  const names = [...later.restored[0]![0]].map(({ metric }) => metric);
  assertEquals(names, ["m0", "m1", "m3", "m4"]);
});

Deno.test("after a restart the bank gets metrics, open events, and how long ago that was by the wall clock", async () => {
  const bench = new Bench();
  bench.events = [event("1-r")];
  await bench.run(5_000);
  await bench.save();
  const later = new Bench(bench.disk.afterKill(), 65_000);
  await later.run(100);
  await later.file.load();
  assertEquals(later.restored, [[
    [metric("a")],
    [event("1-r")],
    60_100,
    { monoMs: 100, wallMs: WALL_MS + 65_100 },
  ]]);
});

Deno.test("what was written survives a power cut, and the new file replaces the old one", async () => {
  const bench = new Bench();
  await bench.save();
  bench.metrics = [metric("b")];
  await bench.save();
  for (let seed = 0; seed < 8; seed++) {
    const later = new Bench(bench.disk.afterPowerCut(seededRandom(seed)));
    await later.file.load();
    assertEquals(later.restored[0]?.[0], [metric("b")]);
    assertEquals(later.disk.namesNow, [BASELINE_NAME]);
  }
});

Deno.test("calls to save take effect one after the other, each with what is known when its turn comes", async () => {
  const bench = new Bench();
  const first = bench.file.save();
  bench.metrics = [metric("b")];
  const second = bench.file.save();
  await bench.run(10);
  await Promise.all([first, second]);
  assertEquals(bench.saves.length, 2);
  const later = new Bench(bench.disk.afterKill());
  await later.file.load();
  assertEquals(later.restored[0]?.[0], [metric("b")]);
});

/** The text of a file that was written at WALL_MS. */
function text(events: SavedEvent[] = [], sampleHz = 10): string {
  const bank = { saved: () => [metric("a")].values(), savedEvents: () => events };
  const now = { monoMs: 1, wallMs: WALL_MS };
  return [...baselineLines(bank as unknown as MetricBank, sampleHz, now, 1)].join("");
}

Deno.test("a file counts up to the age of a day, at about the rate that it was learned at, in this version only", () => {
  assertEquals(parseBaselines(text(), 10, WALL_MS).ageMs, 0);
  assertEquals(parseBaselines(text(), 10, WALL_MS + DAY_MS).ageMs, DAY_MS);
  assertThrows(() => parseBaselines(text(), 10, WALL_MS + DAY_MS + 1), Error, "older than a day");
  for (const hz of [15, 10 / 1.5]) {
    assertEquals(parseBaselines(text(), hz, WALL_MS).metrics.length, 1);
  }
  for (const hz of [15.1, 6.6]) {
    assertThrows(() => parseBaselines(text(), hz, WALL_MS), Error, "samples at 10 Hz");
  }
  assertThrows(() => parseBaselines("", 10, WALL_MS), Error, "head is damaged");
  const head = JSON.stringify({
    holdfast_baselines: 2,
    saved_wall_ms: WALL_MS,
    sample_hz: 10,
    events: [],
  });
  const line = `${crc32(head).toString(16).padStart(8, "0")} ${head}\n`;
  assertThrows(() => parseBaselines(line, 10, WALL_MS), Error, "another version");
});

Deno.test("the rate in the file is the one at which it was written", async () => {
  const bench = new Bench();
  bench.sampleHz = 2;
  await bench.save();
  for (const [hz, count] of [[2, 1], [10, 0]] as const) {
    const later = new Bench(bench.disk.clone());
    later.sampleHz = hz;
    await later.file.load();
    assertEquals(later.restored.length, count);
  }
});

Deno.test("of saved events those that make sense are taken up, sixteen at most", () => {
  const bad = [
    { ...event("x"), id: "x".repeat(65) },
    { ...event("x"), metrics: [] },
    { ...event("x"), joined_ms: ["5"] },
    { ...event("x"), strength: null },
    { ...event("x"), peak: { metric: "a", value: "1", score: 4 } },
    { ...event("x"), since_wall_ms: undefined },
  ] as unknown as SavedEvent[];
  const good = Array.from({ length: 20 }, (_, i) => event(`${i}`));
  const { events } = parseBaselines(text([...bad, ...good]), 10, WALL_MS);
  assertEquals(events, good.slice(0, 16));
});
