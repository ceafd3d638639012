/**
 * `deno task bench:history [--days D] [--data DIR]`: fills a host's store with D days of one node's records at
 * 10 Hz, then asks a real host process for charts over HTTP as its page does. 30 days are 26 million records and
 * half a gigabyte; a directory that is filled already is used as it is.
 */
import { demandFlags } from "../lib/config/flags.ts";
import { Process } from "../lib/demo/processes.ts";
import { commitTo, openStore } from "../tests/store/open.ts";

const values = {
  days: "30",
  data: "",
  ...demandFlags(Deno.args, { text: ["days", "data"] }).values,
} as { days: string; data: string };
const NODE = "pump-7";
const EPOCH = "9f2c4e11a0b3d5c7";
const HZ = 10;
const DAY_MS = 86_400_000;
const COMMIT = 20_000;
const END = Math.floor(Date.now() / DAY_MS) * DAY_MS;

function payload(seq: number, wallMs: number): string {
  const day = Math.sin((2 * Math.PI * wallMs) / DAY_MS);
  const noise = (seq * 7_919) % 1_000 / 1_000;
  return `{"type":"telemetry","node_id":"${NODE}","epoch":"${EPOCH}","seq":${seq},"ts_wall_ms":${wallMs},` +
    `"ts_mono_ms":${seq * 100},"boot_id":"4d5f1c3a-7e0b-4a6e-9a53-0f5a1c2b3d4e","metrics":{` +
    `"temp_c":${(41 + 4 * day + noise).toFixed(2)},"rail_v":${(5 + noise / 50).toFixed(3)},` +
    `"pressure_bar":${(3.4 + noise / 10).toFixed(3)},"flow_lpm":${
      (120 + 9 * day + noise).toFixed(1)
    },` +
    `"vibration_g":${(0.3 + noise / 20).toFixed(3)}},"anomaly":{"is_anomaly":false,"score":1.2,` +
    `"metrics":{}},"diagnostics":{"rail_low":false},"degraded":false,"cfg_version":3}`;
}

async function fill(directory: string, days: number): Promise<void> {
  const store = await openStore(directory, "bench");
  const count = days * DAY_MS / 1_000 * HZ;
  const known = (await store.claim(NODE, EPOCH)).state;
  const start = performance.now();
  for (let from = (known?.high_acked ?? 0) + 1; from <= count; from += COMMIT) {
    const size = Math.min(COMMIT, count - from + 1);
    const records = Array.from({ length: size }, (_, i) => {
      const seq = from + i;
      const ts_wall_ms = END - (count - seq) * (1_000 / HZ);
      return {
        seq,
        ts_wall_ms,
        ts_mono_ms: seq * 100,
        is_anomaly: false,
        score: 1.2,
        payload: payload(seq, ts_wall_ms),
      };
    });
    const high_acked = from + size - 1;
    const state = { node_id: NODE, epoch: EPOCH, high_acked, ranges: [], max_seq: high_acked };
    await commitTo(store, [{ state, rangesChanged: false, records, gaps: [] }], END);
    if ((from - 1) % (50 * COMMIT) === 0) {
      const seconds = (performance.now() - start) / 1_000;
      console.log(`  ${from - 1} of ${count} records, ${seconds.toFixed(0)} s`);
    }
  }
  await store.putNodes(new Map([[NODE, { node_id: NODE, epoch: EPOCH, boot_id: "bench" }]]));
  await store.close();
}

/** Milliseconds of each of `rounds` requests, sorted; the answer's columns and bytes. */
async function ask(port: number, path: string, rounds: number) {
  const times: number[] = [];
  let bytes = 0, columns = 0;
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    const text = await response.text();
    times.push(performance.now() - start);
    if (!response.ok) throw new Error(text);
    bytes = text.length;
    const { t, complete } = JSON.parse(text);
    columns = t.length;
    if (!complete) console.log("  not summed up yet");
  }
  return { times: times.sort((a, b) => a - b), bytes, columns };
}

const directory = values.data === "" ? await Deno.makeTempDir() : values.data;
const days = Number(values.days);
await fill(directory, days);
const host = await new Process("host", ["--data", directory, "--listen", "127.0.0.1:0"]).ready();
const all = `metric=temp_c&from=${END - days * DAY_MS}&to=${END}&points=10`;
// A host sums up with a share of its time while records arrive: it is given the time to finish.
for (let isComplete = false; !isComplete;) {
  const url = `http://127.0.0.1:${host.httpPort}/api/nodes/${NODE}/series?${all}`;
  isComplete = (await (await fetch(url)).json()).complete;
}
const { records, bytes } = (await host.status()).store;
console.log(`${records} records, ${(bytes / 1e9).toFixed(2)} GB`);
for (
  const [name, spanMs] of Object.entries({
    "1 minute": 60_000,
    "1 hour": 3_600_000,
    "1 day": DAY_MS,
    "7 days": 7 * DAY_MS,
    "all days": days * DAY_MS,
  })
) {
  for (const metric of ["temp_c", "flow_lpm"]) {
    const query = `metric=${metric}&from=${END - spanMs}&to=${END}&points=1000`;
    const { times, ...size } = await ask(
      host.httpPort,
      `/api/nodes/${NODE}/series?${query}`,
      15,
    );
    console.log(
      `${name.padEnd(9)} ${metric.padEnd(9)} first of 15 sorted: ${times[0]!.toFixed(0)} ms, ` +
        `median ${times[7]!.toFixed(0)} ms, slowest ${times[14]!.toFixed(0)} ms; ` +
        `${size.columns} columns, ${size.bytes} bytes`,
    );
  }
}
await host.stop();
if (values.data === "") await Deno.remove(directory, { recursive: true });
