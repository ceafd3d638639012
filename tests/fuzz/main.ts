/**
 * `deno task fuzz [--inputs N] [--seed N] [--target NAME]`: hands almost valid inputs to everything that reads what
 * comes from outside. What throws something else than it says, takes longer than a second, or makes memory grow fails.
 * What was found once is in `corpus.json`, and tried first.
 */
import { demandFlags } from "../../lib/config/flags.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { mutateBytes, mutateText } from "./mutate.ts";
import { type Target, TARGETS } from "./targets.ts";

const values = {
  inputs: "200000",
  seed: "1",
  target: "",
  ...demandFlags(Deno.args, { text: ["inputs", "seed", "target"] }).values,
} as { inputs: string; seed: string; target: string };
const SLOW_MS = 1_000;
const GROWTH_BYTES = 20_000_000;
/** Inputs of one target in a row. */
const BATCH = 2_000;

const chosen = Object.entries(TARGETS).filter(([name]) => name.includes(values.target));
const failures = new Map<string, string>();
const tried = new Map<string, number>();

function attempt(name: string, target: Target, input: Uint8Array | string): void {
  const startMs = performance.now();
  let wrong: string | undefined;
  try {
    target.run(input);
  } catch (error) {
    if (target.allows?.(error) !== true) wrong = `${(error as Error).stack ?? error}`;
  }
  const tookMs = performance.now() - startMs;
  if (tookMs > SLOW_MS) wrong = `took ${tookMs.toFixed(0)} ms`;
  tried.set(name, (tried.get(name) ?? 0) + 1);
  if (wrong === undefined || failures.has(name)) return;
  const shown = typeof input === "string" ? JSON.stringify(input) : toHex(input);
  failures.set(name, `${wrong}\n  input: ${shown.slice(0, 2_000)}`);
}

/** Bytes that are not garbage; what is outside the heap is freed some turns after what held it. */
async function held(): Promise<number> {
  for (let turn = 0; turn < 4; turn++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const corpus = JSON.parse(await Deno.readTextFile(new URL("./corpus.json", import.meta.url)));
for (const { target, text, hex } of corpus as { target: string; text?: string; hex?: string }[]) {
  const input = text ?? Uint8Array.from(hex!.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  attempt(target, TARGETS[target]!, input);
}
const random = seededRandom(Number(values.seed));
const each = Math.ceil(Number(values.inputs) / chosen.length);
const before = await held();
for (const [name, target] of chosen) for (const seed of target.seeds) attempt(name, target, seed);
for (let from = 0; from < each; from += BATCH) {
  for (const [name, target] of chosen) {
    const { seeds, mend } = target;
    for (let i = from; i < Math.min(each, from + BATCH); i++) {
      const seed = seeds[random.below(seeds.length)]!;
      let input = typeof seed === "string"
        ? mutateText(seed, seeds as readonly string[], random)
        : mutateBytes(seed, seeds as readonly Uint8Array[], random);
      if (mend !== undefined && random.below(2) === 0) input = mend(input as never);
      attempt(name, target, input);
    }
  }
}
const growth = await held() - before;
for (const [name, failure] of failures) {
  console.log(`FAILED ${name}, seed ${values.seed}: ${failure}`);
}
if (growth > GROWTH_BYTES) console.log(`FAILED memory: it grew by ${(growth / 1e6).toFixed(0)} MB`);
const all = [...tried.values()].reduce((sum, count) => sum + count, 0);
const wrong = failures.size + (growth > GROWTH_BYTES ? 1 : 0);
console.log(`${all} inputs, memory grew by ${(growth / 1e6).toFixed(0)} MB`);
console.log(`${chosen.length + 1 - wrong} passed | ${wrong} failed`);
Deno.exit(wrong === 0 ? 0 : 1);
