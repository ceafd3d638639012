/** Many nodes in one process: real connections to a real host, values made up. */
import { hello, telemetry } from "../messages.ts";

const METRICS: Readonly<Record<string, number>> = { temp_c: 41, rail_v: 5.02, flow_lpm: 120 };

function now(): { ts_wall_ms: number; ts_mono_ms: number } {
  return { ts_wall_ms: Date.now(), ts_mono_ms: performance.now() };
}

async function talk(port: number, nodeId: string): Promise<Deno.Conn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await say(connection, hello(nodeId, now(), { version: "0.1.0" }));
  return connection;
}

async function say(connection: Deno.Conn, message: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(message) + "\n");
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** See the head of the file. Each node tells one record a second. */
export class Fleet {
  readonly ids: string[] = [];
  #connections: Deno.Conn[] = [];
  #seq = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #telling: Promise<void> = Promise.resolve();

  /** Connects `count` nodes called `pump-0001` and on. */
  static async connect(port: number, count: number): Promise<Fleet> {
    const fleet = new Fleet();
    for (let i = 1; i <= count; i++) {
      const id = `pump-${String(i).padStart(4, "0")}`;
      const connection = await talk(port, id);
      fleet.ids.push(id);
      fleet.#connections.push(connection);
      fleet.#drain(connection);
    }
    fleet.#timer = setInterval(() => fleet.tell(), 1_000);
    return fleet;
  }

  /** Every node tells its next record. */
  tell(): Promise<void> {
    return this.#telling = this.#telling.then(async () => {
      const seq = ++this.#seq;
      for (const i of this.ids.keys()) await this.say(i, this.#record(this.ids[i]!, seq));
    });
  }

  /** The node of that index says `message`. */
  say(index: number, message: unknown): Promise<void> {
    return say(this.#connections[index]!, message);
  }

  /** The node of that index declares its next `records` records lost. */
  async lose(index: number, records: number, reason: string): Promise<void> {
    clearInterval(this.#timer);
    await this.#telling;
    await this.say(index, {
      type: "gap",
      from_seq: this.#seq + 1,
      to_seq: this.#seq + records,
      reason,
    });
    this.#seq += records;
  }

  /** All connections drop. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#telling.catch(() => {});
    for (const connection of this.#connections) connection.close();
  }

  #record(nodeId: string, seq: number): unknown {
    const wave = Math.sin(Date.now() / 9_000 + Number(nodeId.slice(-4)));
    const metrics = Object.fromEntries(
      Object.entries(METRICS).map((
        [name, base],
      ) => [name, Number((base * (1 + wave / 50)).toFixed(3))]),
    );
    return telemetry(nodeId, seq, now(), metrics);
  }

  /** What the host says is not needed, but must be taken. */
  async #drain(connection: Deno.Conn): Promise<void> {
    const chunk = new Uint8Array(4_096);
    try {
      while (await connection.read(chunk) !== null);
    } catch {
      // The connection is closed.
    }
  }
}
