/** Every query of docs/data.md, run by DuckDB on what `host export` wrote. */
import { assert, assertEquals } from "@std/assert";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { hello } from "../messages.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Not in the import map: what runs there is fetched by everybody, and this is large. */
const QUERY = `
import { DuckDBInstance } from "npm:@duckdb/node-api@1.5.6-r.1";
const connection = await (await DuckDBInstance.create(":memory:")).connect();
const counts = [];
for (const query of JSON.parse(Deno.args[0])) {
  counts.push((await connection.runAndReadAll(query)).currentRowCount);
}
console.log(JSON.stringify(counts));
`;

/** A node of that name that lost its disk, and the first five records with it. */
async function declareGap(address: string): Promise<void> {
  const [hostname, port] = address.split(":");
  const connection = await Deno.connect({ hostname: hostname!, port: Number(port) });
  const now = { ts_wall_ms: Date.now(), ts_mono_ms: 1 };
  const messages = [
    hello("pump-7", now, { epoch: "1".repeat(16), next_seq: 6 }),
    { type: "gap", from_seq: 1, to_seq: 5, reason: "evicted" },
  ];
  for (const message of messages) {
    await connection.write(new TextEncoder().encode(JSON.stringify(message) + "\n"));
  }
  const reader = connection.readable.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; !/"ack".*"high_acked":5/.test(text);) text += (await reader.read()).value;
  await reader.cancel();
}

realTest("DuckDB answers each query of docs/data.md", async () => {
  const directory = await Deno.makeTempDir();
  const address = `127.0.0.1:${freePort()}`;
  const host = await new Process("host", ["--listen", address, "--data", `${directory}/h`])
    .ready();
  const node = await new Process("node", [
    ...["--host", address, "--data", `${directory}/n`, "--id", "pump-7", "--sample-hz", "100"],
  ]).ready();
  await eventually("records", async () => (await host.status()).store.records > 500);
  await node.stop();
  await declareGap(address);
  for (const name of ["gaps", "events"]) {
    await eventually(name, async () => {
      const answer = await fetch(`http://127.0.0.1:${host.httpPort}/api/${name}?format=csv`);
      const text = await answer.text();
      await Deno.writeTextFile(`${directory}/${name}.csv`, text);
      return text.includes("evicted");
    });
  }
  await host.stop();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", `${ROOT}host.ts`, "export", "--data", `${directory}/h`],
      ...["--format", "parquet", "--out", `${directory}/pump-7.parquet`],
    ],
  }).output();
  assert(success);
  const page = await Deno.readTextFile(`${ROOT}docs/data.md`);
  const queries = [...page.matchAll(/```sql\n(.*?)```/gs)].flatMap(([, sql]) => sql!.split(";"))
    .map((query) => query.trim()).filter((query) => query !== "");
  assertEquals(queries.length, 5);
  const script = `${directory}/query.mjs`;
  await Deno.writeTextFile(script, QUERY);
  const { success: answered, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", script, JSON.stringify(queries)],
    cwd: directory,
  }).output();
  assert(answered, new TextDecoder().decode(stderr));
  const counts = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(counts[0], 1, "one node");
  assert(counts[1] >= 1, "an hour");
  assertEquals(counts[3], 1, "a gap");
  assert(counts[4] >= 1, "an event");
  await Deno.remove(directory, { recursive: true });
});
