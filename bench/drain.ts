/**
 * `deno task bench:drain [--records N] [--nodes N,N] [--json]`: real nodes with a backlog each on disk, and a real
 * host: how fast the backlog drains with a sync before each ack, and what it takes of processor, memory, link and
 * disk. Machines are noisy: compare ratios within one run.
 */
import { demandFlags } from "../lib/config/flags.ts";
import { freePort, Process } from "../lib/demo/processes.ts";
import { writeBacklog } from "./backlog.ts";

const flags = {
  records: "200000",
  nodes: "1,4",
  ...demandFlags(Deno.args, { text: ["records", "nodes"], flag: ["json"] }).values,
} as { records: string; nodes: string; json?: boolean };
const RECORDS = Number(flags.records);
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
  const host = await new Process("host", ["--listen", address, "--data", `${directory}/host`])
    .ready();
  const total = count * RECORDS;
  for (;;) {
    const { store } = await host.status();
    if (store.records >= total) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const seconds = (performance.now() - start) / 1_000;
  const name = `${count} node${count > 1 ? "s" : ""}`;
  const agents = nodes.reduce((sum, node) => sum + cpuS(node), 0) - before;
  note(`${name}: records/s, host's start included`, total / seconds);
  note(`${name}: CPU s a million records, nodes`, agents / total * 1e6, 1);
  note(`${name}: CPU s a million records, host`, cpuS(host) / total * 1e6, 1);
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
  await Deno.remove(directory, { recursive: true });
}

for (const count of flags.nodes.split(",")) await drain(Number(count));
if (flags.json) console.log(JSON.stringify(results));
Deno.exit(0);
