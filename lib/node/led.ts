/**
 * The health LED: which pattern the node's state asks for, and when the light is on. The table is the whole
 * design; `docs/led.md` shows it and a test compares the two. Pure, but for `runLed`, which needs a clock and
 * a light.
 */
import type { Clock } from "../platform/platform.ts";

/** What of the node's state the light tells. */
export interface LedState {
  /** Samples are being taken. */
  readonly sampling: boolean;
  /** The disk takes records. */
  readonly writable: boolean;
  /** Records were lost for good, and the host has not acknowledged that. */
  readonly losing: boolean;
  /** An anomaly event is open. */
  readonly anomaly: boolean;
  /** Records are thinned. */
  readonly degraded: boolean;
  /** A host is connected. */
  readonly connected: boolean;
}

/** One thing that the light can say. */
export interface LedPattern {
  readonly name: "failure" | "anomaly" | "degraded" | "disconnected" | "healthy";
  /** How a person would describe it. */
  readonly looks: string;
  /** What a person should think. */
  readonly means: string;
  /** Milliseconds on, off, on, off …, over and over. At least 60 each: shorter ones blur from 3 metres. */
  readonly steps: readonly number[];
  readonly holds: (state: LedState) => boolean;
}

/**
 * Highest priority first: the first that holds is shown. Flashes in two seconds: 16, 4, 3, 2, 1, so that
 * counting is enough to tell them apart, and the two that call for a person never pause.
 */
export const LED_PATTERNS: readonly LedPattern[] = [
  {
    name: "failure",
    looks: "flickers, 8 times a second",
    means: "the disk takes no records, records were lost, or no samples are taken",
    steps: [60, 65],
    holds: ({ sampling, writable, losing }) => !sampling || !writable || losing,
  },
  {
    name: "anomaly",
    looks: "blinks evenly, twice a second",
    means: "an anomaly event is open",
    steps: [250, 250],
    holds: ({ anomaly }) => anomaly,
  },
  {
    name: "degraded",
    looks: "three flashes, then a pause",
    means: "records are thinned until the backlog drains",
    steps: [100, 200, 100, 200, 100, 1_300],
    holds: ({ degraded }) => degraded,
  },
  {
    name: "disconnected",
    looks: "two flashes, then a pause",
    means: "no host is connected; every record is kept in the log",
    steps: [100, 200, 100, 1_600],
    holds: ({ connected }) => !connected,
  },
  {
    name: "healthy",
    looks: "one flash every two seconds",
    means: "all is well",
    steps: [100, 1_900],
    holds: () => true,
  },
];

/** Reasons of gaps that mean a fault here: the others follow from a power cut, or from the host's loss. */
const FAULTS: readonly string[] = ["evicted", "corrupt", "unwritten"];

/** Whether gaps with these reasons, not acknowledged yet, are a loss that the light should show. */
export function isLosing(gaps: readonly { readonly reason: string }[]): boolean {
  return gaps.some(({ reason }) => FAULTS.includes(reason));
}

/** The pattern to show. */
export function patternOf(state: LedState): LedPattern {
  return LED_PATTERNS.find(({ holds }) => holds(state))!;
}

/** Length of one round in milliseconds. */
export function periodMs({ steps }: LedPattern): number {
  return steps.reduce((sum, ms) => sum + ms, 0);
}

/** Whether the light is on `ms` (0 and more) after the pattern's start, and when that changes next. */
export function lightAt(pattern: LedPattern, ms: number): { on: boolean; untilMs: number } {
  const round = periodMs(pattern);
  let untilMs = Math.floor(ms / round) * round;
  for (const [i, step] of pattern.steps.entries()) {
    untilMs += step;
    if (ms < untilMs) return { on: i % 2 === 0, untilMs };
  }
  return { on: true, untilMs: untilMs + pattern.steps[0]! };
}

/** A lamp. */
export interface Light {
  /** Returns at once and never throws; the lamp follows as fast as it can. */
  set(on: boolean): void;
}

/**
 * Shows `state` until `signal` aborts. Wakes at the edges only. The pattern changes at the end of a round,
 * so that nobody sees half of one: within two seconds.
 */
export async function runLed(
  { clock, light, state }: {
    readonly clock: Clock;
    readonly light: Light;
    readonly state: () => LedState;
  },
  signal: AbortSignal,
): Promise<void> {
  let startMs = clock.monotonicMs();
  let pattern = patternOf(state());
  while (!signal.aborted) {
    const now = clock.monotonicMs();
    const endMs = startMs + periodMs(pattern);
    if (now >= endMs) {
      pattern = patternOf(state());
      // Rounds follow each other without drift, but one that a stall has swallowed is not made up.
      startMs = now - endMs < pattern.steps[0]! ? endMs : now;
    }
    const { on, untilMs } = lightAt(pattern, now - startMs);
    light.set(on);
    await clock.sleepUntil(startMs + untilMs, signal);
  }
}
