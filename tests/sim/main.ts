/**
 * `deno task sim`: plays seeds, counts what was reached, and shrinks what fails.
 *
 * With `--jobs` each job is a process of its own that plays every n-th seed and prints one line of JSON for
 * each; so a run with one job and one with many play the same.
 */
import { demandFlags } from "../../lib/config/flags.ts";
import { configureSync } from "@logtape/logtape";
import { type Outcome, runSeed } from "./run.ts";
import { shrink } from "./shrink.ts";
import { stateKey, STATES, statesIn } from "./states.ts";
import { DESTRUCTIVE, type Fault, FAULT_NAMES, FAULTS, type StoryOptions } from "./story.ts";

const HELP = `deno task sim [options]
  --seeds N        how many seeds (100), from --from N (1)
  --hours H        go on with new seeds for that long instead
  --seed S         one seed, with its trace and the log of host and nodes
  --nodes N        devices (4)
  --minutes M      virtual minutes with faults (10)
  --faults A,B     only these kinds; "safe": those that may lose nothing that was synced
  --jobs N         processes (1)
  --stop-at-first  end at the first seed that fails
  --no-shrink      don't look for a smaller run that fails in the same way
Kinds of faults:
${FAULT_NAMES.map((name) => `  ${name.padEnd(18)}${FAULTS[name]}`).join("\n")}`;

/** From so many seeds on, a fault or a state that never happened is a failure of the run. */
const ENOUGH_SEEDS = 100;
/** A run that holds fewer of the records to every promise proves too little. */
const HELD_PERCENT_MIN = 90;
const PROGRESS_MS = 5_000;

const values = {
  seeds: "100",
  from: "1",
  nodes: "4",
  minutes: "10",
  jobs: "1",
  step: "1",
  ...demandFlags(Deno.args, {
    text: ["seeds", "from", "seed", "hours", "nodes", "minutes", "faults", "jobs", "step"],
    flag: ["lines", "stop-at-first", "no-shrink", "help"],
  }).values,
} as {
  seeds: string;
  from: string;
  seed?: string;
  hours?: string;
  nodes: string;
  minutes: string;
  faults?: string;
  jobs: string;
  step: string;
  lines?: boolean;
  "stop-at-first"?: boolean;
  "no-shrink"?: boolean;
  help?: boolean;
};

function end(message: string): never {
  console.error(`sim: ${message}`);
  Deno.exit(2);
}

function faultsFrom(text: string | undefined): readonly Fault[] | undefined {
  if (text === undefined) return undefined;
  if (text === "safe") return FAULT_NAMES.filter((name) => !DESTRUCTIVE.includes(name));
  const names = text.split(",") as Fault[];
  const unknown = names.find((name) => !(name in FAULTS));
  return unknown === undefined ? names : end(`there is no fault "${unknown}": see --help`);
}

const only = faultsFrom(values.faults);
const options: StoryOptions = {
  nodes: Number(values.nodes),
  minutes: Number(values.minutes),
  ...(only === undefined ? {} : { only }),
};
const first = Number(values.seed ?? values.from);
const count = values.seed !== undefined
  ? 1
  : values.hours !== undefined
  ? 2 ** 32 - first
  : Number(values.seeds);
const jobs = Number(values.jobs), step = Number(values.step);
const endMs = values.hours === undefined
  ? Infinity
  : performance.now() + Number(values.hours) * 3_600_000;
if (!(Number.isInteger(first) && first >= 0 && first + count <= 2 ** 32)) {
  end("seeds are whole numbers from 0 to 2^32 - 1");
}
if (!(jobs >= 1 && options.nodes >= 1 && options.minutes > 0)) end("see --help");

/** What is counted over all seeds; also what a job prints of one seed. */
interface Line {
  readonly seed: number;
  readonly error: string | undefined;
  readonly virtualMs: number;
  readonly events: number;
  readonly stored: number;
  readonly gaps: number;
  readonly held: { readonly records: number; readonly of: number };
  readonly fired: Readonly<Partial<Record<Fault, number>>>;
  readonly states: Readonly<Record<string, number>>;
}

const keys = new Map<string, number>();
const trace: string[] = [];
configureSync({
  sinks: {
    states: (record) => {
      const key = stateKey(record);
      keys.set(key, (keys.get(key) ?? 0) + 1);
      trace.push(`    ${record.category.slice(1).join(" ")}: ${record.message.join("")}`);
    },
  },
  loggers: [
    { category: ["holdfast"], sinks: ["states"], lowestLevel: "info" },
    { category: ["logtape", "meta"], sinks: [] },
  ],
});

async function play(seed: number): Promise<{ line: Line; outcome: Outcome }> {
  keys.clear();
  trace.length = 0;
  const outcome = await runSeed(seed, options, undefined, (note) => trace.push(note));
  const { error, virtualMs, events, stored, gaps, held, fired } = outcome;
  const states = statesIn(keys);
  return { line: { seed, error, virtualMs, events, stored, gaps, held, fired, states }, outcome };
}

const startedMs = performance.now();
const totals = { seeds: 0, failed: 0, virtualMs: 0, events: 0, stored: 0, gaps: 0 };
const fired = new Map<string, number>(), states = new Map<string, number>();
const held = { records: 0, of: 0 };
const failures: Line[] = [];
let shownMs = startedMs;

function take(line: Line): void {
  totals.seeds++;
  for (const name of ["virtualMs", "events", "stored", "gaps"] as const) totals[name] += line[name];
  held.records += line.held.records;
  held.of += line.held.of;
  for (const [name, n] of Object.entries(line.fired)) fired.set(name, (fired.get(name) ?? 0) + n!);
  for (const [name, n] of Object.entries(line.states)) {
    states.set(name, (states.get(name) ?? 0) + n);
  }
  if (line.error !== undefined) {
    totals.failed++;
    failures.push(line);
    console.log(`seed ${line.seed} FAILED: ${line.error}`);
  }
  if (performance.now() < shownMs + PROGRESS_MS) return;
  shownMs = performance.now();
  console.log(`  … ${summary()}`);
}

function summary(): string {
  const seconds = (performance.now() - startedMs) / 1_000;
  const { seeds, failed, virtualMs, events, stored, gaps } = totals;
  return `${seeds} seeds, ${failed} failed; ${(seeds / seconds).toFixed(2)} seeds/s, ` +
    `${Math.round(virtualMs / 1_000 / seconds)} x real time, ` +
    `${Math.round(events / seconds)} events/s; ${stored} records stored, ${gaps} gaps`;
}

const stops = (): boolean =>
  performance.now() >= endMs || (values["stop-at-first"] === true && totals.failed > 0);

async function runHere(): Promise<void> {
  for (let seed = first; seed < first + count && !stops(); seed += step) {
    const { line } = await play(seed);
    if (values.seed !== undefined) console.log(trace.join("\n"));
    if (values.lines) console.log(JSON.stringify(line));
    else take(line);
  }
}

async function runJob(index: number): Promise<void> {
  const args = ["--from", String(first + index), "--seeds", String(count - index)];
  for (const name of ["nodes", "minutes", "faults", "hours"] as const) {
    if (values[name] !== undefined) args.push(`--${name}`, values[name]);
  }
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, ...args, "--step", String(jobs), "--lines"],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) take(JSON.parse(line));
    if (stops()) child.kill();
  }
  const { success } = await child.status;
  if (success || stops()) return;
  // An assertion of the product, or the world's own mistake: the seeds that are left were not played.
  totals.failed++;
  console.log(`job ${index + 1} of ${jobs} ended before its seeds were played: see above`);
}

/** Shows the smallest story that fails as `line` does. */
async function explain(line: Line): Promise<void> {
  console.log(`\nseed ${line.seed}: looking for a smaller run that fails in the same way`);
  const { outcome } = await play(line.seed);
  if (outcome.error === undefined) {
    return console.log("it does not fail here: is it deterministic?");
  }
  const small = await shrink({ outcome, options });
  const { nodes, minutes } = small.options;
  console.log(
    `${small.outcome.story.length} of ${outcome.story.length} steps, ${nodes} nodes, ` +
      `${minutes.toFixed(1)} minutes:`,
  );
  console.log(small.outcome.trace.map((text) => `    ${text}`).join("\n"));
  const { faults } = values;
  console.log(
    `repeat it: deno task sim --seed ${line.seed} --nodes ${options.nodes} ` +
      `--minutes ${options.minutes}${faults === undefined ? "" : ` --faults ${faults}`}`,
  );
}

function counts(of: ReadonlyMap<string, number>): string {
  return [...of].sort().map(([name, n]) => `${name} ${n}`).join(", ");
}

if (values.help) console.log(HELP);
else if (values.lines) await runHere();
else {
  if (jobs === 1 || count === 1) await runHere();
  else await Promise.all(Array.from({ length: jobs }, (_, index) => runJob(index)));
  console.log(summary());
  const share = 100 * held.records / Math.max(1, held.of);
  console.log(`held to every promise: ${share.toFixed(1)} % of ${held.of} records`);
  console.log(`faults: ${counts(fired)}`);
  console.log(`states: ${counts(states)}`);
  let isComplete = share >= HELD_PERCENT_MIN || totals.seeds < ENOUGH_SEEDS;
  if (!isComplete) console.log(`less than ${HELD_PERCENT_MIN} % held: the run excuses too much`);
  if (totals.seeds >= ENOUGH_SEEDS) {
    const never = (only ?? FAULT_NAMES).filter((name) => !fired.has(name));
    const unreached = only === undefined ? Object.keys(STATES).filter((s) => !states.has(s)) : [];
    isComplete &&= never.length + unreached.length === 0;
    if (never.length + unreached.length > 0) {
      console.log(`never happened: ${[...never, ...unreached].join(", ")}`);
    }
  }
  const [failed] = failures.sort((a, b) => a.seed - b.seed);
  if (failed !== undefined && !values["no-shrink"]) await explain(failed);
  Deno.exit(totals.failed > 0 || !isComplete ? 1 : 0);
}
