/** `deno task demo`: a host, three nodes, and everything that can go wrong; then the proof. */
import { demandFlags } from "../config/flags.ts";
import { freePort, Process } from "./processes.ts";
import { type Proof, prove } from "./proof.ts";

const STORY_SECONDS_MIN = 20;
/** Part of the time that is kept for draining and the proof. */
const END_SECONDS = 8;

const values = demandFlags(Deno.args, {
  text: ["seconds", "data"],
  flag: ["json", "help"],
}).values as { seconds?: string; data?: string; json?: boolean; help?: boolean };
if (values.help) {
  console.log(
    "deno task demo [--seconds N] [--json] [--data DIR]\n\n" +
      "Runs a host and three nodes through outages and crashes until Ctrl-C or for N seconds (20 or more),\n" +
      "then proves that nothing was lost or stored twice. --json prints the proof as the last line;\n" +
      "--data DIR keeps the files.",
  );
  Deno.exit(0);
}
const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
if (seconds !== undefined && !(seconds >= STORY_SECONDS_MIN)) {
  console.error(`demo: --seconds must be ${STORY_SECONDS_MIN} or more, got "${values.seconds}"`);
  Deno.exit(2);
}

const isTerminal = Deno.stdout.isTerminal();
const paint = (code: number, text: string) => isTerminal ? `\x1b[${code}m${text}\x1b[0m` : text;
const bold = (text: string) => paint(1, text);
const dim = (text: string) => paint(2, text);
const startedMs = performance.now();
const stopped = new AbortController();

function say(text: string): void {
  const at = ((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6);
  console.log(`${dim(`${at} s`)}  ${text}`);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (stopped.signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      stopped.signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stopped.signal.addEventListener("abort", done);
  });
}

/** The three nodes: what they are called, what they sample, and how much room they have. */
const NODES: Record<string, string[]> = {
  "pump-7": [
    ...["--sensor", "sim:seed=7,spike_every_s=4,sag_every_s=0"],
    ...["--allow-remote", "sensors=sim"],
  ],
  "gateway-2": ["--sensor", "linux"],
  "tank-3": [
    ...["--sensor", "sim:seed=3,spike_every_s=6,sag_every_s=0", "--sample-hz", "50"],
    ...["--ring-records", "64", "--wal-bytes-max", "131072"],
  ],
};

class Demo {
  readonly directory: string;
  readonly #hostArgs: string[];
  readonly #hostPort = freePort();
  readonly #address = `127.0.0.1:${freePort()}`;
  readonly #nodePorts = new Map<string, number>();
  host: Process | undefined;
  readonly nodes = new Map<string, Process>();

  constructor(directory: string) {
    this.directory = directory;
    this.#hostArgs = ["--listen", this.#address, "--data", `${directory}/host`, "--allow-faults"];
  }

  async startHost(): Promise<void> {
    this.host = await new Process("host", this.#hostArgs, this.#hostPort).ready();
  }

  async startNode(id: string): Promise<void> {
    const port = this.#nodePorts.get(id) ?? freePort();
    this.#nodePorts.set(id, port);
    const args = ["--id", id, "--host", this.#address, "--data", this.nodeDirectory(id)];
    const common = ["--send-interval-ms", "500", "--reconnect-ms-max", "2000"];
    const process = new Process("node", [...args, ...common, ...NODES[id]!], port);
    this.nodes.set(id, await process.ready());
  }

  nodeDirectory(id: string): string {
    return `${this.directory}/${id}`;
  }

  /** One line that shows how things stand. */
  async progress(): Promise<string> {
    const parts: string[] = [];
    for (const [id, process] of this.nodes) {
      const status = await process.status();
      if (status === undefined) parts.push(`${id} ${paint(31, "down")}`);
      else {
        const link = status.link.state === "connected" ? paint(32, "up") : paint(33, "away");
        const thin = status.downsample_n > 1 ? ` thins 1:${status.downsample_n}` : "";
        parts.push(`${id} ${link} ${String(status.backlog).padStart(4)} unacked${thin}`);
      }
    }
    const host = await this.host?.status();
    const stored = host === undefined ? paint(31, "down") : `${host.store.records} stored`;
    return `${dim("│")} host ${stored}  ${parts.join("  ")}`;
  }

  async killAll(): Promise<void> {
    for (const process of [this.host, ...this.nodes.values()]) {
      process?.signal("SIGKILL");
      await process?.ended;
    }
  }
}

/** Waits for `ms` while showing how things stand. */
async function watch(demo: Demo, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end && !stopped.signal.aborted) {
    await wait(Math.min(2_000, Math.max(0, end - performance.now())));
    say(await demo.progress());
  }
}

type Step = [weight: number, title: string, act: (demo: Demo, ms: number) => Promise<void>];

/** Each step takes its share of the story's time; what it breaks it mends. */
const STORY: Step[] = [
  [3, "everything runs; nodes send what they sample", (demo, ms) => watch(demo, ms)],
  [3, "connections drop, again and again", async (demo, ms) => {
    await demo.host!.send("POST", "/api/faults", {
      fault: `drop:every=1s,for=${Math.round(ms)}ms`,
    });
    await demo.host!.send("POST", "/api/faults", {
      fault: `duplicate:p=0.2,for=${Math.round(ms)}ms`,
    });
    await demo.host!.send("POST", "/api/faults", { fault: `split:for=${Math.round(ms)}ms` });
    await watch(demo, ms);
  }],
  [
    5,
    "the host is stopped for a while; tank-3 has little room and begins to thin",
    async (demo, ms) => {
      await demo.host!.stop();
      await watch(demo, ms);
      await demo.startHost();
      say("the host is back: fresh records first, the backlog beside them");
    },
  ],
  [3, "kill -9 of node pump-7", async (demo, ms) => {
    await demo.nodes.get("pump-7")!.kill();
    await wait(ms / 3);
    await demo.startNode("pump-7");
    await watch(demo, (2 * ms) / 3);
  }],
  [4, "kill -9 of the host", async (demo, ms) => {
    await demo.host!.kill();
    await watch(demo, ms / 2);
    await demo.startHost();
    await watch(demo, ms / 2);
  }],
  [3, "gateway-2 gets a new configuration: 20 samples a second", async (demo, ms) => {
    await demo.host!.send("PUT", "/api/nodes/gateway-2/config", { sample_hz: 20 });
    await watch(demo, ms);
  }],
  [3, "pump-7 is told to misbehave: a spike of 15 sigma every second", async (demo, ms) => {
    await demo.host!.send("PUT", "/api/nodes/pump-7/config", {
      sensors: ["sim:seed=77,spike_every_s=1,sag_every_s=0,quiet_s=0"],
    });
    await watch(demo, ms);
  }],
];

function show(proof: Proof): void {
  const good = proof.missing === 0 && proof.duplicates === 0;
  say(bold("the proof: each node's own log against the host's database"));
  for (const { node_id, epoch, produced, stored, missing } of proof.nodes) {
    say(
      `${dim("│")} ${node_id.padEnd(10)} epoch ${epoch}  ${String(produced).padStart(6)} produced` +
        `  ${String(stored).padStart(6)} stored  ${missing} missing`,
    );
  }
  const { injected, found } = proof.anomalies;
  say(
    `${
      dim("│")
    } ${proof.duplicates} duplicates, ${proof.gap_records} records in ${proof.gaps} declared gaps, ` +
      `${proof.thinned} thinned records, ${found} of ${injected} injected anomalies found`,
  );
  say(good ? paint(32, "nothing missing, nothing twice") : paint(31, "THE PROOF FAILED"));
}

async function run(): Promise<number> {
  const directory = values.data ?? await Deno.makeTempDir({ prefix: "holdfast-demo-" });
  await Deno.mkdir(directory, { recursive: true });
  if (values.data !== undefined && (await Array.fromAsync(Deno.readDir(directory))).length > 0) {
    console.error(`demo: --data ${directory} is not empty: choose another directory`);
    return 2;
  }
  const demo = new Demo(directory);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      if (stopped.signal.aborted) Deno.exit(130);
      say(`${signal}: stopping; once more ends at once`);
      stopped.abort();
    });
  }
  try {
    await demo.startHost();
    await Promise.all(Object.keys(NODES).map((id) => demo.startNode(id)));
    say(`host    http://127.0.0.1:${demo.host!.httpPort}/status`);
    for (const [id, process] of demo.nodes) {
      say(`${id.padEnd(9)} http://127.0.0.1:${process.httpPort}/status`);
    }
    await tell(demo);
    say(bold("sampling stops, the backlog drains"));
    const codes = await Promise.all([...demo.nodes.values()].map((process) => process.stop()));
    codes.push(await demo.host!.stop());
    if (codes.some((code) => code !== 0)) say(paint(31, `exit statuses: ${codes.join(" ")}`));
    const directories = new Map(Object.keys(NODES).map((id) => [id, demo.nodeDirectory(id)]));
    const proof = await prove(`${directory}/host`, directories);
    show(proof);
    if (values.json) console.log(JSON.stringify(proof));
    return proof.missing === 0 && proof.duplicates === 0 && codes.every((code) => code === 0)
      ? 0
      : 1;
  } finally {
    await demo.killAll();
    if (values.data === undefined) await Deno.remove(directory, { recursive: true });
    else console.log(`files: ${directory}`);
  }
}

/** Goes through the story once within the given time, or over and over until stopped. */
async function tell(demo: Demo): Promise<void> {
  const weights = STORY.reduce((sum, [weight]) => sum + weight, 0);
  const spent = (performance.now() - startedMs) / 1_000;
  const storyMs = 1_000 * (seconds === undefined ? 60 : seconds - END_SECONDS - spent);
  do {
    for (const [weight, title, act] of STORY) {
      if (stopped.signal.aborted) return;
      say(bold(title));
      await act(demo, (storyMs * weight) / weights);
    }
  } while (seconds === undefined && !stopped.signal.aborted);
}

Deno.exit(await run());
