/** `deno task sim`: runs seeds, and shows the trace of the first that fails. */
import { parseArgs } from "node:util";
import { type Fault, FAULTS, runSeed } from "./scenario.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    nodes: { type: "string", default: "3" },
    minutes: { type: "string", default: "10" },
    faults: { type: "string" },
    "stop-at-first": { type: "boolean", default: false },
  },
});
const nodes = Number(values.nodes), minutes = Number(values.minutes);
const only = values.faults?.split(",") as Fault[] | undefined;
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
if (!(Number.isInteger(first) && first >= 0 && first + count <= 2 ** 32)) {
  console.error("sim: seeds are whole numbers from 0 to 2^32 - 1");
  Deno.exit(2);
}
const fired = new Map<Fault, number>();
const startedMs = performance.now();
let virtualMs = 0, steps = 0, stored = 0, gaps = 0, failed = 0;
for (let seed = first; seed < first + count; seed++) {
  const outcome = await runSeed(seed, { nodes, minutes, ...(only ? { only } : {}) });
  for (const [kind, times] of outcome.fired) fired.set(kind, (fired.get(kind) ?? 0) + times);
  virtualMs += outcome.virtualMs;
  steps += outcome.steps;
  stored += outcome.stored;
  gaps += outcome.gaps;
  if (values.seed !== undefined) console.log(outcome.trace.join("\n"));
  if (outcome.error === undefined) continue;
  failed++;
  console.log(`seed ${seed} FAILED: ${outcome.error}`);
  if (values.seed === undefined) {
    console.log(outcome.trace.slice(-12).map((line) => `    ${line}`).join("\n"));
    console.log(
      `    repeat it: deno task sim --seed ${seed} --nodes ${nodes} --minutes ${minutes}`,
    );
  }
}
const seconds = (performance.now() - startedMs) / 1_000;
console.log(
  `${count} seeds, ${failed} failed; ${(count / seconds).toFixed(2)} seeds/s, ` +
    `${Math.round(virtualMs / 1_000 / seconds)} x real time, ${
      Math.round(steps / seconds)
    } events/s, ` +
    `${stored} records stored, ${gaps} gaps`,
);
console.log([...fired].sort().map(([kind, times]) => `${kind} ${times}`).join(", "));
const never = (only ?? FAULTS).filter((kind) => !fired.has(kind));
if (count >= 50 && never.length > 0) {
  console.log(`faults that never happened: ${never.join(", ")}`);
  failed++;
}
Deno.exit(failed > 0 ? 1 : 0);
