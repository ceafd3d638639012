/** Past values as a node would have judged them. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { csvFields } from "../../lib/csv.ts";
import { NodeBacktest, type RowVerdict, TableReader } from "../../lib/anomaly/node_backtest.ts";
import { chooseDetectors } from "../../lib/anomaly/choice.ts";
import { gaussian } from "./noise.ts";

const SETTINGS = {
  alerts_per_day: 1,
  events_per_hour_max: 12,
  learn_anomalies_s: 1_800,
  relations: true,
};
const CHOICE = chooseDetectors({
  detector: "zscore",
  event_detector: "surprise",
  detectors: [],
  alerts_per_day: 1,
});

Deno.test("fields of CSV: quotes, doubled quotes, commas within, empty ones", () => {
  assertEquals(csvFields('a,"b, c","say ""x""",,d\r'), ["a", "b, c", 'say "x"', "", "d"]);
  assertEquals(csvFields(",1"), ["", "1"]);
  assertEquals(csvFields(""), [""]);
});

Deno.test("a table's metrics are its columns but for times, labels and what an export has beside", () => {
  const head = 'received_wall_ms,seq,"ts_wall_ms",is_anomaly,temp_c,"flow, l/min"';
  const reader = new TableReader(`${head},label`);
  assertEquals(reader.metrics, ["temp_c", "flow, l/min"]);
  // What was flagged says nothing of what was wrong.
  assert(!new TableReader(head).hasLabels && reader.hasLabels);
  assertEquals(reader.row('5,1,1700000000000,0,41.5,"x",1'), {
    timestamp: "1700000000000",
    tMs: 1_700_000_000_000,
    metrics: { temp_c: 41.5 },
    label: true,
  });
  assertEquals(reader.row(" "), undefined);
  // A time that can't be read is a second later; __proto__ is a name like others.
  assertEquals(reader.row("5,2,?,1,1,2,0")?.tMs, 1_700_000_001_000);
  assertThrows(() => new TableReader("a,b"), SyntaxError, "header with timestamp and metrics");
  assertThrows(() => new TableReader("timestamp,label"), SyntaxError);
});

Deno.test("a backtest says of each row once what a node would, events included, whatever the first rows are", () => {
  const noise = gaussian(1);
  const backtest = new NodeBacktest(CHOICE, SETTINGS);
  const said: RowVerdict[] = [];
  for (let i = 0; i < 3_000; i++) {
    const metrics = { a: (i >= 2_500 ? 9 : 0) + noise(), b: noise() };
    said.push(...backtest.push({ timestamp: "", tMs: 1e12 + 1_000 * i, metrics, label: false }));
  }
  said.push(...backtest.end());
  assertEquals(said.length, 3_000);
  const open = said.findIndex(({ isEvent }) => isEvent);
  assert(open >= 2_500 && open < 2_503, `${open}`);
  assertEquals(said[open]!.block.events?.[0]?.metrics[0], "a");
  const single = new NodeBacktest(CHOICE, SETTINGS);
  assertEquals(single.push({ timestamp: "", tMs: 0, metrics: { a: 1 }, label: false }), []);
  assertEquals(single.end().length, 1);
});
