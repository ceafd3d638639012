/**
 * `deno task sim:mutants [--skip N] [--first N]`: shows that the oracle bites. Each mutant is a deliberate fault in the production
 * code, written into a copy of the tree; the simulator must catch it within a stated number of seeds. A copy
 * without a fault must pass. With `--first` only so many are tried, with `--skip` those behind so many.
 */
import { demandFlags } from "../../lib/config/flags.ts";

interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly put: string;
  /** The one world that shows it; without, each is tried. */
  readonly world?: keyof typeof WORLDS;
}

/**
 * Seeds within which a mutant must be caught, in each of six worlds: one in which nothing may destroy
 * what was synced, so that each loss is a fault of ours; one with every fault; one of bad disks; one of
 * kills and power cuts, with the tails in memory; one of configurations on a host that is restored from backups;
 * and one in which hardly anything happens, so that nodes run for long.
 */
const SEEDS = 20;
/** So many of each world in turn: most mutants are caught soon, in one world or another. */
const STEP = 5;
const WORLDS = {
  safe: ["--faults", "safe"],
  all: [],
  "bad disks": [
    "--faults",
    "write_fails,sync_fails,disk_full,slow_disk,refuse,silence,node_kill,power_cut",
  ],
  memory: [
    "--faults",
    "node_kill,node_step_kill,power_cut,memory_lost,memory_full,memory_fails,silence,refuse,delay",
  ],
  restored: ["--faults", "config,host_restored,host_crash,cut"],
  quiet: ["--faults", "clock_jump"],
};

/**
 * Changes nothing and must survive the first seeds of each world: one that fails by itself catches nothing. The
 * larger runs show that of more seeds.
 */
const CONTROL: Mutant = {
  name: "none (the control)",
  file: "lib/host/ledger.ts",
  find: "",
  put: "",
};

const MUTANTS: Mutant[] = [
  {
    name: "ack before the commit is durable",
    file: "lib/host/commit_queue.ts",
    find: "await store.commit(parts.map(({ batch }) => batch), clock.wallMs());",
    put:
      "const all = parts.map(({ ledger }) => ledger); for (const ledger of all) ledger.committed(); this.#options.onCommitted(all); await store.commit(parts.map(({ batch }) => batch), clock.wallMs()); return;",
  },
  {
    name: "no sync of the directory",
    file: "lib/wal/unsynced.ts",
    find: "await disk.syncDir();",
    put: "",
  },
  {
    name: "compaction takes one segment too many",
    file: "lib/wal/compaction.ts",
    find: "return oldest.end <= positions.highAcked ? oldest : undefined;",
    put: "return oldest.base <= positions.highAcked ? oldest : undefined;",
  },
  {
    name: "files are not synced",
    file: "lib/wal/unsynced.ts",
    find: "await file.sync();",
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
    file: "lib/wal/compaction.ts",
    find: "return segments.count > 1 && segments.keptBytes > bytesMax();",
    put: "return false;",
  },
  {
    name: "silence of the host is never noticed",
    file: "lib/node/uplink.ts",
    find: 'if (this.#state === "closed" || nowMs < this.#silentAtMs) return { kind: "none" };',
    put: 'if (nowMs > -1) return { kind: "none" };',
  },
  {
    name: "a host that lost its data is believed to have it",
    file: "lib/node/uplink_session.ts",
    find: "if (effect.highAcked < wal.highAcked) wal.rewind(effect.highAcked);",
    put: "if (effect.highAcked < 0) wal.rewind(effect.highAcked);",
  },
  {
    name: "no reserve after a power cut",
    file: "lib/wal/opening.ts",
    find: "if (epoch !== undefined && isUncertain(found, options)) skipReserve(found.log, parts);",
    put: "",
  },
  {
    name: "records are sent however far they run ahead of the sync",
    file: "lib/wal/positions.ts",
    find: "return Math.min(this.#next - 1, this.#reserved ?? this.settled + RESERVE_RECORDS);",
    put: "return this.#next - 1 + 0 * RESERVE_RECORDS;",
  },
  {
    name: "one state for all epochs of a node",
    file: "lib/host/ledgers.ts",
    find: "return `${nodeId} ${epoch}`;",
    put: "return epoch === undefined ? epoch : nodeId;",
  },
  {
    name: "the host forgets which versions nodes have",
    file: "lib/host/admission.ts",
    find: "const hidden = configs.noteVersion(node_id, hello.cfg_version);",
    put: "const hidden = configs.noteVersion(node_id, 0);",
  },
  {
    name: "eviction is not declared",
    file: "lib/wal/compaction.ts",
    find: 'positions.lose(from, to, "evicted");',
    put: "",
  },
  {
    name: "what falls out of the ring is not declared",
    file: "lib/wal/wal.ts",
    find: "if (dropped !== undefined) this.#leftRing(dropped);",
    put: "",
  },
  {
    name: "a store that fails loses what it was given",
    file: "lib/host/commit_queue.ts",
    find:
      "this.#failed(failed.map(({ ledger }) => ledger), oneLine(error), overtaken !== undefined);",
    put: "break;",
  },
  {
    name: "a failed sync is taken for done",
    file: "lib/wal/writing.ts",
    find: 'this.fail("sync failed", error);\n      return false;',
    put: "",
    world: "bad disks",
  },
  {
    name: "records in memory are declared lost when their segment is evicted",
    file: "lib/wal/compaction.ts",
    find: "const to = Math.min(oldest.end, inMemoryFrom() - 1);",
    put: "const to = Math.max(oldest.end, inMemoryFrom() - inMemoryFrom());",
    world: "safe",
  },
  {
    name: "acks speak of what waits for its commit",
    file: "lib/host/ledger.ts",
    find: "return this.#durable.high;",
    put: "return this.#seen.high;",
  },
  {
    name: "a node that goes on in a segment doesn't know which shapes stand there",
    file: "lib/wal/tail.ts",
    find: "new SegmentWriter(file, this.#textMax(), shapes)",
    put: "new SegmentWriter(file, this.#textMax())",
  },
  {
    name: "numbers of rows lose their last digit",
    file: "lib/codec/row.ts",
    find: "return out.unsigned(zigzag(number) * 16 + scale);",
    put: "return out.unsigned(zigzag(number - number % 2) * 16 + scale);",
  },
  {
    name: "a segment of the tail goes although the host lacks what is in it",
    file: "lib/wal/memory_tail.ts",
    find: "return oldest.end <= settled && (",
    put: "return settled >= 0 && (",
    world: "memory",
  },
  {
    name: "what is written from memory to the disk lacks its first record",
    file: "lib/wal/writing.ts",
    find: "ring.first(Math.max(positions.written, positions.highAcked) + 1)?.[0]",
    put: "ring.first(Math.max(positions.written, positions.highAcked) + 2)?.[0]",
  },
  {
    name: "after a power cut numbering goes on above what was found, not above what was reserved",
    file: "lib/wal/opening.ts",
    find: "const last = Math.max(prev + RESERVE_RECORDS, reserved);",
    put: "const last = Math.max(prev + RESERVE_RECORDS, 0 * reserved);",
  },
  {
    name: "a tail that is gone counts as nothing lost",
    file: "lib/wal/opening.ts",
    find: "shortBootId(osBootId) || isTailLost;",
    put: "shortBootId(osBootId) && !isTailLost;",
  },
  {
    name: "records wait for the host for ever",
    file: "lib/wal/wal.ts",
    find: "if (this.#memory.isOn) syncAtMs = Math.max(syncAtMs, this.#nextSyncMs());",
    put: "if (this.#memory.isOn) syncAtMs = now + 1_000;",
    world: "memory",
  },
  {
    name: "thinning hides spikes",
    file: "lib/node/downsample.ts",
    find: "if (samples <= 1 || sample.anomaly.is_anomaly) return",
    put: "if (samples <= 1) return",
    world: "restored",
  },
  {
    name: "a detector learns from what it flags, until it flags nothing",
    file: "lib/node/recorder.ts",
    find: "const anomaly = bank.observe(metrics, { monoMs, wallMs }, repeated);",
    put:
      "const seen = bank.observe(metrics, { monoMs, wallMs }, repeated); const anomaly = monoMs < 90_000 ? seen : { is_anomaly: false, score: 0, metrics: {} } as typeof seen;",
  },
  {
    name: "stored records are not marked as anomalies",
    file: "lib/host/intake.ts",
    find: "is_anomaly: anomaly.is_anomaly,",
    put: "is_anomaly: anomaly.is_anomaly && anomaly.score < 0,",
  },
];

const SIM = "run -A --no-check tests/sim/main.ts --stop-at-first --minutes 5 --no-shrink --jobs 2"
  .split(" ").concat("--seeds", String(STEP));
const root = new URL("../../", import.meta.url).pathname;
const { first = MUTANTS.length, skip = 0 } = demandFlags(Deno.args, {
  text: ["first", "skip"],
}).values;
const tried = MUTANTS.slice(Number(skip), Number(skip) + Number(first));
let wrong = 0;
for (const mutant of [CONTROL, ...tried]) {
  const copy = await Deno.makeTempDir({ prefix: "holdfast-mutant-" });
  for (const part of ["lib", "tests", "deno.json", "deno.lock"]) {
    await Deno.mkdir(`${copy}/${part.split("/").slice(0, -1).join("/")}`, { recursive: true });
    await new Deno.Command("cp", { args: ["-r", `${root}${part}`, `${copy}/${part}`] }).output();
  }
  const path = `${copy}/${mutant.file}`;
  const source = await Deno.readTextFile(path);
  if (!source.includes(mutant.find)) {
    throw new Error(`${mutant.name}: its place is gone from ${mutant.file}`);
  }
  await Deno.writeTextFile(path, source.replace(mutant.find, () => mutant.put));
  let caught: string | undefined;
  const seeds = mutant === CONTROL ? STEP : SEEDS;
  for (let from = 1; from <= seeds && caught === undefined; from += STEP) {
    for (const [name, faults] of Object.entries(WORLDS)) {
      if (name !== (mutant.world ?? name)) continue;
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...SIM, ...faults, "--from", String(from)],
        cwd: copy,
      }).output();
      const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      const found = /seed \d+ FAILED: [^\n]{0,90}/.exec(text);
      if (found !== null) {
        caught = `${name}, ${found[0]}`;
        break;
      }
      // A simulator that doesn't run catches nothing, which is no word about the mutant.
      if (!text.includes(`${STEP} seeds, 0 failed`)) {
        throw new Error(`${mutant.name}: the simulator did not run: ${text.slice(-500)}`);
      }
    }
  }
  const verdict = caught ?? `survived ${seeds} seeds of each world`;
  if ((caught === undefined) !== (mutant === CONTROL)) wrong++;
  console.log(`${mutant.name.padEnd(52)} ${verdict}`);
  await Deno.remove(copy, { recursive: true });
}
const total = tried.length + 1;
console.log(`${total - wrong} passed | ${wrong} failed (passed: a mutant caught, the control not)`);
Deno.exit(wrong === 0 ? 0 : 1);
