/**
 * `deno task soak --minutes M`: real processes, real disk, real sockets. A host and some nodes are killed,
 * stopped and cut at random for M minutes; then the files are held against the simulator's oracle.
 */
import { demandFlags } from "../../lib/config/flags.ts";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { prove } from "../../lib/demo/proof.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { allRecords } from "../../lib/store/sqlite/block_tables.ts";
import { openDatabase } from "../../lib/store/sqlite/engine.ts";
import { DATABASE_NAME } from "../../lib/store/sqlite/store.ts";
import { sampleOf, wrongWith } from "../sim/oracle.ts";

const values = {
  minutes: "5",
  nodes: "3",
  seed: String(Math.floor(performance.timeOrigin) % 2 ** 31),
  ...demandFlags(Deno.args, { text: ["minutes", "nodes", "seed"] }).values,
} as { minutes: string; nodes: string; seed: string };
const seed = Number(values.seed);
const random = seededRandom(seed);
const directory = await Deno.makeTempDir({ prefix: "holdfast-soak-" });
const address = `127.0.0.1:${freePort()}`;
const ids = Array.from({ length: Number(values.nodes) }, (_, index) => `node-${index + 1}`);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function startHost(): Promise<Process> {
  return new Process("host", [
    ...["--listen", address, "--data", `${directory}/host`, "--allow-faults"],
  ]).ready();
}
function startNode(id: string): Promise<Process> {
  return new Process("node", [
    ...["--id", id, "--host", address, "--data", `${directory}/${id}`, "--sensor", "sim"],
    ...["--sample-hz", "50", "--send-interval-ms", "100", "--reconnect-ms-max", "1000"],
    ...["--stop-grace-ms", "30000"],
  ]).ready();
}

let host = await startHost();
const nodes = new Map<string, Process>();
for (const id of ids) nodes.set(id, await startNode(id));
const done = new Map<string, number>();

/** What may happen, each some seconds after the one before. */
const ACTIONS: Record<string, (id: string) => Promise<void>> = {
  "kill the host": async () => {
    await host.kill();
    await wait(random.below(5_000));
    host = await startHost();
  },
  "stop the host": async () => {
    await host.stop();
    host = await startHost();
  },
  "kill a node": async (id) => {
    await nodes.get(id)!.kill();
    await wait(random.below(3_000));
    nodes.set(id, await startNode(id));
  },
  "freeze a node": async (id) => {
    nodes.get(id)!.signal("SIGSTOP");
    await wait(random.below(8_000));
    nodes.get(id)!.signal("SIGCONT");
  },
  "freeze the host": async () => {
    host.signal("SIGSTOP");
    await wait(random.below(8_000));
    host.signal("SIGCONT");
  },
  "cut all connections": async () => {
    await host.send("POST", "/api/faults", { fault: "drop:for=1s" });
  },
  "damage what is received": async () => {
    await host.send("POST", "/api/faults", { fault: "corrupt:p=0.05,for=2s" });
  },
  "take lines in twice": async () => {
    await host.send("POST", "/api/faults", { fault: "duplicate:p=0.5,for=5s" });
  },
  "change a setting": async (id) => {
    await host.send("PUT", `/api/nodes/${id}/config`, { sample_hz: 20 + random.below(60) });
  },
};

const endMs = performance.now() + Number(values.minutes) * 60_000;
console.log(`soak: seed ${seed}, ${directory}`);
while (performance.now() < endMs) {
  await wait(500 + random.below(4_000));
  const names = Object.keys(ACTIONS);
  const name = names[random.below(names.length)]!;
  await ACTIONS[name]!(ids[random.below(ids.length)]!);
  done.set(name, (done.get(name) ?? 0) + 1);
}
for (const node of nodes.values()) await node.stop();
await host.stop();

const proof = await prove(
  `${directory}/host`,
  new Map(ids.map((id) => [id, `${directory}/${id}`])),
);
const wrong = proof.missing > 0 || proof.duplicates > 0 ? JSON.stringify(proof) : wrongInStore();
console.log([...done].map(([name, times]) => `${name} ${times}`).join(", "));
console.log(
  `${proof.produced} records produced, ${proof.stored} stored, ${proof.missing} missing, ` +
    `${proof.duplicates} duplicates, ${proof.gap_records} in ${proof.gaps} declared gaps`,
);
if (wrong === undefined) await Deno.remove(directory, { recursive: true });
else console.log(`WRONG: ${wrong}\nthe files are in ${directory}`);
console.log(wrong === undefined ? "1 passed | 0 failed" : "0 passed | 1 failed");
Deno.exit(wrong === undefined ? 0 : 1);

/** What the simulator's oracle finds wrong in the host's database. */
function wrongInStore(): string | undefined {
  const db = openDatabase(`${directory}/host/${DATABASE_NAME}`, true);
  const samples = new Map<string, Map<number, string>>();
  for (const { node_id, epoch, seq, payload } of allRecords(db)) {
    const key = `${node_id} ${epoch}`;
    if (!samples.has(key)) samples.set(key, new Map());
    samples.get(key)!.set(seq, sampleOf(payload));
  }
  for (const { node_id, epoch, high_acked } of db.sql("SELECT * FROM epochs").all()) {
    const key = `${node_id} ${epoch}`;
    const gaps = db.sql(
      "SELECT from_seq, to_seq, reason FROM gaps WHERE node_id = ? AND epoch = ?",
    ).all(node_id!, epoch!);
    const wrong = wrongWith(key, {
      highAcked: Number(high_acked),
      samples: samples.get(key) ?? new Map(),
      gaps: gaps.map(({ from_seq, to_seq, reason }) => ({
        from_seq: Number(from_seq),
        to_seq: Number(to_seq),
        reason: String(reason),
      })),
    });
    if (wrong !== undefined) return wrong;
    // No power was cut and no disk failed: nothing at all may be lost.
    if (gaps.length > 0) return `${key}: ${JSON.stringify(gaps[0])} without a cause`;
  }
  return undefined;
}
