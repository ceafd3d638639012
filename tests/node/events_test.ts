/** Anomaly events on their whole way, in the simulated world: sensor to node, record, host, host's events. */
import { assert, assertEquals } from "@std/assert";
import { LINE_BYTES_MAX } from "../../lib/limits.ts";
import type { EventRow } from "../../lib/store/store.ts";
import { parseNodeMessage } from "../../lib/protocol/message.ts";
import { encodeContent, linePrefix, recordLine } from "../../lib/protocol/record.ts";
import { World } from "../sim/world.ts";

/** The host's anomaly events, from here on. */
function collect(world: World): EventRow[] {
  const rows: EventRow[] = [];
  world.store!.addEvents = (events: readonly EventRow[]) => {
    rows.push(...events.filter(({ kind }) => kind.startsWith("anomaly_")));
    return Promise.resolve(0);
  };
  return rows;
}

/** What stored records tell of events, each as node, id and state. */
function stored(world: World): string[] {
  return [...world.durable.records].flatMap(([key, rows]) =>
    [...rows.values()].flatMap(({ payload }) =>
      (JSON.parse(payload).anomaly.events ?? []).map((
        { id, state }: { id: string; state: string },
      ) => `${key.split(" ")[0]} ${id} ${state}`)
    )
  ).sort();
}
const told = (rows: EventRow[]): string[] =>
  rows.filter(({ kind }) => kind !== "anomaly_fleet")
    .map(({ node_id, kind, detail }) => `${node_id} ${detail.id} ${kind.slice(8)}`).sort();

Deno.test("each event of a node is told once by the host, and nodes that move together are one of the fleet", async () => {
  const sensors = ["sim:spike_every_s=0,sag_every_s=300,dropout_p=0"];
  const world = new World(1, { nodes: 3, settings: { sample_hz: 10, sensors } });
  await world.startHost();
  const rows = collect(world);
  for (const device of world.devices) await world.startNode(device);
  await world.runUntil(1_800_000);
  assertEquals(told(rows), stored(world));
  const of = (kind: string) => rows.filter((row) => row.kind === kind);
  assert(of("anomaly_open").length >= 6, `${of("anomaly_open").length} events`);
  assertEquals(of("anomaly_open").length, of("anomaly_close").length);
  assertEquals([...new Set(of("anomaly_open").map(({ detail }) => String(detail.metrics)))], [
    "rail_v",
  ]);
  // Every device plays the same signals, so each sag strikes all of them.
  assertEquals(3 * of("anomaly_fleet").length, of("anomaly_open").length);
  assertEquals(of("anomaly_fleet")[0]!.detail.metrics, ["rail_v"]);
  world.stop();
});

Deno.test("events survive thinning, an outage of the host, and a node that is killed while one is open", async () => {
  const sensors = ["sim:spike_every_s=90,sag_every_s=200"];
  const world = new World(2, {
    nodes: 1,
    settings: { sample_hz: 10, sensors, ring_records: 500, downsample_max: 64 },
  });
  const [device] = world.devices;
  await world.startNode(device!);
  let kills = 0;
  for (let second = 0; second < 1_800; second++) {
    await world.runUntil(1_000 * (second + 1));
    const { events } = await device!.node!.status();
    if (kills === 0 && second > 610 && events.open > 0) {
      // What opened is kept within seconds.
      await world.runUntil(1_000 * (second + 8));
      world.crashNode(device!, false);
      await world.startNode(device!);
      kills++;
    }
  }
  assertEquals(kills, 1);
  assert((await device!.node!.status()).degraded);
  await world.startHost();
  const rows = collect(world);
  await world.runUntil(2_100_000);
  assertEquals(told(rows), stored(world));
  const ids = (kind: string) =>
    new Set(rows.filter((row) => row.kind === kind).map(({ detail }) => String(detail.id)));
  const opened = ids("anomaly_open"), closed = ids("anomaly_close");
  assert(opened.size >= 5, `${opened.size} events`);
  const left = [...opened].filter((id) => !closed.has(id));
  assertEquals(left.length, (await device!.node!.status()).events.open, `left open: ${left}`);
  world.stop();
});

Deno.test("a record of hundreds of long names, all anomalous and thinned, still fits into a line", () => {
  const names = Array.from({ length: 256 }, (_, i) => `metric_${i}_`.padEnd(64, "x"));
  const all = <T>(value: T) => Object.fromEntries(names.map((name) => [name, value]));
  const number = -1.234567890123456e-100;
  const event = {
    id: "1-0123456789ab",
    state: "open" as const,
    severity: "high" as const,
    metrics: names.slice(0, 32),
    since_wall_ms: 1_763_900_000_123.4,
    since_mono_ms: 123_456.7,
    duration_ms: 0,
    peak: { metric: names[0]!, value: number, score: 1e6 },
    around: Array.from({ length: 16 }, (): [number, number] => [123_456.7, number]),
  };
  const payload = encodeContent({
    ts_wall_ms: 1_763_900_000_123.4,
    ts_mono_ms: 123_456.7,
    boot_id: "b".repeat(64),
    metrics: all(number),
    agg: { n: 64, min: all(number), max: all(number) },
    anomaly: {
      is_anomaly: true,
      score: 1e6,
      metrics: all({ z: number, mean: number, std: number }),
      events: Array.from({ length: 8 }, () => event),
    },
    diagnostics: { missing: all("a reason") },
    degraded: true,
    cfg_version: 1,
  });
  const line = recordLine(linePrefix("n".repeat(64), "0123456789abcdef"), 2 ** 48, payload);
  assert(line.length <= LINE_BYTES_MAX + 1, `${line.length} bytes`);
  const parsed = parseNodeMessage(new TextDecoder().decode(line).trim());
  assert(parsed.ok && parsed.message.type === "telemetry");
  assertEquals(parsed.message.anomaly.events?.length, 8);
  assertEquals(parsed.message.diagnostics.cut, true);
});
