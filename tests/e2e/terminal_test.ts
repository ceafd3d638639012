/** The terminal views as real processes against a host that is made up, in this process. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Hono } from "hono";
import { recordKey } from "../../lib/cli/tail_view.ts";
import { createFakeHost } from "../web/fake_host.ts";
import { realTest } from "../real.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const HOSTILE = "\x1b]0;owned\x07\u009b2J";
/** The screen that `host top` draws on, and the way back. */
const ENTER = "\x1b[?1049h";
const LEAVE = "\x1b[?25h\x1b[?1049l";

type Event = Record<string, unknown> & { id: number };

/** A host over HTTP whose events, token and health the test decides. */
class Site {
  readonly fake = createFakeHost(30);
  readonly events: Event[] = [];
  token = "";
  #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const app: Hono = this.fake.app;
    app.get("/api/events", (c) => {
      const after = Number(c.req.query("after_id"));
      const found = this.events.filter(({ id }) => id > after).toReversed();
      return c.json(found.slice(0, Number(c.req.query("limit"))));
    });
    this.#server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
      if (this.fake.isDown) return new Response("", { status: 503 });
      const given = request.headers.get("authorization");
      if (this.token !== "" && given !== `Bearer ${this.token}`) {
        return new Response("", { status: 401 });
      }
      return app.fetch(request);
    });
  }
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }
  event(node_id: string, kind: string, detail: unknown): void {
    this.events.push({ id: this.events.length + 1, at_wall_ms: Date.now(), node_id, kind, detail });
  }
  async close(): Promise<void> {
    this.fake.isDown = true;
    await this.#server.shutdown();
  }
}

function command(args: readonly string[]): [string, string[]] {
  const bin = Deno.env.get("HOLDFAST_BIN");
  if (bin === undefined) return [Deno.execPath(), ["run", "-A", `${ROOT}host.ts`, ...args]];
  return [`${bin}/host-linux-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`, [...args]];
}

/** A running view; what it printed so far. */
class View {
  out = "";
  err = "";
  #child: Deno.ChildProcess;
  #reading: Promise<unknown>;
  #keys: WritableStreamDefaultWriter<Uint8Array>;

  constructor(path: string, args: readonly string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(path, {
      args: [...args],
      env: { TERM: "xterm", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#keys = this.#child.stdin.getWriter();
    this.#reading = Promise.all([
      this.#read(this.#child.stdout, (text) => this.out += text),
      this.#read(this.#child.stderr, (text) => this.err += text),
    ]);
  }
  static of(...args: string[]): View {
    return new View(...command(args));
  }

  async press(keys: string): Promise<void> {
    await this.#keys.write(new TextEncoder().encode(keys));
  }
  /** Waits until what it printed matches. */
  async prints(wanted: RegExp, where: "out" | "err" = "out"): Promise<void> {
    const deadline = performance.now() + 15_000;
    while (!wanted.test(this[where])) {
      if (performance.now() > deadline) {
        throw new Error(`not printed: ${wanted}\n${this.out}\n${this.err}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  async ended(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#reading;
    await this.#keys.close().catch(() => {});
    return code;
  }
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.ended();
  }

  async #read(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
  }
}

const hasScript = (() => {
  try {
    return new Deno.Command("script", { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
})();

realTest("host nodes lists the fleet, worst first, and with --json what the API says", async () => {
  const site = new Site();
  const table = View.of("nodes", "--url", site.url);
  assertEquals(await table.ended(), 0);
  const lines = table.out.trimEnd().split("\n");
  assertEquals(lines.length, 31);
  assertMatch(lines[0]!, /^NODE +STATE +LAG +BACKLOG +REC\/S +ANOM\/H +CONFIG +SEEN {2}NOTE$/);
  assertMatch(lines[1]!, /^pump-3 +Live .*Lost records, 1,204 records \(evicted\)$/);
  assertMatch(lines[2]!, /^pump-17 +Silent .* 2520 +- .* 4 min {2}Silent, 2,520 records/);
  assertMatch(lines[3]!, /^pump-9 +Degraded .*Log nearly full, 93 %/);
  const json = View.of("nodes", "--json", "--url", site.url);
  assertEquals(await json.ended(), 0);
  assertEquals(JSON.parse(json.out).length, 30);
  await site.close();
});

realTest("host top into a pipe prints one snapshot and ends", async () => {
  const site = new Site();
  const top = View.of("top", "--url", site.url);
  assertEquals(await top.ended(), 0);
  assertEquals(top.out.includes("\x1b"), false);
  assertMatch(top.out, /^holdfast 0\.2\.0 .* store ok, 45\.0 M records, 13\.2 GB\nNODE /);
  assertEquals(top.out.trimEnd().split("\n").length, 32);
  await site.close();
});

realTest({
  name:
    "host top on a terminal draws, filters, waits for a lost host, and q gives the terminal back",
  ignore: !hasScript,
  async fn() {
    const site = new Site();
    const [path, args] = command(["top", "--url", site.url]);
    const line = `stty rows 12 cols 90; ${path} ${args.join(" ")}; echo status $?; stty -a`;
    const top = new View("script", ["-qec", line, "/dev/null"], { NO_COLOR: "1" });
    await top.prints(/pump-17 +Silent/);
    assert(top.out.includes(ENTER));
    assertEquals(top.out.includes("pump-30"), false, "twelve rows hold eight nodes");
    await top.press("/pump-30\r");
    await top.prints(/filter: pump-30/);
    await top.prints(/pump-30 +Live/);
    site.fake.isDown = true;
    await top.prints(/no connection: /);
    site.fake.isDown = false;
    const lost = top.out.length;
    await top.prints(new RegExp(`^[^]{${lost},}holdfast 0\\.2\\.0`));
    await top.press("q");
    await top.prints(/status 0/);
    const after = top.out.slice(top.out.lastIndexOf(LEAVE));
    assert(after.startsWith(LEAVE));
    await top.prints(/\bicanon\b/);
    assertMatch(top.out.slice(top.out.lastIndexOf(LEAVE)), /(^|\s)icanon\b[^]*(^|\s)echo\b/);
    await top.ended();
    await site.close();
  },
});

realTest({
  name: "a signal ends host top with the terminal as it was",
  ignore: !hasScript,
  async fn() {
    const site = new Site();
    const [path, args] = command(["top", "--url", site.url]);
    const line = `stty rows 12 cols 90; (sleep 3; kill -TERM $(cat "$PIDFILE")) & ` +
      `sh -c 'echo $$ > "$PIDFILE"; exec ${path} ${args.join(" ")}'; echo status $?; stty -a`;
    const pidFile = Deno.makeTempFileSync();
    const top = new View("script", ["-qec", line, "/dev/null"], { PIDFILE: pidFile });
    await top.prints(/status 0/);
    await top.prints(/\bicanon\b/);
    assertMatch(top.out.slice(top.out.lastIndexOf(LEAVE)), /(^|\s)icanon\b[^]*(^|\s)echo\b/);
    await top.ended();
    Deno.removeSync(pidFile);
    await site.close();
  },
});

realTest(
  "host tail follows events over an outage of the host, and none of them acts on the terminal",
  async () => {
    const site = new Site();
    site.event("pump-1", "connected", { peer: "10.0.0.1" });
    site.event("pump-2", HOSTILE, { reason: HOSTILE });
    const tail = View.of("tail", "--url", site.url);
    await tail.prints(/pump-1 +connected +peer=10\.0\.0\.1\n/);
    const detail = { severity: "high", metrics: ["temp_c"], duration_ms: 0 };
    site.event("pump-3", "anomaly_open", detail);
    await tail.prints(/! pump-3 +anomaly_open +high temp_c\n/);
    site.fake.isDown = true;
    await tail.prints(/waiting for it to come back/, "err");
    site.event("pump-4", "disconnected", {});
    site.fake.isDown = false;
    await tail.prints(/pump-4 +disconnected/);
    await tail.prints(/answers again/, "err");
    await tail.stop();
    assertEquals(tail.out.match(/\n/g)?.length, 4, tail.out);
    assertEquals(/\p{Cc}/u.test(tail.out.replaceAll("\n", "")), false);
    await site.close();
  },
);

realTest(
  "host tail of a node shows its records and events, with --anomalies only those, as JSON lines",
  async () => {
    const site = new Site();
    site.event("pump-1", "connected", {});
    site.event("pump-2", "connected", {});
    const tail = View.of("tail", "pump-1", "--url", site.url);
    await tail.prints(/pump-1 +#\d+ +temp_c \S+ +rail_v \S+/);
    await tail.stop();
    assertMatch(tail.out, /pump-1 +connected/);
    assertEquals(tail.out.includes("pump-2"), false);
    const json = View.of("tail", "pump-1", "nobody", "--json", "--url", site.url);
    await json.prints(/"type":"telemetry"/);
    await json.prints(/no node "nobody" is known yet/, "err");
    await json.stop();
    const items = json.out.trimEnd().split("\n").map((line) => JSON.parse(line));
    const keys = items.filter(({ type }) => type === "telemetry").map(recordKey);
    assertEquals(new Set(keys).size, keys.length);
    assertEquals(items.filter(({ type }) => type === "event").length, 1);
    site.event("pump-1", "anomaly_close", { severity: "low", metrics: ["temp_c"] });
    const anomalies = View.of("tail", "pump-1", "--anomalies", "--json", "--url", site.url);
    await anomalies.prints(/anomaly_close/);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await anomalies.stop();
    for (const line of anomalies.out.trimEnd().split("\n")) {
      const { kind, anomaly } = JSON.parse(line);
      assert(kind === "anomaly_close" || anomaly.is_anomaly);
    }
    await site.close();
  },
);

realTest("a reader that goes away ends host tail", async () => {
  const site = new Site();
  const [path, args] = command(["tail", "pump-1", "--url", site.url]);
  const line = `${path} ${args.join(" ")} | head -n 2; echo ended`;
  const view = new View("sh", ["-c", line]);
  await view.prints(/^(.*\n){2}ended/);
  assertEquals(await view.ended(), 0);
  await site.close();
});

realTest(
  "the views send HOLDFAST_HTTP_TOKEN where the host wants it, and say so where it is missing",
  async () => {
    const site = new Site();
    site.token = "sesame-sesame-sesame";
    const [path, args] = command(["nodes", "--url", site.url]);
    const without = new View(path, args, { HOLDFAST_HTTP_TOKEN: "" });
    assertEquals(await without.ended(), 1);
    assertMatch(without.err, /^host: .*set HOLDFAST_HTTP_TOKEN.*\n$/);
    const allowed = new View(path, args, { HOLDFAST_HTTP_TOKEN: site.token });
    assertEquals(await allowed.ended(), 0);
    await site.close();
  },
);

realTest(
  "what can't work ends with one line: status 1 for the world, 2 for the command line",
  async () => {
    const silent = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const { port } = silent.addr as Deno.NetAddr;
    silent.close();
    const cases: [string[], number, RegExp][] = [
      ...(["nodes", "top", "tail"].map((view): [string[], number, RegExp] => [
        [view, "--url", `http://127.0.0.1:${port}`],
        1,
        new RegExp(`127\\.0\\.0\\.1:${port} \\(connection refused\\): .*--url`),
      ])),
      [["top", "--url", "ftp://x"], 1, /"ftp:\/\/x" is not a URL: .*--url/],
      [["nodes", "--wat"], 2, /--wat/],
      [["top", "x"], 2, /unexpected "x"/],
      [["wat"], 2, /unexpected "wat"/],
    ];
    await Promise.all(cases.map(async ([args, status, wanted]) => {
      const view = View.of(...args);
      assertEquals(await view.ended(), status, view.err);
      assertMatch(view.err, /^host: [^\n]*\n$/);
      assertMatch(view.err, wanted);
    }));
  },
);

realTest("each view has a --help, and host --help names them", async () => {
  const views = ["nodes", "top", "tail"];
  const all = View.of("--help");
  assertEquals(await all.ended(), 0);
  await Promise.all(views.map(async (name) => {
    const view = View.of(name, "--help");
    assertEquals(await view.ended(), 0);
    assertMatch(view.out, new RegExp(`^host ${name}: `));
    assertMatch(all.out, new RegExp(`host ${name} `));
  }));
});
