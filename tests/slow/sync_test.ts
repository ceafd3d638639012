/**
 * What the kernel is really asked to make durable, seen by strace: the simulated disk believes a sync of any file
 * or directory that is asked of it; this holds that the right ones are.
 */
import { assert, assertEquals } from "@std/assert";
import { dirname } from "node:path";
import { freePort, Process } from "../../lib/demo/processes.ts";
import { eventually } from "../eventually.ts";
import { realTest } from "../real.ts";
import { hasStrace } from "./strace.ts";

const CALLS = "openat,mkdir,rename,unlink,fsync,fdatasync";

/** One call that succeeded: what it did, to which path. */
interface Call {
  readonly kind: "create" | "mkdir" | "remove" | "sync";
  readonly path: string;
}

/** Reads what `strace -f -y` wrote, of what lies below `root`; a call that was interrupted counts where it ended. */
function callsIn(trace: string, root: string): Call[] {
  const calls: Call[] = [];
  const started = new Map<string, string>();
  const add = (kind: Call["kind"], path: string | undefined): void => {
    if (path?.startsWith(root)) calls.push({ kind, path });
  };
  for (const line of trace.split("\n")) {
    const [, pid, rest] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (pid === undefined || rest === undefined) continue;
    if (rest.endsWith("<unfinished ...>")) {
      started.set(pid, rest.slice(0, -"<unfinished ...>".length));
      continue;
    }
    const call = rest.replace(/^<\.\.\. \w+ resumed>/, () => started.get(pid) ?? "");
    if (/ = -1 /.test(call)) continue;
    const [, name] = /^(\w+)\(/.exec(call) ?? [];
    const [first, second] = [...call.matchAll(/"([^"]*)"/g)].map(([, path]) => path);
    if (name === "openat" && call.includes("O_CREAT")) add("create", first);
    if (name === "mkdir") add("mkdir", first);
    if (name === "unlink") add("remove", first);
    if (name === "rename") {
      add("remove", first);
      add("create", second);
    }
    if (name?.endsWith("sync")) add("sync", /<([^>]*)>/.exec(call)?.[1]);
  }
  return calls;
}

/** Files and directories that were made and whose name, or whose bytes, were never made durable. */
function notDurable(calls: Call[], isOurs: (path: string) => boolean): string[] {
  const wrong: string[] = [];
  calls.forEach(({ kind, path }, index) => {
    if ((kind !== "create" && kind !== "mkdir") || !isOurs(path)) return;
    const later = calls.slice(index + 1);
    if (later.some((call) => call.kind === "remove" && call.path === path)) return;
    const isSynced = (what: string) => later.some((c) => c.kind === "sync" && c.path === what);
    if (!isSynced(dirname(path))) wrong.push(`the name of ${path}`);
    // A file that got its name by a rename was synced under the old one.
    const isRenamed = calls[index - 1]?.kind === "remove";
    if (kind === "create" && !isRenamed && !isSynced(path)) wrong.push(`what is in ${path}`);
  });
  return wrong;
}

realTest({
  name: "every file and directory that a node makes is synced, and so is the directory it is in",
  ignore: !hasStrace,
  async fn() {
    const root = await Deno.makeTempDir({ prefix: "holdfast-sync-" });
    const data = `${root}/new/a`;
    const address = `127.0.0.1:${freePort()}`, http = `127.0.0.1:${freePort()}`;
    // deno-lint-ignore no-explicit-any
    const status = (): Promise<any> =>
      fetch(`http://${http}/status`).then((answer) => answer.json(), () => undefined);
    const node = new Deno.Command("strace", {
      args: [
        ...["-D", "-f", "-y", "-s", "300", "-o", `${root}/trace`, "-e", `trace=${CALLS}`],
        ...[Deno.execPath(), "run", "-A", new URL("../../node.ts", import.meta.url).pathname],
        ...["--id", "a", "--host", address, "--data", data, "--http", http],
        ...["--sample-hz", "50", "--wal-sync", "always", "--wal-bytes-max", "131072"],
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    await eventually("a few segments", async () => (await status())?.next_seq > 80);
    const host = await new Process("host", ["--listen", address, "--data", `${root}/host`]).ready();
    const set = await fetch(`http://127.0.0.1:${host.httpPort}/api/config`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ send_interval_ms: 200 }),
    });
    assert(set.ok, await set.text());
    await eventually("compaction and a configuration", async () => {
      const { backlog, cfg_version } = await status();
      return backlog < 20 && cfg_version > 0;
    });
    node.kill("SIGTERM");
    assertEquals((await node.status).code, 0);
    await host.stop();
    await eventually("the whole trace", async () => {
      const trace = await Deno.readTextFile(`${root}/trace`);
      return new RegExp(`^${node.pid} +\\+{3} exited`, "m").test(trace);
    });
    const calls = callsIn(await Deno.readTextFile(`${root}/trace`), root);
    const isOurs = (path: string) => path !== `${data}/lock`;
    const made = calls.filter(({ kind, path }) => kind !== "sync" && isOurs(path)).map(({ path }) =>
      path.slice(data.length + 1)
    );
    for (const name of ["wal/checkpoint", "config.json", "baselines"]) {
      assert(made.includes(name), `${name} was not made; ${made}`);
    }
    assertEquals(notDurable(calls, isOurs), []);
    await Deno.remove(root, { recursive: true });
  },
});
