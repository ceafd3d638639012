/**
 * `deno task mutate FILE… [--tests DIR,DIR] [--every N] [--jobs N] [--quick]`: changes one operator or leaves out one
 * statement of a file at a time, and runs the tests of its room, then those of the simulator. Each change that no
 * test notices is shown: some are equivalent, the others are tests that are missing. `--every N` tries each Nth
 * change only, `--quick` leaves the simulator out.
 */
import { demandFlags } from "../../lib/config/flags.ts";

/** One change of one line. */
interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly from: string;
  readonly to: string;
}

/** Slower, and only for what the tests of the room don't notice. */
const SIMULATOR = "tests/sim";

/** What is looked for in a line, and what is put in its place. */
const CHANGES: readonly [RegExp, string][] = [
  [/ >= /g, " > "],
  [/ <= /g, " < "],
  [/ > /g, " >= "],
  [/ < /g, " <= "],
  [/ === /g, " !== "],
  [/ !== /g, " === "],
  [/ && /g, " || "],
  [/ \|\| /g, " && "],
  [/ \+ 1\b/g, ""],
  [/ - 1\b/g, ""],
  [/\bMath\.max\(/g, "Math.min("],
  [/\bMath\.min\(/g, "Math.max("],
  [/\btrue\b/g, "false"],
  [/\bfalse\b/g, "true"],
  [/(?<=[ (])!(?=[a-z])/g, ""],
  [/\bawait (?=this|[a-z])/g, ""],
  [/^ +(?:await )?(?:this|[a-z]\w*)\.[^=;{}]*\([^{}]*\);$/g, ""],
  [/^ +this\.#?\w+ = [^{}]*;$/g, ""],
  [/^ +this\.#?\w+(?:\+\+|--);$/g, ""],
];
/** Lines in which a change says nothing. */
const PASSED_OVER =
  /^\s*(?:\*|\/\/|\/\*|import |export \* |assert\(|log\.|readonly |type |interface )/;

function mutantsOf(file: string, source: string): Mutant[] {
  const mutants: Mutant[] = [];
  source.split("\n").forEach((from, index) => {
    if (PASSED_OVER.test(from)) return;
    for (const [what, put] of CHANGES) {
      for (const found of from.matchAll(what)) {
        const to = from.slice(0, found.index) + put + from.slice(found.index + found[0].length);
        if (to !== from) mutants.push({ file, line: index, from, to });
      }
    }
  });
  return mutants;
}

/** Whether the tests of `directories` pass in the tree `root`; a run that takes too long doesn't. */
async function passes(root: string, directories: readonly string[], ms: number): Promise<boolean> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), ms);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "-q", "--no-check", "--fail-fast", ...directories],
    cwd: root,
    stdout: "null",
    stderr: "null",
    signal: stop.signal,
  }).spawn();
  const { success } = await child.status;
  clearTimeout(timer);
  return success;
}

const { values: given, positionals } = demandFlags(Deno.args, {
  text: ["tests", "every", "jobs"],
  flag: ["quick"],
});
const values = given as { tests?: string; every?: string; jobs?: string; quick?: boolean };
const every = Number(values.every ?? 1), jobs = Number(values.jobs ?? 2);
const root = new URL("../../", import.meta.url).pathname;
let tried = 0, survived = 0;
for (const file of positionals.map(String)) {
  const room = /^lib\/(\w+)\//.exec(file)?.[1] ?? "";
  const directories = values.tests?.split(",") ?? [`tests/${room}`];
  const source = await Deno.readTextFile(root + file);
  const mutants = mutantsOf(file, source).filter((_, index) => index % every === 0);
  const trees = await Promise.all(Array.from({ length: jobs }, async () => {
    const tree = await Deno.makeTempDir({ prefix: "holdfast-mutation-" });
    for (const part of ["lib", "tests", "docs", "deno.json", "deno.lock"]) {
      await new Deno.Command("cp", { args: ["-r", root + part, `${tree}/${part}`] }).output();
    }
    return tree;
  }));
  const start = performance.now();
  if (!await passes(trees[0]!, directories, 300_000)) {
    throw new Error(`${directories} fail without a change`);
  }
  const longest = 10_000 + 5 * (performance.now() - start);
  await Promise.all(trees.map(async (tree) => {
    for (let mutant = mutants.shift(); mutant !== undefined; mutant = mutants.shift()) {
      const { line, from, to } = mutant;
      const changed = source.split("\n").with(line, to).join("\n");
      await Deno.writeTextFile(`${tree}/${file}`, changed);
      tried++;
      if (!await passes(tree, directories, longest)) continue;
      const isQuick = values.quick === true;
      if (!isQuick && !await passes(tree, [SIMULATOR], longest + 120_000)) continue;
      survived++;
      console.log(`${file}:${line + 1}\n  - ${from.trim()}\n  + ${to.trim() || "(left out)"}`);
    }
    await Deno.remove(tree, { recursive: true });
  }));
}
console.log(`${survived} of ${tried} changes were noticed by no test`);
