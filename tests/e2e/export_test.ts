/** What the host stored comes out of its directory again, through the real program, while it runs and after a kill. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { openDatabase } from "../../lib/store/sqlite/engine.ts";
import { hostCommand } from "../command.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";

realTest("host export and host verify read what a running and a killed host stored", async () => {
  const directory = await Deno.makeTempDir();
  const data = ["--data", `${directory}/h`];
  const address = `127.0.0.1:${freePort()}`;
  const server = await new Process("host", ["--listen", address, ...data]).ready();
  const node = await new Process("node", [
    ...["--host", address, "--data", `${directory}/n`, "--id", "pump-7", "--sample-hz", "100"],
  ]).ready();
  await eventually("records", async () => (await server.status()).store.records > 200);
  const running = await hostCommand("export", ...data, "--node", "pump-7");
  assertEquals(running.error, "");
  const records = running.out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(records.map(({ seq }) => seq), records.map((_, index) => index + 1));
  assert(
    records.every(({ node_id, received_wall_ms }) => node_id === "pump-7" && received_wall_ms),
  );
  await server.kill();
  await node.kill();
  const verified = await hostCommand("verify", ...data);
  assertEquals([verified.code, verified.error], [0, ""]);
  assert(JSON.parse(verified.out).records >= records.length);
  const values = await hostCommand("export", ...data, "--node", "pump-7", "--metric", "temp_c");
  assertMatch(values.out, /^timestamp,value\r\n\d{13},[\d.]+\r\n/);
  const file = `${directory}/x.parquet`;
  await hostCommand("export", ...data, "--format", "parquet", "--out", file);
  assertEquals((await Deno.readTextFile(file)).slice(0, 4), "PAR1");

  const db = openDatabase(`${directory}/h/holdfast.db`);
  db.exec("UPDATE recent SET lines = x'0000' WHERE id = (SELECT MAX(id) FROM recent)");
  db.close();
  const damaged = await hostCommand("verify", ...data);
  assertEquals([damaged.code, JSON.parse(damaged.out).damaged.length], [1, 1]);
  await Deno.remove(directory, { recursive: true });
});

realTest("host export says what is wrong with how it was asked, in one line", async () => {
  const directory = await Deno.makeTempDir();
  const data = ["--data", directory];
  for (
    const [args, status, expected] of [
      [
        ["export", ...data],
        1,
        /holdfast\.db can't be read .*: name the host's --data directory\n$/,
      ],
      [["verify", "--node", "a"], 2, /^host: .*--node.* \(see host verify --help\)\n$/],
      [["export", ...data, "extra"], 2, /^host: unexpected "extra" \(see host export --help\)\n$/],
    ] as const
  ) {
    const { code, error } = await hostCommand(...args);
    assertMatch(error, expected);
    assertEquals(code, status);
  }
  openDatabase(`${directory}/holdfast.db`).close();
  const db = openDatabase(`${directory}/holdfast.db`);
  db.exec("DROP TABLE records");
  db.close();
  for (
    const [args, status, expected] of [
      [["--node", "a"], 1, /^host: nothing of a is stored; there are no nodes\n$/],
      [["--from", "soon"], 2, /^host: --from: expected milliseconds since 1970, /],
      [["--format", "xml"], 2, /^host: --format: expected ndjson, csv, parquet /],
      [["--format", "parquet"], 2, /^host: --format parquet needs --out FILE /],
      [["--metric", "temp_c"], 2, /^host: --metric needs --node, and gives csv /],
    ] as const
  ) {
    const { code, error } = await hostCommand("export", ...data, ...args);
    assertMatch(error, expected);
    assertEquals(code, status);
  }
  await Deno.remove(directory, { recursive: true });
});
