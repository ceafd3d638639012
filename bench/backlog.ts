/** A node's log with a backlog in it, as one that was without its host for long has it. */
import { denoClock, denoRandom } from "../lib/platform/deno_clock.ts";
import { openDisk } from "../lib/platform/deno_disk.ts";
import { seededRandom } from "../lib/platform/seeded_random.ts";
import { encodeContent, type RecordContent } from "../lib/protocol/record.ts";
import { Wal } from "../lib/wal/wal.ts";

/** Records of what the sim sensor gives with eight metrics, one each 100 ms; the same ones each time. */
export function* backlogContents(records: number): Generator<RecordContent> {
  const random = seededRandom(1);
  const unit = () => random.below(2 ** 32) / 2 ** 32;
  const noise = () => unit() + unit() + unit() - 1.5;
  for (let index = 0; index < records; index++) yield contentOf(index, noise);
}

function contentOf(index: number, noise: () => number): RecordContent {
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

/** Writes such a backlog into the directory of a node that doesn't run; the bytes of its log. */
export async function writeBacklog(directory: string, records: number): Promise<number> {
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
  for (const content of backlogContents(records)) wal.append(encodeContent(content));
  const { bytes } = wal;
  await wal.close();
  return bytes;
}
