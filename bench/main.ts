/**
 * `deno task bench [--records N] [--connections N] [--json]`: the hot paths, and a real host process with SQLite
 * under simulated nodes over loopback. Machines are noisy: compare ratios within one run.
 */
import { demandFlags } from "../lib/config/flags.ts";
import { detectorMaker } from "../lib/anomaly/registry.ts";
import { Process } from "../lib/demo/processes.ts";
import { denoClock, denoRandom } from "../lib/platform/deno_clock.ts";
import { openDisk } from "../lib/platform/deno_disk.ts";
import { denoTransport } from "../lib/platform/deno_transport.ts";
import { type Encoding, parseNodeMessage } from "../lib/protocol/message.ts";
import { encodeContent, linePrefix, recordLine } from "../lib/protocol/record.ts";
import { WireEncoder } from "../lib/protocol/wire.ts";
import { Wal } from "../lib/wal/wal.ts";
import { benchCodec } from "./codec.ts";
import { Replayer } from "./replayer.ts";

const values = {
  records: "1000000",
  connections: "100",
  ...demandFlags(Deno.args, { text: ["records", "connections"], flag: ["json"] }).values,
} as { records: string; connections: string; json?: boolean };
const results: Record<string, number> = {};

function note(name: string, value: number, digits = 0): void {
  results[name] = Number(value.toFixed(digits));
  console.log(`${name.padEnd(58)} ${results[name]!.toLocaleString("en").padStart(14)}`);
}

/** Microseconds a call, the best of three rounds. */
function time(rounds: number, work: () => void): number {
  let best = Infinity;
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    for (let n = 0; n < rounds; n++) work();
    best = Math.min(best, ((performance.now() - start) * 1_000) / rounds);
  }
  return best;
}

const content = {
  ts_wall_ms: 1_763_900_000_123,
  ts_mono_ms: 123_456.7,
  boot_id: "4d5f1c3a-7e0b-4a6e-9a53-0f5a1c2b3d4e",
  metrics: {
    temp_c: 41.23,
    rail_v: 5.012,
    pressure_bar: 3.412,
    flow_lpm: 121.4,
    vibration_g: 0.312,
    load1: 0.42,
  },
  anomaly: { is_anomaly: false, score: 1.23456, metrics: {} },
  diagnostics: { rail_low: false },
  degraded: false,
  cfg_version: 3,
};

function benchCode(): void {
  const detector = detectorMaker("zscore", new Map())();
  let x = 0;
  note(
    "detector zscore, ns a sample and metric",
    1_000 * time(1_000_000, () => detector.update(++x % 17, x)),
    1,
  );
  const payload = encodeContent(content);
  const prefix = linePrefix("pump-7", "9f2c4e11a0b3d5c7");
  const line = recordLine(prefix, 123_456, payload);
  const text = new TextDecoder().decode(line).trimEnd();
  note("record: bytes of a line (6 metrics)", line.length);
  note("record: encode content, µs", time(100_000, () => encodeContent(content)), 2);
  note(
    "record: put identity in front, µs",
    time(100_000, () => recordLine(prefix, 123_456, payload)),
    2,
  );
  note("record: decode and validate a line, µs", time(100_000, () => parseNodeMessage(text)), 2);
  for (const count of [1, 10, 100]) {
    const lines = Array.from(
      { length: count },
      (_, i) =>
        recordLine(
          prefix,
          i + 1,
          encodeContent({
            ...content,
            ts_mono_ms: 100.1 * i,
            metrics: {
              ...content.metrics,
              temp_c: 41 + Math.sin(i),
              flow_lpm: 120 + 7 * Math.cos(3 * i),
            },
          }),
        ),
    );
    const encoder = new WireEncoder();
    encoder.use("block");
    // The first ones tell what records look like, once a session.
    encoder.encode(lines.slice(0, 2));
    note(`wire: bytes a record in a block of ${count}`, encoder.encode(lines).length / count, 1);
  }
}

async function benchWal(): Promise<void> {
  const payload = encodeContent(content);
  for (const sync of ["interval", "always"] as const) {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-bench-" });
    const open = async () =>
      await Wal.open({
        disk: await openDisk(directory),
        clock: denoClock,
        random: denoRandom,
        osBootId: "bench",
        ringRecords: 1_000,
        bytesMax: 1 << 30,
        sync,
        syncIntervalMs: 1_000,
      });
    const wal = await open();
    const count = sync === "interval" ? 300_000 : 2_000;
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      wal.append(payload);
      if (sync === "always") await wal.sync();
    }
    await wal.sync();
    const each = sync === "interval" ? "one sync at the end" : "a sync each";
    note(`WAL append, records/s, ${each}`, (1_000 * count) / (performance.now() - start));
    await wal.close();
    if (sync === "interval") {
      const openStart = performance.now();
      const again = await open();
      note("WAL open with that backlog, ms", performance.now() - openStart, 1);
      const readStart = performance.now();
      let read = 0;
      for (let from = 1;;) {
        const records = await again.read(from, { records: 512, bytes: 131_072 });
        if (records.length === 0) break;
        read += records.length;
        from = records.at(-1)!.seq + 1;
      }
      note("WAL replay, records/s", (1_000 * read) / (performance.now() - readStart));
      await again.close();
    }
    await Deno.remove(directory, { recursive: true });
  }
}

/** CPU seconds and highest resident memory of a process so far, from /proc. */
function usage(pid: number): { cpuS: number; peakMb: number } {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  const peak = /VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1];
  return { cpuS: (Number(fields[11]) + Number(fields[12])) / 100, peakMb: Number(peak) / 1_024 };
}

async function benchIngest(encoding: Encoding): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-bench-" });
  const address = "127.0.0.1:17400";
  const host = await new Process("host", ["--listen", address, "--data", directory]).ready();
  const connections = Number(values.connections);
  const each = Math.ceil(Number(values.records) / connections);
  const prepared = Replayer.prepare(content, each, encoding);
  const before = usage(host.pid);
  const ownBefore = usage(Deno.pid).cpuS;
  const start = performance.now();
  const transport = denoTransport();
  const replayers = Array.from(
    { length: connections },
    (_, i) => new Replayer(`bench-${i}`, prepared),
  );
  await Promise.all(replayers.map((replayer) => replayer.run(transport, address)));
  const seconds = (performance.now() - start) / 1_000;
  const after = usage(host.pid);
  const records = each * connections;
  const millions = records / 1e6;
  const name = `ingest ${encoding}, ${connections} connections`;
  note(`${name}: acked records/s`, records / seconds);
  note(`${name}: host CPU s a million records`, (after.cpuS - before.cpuS) / millions, 1);
  note(
    `${name}: senders' CPU s a million records`,
    (usage(Deno.pid).cpuS - ownBefore) / millions,
    1,
  );
  note(`${name}: host peak RSS, MB`, after.peakMb);
  note(
    `${name}: bytes on the wire a record`,
    replayers.reduce((sum, { sentBytes }) => sum + sentBytes, 0) / records,
    1,
  );
  await host.stop();
  const { size } = await Deno.stat(`${directory}/holdfast.db`);
  note(`${name}: database bytes a record`, size / records);
  await Deno.remove(directory, { recursive: true });
}

/** A real node at 10 Hz with 8 metrics and nobody to send to: what it takes of the machine. */
async function benchNode(): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-bench-" });
  const node = await new Process("node", [
    ...["--id", "a", "--host", "127.0.0.1:1", "--data", directory, "--sensor", "sim:extra=3"],
  ]).ready();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const before = usage(node.pid);
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const after = usage(node.pid);
  note("node, 10 Hz, 8 metrics: CPU % of a core", 10 * (after.cpuS - before.cpuS), 1);
  note("node, 10 Hz, 8 metrics: peak RSS, MB", after.peakMb);
  const { wal, samples } = await node.status();
  note("node: log bytes a record", wal.written_bytes / samples);
  await node.kill();
  await Deno.remove(directory, { recursive: true });
}

benchCode();
benchCodec(note, time);
await benchWal();
await benchIngest("ndjson");
await benchIngest("block");
await benchNode();
if (values.json) console.log(JSON.stringify(results));
Deno.exit(0);
