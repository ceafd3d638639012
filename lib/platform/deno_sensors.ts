/** What sensors use of the real machine. */
import { oneLine } from "../errors.ts";
import { denoClock } from "./deno_clock.ts";
import { seededRandom } from "./seeded_random.ts";
import type { Clock, Random } from "./platform.ts";

const TEXT_BYTES_MAX = 65_536;

/** See `SensorRuntime` in `lib/node/sensors/sensor.ts`, which this satisfies. */
export const denoSensorRuntime = {
  clock: denoClock as Clock,
  seeded: (seed: number): Random => seededRandom(seed),

  async readText(path: string): Promise<string> {
    try {
      using file = await Deno.open(path);
      const bytes = new Uint8Array(TEXT_BYTES_MAX);
      const count = await file.read(bytes) ?? 0;
      return new TextDecoder().decode(bytes.subarray(0, count));
    } catch (error) {
      throw new Error(`${path}: ${reasonOf(error)}`);
    }
  },

  async listDirectory(path: string): Promise<string[]> {
    const names: string[] = [];
    try {
      for await (const entry of Deno.readDir(path)) names.push(entry.name);
    } catch {
      return [];
    }
    return names.sort();
  },

  async run(command: readonly string[], timeoutMs: number): Promise<string> {
    const [program, ...args] = command;
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "null" })
        .spawn();
    } catch (error) {
      throw new Error(`${program} can't be started: ${reasonOf(error)}`);
    }
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    try {
      const text = await readAtMost(child);
      const { code } = await child.status;
      if (isLate) throw new Error(`${program} took longer than ${timeoutMs} ms`);
      if (code !== 0) throw new Error(`${program} ended with status ${code}`);
      return text;
    } finally {
      clearTimeout(timer);
    }
  },

  async diskSpace(path: string): Promise<{ total: number; free: number } | undefined> {
    try {
      const { statfs } = await import("node:fs/promises");
      const found = await statfs(path);
      return { total: found.blocks * found.bsize, free: found.bavail * found.bsize };
    } catch {
      return undefined;
    }
  },
};

/** What a child prints; one that prints too much is killed. */
async function readAtMost(child: Deno.ChildProcess): Promise<string> {
  const decoder = new TextDecoder();
  let text = "", bytes = 0;
  for await (const chunk of child.stdout) {
    bytes += chunk.length;
    if (bytes > TEXT_BYTES_MAX) {
      child.kill("SIGKILL");
      throw new Error(`it printed more than ${TEXT_BYTES_MAX} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function reasonOf(error: unknown): string {
  return oneLine(error).replace(/: \w+ '.*'$/, "");
}
