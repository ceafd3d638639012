import { assert, assertEquals } from "@std/assert";
import { NODE_SETTINGS } from "../../lib/config/node_settings.ts";
import {
  isLosing,
  LED_PATTERNS,
  type LedPattern,
  type LedState,
  lightAt,
  patternOf,
  periodMs,
  runLed,
} from "../../lib/node/led.ts";
import type { Clock } from "../../lib/platform/platform.ts";
import { realTest } from "../real.ts";

const WELL: LedState = {
  sampling: true,
  writable: true,
  losing: false,
  anomaly: false,
  degraded: false,
  connected: true,
};
const WATCHED_MS = 4_000;

/** What an eye sees of a pattern: one character each 5 ms. */
function signature(pattern: LedPattern): string {
  let seen = "";
  for (let ms = 0; ms < WATCHED_MS; ms += 5) seen += lightAt(pattern, ms).on ? "#" : ".";
  return seen;
}

function flashes(pattern: LedPattern): number {
  return signature(pattern).match(/#+/g)!.length;
}

Deno.test("patternOf() shows what matters most: failure, anomaly, degraded, disconnected, healthy", () => {
  const name = (state: Partial<LedState>) => patternOf({ ...WELL, ...state }).name;
  assertEquals(name({}), "healthy");
  assertEquals(name({ connected: false }), "disconnected");
  assertEquals(name({ connected: false, degraded: true }), "degraded");
  assertEquals(name({ connected: false, degraded: true, anomaly: true }), "anomaly");
  for (const fault of [{ writable: false }, { losing: true }, { sampling: false }]) {
    assertEquals(name({ connected: false, degraded: true, anomaly: true, ...fault }), "failure");
    assertEquals(name(fault), "failure");
  }
});

Deno.test("isLosing() counts faults of this device only", () => {
  const losing = (...reasons: string[]) => isLosing(reasons.map((reason) => ({ reason })));
  assertEquals([losing(), losing("unsynced", "compacted")], [false, false]);
  assertEquals(["evicted", "corrupt", "unwritten"].map((reason) => losing(reason)), [
    ...[true, true, true],
  ]);
});

Deno.test("no two patterns look the same within four seconds, whenever one starts to look", () => {
  const seen = LED_PATTERNS.map(signature);
  for (const [i, one] of seen.entries()) {
    for (const other of seen.slice(i + 1)) {
      assertEquals((one + one).includes(other), false, LED_PATTERNS[i]!.name);
    }
  }
  const counts = LED_PATTERNS.map(flashes);
  assertEquals(counts, [32, 8, 6, 4, 2]);
});

Deno.test("no step of a pattern is too short to be seen, and no round longer than two seconds", () => {
  for (const pattern of LED_PATTERNS) {
    assertEquals(pattern.steps.length % 2, 0, pattern.name);
    assert(pattern.steps.every((ms) => ms >= 60), pattern.name);
    assert(periodMs(pattern) <= 2_000, pattern.name);
  }
});

Deno.test("lightAt() says until when the light stays as it is", () => {
  for (const pattern of LED_PATTERNS) {
    for (let ms = 0; ms < WATCHED_MS;) {
      const { on, untilMs } = lightAt(pattern, ms);
      assert(untilMs > ms);
      assertEquals(lightAt(pattern, untilMs - 0.5).on, on);
      assertEquals(lightAt(pattern, untilMs).on, !on);
      ms = untilMs;
    }
  }
});

/** Time that passes only while somebody sleeps; `lateMs` is how late each sleep ends. */
class StepClock implements Clock {
  nowMs = 1_000;
  wakes = 0;
  lateMs = (): number => 0;
  monotonicMs(): number {
    return this.nowMs;
  }
  wallMs(): number {
    return this.nowMs;
  }
  sleepUntil(deadlineMs: number): Promise<void> {
    this.wakes++;
    this.nowMs = Math.max(this.nowMs, deadlineMs) + this.lateMs();
    return Promise.resolve();
  }
}

/** Runs a light for `ms`; the times at which it was set, from the start, with `+` for on. */
async function watch(clock: StepClock, ms: number, state: () => LedState): Promise<string[]> {
  const stop = new AbortController();
  const seen: string[] = [];
  const startMs = clock.nowMs;
  const light = {
    set(on: boolean) {
      seen.push(`${on ? "+" : "-"}${clock.nowMs - startMs}`);
      if (clock.nowMs - startMs >= ms) stop.abort();
    },
  };
  await runLed({ clock, light, state }, stop.signal);
  return seen;
}

Deno.test("runLed() wakes at the edges only, and changes the pattern at the end of a round", async () => {
  const clock = new StepClock();
  const state = () => ({ ...WELL, connected: clock.nowMs >= 1_500 });
  const seen = await watch(clock, 4_000, state);
  assertEquals(seen, ["+0", "-100", "+300", "-400", "+2000", "-2100", "+4000"]);
  assertEquals(clock.wakes, seen.length);
});

Deno.test("runLed() doesn't drift with late timers, and a stall is not made up", async () => {
  const late = new StepClock();
  late.lateMs = () => 3;
  const seen = await watch(late, 20_000, () => WELL);
  assertEquals(seen.at(-1), "+20003");
  const stalled = new StepClock();
  let sleeps = 0;
  stalled.lateMs = () => ++sleeps === 2 ? 60_000 : 0;
  const after = await watch(stalled, 64_000, () => WELL);
  assertEquals(after, ["+0", "-100", "+62000", "-62100", "+64000"]);
  const odd = new StepClock();
  sleeps = 0;
  odd.lateMs = () => ++sleeps === 2 ? 60_700 : 0;
  assertEquals(await watch(odd, 64_700, () => WELL), [
    ...["+0", "-100", "+62700", "-62800", "+64700"],
  ]);
});

Deno.test("the setting led takes names of LEDs and nothing that leaves led_path", () => {
  const { pattern } = NODE_SETTINGS.led;
  for (const name of ["", "ACT", "led0", "input3::capslock", "beaglebone:green:usr0", "phy0-led"]) {
    assert(pattern.test(name), name);
  }
  for (const name of ["..", ".", "../x", "a/b", "/sys", ".hidden", "a\n", "a b", "x".repeat(65)]) {
    assertEquals(pattern.test(name), false, JSON.stringify(name));
  }
});

realTest("docs/led.md shows the table that the code follows", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/led.md", import.meta.url));
  const rows = page.split("\n").filter((line) => line.startsWith("|")).slice(2)
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  assertEquals(
    rows,
    LED_PATTERNS.map(({ name, looks, means, steps }) => [name, looks, means, steps.join(", ")]),
  );
});
