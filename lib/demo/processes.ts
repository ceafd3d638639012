/**
 * Host and nodes as real processes, for the demo, the end-to-end tests and the benchmark: from the sources by
 * this Deno, or the executables in the directory that HOLDFAST_BIN names.
 */

import { HOST_V8_FLAGS, NODE_V8_FLAGS } from "../v8_flags.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const READY_MS = 30_000;

/** Which program to run. */
export type ProgramName = "host" | "node";

function command(program: ProgramName, args: readonly string[]): [string, string[], boolean] {
  const bin = Deno.env.get("HOLDFAST_BIN");
  if (bin !== undefined) {
    const arch = Deno.build.arch === "x86_64" ? "x64" : "arm64";
    return [`${bin}/${program}-linux-${arch}`, [...args], true];
  }
  const flags = program === "host" ? HOST_V8_FLAGS : NODE_V8_FLAGS;
  const run = ["run", "-A", "--no-prompt", `--v8-flags=${flags}`, `${ROOT}${program}.ts`];
  return [Deno.execPath(), [...run, ...args], false];
}

/** A port that was free a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** A running host or node. */
export class Process {
  readonly program: ProgramName;
  readonly httpPort: number;
  #child: Deno.ChildProcess;
  #log = "";
  #reading: Promise<void>;

  /**
   * Starts a program; `args` without `--http`, which this adds. `under` is a command that runs another one in its
   * own place, as `strace -D` does.
   */
  constructor(
    program: ProgramName,
    args: readonly string[],
    httpPort: number = freePort(),
    under: readonly string[] = [],
  ) {
    this.program = program;
    this.httpPort = httpPort;
    const [path, all, isBinary] = command(program, [...args, "--http", `127.0.0.1:${httpPort}`]);
    const [first, ...rest] = [...under, path, ...all];
    this.#child = new Deno.Command(first!, {
      args: rest,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      // An executable needs nothing around it: no PATH, no Deno, no home.
      ...(isBinary ? { clearEnv: true } : {}),
    }).spawn();
    this.#reading = this.#readLog();
  }

  /** What it logged so far. */
  get log(): string {
    return this.#log;
  }
  get pid(): number {
    return this.#child.pid;
  }
  /** Resolves when the process has ended. */
  get ended(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  /** Resolves when it answers over HTTP; rejects with its log where it doesn't. */
  async ready(): Promise<this> {
    const deadline = performance.now() + READY_MS;
    let ended = false;
    this.ended.then(() => ended = true);
    while (performance.now() < deadline && !ended) {
      if (await this.status() !== undefined) return this;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${this.program} did not start:\n${this.#log}`);
  }

  /** Its `/status`, or `undefined` where it doesn't answer. */
  // deno-lint-ignore no-explicit-any
  async status(): Promise<any> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.httpPort}/status`);
      return await response.json();
    } catch {
      return undefined;
    }
  }

  /** Sends JSON to its API; the answer. */
  async send(method: "PUT" | "POST" | "DELETE", path: string, body: unknown): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${this.httpPort}${path}`, {
      method,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Sends a signal; nothing happens where the process has ended. */
  signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }

  /** Ends it without warning, as a power cut of the process would. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
    await this.#reading;
  }

  /** Asks it to stop; resolves with its exit status. */
  async stop(): Promise<number> {
    this.signal("SIGTERM");
    const { code } = await this.ended;
    await this.#reading;
    return code;
  }

  async #readLog(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) {
      this.#log = (this.#log + decoder.decode(chunk, { stream: true })).slice(-1_000_000);
    }
  }
}
