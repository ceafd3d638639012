/**
 * SIGKILL at random moments while a host and its node do what takes long: drain, seal, move an older database.
 * HOLDFAST_KILLS says how many, 8 unless given; both tests take a minute then, and half a minute more with 20.
 */
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { backlogContents, writeBacklog } from "../../bench/backlog.ts";
import { freePort, Process, type ProgramName } from "../../lib/demo/processes.ts";
import { MIGRATIONS } from "../../lib/store/sqlite/schema.ts";
import { DATABASE_NAME } from "../../lib/store/sqlite/store.ts";
import { hostCommand } from "../command.ts";
import { eventually } from "../eventually.ts";
import { EPOCH } from "../messages.ts";
import { isAllowed, realTest } from "../real.ts";
import { hasStrace } from "./strace.ts";

const KILLS = Number(isAllowed && Deno.env.get("HOLDFAST_KILLS") || 8);
/** Of the backlog and of the older database; moving them takes so long about. */
const RECORDS = 80_000;
const MOVES_MS = 5_000;
type Calls = readonly [names: string, most: number];
/** Calls of a host in which some of either is done, and a limit where there are fewer. */
const WRITES: Calls = ["pwrite64", 2_000];
const SYNCS: Calls = ["fsync,fdatasync", 60];
const CALLS_MS_MAX = 10_000;
/** Who is killed when, in turn: at a random time, or at a random call. */
const MOMENTS: readonly ("host" | "node" | Calls)[] = ["host", SYNCS, WRITES, SYNCS, "node"];

/** Has the kernel kill a host at one of its first calls of a kind: between any two writes, or as a commit is synced. */
function atCall([calls, most]: Calls): string[] {
  const when = 1 + Math.floor(Math.random() * most);
  const kill = `inject=${calls}:signal=SIGKILL:when=${when}`;
  return ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`, "-e", kill];
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Texts that are the same whatever order the keys were set in. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, value) => {
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

/** Holds the data of a host that doesn't run: every seq from 1 on once, the first ones as they were appended. */
async function holdsAll(directory: string): Promise<void> {
  const verified = await hostCommand("verify", "--data", directory);
  assertEquals([verified.code, verified.error], [0, ""], verified.out);
  assertEquals(JSON.parse(verified.out).gap_records, 0);
  const { out, error } = await hostCommand("export", "--data", directory);
  assertEquals(error, "");
  const lines = out.trimEnd().split("\n");
  assert(lines.length >= RECORDS, `${lines.length} records`);
  const appended = backlogContents(RECORDS);
  for (const [index, line] of lines.entries()) {
    const record = JSON.parse(line);
    assertEquals(record.seq, index + 1);
    const { type: _1, node_id: _2, epoch: _3, seq: _4, received_wall_ms: _5, ...content } = record;
    const { value, done } = appended.next();
    if (done !== true) assert(textOf(content) === textOf(value), `seq ${index + 1}: ${line}`);
  }
}

/** Asks for a chart again and again, while it runs: what is summed up may be sealed. */
async function lookOn({ httpPort, ended }: Process): Promise<void> {
  let isOver = false;
  ended.then(() => isOver = true);
  const path = `http://127.0.0.1:${httpPort}/api/nodes/pump-7/series?metric=temp_c&from=0`;
  while (!isOver) {
    const answer = await fetch(path).catch(() => undefined);
    await answer?.body?.cancel().catch(() => {});
    assert(answer?.status !== 400, path);
    await wait(50);
  }
}

/** Blocks of each kind in the database of a host that doesn't run. */
function blocksIn(directory: string): { recent: number; sealed: number } {
  // The log that SQLite recovers stays for the host.
  const copy = Deno.makeTempDirSync();
  for (const suffix of ["", "-wal"]) {
    try {
      Deno.copyFileSync(`${directory}/${DATABASE_NAME}${suffix}`, `${copy}/db${suffix}`);
    } catch {
      // It was killed before it made one.
    }
  }
  const db = new DatabaseSync(`${copy}/db`);
  const count = (table: string): number => {
    try {
      return Number(db.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get()!.n);
    } catch {
      return 0;
    }
  };
  const blocks = { recent: count("recent"), sealed: count("sealed") };
  db.close();
  Deno.removeSync(copy, { recursive: true });
  return blocks;
}

realTest({
  name: `${KILLS} kills of host or node while a backlog drains and is sealed lose nothing`,
  ignore: !hasStrace,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-kills-" });
    const address = `127.0.0.1:${freePort()}`;
    await writeBacklog(`${directory}/node`, RECORDS);
    const quick = ["--listen", address, "--data", `${directory}/host`];
    // Slow, so that there is something to drain until the last kill.
    const slow = ["--inflight-bytes-total", String(1 << 20), "--commit-interval-ms", "300"];
    const args: Record<ProgramName, string[]> = {
      host: [...quick, ...slow],
      node: [
        ...["--id", "pump-7", "--host", address, "--data", `${directory}/node`],
        ...["--sample-hz", "10", "--reconnect-ms-max", "100"],
      ],
    };
    const start = (program: ProgramName, under: string[] = []) =>
      new Process(program, args[program], freePort(), under);
    const found: string[] = [];
    let running: Process | undefined, node = start("node");
    for (let kill = 0; kill < KILLS; kill++) {
      const moment = MOMENTS[kill % MOMENTS.length]!;
      if (running === undefined) {
        running = start("host", typeof moment === "string" ? [] : atCall(moment));
        lookOn(running);
      }
      const host = running;
      if (typeof moment !== "string") await Promise.race([host.ended, wait(CALLS_MS_MAX)]);
      else {
        await host.ready();
        await wait(Math.random() * 1_000);
      }
      if (moment === "node") {
        await node.kill();
        node = start("node");
        continue;
      }
      await host.kill();
      running = undefined;
      const { recent, sealed } = blocksIn(`${directory}/host`);
      found.push(`${recent} + ${sealed}`);
    }
    console.log(`blocks, recent and sealed, when the host was killed: ${found.join(", ")}`);
    await running?.kill();
    const host = new Process("host", quick);
    await Promise.all([host.ready(), node.ready()]);
    await eventually("the backlog is drained", async () => {
      const { backlog, high_acked } = await node.status();
      return backlog < 50 && high_acked > RECORDS;
    }, 120_000);
    assertEquals(await node.stop(), 0);
    assertEquals(await host.stop(), 0);
    await holdsAll(`${directory}/host`);
    await Deno.remove(directory, { recursive: true });
  },
});

/** A database as version 3 left it: one row a record, none of them summed up. */
function writeOldDatabase(directory: string): void {
  Deno.mkdirSync(directory);
  const db = new DatabaseSync(`${directory}/${DATABASE_NAME}`);
  db.exec("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; BEGIN");
  for (const migration of MIGRATIONS.slice(0, 3)) db.exec(migration);
  const put = db.prepare("INSERT INTO records VALUES ('pump-7', ?, ?, ?, ?, ?, 0, ?, ?)");
  let seq = 0;
  for (const content of backlogContents(RECORDS)) {
    const { ts_wall_ms, ts_mono_ms, anomaly } = content;
    const identity = { type: "telemetry", node_id: "pump-7", epoch: EPOCH, seq: ++seq };
    const payload = JSON.stringify({ ...identity, ...content });
    put.run(EPOCH, seq, ts_wall_ms, ts_mono_ms, ts_wall_ms + 5, anomaly.score, payload);
  }
  db.prepare("INSERT INTO epochs VALUES ('pump-7', ?, ?, ?, '[]', 0, 0)").run(EPOCH, seq, seq);
  db.exec("PRAGMA user_version = 3; COMMIT");
  db.close();
}

realTest({
  name: `${KILLS} kills of a host while it moves an older database lose nothing`,
  ignore: !hasStrace,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-kills-" });
    writeOldDatabase(`${directory}/host`);
    const start = (under: string[] = []) => {
      const args = ["--listen", "127.0.0.1:0", "--data", `${directory}/host`];
      return new Process("host", args, freePort(), under);
    };
    const left: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const isAtCall = kill % 2 === 1;
      const host = start(isAtCall ? atCall(WRITES) : []);
      const moving = () => /moving (\d+) records/.exec(host.log)?.[1];
      if (isAtCall) await Promise.race([host.ended, wait(CALLS_MS_MAX)]);
      else if (kill % 4 === 2) await wait(Math.random() * 500);
      else {
        await eventually("it moves records", () => moving() !== undefined, 30_000, 2);
        await wait(Math.random() * MOVES_MS / KILLS);
      }
      await host.kill();
      left.push(moving() ?? "none yet");
    }
    console.log(`records to move at the start of who was killed: ${left.join(", ")}`);
    const host = await start().ready();
    assertEquals(await host.stop(), 0);
    await holdsAll(`${directory}/host`);
    await Deno.remove(directory, { recursive: true });
  },
});
