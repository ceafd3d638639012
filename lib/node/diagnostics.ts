/**
 * What a person would want to know beside the values: rules over a sample and the node's own state. A record
 * holds only what is the case, and `rail_low` always. Pure.
 */
import { RuleState } from "../anomaly/rules.ts";
import { parseRule } from "../config/rule_spec.ts";

/** What the rules are about; see the settings of the same names. */
export interface DiagnosticsSettings {
  readonly rail_metric: string;
  readonly rail_low_v: number;
  readonly temp_metric: string;
  readonly temp_high_c: number;
  readonly stuck_s: number;
  readonly rules: readonly string[];
}

/** A rule of the setting `rules` and whether it is active. */
export interface RuleStatus {
  /** As in `range rail_v`. */
  readonly rule: string;
  readonly active: boolean;
}

/** The state of the node at a tick. */
export interface NodeState {
  readonly wallMs: number;
  readonly monoMs: number;
  /** Metrics whose value is no new reading. */
  readonly repeated?: ReadonlySet<string>;
  /** Ticks missed since the last one. */
  readonly missedTicks: number;
  readonly walWritable: boolean;
  readonly diskFreeBytes: number | undefined;
  /** Unacked records in parts of the ring. */
  readonly ringPressure: number;
}

const RAIL_CLEAR = 1.02;
const TEMP_CLEAR_C = 2;
/** A wall clock that moved by more than this against the monotonic one has jumped. */
const CLOCK_JUMP_MS = 500;
const DISK_LOW_BYTES = 64 * 1024 * 1024;
const BACKLOG_HIGH = 0.9;
const METRICS_MAX = 256;
/** What is read seldom is not stuck before so many readings agree. */
const STUCK_READINGS = 3;
/** State of the node that rules can be about, as if it were metrics. */
const NODE_VALUES: Readonly<Record<string, (state: NodeState) => number | undefined>> = {
  "node.disk_free_bytes": ({ diskFreeBytes }) => diskFreeBytes,
  "node.backlog_part": ({ ringPressure }) => ringPressure,
  "node.missed_ticks": ({ missedTicks }) => missedTicks,
  "node.wal_writable": ({ walWritable }) => walWritable ? 1 : 0,
};

/** See the head of the file. */
export class Diagnostics {
  #settings: DiagnosticsSettings;
  #railLow = false;
  #tempHigh = false;
  #clockOffset: number | undefined;
  /** Each metric's value, since when it is the same, and how many readings said so. */
  #still = new Map<string, { value: number; sinceMs: number; readings: number }>();
  #rules = new Map<string, RuleState>();
  /** What was found at the last tick. */
  current: Record<string, unknown> = {};

  /** Throws a `SyntaxError` of one line for a rule that can't be read. */
  constructor(settings: DiagnosticsSettings) {
    this.#settings = settings;
    this.reconfigure(settings);
  }

  /** Rules that stay the same go on from what they know. Throws as the constructor does. */
  reconfigure(settings: DiagnosticsSettings): void {
    this.#rules = new Map(
      settings.rules.map((text) => [text, this.#rules.get(text) ?? new RuleState(parseRule(text))]),
    );
    this.#settings = settings;
  }

  /** All rules; those of one name count as one. */
  get rules(): RuleStatus[] {
    const byName = new Map<string, boolean>();
    for (const { rule, active } of this.#rules.values()) {
      byName.set(rule.label, active || byName.get(rule.label) === true);
    }
    return [...byName].map(([rule, active]) => ({ rule, active }));
  }

  /** What is the case at a tick. */
  judge(
    metrics: Readonly<Record<string, number>>,
    problems: Readonly<Record<string, string>>,
    state: NodeState,
  ): Record<string, unknown> {
    const found: Record<string, unknown> = { rail_low: this.#judgeRail(metrics) };
    if (this.#judgeTemperature(metrics)) found.temp_high = true;
    if (Object.keys(problems).length > 0) found.missing = problems;
    const stuck = this.#judgeStuck(metrics, state);
    if (stuck.length > 0) found.stuck = stuck;
    const jump = this.#judgeClock(state);
    if (jump !== undefined) found.clock_jump_ms = jump;
    if (state.missedTicks > 0) found.missed_ticks = state.missedTicks;
    if (!state.walWritable) found.wal_not_writable = true;
    if (state.diskFreeBytes !== undefined && state.diskFreeBytes < DISK_LOW_BYTES) {
      found.disk_nearly_full = true;
    }
    if (state.ringPressure >= BACKLOG_HIGH) found.backlog_high = true;
    const rules = this.#judgeRules(metrics, state);
    if (rules.length > 0) found.rules = rules;
    this.current = found;
    return found;
  }

  #judgeRail(metrics: Readonly<Record<string, number>>): boolean {
    const { rail_metric, rail_low_v } = this.#settings;
    const value = metrics[rail_metric];
    if (value === undefined) return this.#railLow;
    this.#railLow = value < rail_low_v * (this.#railLow ? RAIL_CLEAR : 1);
    return this.#railLow;
  }

  #judgeTemperature(metrics: Readonly<Record<string, number>>): boolean {
    const { temp_metric, temp_high_c } = this.#settings;
    const value = metrics[temp_metric];
    if (value === undefined) return this.#tempHigh;
    this.#tempHigh = value > temp_high_c - (this.#tempHigh ? TEMP_CLEAR_C : 0);
    return this.#tempHigh;
  }

  #judgeStuck(
    metrics: Readonly<Record<string, number>>,
    { monoMs, repeated }: Pick<NodeState, "monoMs" | "repeated">,
  ): string[] {
    const { stuck_s } = this.#settings;
    if (stuck_s === 0) return [];
    const stuck: string[] = [];
    for (const [name, value] of Object.entries(metrics)) {
      const still = this.#still.get(name);
      if (still?.value !== value) {
        if (still !== undefined || this.#still.size < METRICS_MAX) {
          this.#still.set(name, { value, sinceMs: monoMs, readings: 1 });
        }
        continue;
      }
      if (repeated?.has(name) !== true) still.readings++;
      const isLong = monoMs - still.sinceMs >= stuck_s * 1_000;
      if (isLong && still.readings >= STUCK_READINGS) stuck.push(name);
    }
    return stuck;
  }

  #judgeRules(metrics: Readonly<Record<string, number>>, state: NodeState): string[] {
    const active: string[] = [];
    const valueOf = (name: string) => metrics[name] ?? NODE_VALUES[name]?.(state);
    for (const rule of this.#rules.values()) {
      const { label } = rule.rule;
      if (rule.tick(valueOf, state.monoMs) && !active.includes(label)) active.push(label);
    }
    return active;
  }

  #judgeClock({ wallMs, monoMs }: NodeState): number | undefined {
    const offset = wallMs - monoMs;
    const jump = offset - (this.#clockOffset ?? offset);
    // Small steps are followed, so that slow drift never adds up to a jump.
    this.#clockOffset = offset;
    return Math.abs(jump) > CLOCK_JUMP_MS ? Math.round(jump) : undefined;
  }
}
