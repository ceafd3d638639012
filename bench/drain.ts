/**
 * `deno task bench:drain [--records N] [--nodes N,N] [--json]`: real nodes with a backlog each on disk, and a real
 * host: how fast the backlog drains with a sync before each ack, and what it takes of processor, memory, link and
 * disk. Machines are noisy: compare ratios within one run.
 */
import { demandFlags } from "../lib/config/flags.ts";
import { freePort, Process } from "../lib/demo/processes.ts";
import { denoClock, denoRandom } from "../lib/platform/deno_clock.ts";
import { openDisk } from "../lib/platform/deno_disk.ts";
import { encodeContent, type RecordContent } from "../lib/protocol/record.ts";
import { Wal } from "../lib/wal/wal.ts";

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

function noise(): number {
  return Math.random() + Math.random() + Math.random() - 1.5;
}

/** What the sim sensor gives with eight metrics, a record each 100 ms. */
function contentOf(index: number): RecordContent {
  const round = (value: number, digits: number) => Number(value.toFixed(digits));
  return {
    ts_wall_ms: 1_763_900_000_000 + 100 * index + Math.round(2 * noise()),
    ts_mono_ms: round(1_000 + 100 * index + 2 * noise(), 1),
    boot_id: "4d5f1c3a-7e0b-4a6e-9a53-0f5a1c2b3d4e",
    metrics: {
      temp_c: round(41 + 0.3 * noise(), 2),
      rail_v: round(5.02 + 0.016 * noise(), 3),
      pressure_bar: round(3.4 + 0.04 * noise(), 3),
      flow_lpm: round(120 + 2.4 * noise(), 1),
      vibration_g: round(0.3 + 0.04 * noise(), 3),
      sim_1: round(10 + 0.2 * noise(), 3),
      sim_2: round(20 + 0.2 * noise(), 3),
      sim_3: round(30 + 0.2 * noise(), 3),
    },
    anomaly: { is_anomaly: false, score: round(Math.abs(2 * noise()), 5), metrics: {} },
    diagnostics: { rail_low: false },
    degraded: false,
    cfg_version: 0,
  };
}

async function writeBacklog(directory: string): Promise<number> {
  const wal = await Wal.open({
    disk: await openDisk(`${directory}/wal`),
    clock: denoClock,
    random: denoRandom,
    osBootId: Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim(),
    ringRecords: 1_000,
    bytesMax: 1 << 30,
    sync: "interval",
    syncIntervalMs: 1_000,
  });
  for (let index = 0; index < RECORDS; index++) wal.append(encodeContent(contentOf(index)));
  const { bytes } = wal;
  await wal.close();
  return bytes;
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
  for (let n = 0; n < count; n++) queued += await writeBacklog(`${directory}/n${n}`);
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
