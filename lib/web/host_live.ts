/**
 * The host's state as server-sent events: one tick a second for all clients together, and none without
 * clients. Each tick tells what changed since the one before; a client that was too slow for one gets all
 * anew, and one that takes nothing for long is let go. So a slow client costs one full text, whatever it does.
 */
import type { Host, NodeSummary } from "../host/host.ts";
import type { Watch } from "../host/activity.ts";
import type { Clock } from "../platform/platform.ts";
import type { StoreSize } from "../platform/store.ts";

/** Most streams at once. */
export const CLIENTS_MAX = 100;
const TICK_MS = 1_000;
/** A client that takes nothing for so many ticks is gone. */
const STUCK_TICKS_MAX = 15;
/** Values are told this coarsely, so that what hardly moves isn't told each second. */
const ROUND: Readonly<Record<string, number>> = { lag_ms: 100, rate: 0.1, clock_error_ms: 10 };

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly watch: Watch | undefined;
  /** Whether it knows what the tick before told. */
  isCurrent: boolean;
  stuckTicks: number;
}

type Fields = Record<string, unknown>;

const encoder = new TextEncoder();
const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  // Neither kept nor compressed on the way: it would be held back.
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
};

function eventText(name: string, data: string): string {
  return `event: ${name}\ndata: ${data}\n\n`;
}

function rounded(node: NodeSummary): Fields {
  const fields: Fields = { ...node };
  for (const [name, unit] of Object.entries(ROUND)) {
    const value = fields[name];
    if (typeof value === "number") {
      fields[name] = Number((Math.round(value / unit) * unit).toFixed(1));
    }
  }
  return fields;
}

/** What is different in `now`, with `null` for what is gone; `undefined` where nothing is. */
function changesOf(before: Fields | undefined, now: Fields): Fields | undefined {
  if (before === undefined) return now;
  let changes: Fields | undefined;
  const note = (name: string, value: unknown) => {
    changes ??= { node_id: now.node_id };
    changes[name] = value;
  };
  for (const [name, value] of Object.entries(now)) {
    const old = before[name];
    if (value === old) continue;
    const isSame = typeof value === "object" && JSON.stringify(value) === JSON.stringify(old);
    if (!isSame) note(name, value ?? null);
  }
  for (const name of Object.keys(before)) if (!(name in now)) note(name, null);
  return changes;
}

/** See the head of the file. */
export class HostLive {
  #host: Host;
  #clock: Clock;
  #clients = new Set<Client>();
  #isTicking = false;
  #size: StoreSize = { bytes: 0, records: 0 };
  /** What the last tick told of each node. */
  #told = new Map<string, Fields>();

  constructor(host: Host, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
  }

  /** Streams that are open. */
  get clients(): number {
    return this.#clients.size;
  }

  /** A new stream, with the records of `nodeId` if given; `undefined` where there are too many. */
  open(nodeId: string | undefined): Response | undefined {
    if (this.#clients.size >= CLIENTS_MAX) return undefined;
    let client: Client;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const watch = nodeId === undefined ? undefined : this.#host.activity.watch(nodeId);
        client = { controller, watch, isCurrent: false, stuckTicks: 0 };
        this.#clients.add(client);
      },
      cancel: () => this.#drop(client),
    }, { highWaterMark: 1 });
    if (!this.#isTicking) this.#tickLoop();
    else this.#sizeThen(() => this.#tell(client!, ""));
    return new Response(body, { headers: HEADERS });
  }

  #drop(client: Client): void {
    client.watch?.close();
    this.#clients.delete(client);
  }

  /** Never rejects. */
  async #tickLoop(): Promise<void> {
    this.#isTicking = true;
    while (this.#clients.size > 0) {
      await this.#sizeThen(() => this.#tick());
      await this.#clock.sleepUntil(this.#clock.monotonicMs() + TICK_MS);
    }
    this.#isTicking = false;
    this.#told.clear();
  }

  async #sizeThen(work: () => void): Promise<void> {
    try {
      this.#size = await this.#host.store.size();
    } catch {
      // The store is closed or fails; the rest is still worth telling.
    }
    work();
  }

  #tick(): void {
    const nodes = this.#host.summaries().map(rounded);
    const changed = nodes.map((node) => changesOf(this.#told.get(String(node.node_id)), node))
      .filter((changes) => changes !== undefined);
    this.#told = new Map(nodes.map((node) => [String(node.node_id), node]));
    const changes = eventText("nodes", JSON.stringify(changed));
    for (const client of this.#clients) this.#tell(client, changes);
  }

  /** Tells a client of this second: `changes`, or everything where it doesn't know what they build on. */
  #tell(client: Client, changes: string): void {
    if (!this.#clients.has(client)) return;
    if ((client.controller.desiredSize ?? 0) <= 0) {
      client.isCurrent = false;
      if (++client.stuckTicks < STUCK_TICKS_MAX) return;
      client.controller.error(new Error("the client takes nothing"));
      return this.#drop(client);
    }
    client.stuckTicks = 0;
    const nodes = client.isCurrent
      ? changes
      : eventText("nodes", JSON.stringify([...this.#told.values()]));
    client.isCurrent = true;
    const records = client.watch?.take() ?? [];
    client.controller.enqueue(encoder.encode(
      eventText("host", JSON.stringify(this.#hostSummary())) + nodes +
        (client.watch === undefined ? "" : eventText("records", `[${records.join(",")}]`)),
    ));
  }

  #hostSummary(): Fields {
    const { registry, hostId, version, allowFaults, commitStats } = this.#host;
    const nodes = registry.nodes;
    const { last_error } = commitStats;
    return {
      now_wall_ms: this.#clock.wallMs(),
      host_id: hostId,
      version,
      allow_faults: allowFaults,
      nodes_known: nodes.length,
      nodes_connected: nodes.filter((node) => node.connected).length,
      store: { ok: last_error === undefined, error: last_error, ...this.#size },
    };
  }
}
