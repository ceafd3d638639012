/**
 * What a setting is. The two tables (`node_settings.ts`, `host_settings.ts`) are the only place where settings
 * are defined; types, validation, defaults, flags, environment, `--help` and `docs/config.md` come from them.
 */

/** The value of a setting after validation. */
export type SettingValue = number | string | boolean | string[];

interface Common<T> {
  /** One paragraph for `--help` and the docs; says what a change does. */
  readonly help: string;
  /** Heading under which `--help` lists it. */
  readonly group: string;
  readonly default: T;
  /** Whether a `config_update` may change it on a running node. */
  readonly runtime?: boolean;
  /** Whether it is the device's owner's: a host may change it only where `allow_remote` says so. */
  readonly owner?: boolean;
  /** Whether its value must never be shown in logs, pages or status. */
  readonly secret?: boolean;
}

/** A number; `integer` unless stated. */
export interface NumberSetting extends Common<number> {
  readonly kind: "integer" | "number";
  readonly min: number;
  readonly max: number;
  /** Unit as a word for the docs: `ms`, `bytes`, `Hz`, `records`. */
  readonly unit?: string;
}
/** A text; `pattern` must match it whole. */
export interface TextSetting extends Common<string> {
  readonly kind: "text";
  readonly pattern?: RegExp;
  /** What is wrong with it, or `undefined`. */
  readonly check?: (text: string) => string | undefined;
  /** What the pattern wants, in words. */
  readonly expected?: string;
  /** Stands for the value in `--help`. */
  readonly placeholder?: string;
}
/** One of a few words. */
export interface ChoiceSetting<C extends string = string> extends Common<C> {
  readonly kind: "choice";
  readonly choices: readonly C[];
}
/** Yes or no; on the command line `--name` and `--no-name`. */
export interface FlagSetting extends Common<boolean> {
  readonly kind: "flag";
}
/** A list of texts; on the command line the flag is repeated or its value separated by `;`. */
export interface ListSetting extends Common<readonly string[]> {
  readonly kind: "list";
  readonly placeholder?: string;
  /** Most entries. */
  readonly max: number;
  /** What is wrong with one entry, or `undefined`. */
  readonly check?: (entry: string) => string | undefined;
}

/** One setting; its name is its key in the table, in snake_case with the unit in it. */
export type Setting = NumberSetting | TextSetting | ChoiceSetting | FlagSetting | ListSetting;

/** A table of settings by name. */
export type SettingTable = Readonly<Record<string, Setting>>;

/** The type of the values that a table describes. */
export type ValuesOf<T extends SettingTable> = {
  -readonly [K in keyof T]: T[K] extends ChoiceSetting<infer C> ? C
    : T[K] extends NumberSetting ? number
    : T[K] extends FlagSetting ? boolean
    : T[K] extends ListSetting ? string[]
    : string;
};

/** What is wrong with one given value; `source` says where it came from. */
export interface SettingProblem {
  readonly setting: string;
  readonly expected: string;
  readonly received: string;
  readonly source: string;
  /** Says all of it, where the setting's own check found it. */
  readonly wrong?: string;
}

/** One line: setting, where from, what is needed, what came. */
export function problemText(problem: SettingProblem): string {
  const { setting, source, expected, received, wrong } = problem;
  return `${setting} (${source}): ${wrong ?? `expected ${expected}, got ${received}`}`;
}

/** What a value must be, in words: for help, docs and errors. */
export function expectation(setting: Setting): string {
  switch (setting.kind) {
    case "integer":
    case "number": {
      const kind = setting.kind === "integer" ? "a whole number" : "a number";
      const unit = setting.unit === undefined ? "" : ` (${setting.unit})`;
      return `${kind} from ${setting.min} to ${setting.max}${unit}`;
    }
    case "text":
      return setting.expected ?? "a text";
    case "choice":
      return `one of ${setting.choices.join(", ")}`;
    case "flag":
      return "true or false";
    case "list":
      return `a list of at most ${setting.max} texts`;
  }
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? text.slice(0, 77) + "..." : text;
}

/**
 * Checks one value against its setting. Texts are converted where the source has only texts (flags,
 * environment). Returns the value, or the problem.
 */
export function checkValue(
  name: string,
  setting: Setting,
  given: unknown,
  source: string,
): { ok: true; value: SettingValue } | { ok: false; problem: SettingProblem } {
  const bad = (wrong?: string) => ({
    ok: false as const,
    problem: {
      setting: name,
      expected: expectation(setting),
      received: setting.secret ? "a value that is not shown" : show(given),
      source,
      ...(wrong === undefined ? {} : { wrong }),
    },
  });
  switch (setting.kind) {
    case "integer":
    case "number": {
      const value = typeof given === "string" && given.trim() !== "" ? Number(given) : given;
      if (typeof value !== "number" || !Number.isFinite(value)) return bad();
      if (setting.kind === "integer" && !Number.isInteger(value)) return bad();
      if (value < setting.min || value > setting.max) return bad();
      return { ok: true, value };
    }
    case "text": {
      if (typeof given !== "string") return bad();
      if (setting.pattern !== undefined && !setting.pattern.test(given)) return bad();
      const wrong = setting.check?.(given);
      return wrong === undefined ? { ok: true, value: given } : bad(wrong);
    }
    case "choice":
      return typeof given === "string" && setting.choices.includes(given)
        ? { ok: true, value: given }
        : bad();
    case "flag": {
      if (typeof given === "boolean") return { ok: true, value: given };
      if (given === "true" || given === "1") return { ok: true, value: true };
      if (given === "false" || given === "0") return { ok: true, value: false };
      return bad();
    }
    case "list": {
      const value = typeof given === "string"
        ? given.split(";").map((part) => part.trim()).filter((part) => part !== "")
        : given;
      if (!Array.isArray(value) || !value.every((entry) => typeof entry === "string")) return bad();
      if (value.length > setting.max) return bad();
      for (const entry of value) {
        const wrong = setting.check?.(entry);
        if (wrong !== undefined) return bad(wrong);
      }
      return { ok: true, value };
    }
  }
}
