/**
 * `deno task sim:mutants`: shows that the oracle bites. Each mutant is a deliberate fault in the production
 * code, written into a copy of the tree; the simulator must catch it within a stated number of seeds.
 */

interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

/**
 * Seeds within which a mutant must be caught, in each of two worlds: one with every fault, and one in which
 * nothing may destroy what was synced, so that each loss is a fault of ours.
 */
const SEEDS = 40;
const WORLDS = [[], ["--faults", "cut,host_crash,node_kill,power_cut,config,bad_config,silence"]];

const MUTANTS: Mutant[] = [
  {
    name: "ack before the commit is durable",
    file: "lib/host/commit_queue.ts",
    find: "await store.commit(batches, clock.wallMs());",
    put:
      "batches.forEach((b, i) => ledgers[i]!.committed(b.state)); this.#o.onCommitted(ledgers); await store.commit(batches, clock.wallMs());",
  },
  {
    name: "no sync of the directory",
    file: "lib/wal/wal.ts",
    find: "await this.#o.disk.syncDir();",
    put: "",
  },
  {
    name: "compaction takes one segment too many",
    file: "lib/wal/wal.ts",
    find: "return oldest.end <= this.#highAcked ? oldest : undefined;",
    put: "return oldest.base <= this.#highAcked ? oldest : undefined;",
  },
  {
    name: "files are not synced",
    file: "lib/wal/wal.ts",
    find: "for (const file of files) await file.sync();",
    put: "",
  },
  {
    name: "duplicates are stored again",
    file: "lib/host/ledger.ts",
    find: "if (this.#seen.has(row.seq)) return false;",
    put: "",
  },
  {
    name: "replay starts one record too late",
    file: "lib/node/uplink.ts",
    find: "return this.#sent.firstMissing(this.#log.highAcked + 1, through);",
    put: "return this.#sent.firstMissing(this.#log.highAcked + 2, through);",
  },
  {
    name: "the limit is not enforced",
    file: "lib/wal/wal.ts",
    find: "return this.#segments.length > 1 && this.bytes > this.#bytesMax - this.#segmentBytes;",
    put: "return false;",
  },
  {
    name: "a failed commit is taken for done",
    file: "lib/host/ledger.ts",
    find: "this.#seen = this.#durable.copy();\n  }\n}",
    put: "}\n}",
  },
  {
    name: "silence of the host is never noticed",
    file: "lib/node/uplink.ts",
    find: 'if (this.#state === "closed" || nowMs < this.#silentAtMs) return { kind: "none" };',
    put: 'if (nowMs > -1) return { kind: "none" };',
  },
  {
    name: "a host that lost its data is believed to have it",
    file: "lib/node/uplink_driver.ts",
    find: "if (effect.highAcked < wal.highAcked) wal.rewind(effect.highAcked);",
    put: "if (effect.highAcked < 0) wal.rewind(effect.highAcked);",
  },
];

const root = new URL("../../", import.meta.url).pathname;
let survived = 0;
for (const mutant of MUTANTS) {
  const copy = await Deno.makeTempDir({ prefix: "holdfast-mutant-" });
  for (const part of ["lib", "tests/sim", "tests/slow", "deno.json", "deno.lock"]) {
    await Deno.mkdir(`${copy}/${part.split("/").slice(0, -1).join("/")}`, { recursive: true });
    await new Deno.Command("cp", { args: ["-r", `${root}${part}`, `${copy}/${part}`] }).output();
  }
  const path = `${copy}/${mutant.file}`;
  const source = await Deno.readTextFile(path);
  if (!source.includes(mutant.find)) {
    throw new Error(`${mutant.name}: its place is gone from ${mutant.file}`);
  }
  await Deno.writeTextFile(path, source.replace(mutant.find, () => mutant.put));
  let caught: RegExpExecArray | null = null;
  for (const world of WORLDS) {
    if (caught !== null) break;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", "tests/sim/main.ts", "--stop-at-first"],
        ...["--seeds", String(SEEDS), "--minutes", "5", ...world],
      ],
      cwd: copy,
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    caught = /seed (\d+) FAILED: ([^\n]{0,90})/.exec(text);
  }
  if (caught === null) survived++;
  const verdict = caught === null
    ? `SURVIVED ${SEEDS} seeds`
    : `caught by seed ${caught[1]}: ${caught[2]}`;
  console.log(`${mutant.name.padEnd(52)} ${verdict}`);
  await Deno.remove(copy, { recursive: true });
}
const total = MUTANTS.length - survived;
console.log(`${total} passed | ${survived} failed of ${MUTANTS.length} mutants (passed: caught)`);
Deno.exit(survived === 0 ? 0 : 1);
