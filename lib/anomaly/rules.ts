/**
 * Rules over the values of a tick: each says for how long a number has been where it should not be. Constant
 * time and memory a rule. Pure.
 */
import type { Rule } from "../config/rule_spec.ts";

/** The value of a metric at this tick; `undefined` where there is none. */
export type Lookup = (metric: string) => number | undefined;

/** A change is taken over at least this time, so that noise between two ticks is no rate. */
const RATE_OVER_MS = 1_000;

/** One rule and what it remembers. */
export class RuleState {
  readonly rule: Rule;
  active = false;
  /** Since when it is the case, or not any more. */
  #badMs: number | undefined;
  #goodMs: number | undefined;
  /** The value that changes are counted from (`rate`, `stuck`), and its time; `missing` uses the time. */
  #value = NaN;
  #valueMs: number | undefined;

  constructor(rule: Rule) {
    this.rule = rule;
  }

  /** Looks at a tick; whether the rule holds against it now. */
  tick(valueOf: Lookup, nowMs: number): boolean {
    const { forMs, holdMs, kind } = this.rule;
    const bad = this.#isBad(valueOf, nowMs);
    if (bad === undefined) return this.active;
    if (bad) {
      this.#goodMs = undefined;
      this.#badMs ??= nowMs;
      // `stuck` and `missing` have waited already.
      const waits = kind === "stuck" || kind === "missing" ? 0 : forMs;
      if (nowMs - this.#badMs >= waits) this.active = true;
    } else {
      this.#badMs = undefined;
      this.#goodMs ??= nowMs;
      if (nowMs - this.#goodMs >= holdMs) this.active = false;
    }
    return this.active;
  }

  /** Whether the tick is bad; `undefined` where it says nothing. */
  #isBad(valueOf: Lookup, nowMs: number): boolean | undefined {
    const { rule } = this;
    const value = valueOf(rule.metrics[0]!);
    if (rule.kind === "missing") {
      if (value !== undefined || this.#valueMs === undefined) this.#valueMs = nowMs;
      return nowMs - this.#valueMs >= rule.forMs;
    }
    if (value === undefined) return undefined;
    if (rule.kind === "stuck") {
      if (!(Math.abs(value - this.#value) <= rule.by)) this.#remember(value, nowMs);
      return nowMs - this.#valueMs! >= rule.forMs;
    }
    if (rule.kind === "rate") {
      if (this.#valueMs === undefined) this.#remember(value, nowMs);
      const ms = nowMs - this.#valueMs!;
      const rate = (1_000 * Math.abs(value - this.#value)) / Math.max(ms, RATE_OVER_MS);
      if (ms >= RATE_OVER_MS) this.#remember(value, nowMs);
      return this.#isOutside(rate);
    }
    if (rule.kind === "disagree") {
      const other = valueOf(rule.metrics[1]!);
      return other === undefined ? undefined : this.#isOutside(Math.abs(value - other));
    }
    return this.#isOutside(value);
  }

  #isOutside(value: number): boolean {
    const { low, high, clear } = this.rule;
    const inside = this.active ? clear : 0;
    return value < low + inside || value > high - inside;
  }

  #remember(value: number, nowMs: number): void {
    this.#value = value;
    this.#valueMs = nowMs;
  }
}
