import { assert, assertEquals } from "@std/assert";
import { type EventSettings, MetricBank } from "../../lib/anomaly/bank.ts";
import {
  BASELINE_NAME,
  BaselineFile,
  baselineLines,
  parseBaselines,
} from "../../lib/node/baseline_file.ts";
import { chooseDetectors } from "../../lib/anomaly/choice.ts";
import type { Clock } from "../../lib/platform/platform.ts";
import { gaussian } from "../anomaly/noise.ts";
import { SimDisk } from "../sim/disk.ts";

const WALL_MS = 1_763_900_000_000;
const SETTINGS: EventSettings = {
  sample_hz: 10,
  alerts_per_day: 1,
  events_per_hour_max: 12,
  learn_anomalies_s: 1_800,
};

/** A clock that stands still; what waits goes on at once. */
class StillClock implements Clock {
  nowMs = 0;
  monotonicMs(): number {
    return this.nowMs;
  }
  wallMs(): number {
    return WALL_MS + this.nowMs;
  }
  sleepUntil(): Promise<void> {
    return Promise.resolve();
  }
}

function bankOf(): MetricBank {
  return new MetricBank(chooseDetectors({ detector: "zscore", detectors: [] }), SETTINGS, "r");
}

/** A bank that has seen 100 s of noise around 50, and one value more on request. */
function taught(): MetricBank {
  const noise = gaussian(1);
  const bank = bankOf();
  for (let i = 0; i < 1_000; i++) {
    bank.observe({ a: 50 + noise(), b: noise() }, { monoMs: 100 * i, wallMs: WALL_MS + 100 * i });
  }
  return bank;
}
function knows(bank: MetricBank, clock: Clock): boolean {
  bank.observe({ a: 50 }, { monoMs: clock.monotonicMs(), wallMs: clock.wallMs() });
  return bank.last.get("a")!.std > 0;
}
function fileOf(disk: SimDisk, clock: Clock, bank: MetricBank, sampleHz = 10): BaselineFile {
  return new BaselineFile({ disk, clock, bank, sampleHz: () => sampleHz });
}

Deno.test("baselines survive a restart, also a power cut in the middle of saving them", async () => {
  const disk = new SimDisk();
  const clock = new StillClock();
  await fileOf(disk, clock, taught()).save();
  let changes = 0;
  const counting = disk.clone();
  counting.onChange = () => changes++;
  await fileOf(counting, clock, taught()).save();
  assert(changes >= 7);
  for (let cut = 1; cut <= changes; cut++) {
    const copy = disk.clone();
    let left = cut;
    let survivor: SimDisk | undefined;
    copy.onChange = () => {
      if (--left === 0) {
        survivor = copy.afterPowerCut({
          below: (n) => cut % n,
          bytes: () => new Uint8Array(),
        });
      }
    };
    const saved = fileOf(copy, clock, taught()).save();
    await Promise.race([saved, new Promise((resolve) => setTimeout(resolve, 50))]);
    const bank = bankOf();
    await fileOf(survivor!, clock, bank).load();
    assert(knows(bank, clock), `cut at change ${cut}`);
  }
});

Deno.test("no file, a damaged one, an old one and one of another rate cost learning anew, nothing else", async () => {
  const clock = new StillClock();
  const cases: [string, (disk: SimDisk, clock: StillClock) => number][] = [
    ["none", (disk) => {
      disk.damage(BASELINE_NAME, "remove", 0);
      return 10;
    }],
    ["head damaged", (disk) => {
      disk.damage(BASELINE_NAME, "flip", 300);
      return 10;
    }],
    ["empty", (disk) => {
      disk.damage(BASELINE_NAME, "cut", 0);
      return 10;
    }],
    ["a day old", (_, later) => {
      later.nowMs = 86_400_001;
      return 10;
    }],
    ["another rate", () => 1],
    ["unreadable", (disk) => {
      disk.faults.readFails = true;
      return 10;
    }],
  ];
  for (const [name, spoil] of cases) {
    const disk = new SimDisk();
    await fileOf(disk, clock, taught()).save();
    const later = new StillClock();
    const sampleHz = spoil(disk, later);
    const bank = bankOf();
    await fileOf(disk, later, bank, sampleHz).load();
    assertEquals(knows(bank, later), false, name);
  }
});

Deno.test("baselines from the future count as a day old: known, and nothing is concluded at first", () => {
  const text = [...baselineLines(taught(), 10, { monoMs: 0, wallMs: WALL_MS }, 1)].join("");
  const { metrics, ageMs } = parseBaselines(text, 10, 1_000);
  assertEquals(ageMs, 86_400_000);
  const bank = bankOf();
  bank.restore(metrics, [], ageMs, { monoMs: 0, wallMs: 1_000 });
  const noise = gaussian(2);
  for (let i = 0; i < 600; i++) {
    const { events } = bank.observe({ a: 90 + noise() }, { monoMs: 100 * i, wallMs: 100 * i });
    assertEquals(events, undefined);
  }
});

Deno.test("a damaged line costs its metric only", () => {
  const lines = [...baselineLines(taught(), 10, { monoMs: 0, wallMs: WALL_MS }, 1)];
  assertEquals(lines.length, 3);
  lines[1] = lines[1]!.replace("1", "2");
  const { metrics } = parseBaselines(lines.join(""), 10, WALL_MS + 1_000);
  assertEquals(metrics.map(({ metric }) => metric), ["b"]);
});

Deno.test("a disk that can't be written costs the saving only, and the next one succeeds", async () => {
  const disk = new SimDisk();
  const clock = new StillClock();
  const file = fileOf(disk, clock, taught());
  for (const fault of ["writeFails", "syncFails"] as const) {
    disk.faults[fault] = true;
    await file.save();
    disk.faults[fault] = false;
    assert(!disk.namesNow.includes(BASELINE_NAME));
  }
  disk.faults.capacity = 100;
  await file.save();
  disk.faults.capacity = Infinity;
  assert(!disk.namesNow.includes(BASELINE_NAME));
  await file.save();
  assertEquals(disk.namesNow, [BASELINE_NAME]);
});
