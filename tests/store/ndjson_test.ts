import { assertEquals } from "@std/assert";
import { OPEN } from "./open.ts";
import { realTest } from "../real.ts";

const EPOCH = "9f2c4e11a0b3d5c7";

function batch(from: number, to: number) {
  const records = Array.from({ length: to - from + 1 }, (_, i) => ({
    seq: from + i,
    ts_wall_ms: 1,
    ts_mono_ms: from + i,
    is_anomaly: false,
    score: 0,
    payload: JSON.stringify({
      node_id: "a",
      epoch: EPOCH,
      seq: from + i,
      ts_wall_ms: 1,
      anomaly: { is_anomaly: false, score: 0 },
    }),
  }));
  const state = { node_id: "a", epoch: EPOCH, high_acked: to, ranges: [], max_seq: to };
  return [{ state, rangesChanged: true, records, gaps: [] }];
}

realTest(
  "NDJSON store keeps what was committed over a restart, and a torn block never happened",
  async () => {
    const directory = await Deno.makeTempDir();
    const store = await OPEN.ndjson(directory, "host-1");
    await store.commit(batch(1, 10), 5);
    await store.putConfig({ target: "*", cfg_version: 2, config: {}, at_wall_ms: 1 });
    const path = `${directory}/records-00000001.ndjson`;
    const { size } = await Deno.stat(path);
    await store.commit(batch(11, 20), 6);
    await store.close();
    const whole = await Deno.readFile(path);
    for (let cut = size; cut < whole.length; cut += 97) {
      await Deno.writeFile(path, whole.subarray(0, cut));
      const again = await OPEN.ndjson(directory, "host-2");
      assertEquals(again.state.host_id, "host-1");
      assertEquals((await again.epoch("a", EPOCH))?.high_acked, 10);
      assertEquals(again.state.configs[0]?.cfg_version, 2);
      const rows = await again.records({ node_id: "a", limit: 100, newest_first: true });
      assertEquals(rows.map(({ seq }) => seq), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
      await again.close();
    }
    await Deno.remove(directory, { recursive: true });
  },
);
