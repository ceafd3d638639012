/**
 * Rules of the diagnostics, as the setting `rules` has them: `range:rail_v:min=4.75V:max=5.25V`. A kind, a
 * metric (two for `disagree`), and options, parted by colons. Pure: text in, limits out.
 */
import { parseSpec } from "./spec.ts";

/** A rule, read. Every kind but `stuck` and `missing` has limits on a number. */
export interface Rule {
  readonly kind: "range" | "low" | "high" | "rate" | "disagree" | "stuck" | "missing";
  /** What records and pages show: `range rail_v`. */
  readonly label: string;
  /** One metric; two for `disagree`. */
  readonly metrics: readonly string[];
  /** Limits of the value, of its change a second, or of the difference; infinite where there is none. */
  readonly low: number;
  readonly high: number;
  /** How far inside its limits a number must be again before the rule lets go. */
  readonly clear: number;
  /** How long it must be the case before the rule says so, and how long not before it lets go. */
  readonly forMs: number;
  readonly holdMs: number;
  /** `stuck`: changes up to that much count as none. */
  readonly by: number;
}

/** Options of each kind; those in the first list must be given. */
const KINDS: Record<Rule["kind"], { needs: string[]; takes: string[] }> = {
  range: { needs: [], takes: ["min", "max", "clear", "for", "hold"] },
  low: { needs: ["below"], takes: ["clear", "for", "hold"] },
  high: { needs: ["above"], takes: ["clear", "for", "hold"] },
  rate: { needs: ["max"], takes: ["for", "hold"] },
  disagree: { needs: ["by"], takes: ["clear", "for", "hold"] },
  stuck: { needs: ["for"], takes: ["by", "hold"] },
  missing: { needs: ["for"], takes: ["hold"] },
};
const METRIC = /^[A-Za-z_][A-Za-z0-9_.]{0,63}$/;
const NUMBER = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(.*)$/i;
/** A unit after a number is for the reader. */
const UNIT = /^[^\d\s.:,;+-][^\s:,;]{0,15}$/;
const MS_PER: Record<string, number> = { ms: 1, s: 1e3, min: 6e4, m: 6e4, h: 36e5, d: 864e5 };
const HOLD_MS = 1_000;
/** What has to be regained before a rule lets go, in parts of the limit. */
const CLEAR_PART = 0.02;

/** Reads a rule. Throws a `SyntaxError` of one line that names the text and the fault. */
export function parseRule(text: string): Rule {
  const fail = (what: string) => new SyntaxError(`rule "${text}": ${what}`);
  const [kind = "", names = "", ...given] = text.split(":").map((part) => part.trim());
  if (!Object.hasOwn(KINDS, kind)) {
    throw fail(`unknown kind "${kind}", known are ${Object.keys(KINDS).join(", ")}`);
  }
  const rule = kind as Rule["kind"];
  const metrics = names.split(",").map((name) => name.trim());
  const count = rule === "disagree" ? 2 : 1;
  if (metrics.length !== count || !metrics.every((name) => METRIC.test(name))) {
    const wanted = count === 1 ? "the name of a metric" : "the names of two metrics";
    throw fail(`must have ${wanted} after the kind`);
  }
  let options: ReadonlyMap<string, string>;
  try {
    options = parseSpec(given.length === 0 ? rule : `${rule}:${given.join(",")}`).options;
  } catch (error) {
    throw fail((error as Error).message.replace(/^"[^]*?": /, ""));
  }
  const { needs, takes } = KINDS[rule];
  for (const name of options.keys()) {
    if (needs.includes(name) || takes.includes(name)) continue;
    throw fail(`${rule} has no option "${name}", it has ${[...needs, ...takes].join(", ")}`);
  }
  for (const name of needs) if (!options.has(name)) throw fail(`needs ${name}=`);
  const number = (name: string, otherwise: number): number => {
    const value = options.get(name);
    if (value === undefined) return otherwise;
    const [, digits, unit] = NUMBER.exec(value) ?? [];
    if (digits === undefined || (unit !== "" && !UNIT.test(unit!))) {
      throw fail(`${name} must be a number, with or without a unit, got "${value}"`);
    }
    return Number(digits);
  };
  const duration = (name: string, otherwise: number): number => {
    const value = options.get(name);
    if (value === undefined) return otherwise;
    const [, digits, unit = ""] = NUMBER.exec(value) ?? [];
    const ms = Number(digits) * (MS_PER[unit] ?? NaN);
    if (!(ms >= 0)) {
      throw fail(`${name} must be a time such as 500ms, 60s or 10min, got "${value}"`);
    }
    return ms;
  };
  const positive = (name: string, value: number): number => {
    if (value > 0) return value;
    throw fail(`${name} must be above 0`);
  };
  let low = -Infinity, high = Infinity;
  if (rule === "range") {
    low = number("min", low);
    high = number("max", high);
    if (low === -Infinity && high === Infinity) throw fail("needs min= or max=");
    if (low >= high) throw fail("min must be below max");
  } else if (rule === "low") low = number("below", 0);
  else if (rule === "high") high = number("above", 0);
  else if (rule === "disagree") high = positive("by", number("by", 0));
  else if (rule === "rate") high = positive("max", perSecond(options.get("max")!, number, fail));
  const isTimed = rule === "stuck" || rule === "missing";
  const forMs = duration("for", 0);
  if (isTimed) positive("for", forMs);
  const clear = number("clear", defaultClear(low, high));
  if (clear < 0 || 2 * clear > high - low) throw fail("clear must be small against the limits");
  return {
    kind: rule,
    label: `${rule} ${metrics.join(",")}`,
    metrics,
    low,
    high,
    clear,
    forMs,
    holdMs: duration("hold", HOLD_MS),
    by: rule === "stuck" ? number("by", 0) : 0,
  };
}

/** `0.5/s`, `30/min`, `2V/h`: a change a second. */
function perSecond(
  text: string,
  number: (name: string, otherwise: number) => number,
  fail: (what: string) => Error,
): number {
  const value = number("max", 0);
  const per = /\/\s*([a-z]+)$/.exec(text)?.[1] ?? "s";
  const ms = MS_PER[per];
  if (ms === undefined) throw fail(`max must be a change a time such as 0.5/s, got "${text}"`);
  return (value * 1_000) / ms;
}

function defaultClear(low: number, high: number): number {
  const span = high - low;
  if (span < Infinity) return CLEAR_PART * span;
  const limit = low > -Infinity ? low : high;
  return Number.isFinite(limit) ? CLEAR_PART * Math.abs(limit) : 0;
}
