/**
 * `deno task bench:drain [--records N] [--nodes N,N] [--kills N] [--json]`: real nodes with a backlog each on disk,
 * and a real host: how fast the backlog drains with a sync before each ack, and what it takes of processor, memory,
 * link and disk. With `--kills` the host is killed so often meanwhile and started again, and in the end its database
 * is held against the nodes' logs. Machines are noisy: compare ratios within one run.
 */
import { demandFlags } from "../lib/config/flags.ts";
import { freePort, Process } from "../lib/demo/processes.ts";
import { prove } from "../lib/demo/proof.ts";
import { writeBacklog } from "./backlog.ts";

const flags = {
  records: "200000",
  nodes: "1,4",
  kills: "0",
  ...demandFlags(Deno.args, { text: ["records", "nodes", "kills"], flag: ["json"] }).values,
} as { records: string; nodes: string; kills: string; json?: boolean };
const RECORDS = Number(flags.records);
const KILLS = Number(flags.kills);
const results: Record<string, number> = {};

function note(name: string, value: number, digits = 0): void {
  results[name] = Number(value.toFixed(digits));
  console.log(`${name.padEnd(58)} ${results[name]!.toLocaleString("en").padStart(14)}`);
}

function cpuS({ pid }: Process): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function peakMb({ pid }: Process): number {
  return Number(/VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) / 1_024;
}

async function drain(count: number): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-drain-" });
  const address = `127.0.0.1:${freePort()}`;
  let queued = 0;
  for (let n = 0; n < count; n++) queued += await writeBacklog(`${directory}/n${n}`, RECORDS);
  const nodes: Process[] = [];
  for (let n = 0; n < count; n++) {
    const node = new Process("node", [
      ...["--id", `n${n}`, "--host", address, "--data", `${directory}/n${n}`],
      ...["--wal-bytes-max", String(1 << 30), "--sample-hz", "1", "--reconnect-ms-max", "100"],
    ]);
    nodes.push(await node.ready());
  }
  const before = nodes.reduce((sum, node) => sum + cpuS(node), 0);
  const start = performance.now();
  const startHost = () =>
    new Process("host", ["--listen", address, "--data", `${directory}/host`]).ready();
  let host = await startHost();
  const total = count * RECORDS;
  let kills = 0, hostCpuS = 0;
  for (;;) {
    const { store } = await host.status();
    if (store.records >= total) break;
    if (kills < KILLS && store.records >= total * (kills + 1) / (KILLS + 1)) {
      kills++;
      hostCpuS += cpuS(host);
      await host.kill();
      host = await startHost();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  hostCpuS += cpuS(host);
  const seconds = (performance.now() - start) / 1_000;
  const name = `${count} node${count > 1 ? "s" : ""}`;
  const agents = nodes.reduce((sum, node) => sum + cpuS(node), 0) - before;
  note(`${name}: records/s, host's start included`, total / seconds);
  note(`${name}: CPU s a million records, nodes`, agents / total * 1e6, 1);
  note(`${name}: CPU s a million records, host`, hostCpuS / total * 1e6, 1);
  note(`${name}: peak RSS of a node, MB`, Math.max(...nodes.map(peakMb)));
  note(`${name}: peak RSS of the host, MB`, peakMb(host));
  let sent = 0;
  for (const node of nodes) sent += (await node.status()).link.sent_bytes;
  note(`${name}: bytes a record on the wire`, sent / total, 1);
  note(`${name}: bytes a record in the log`, queued / total, 1);
  for (const node of nodes) await node.stop();
  await host.stop();
  const { size } = await Deno.stat(`${directory}/host/holdfast.db`);
  note(`${name}: bytes a record kept`, size / total, 1);
  if (KILLS > 0) {
    const logs = nodes.map((_, n) => [`n${n}`, `${directory}/n${n}`] as const);
    const { missing, duplicates, gap_records } = await prove(`${directory}/host`, new Map(logs));
    note(`${name}: kills of the host`, kills);
    note(`${name}: records missing`, missing);
    note(`${name}: records stored twice`, duplicates);
    note(`${name}: records declared lost`, gap_records);
  }
  await Deno.remove(directory, { recursive: true });
}

for (const count of flags.nodes.split(",")) await drain(Number(count));
if (flags.json) console.log(JSON.stringify(results));
Deno.exit(0);
