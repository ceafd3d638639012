/** A real host in this process, with a clock that is moved by hand and nodes that are lines of JSON. */
import type { Hono } from "hono";
import { HOST_SETTINGS, type HostSettings } from "../../lib/config/host_settings.ts";
import { Host, limitsOf } from "../../lib/host/host.ts";
import { People } from "../../lib/host/people.ts";
import type { Clock, Connection, Listener } from "../../lib/platform/platform.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { openStore } from "../store/open.ts";
import { createHostApp } from "../../lib/web/host_app.ts";
import { eventually } from "../eventually.ts";
import { hello, telemetry } from "../messages.ts";

export const START = 1_700_000_000_000;

/** Moves only by hand. */
export class ManualClock implements Clock {
  ms = 0;
  #sleepers = new Set<{ deadline: number; wake: () => void }>();
  monotonicMs(): number {
    return this.ms;
  }
  wallMs(): number {
    return START + this.ms;
  }
  sleepUntil(deadline: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleeper = { deadline, wake: () => (this.#sleepers.delete(sleeper), resolve()) };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", sleeper.wake);
      if (signal?.aborted) sleeper.wake();
    });
  }
  /** Time passes; what was due runs, and what that started in this process. */
  async advance(ms: number): Promise<void> {
    const end = this.ms + ms;
    while (this.ms < end) {
      this.ms = Math.min(end, this.ms + 50);
      for (const sleeper of this.#sleepers) if (sleeper.deadline <= this.ms) sleeper.wake();
      await settle();
    }
  }
}

/** Lets everything run that waits for nothing but its turn. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** Waits in real time, for what a thread does. */
export function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  return eventually(what, holds, 10_000, 1);
}

/** A node's end of a connection: what it says is told by the test. */
class Wire implements Connection {
  readonly peer = "test:1";
  #chunks: Uint8Array[] = [];
  #waiting: ((chunk: Uint8Array | undefined) => void) | undefined;
  #isAtEnd = false;
  sent = "";
  /** The host has closed it. */
  isClosed = false;
  /** The node doesn't read: what is written to it stays on its way. */
  isDeaf = false;

  /** The messages arrive in one piece. */
  say(...messages: readonly unknown[]): void {
    const text = messages.map((message) => JSON.stringify(message) + "\n").join("");
    this.sayBytes(new TextEncoder().encode(text));
  }
  sayBytes(bytes: Uint8Array): void {
    if (this.#waiting === undefined) this.#chunks.push(bytes);
    else this.#waiting(bytes);
    this.#waiting = undefined;
  }
  read(): Promise<Uint8Array | undefined> {
    if (this.#chunks.length > 0) return Promise.resolve(this.#chunks.shift());
    if (this.#isAtEnd) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiting = resolve);
  }
  write(bytes: Uint8Array): Promise<void> {
    this.sent += new TextDecoder().decode(bytes);
    return this.isDeaf ? new Promise(() => {}) : Promise.resolve();
  }
  close(): void {
    this.isClosed = true;
    this.endInput();
  }
  /** The node says nothing any more, but may read. */
  endInput(): void {
    this.#isAtEnd = true;
    this.#waiting?.(undefined);
  }
}

/** See the head of the file. */
export class TestHost {
  readonly clock: ManualClock;
  readonly host: Host;
  readonly people: People;
  readonly app: Hono;
  #directory: string;
  #accept: (connection: Connection | undefined) => void;

  private constructor(parts: {
    clock: ManualClock;
    host: Host;
    directory: string;
    accept: (connection: Connection | undefined) => void;
    people: People;
  }) {
    this.clock = parts.clock;
    this.host = parts.host;
    this.people = parts.people;
    this.#directory = parts.directory;
    this.#accept = parts.accept;
    this.app = createHostApp(parts.host, {
      clock: parts.clock,
      people: parts.people,
      isSecure: false,
      metricsPerNode: true,
      memoryBytes: () => 1,
    });
  }

  static async start(
    options: { allowFaults?: boolean; token?: string; isExposed?: boolean } = {},
  ): Promise<TestHost> {
    const clock = new ManualClock();
    const directory = await Deno.makeTempDir();
    const queue: (Connection | undefined)[] = [];
    let waiting: ((connection: Connection | undefined) => void) | undefined;
    const accept = (connection: Connection | undefined) => {
      if (waiting === undefined) queue.push(connection);
      else waiting(connection);
      waiting = undefined;
    };
    const listener: Listener = {
      address: "test:0",
      accept: () =>
        queue.length > 0
          ? Promise.resolve(queue.shift())
          : new Promise((resolve) => waiting = resolve),
      close: () => accept(undefined),
    };
    const settings = Object.fromEntries(
      Object.entries(HOST_SETTINGS).map(([name, setting]) => [name, setting.default]),
    ) as unknown as HostSettings;
    const host = await Host.start({
      ...limitsOf(settings),
      allowFaults: options.allowFaults ?? false,
      store: await openStore(directory, "host"),
      clock,
      random: seededRandom(1),
      transport: {
        connect: () => Promise.reject(new Error("the host connects to nobody")),
        listen: () => Promise.resolve(listener),
      },
      version: "1.2.3",
      faults: [],
    });
    const people = await People.load({
      ...{ store: host.store, clock, random: seededRandom(2) },
      ...{ fixedToken: options.token ?? "", isExposed: options.isExposed ?? false },
    });
    return new TestHost({ clock, host, directory, accept, people });
  }

  /** A node connects, and says what is `behind` in the same breath; returns what speaks for it. */
  async connect(
    nodeId: string,
    more: Record<string, unknown> = {},
    behind: readonly unknown[] = [],
  ): Promise<Wire> {
    const wire = new Wire();
    this.#accept(wire);
    wire.say(hello(nodeId, this.#moment, more), ...behind);
    await until("welcome", () => wire.sent.includes("welcome"));
    return wire;
  }

  /** A record of a node, sampled now. */
  record(nodeId: string, seq: number, more: Record<string, unknown> = {}): Record<string, unknown> {
    const metrics = { temp_c: 40 + seq / 8, "odd,name": 1 };
    return telemetry(nodeId, seq, this.#moment, metrics, more);
  }

  get #moment(): { ts_wall_ms: number; ts_mono_ms: number } {
    return { ts_wall_ms: this.clock.wallMs(), ts_mono_ms: this.clock.ms };
  }

  /** A node with records 1 to `count`, 100 ms apart, that are stored. */
  async filled(nodeId: string, count: number): Promise<Wire> {
    const wire = await this.connect(nodeId);
    for (let seq = 1; seq <= count; seq++) {
      const is_anomaly = seq % 10 === 0;
      const metrics = is_anomaly ? { temp_c: { z: 9, mean: 40, std: 1 } } : {};
      wire.say(
        this.record(nodeId, seq, { anomaly: { is_anomaly, score: is_anomaly ? 9 : 0, metrics } }),
      );
      await this.clock.advance(100);
    }
    await until("stored", async () => {
      await this.clock.advance(50);
      return (await this.host.store.size()).records >= count;
    });
    return wire;
  }

  /** Asks the app; the answer. */
  async get(path: string, init: RequestInit = {}): Promise<Response> {
    return await this.app.request(`http://127.0.0.1${path}`, {
      ...init,
      headers: { host: "127.0.0.1", ...init.headers },
    });
  }
  // deno-lint-ignore no-explicit-any -- answers are judged by the tests
  async json(path: string, init: RequestInit = {}): Promise<any> {
    return await (await this.get(path, init)).json();
  }

  async stop(): Promise<void> {
    const stopped = this.host.stop();
    await this.clock.advance(2_000);
    await stopped;
    await Deno.remove(this.#directory, { recursive: true });
  }
}
