/**
 * `deno task bench:day [--seconds N] [--sensor KIND] [--intervals MS,MS,…] [--encoding E] [--sync-interval MS]
 * [--memory auto|off|DIR] [--warm-up S] [--no-host]`, or
 * `deno task bench:day --nodes N [--seconds N]`: what a day costs, of
 * one real node at 10 Hz and its host: bytes on the link, with 52 for each packet's TCP and IP headers, as the
 * kernel counts them for the socket (needs `ss`, of Debian's iproute2), and block writes of both (`/proc/PID/io`).
 * With `--nodes N`: what a host writes of N simulated nodes that send ten records each second, and how long acks take.
 */
import { demandFlags } from "../lib/config/flags.ts";
import { freePort, Process } from "../lib/demo/processes.ts";
import { denoTransport } from "../lib/platform/deno_transport.ts";
import { CONTENT, Replayer } from "./replayer.ts";

const flags = {
  seconds: "60",
  sensor: "sim:extra=3",
  intervals: "1000,10000,60000",
  encoding: "block",
  memory: "auto",
  "sync-interval": "2000",
  "warm-up": "10",
  ...demandFlags(Deno.args, {
    text: [
      "nodes",
      "seconds",
      "sensor",
      "intervals",
      "encoding",
      "sync-interval",
      "memory",
      "warm-up",
    ],
    flag: ["no-host"],
  }).values,
} as {
  seconds: string;
  sensor: string;
  intervals: string;
  encoding: string;
  memory: string;
  "sync-interval": string;
  "warm-up": string;
  "no-host"?: boolean;
  nodes?: string;
};

const DAY_S = 86_400;
const WARM_UP_S = 10;
/** Headers of a packet: IP 20, TCP 20, time stamps 12. */
const PACKET_BYTES = 52;

interface Count {
  readonly link: number;
  readonly node: number;
  readonly log: number;
  readonly host: number;
  readonly records: number;
  readonly payload: number;
}

/** Bytes of the link's one connection so far, both ways, headers included. */
function linkBytes(address: string): number {
  const port = address.split(":")[1];
  const { stdout } = new Deno.Command("ss", { args: ["-tniH", `dport = :${port}`] }).outputSync();
  const text = new TextDecoder().decode(stdout);
  const field = (name: string) => Number(new RegExp(` ${name}:(\\d+)`).exec(text)?.[1] ?? 0);
  return field("bytes_sent") + field("bytes_received") +
    PACKET_BYTES * (field("segs_out") + field("segs_in"));
}

function written({ pid }: Process): number {
  return Number(/^write_bytes: (\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/io`))![1]);
}

/** What was used up to now. */
async function count(host: Process, node: Process, address: string): Promise<Count> {
  const { link, next_seq, wal } = await node.status();
  return {
    link: linkBytes(address),
    node: written(node),
    log: wal.written_bytes,
    host: flags["no-host"] ? 0 : written(host),
    records: next_seq,
    payload: link.sent_bytes + link.received_bytes,
  };
}

/** See `--nodes` in the head of the file. */
async function fleetDay(nodes: number, seconds: number): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-day-" });
  const address = `127.0.0.1:${freePort()}`;
  const host = await new Process("host", ["--listen", address, "--data", directory]).ready();
  const prepared = Replayer.prepare(CONTENT, 10 * (WARM_UP_S + seconds), "block");
  const fleet = Array.from({ length: nodes }, (_, index) => new Replayer(`n-${index}`, prepared));
  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const running = fleet.map(async (node, index) => {
    await sleep(index / nodes * 1_000);
    await node.run(denoTransport(), address, 10);
  });
  await sleep(1_000 * WARM_UP_S);
  const before = written(host), startedMs = performance.now();
  await Promise.all(running);
  const days = (performance.now() - startedMs) / 1_000 / DAY_S;
  const megabytes = (written(host) - before) / 1e6 / days / nodes;
  const ackMs = fleet.flatMap(({ ackMs }) => ackMs).sort((a, b) => a - b);
  const quantile = (part: number) => ackMs[Math.floor(part * (ackMs.length - 1))]!.toFixed(0);
  console.log(
    `${nodes} nodes: block writes of the host ${megabytes.toFixed(0)} MB a node and day, ` +
      `acks after ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms`,
  );
  await host.stop();
  await Deno.remove(directory, { recursive: true });
}

if (flags.nodes !== undefined) {
  await fleetDay(Number(flags.nodes), Number(flags.seconds));
  Deno.exit(0);
}

for (const interval of flags.intervals.split(",")) {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-day-" });
  const address = `127.0.0.1:${freePort()}`;
  const host = await new Process("host", ["--listen", address, "--data", `${directory}/host`])
    .ready();
  const node = await new Process("node", [
    ...["--id", "a", "--host", address, "--data", `${directory}/node`, "--sensor", flags.sensor],
    ...["--send-interval-ms", interval, "--encoding", flags.encoding],
    ...["--wal-memory", flags.memory, "--wal-sync-interval-ms", flags["sync-interval"]],
  ]).ready();
  if (flags["no-host"]) await host.kill();
  // Shapes are told and the detectors warm; from then on whole intervals are counted.
  const warmUpMs = Math.max(1_000 * Number(flags["warm-up"]), Number(interval) + 5_000);
  await new Promise((resolve) => setTimeout(resolve, warmUpMs));
  const first = await count(host, node, address);
  const spanMs = Math.ceil(1_000 * Number(flags.seconds) / Number(interval)) * Number(interval);
  await new Promise((resolve) => setTimeout(resolve, spanMs));
  const last = await count(host, node, address);
  const records = last.records - first.records;
  const day = (bytes: number) => `${(bytes / spanMs * DAY_S / 1_000).toFixed(1)} MB a day`;
  const each = (bytes: number) => `${(bytes / records).toFixed(1)} B a record`;
  const link = flags["no-host"] ? "no host" : `sent each ${Number(interval) / 1_000} s`;
  console.log(
    `${flags.sensor}, ${flags.encoding}, ${link}, synced within ${flags["sync-interval"]} ms,` +
      ` memory ${flags.memory}, ${records} records:`,
  );
  for (
    const [what, key] of [
      ["link, both ways, with TCP and IP", "link"],
      ["link, both ways, without", "payload"],
      ["block writes of the node", "node"],
      ["of it records of the log, in bytes", "log"],
      ["block writes of the host", "host"],
    ] as const
  ) {
    const bytes = last[key] - first[key];
    console.log(`  ${what.padEnd(34)} ${day(bytes).padStart(18)} ${each(bytes).padStart(18)}`);
  }
  await node.stop();
  if (!flags["no-host"]) await host.stop();
  await Deno.remove(directory, { recursive: true });
}
Deno.exit(0);
