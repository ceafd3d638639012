/** `host tail`: records and events as they come, a line each. Part of the executables. */
import {
  ApiError,
  dataOf,
  DEFAULT_URL,
  followed,
  HostApi,
  type ServerEvent,
  wait,
} from "./live_client.ts";
import { writeLog } from "./output.ts";
import {
  isAnomalousRecord,
  isAnomalyEvent,
  type Item,
  jsonLine,
  recordKey,
  Seen,
  TailView,
} from "./tail_view.ts";
import { clean } from "./terminal_text.ts";
import { painter, readViewArgs, widthOut, writeOut } from "./view.ts";

const USAGE = `host tail: what happens, as it happens, one line each.

Usage: host tail [NODE ...] [--anomalies] [--json] [--url ${DEFAULT_URL}]

Without NODE, the events of all nodes; with some, their records and events.
--anomalies shows only what is about anomalies. --json prints JSON lines.
Times are when the host received it, UTC. Where the host goes away, tail waits for it; a note on
standard error says so.
HOLDFAST_HTTP_TOKEN is sent as bearer token where it is set. NO_COLOR is respected.`;

const POLL_MS = 1_000;
/** Latest events that are shown at the start. */
const EVENTS_BEFORE = 10;
/** Most events that the host gives at once. */
const EVENTS_MAX = 1_000;

/** Runs the subcommand; resolves never. Rejects with an `ApiError` where no host answers at the start. */
export async function tailCommand(args: readonly string[]): Promise<void> {
  const { values, positionals } = readViewArgs("tail", USAGE, args, [
    "anomalies",
    "json",
  ], "any");
  const tail = new Tail(new HostApi(values.url), {
    nodes: [...new Set(positionals)],
    anomaliesOnly: values.anomalies === true,
    json: values.json === true,
  });
  await tail.run();
}

interface TailOptions {
  readonly nodes: readonly string[];
  readonly anomaliesOnly: boolean;
  readonly json: boolean;
}

class Tail {
  #api: HostApi;
  #o: TailOptions;
  #view: TailView;
  #seen = new Seen();
  /** Highest id of an event that was shown. */
  #eventId: number | undefined;
  /** Connections that are lost; one note stands for all of them. */
  #lost = new Set<string>();
  /** Nodes of whom was told that they aren't known, or were found to be. */
  #looked = new Set<string>();
  #never = new AbortController().signal;

  constructor(api: HostApi, options: TailOptions) {
    this.#api = api;
    this.#o = options;
    this.#view = new TailView(painter(), options.nodes);
  }

  async run(): Promise<void> {
    await Promise.all([
      followed((alive) => this.#events(alive), this.#watcher("events"), this.#never),
      ...this.#o.nodes.map((node) =>
        followed((alive) => this.#records(node, alive), this.#watcher(node), this.#never)
      ),
    ]);
  }

  #watcher(key: string): { lost(reason: string): void; back(): void } {
    return {
      lost: (reason) => {
        if (this.#lost.size === 0) this.#note(`${reason}; waiting for it to come back`);
        this.#lost.add(key);
      },
      back: () => {
        this.#lost.delete(key);
        if (this.#lost.size === 0) this.#note(`${this.#api.url} answers again`);
      },
    };
  }

  #note(text: string): void {
    writeLog(`host: ${clean(text)}\n`);
  }

  /** Asks for new events until the host doesn't answer. */
  async #events(alive: () => void): Promise<never> {
    if (this.#eventId === undefined) this.#eventId = await this.#firstEvents();
    else {
      // A host whose data was deleted counts from 1 again.
      const [newest] = await this.#ask(0, 1);
      const newestId = Number(newest?.id ?? 0);
      if (newestId < this.#eventId) this.#eventId = 0;
    }
    for (;;) {
      alive();
      const found = await this.#ask(this.#eventId, EVENTS_MAX);
      const oldest = Number(found.at(-1)?.id ?? 0);
      if (found.length >= EVENTS_MAX && oldest > this.#eventId + 1) {
        this.#note(`${oldest - this.#eventId - 1} events came too fast and are not shown`);
      }
      for (const event of found.reverse()) this.#showEvent(event);
      await wait(POLL_MS, this.#never);
    }
  }

  async #firstEvents(): Promise<number> {
    const found = await this.#ask(0, EVENTS_MAX);
    const wanted = found.filter((event) => this.#isWanted(event)).slice(0, EVENTS_BEFORE);
    this.#eventId = 0;
    for (const event of wanted.reverse()) this.#showEvent(event);
    return Number(found[0]?.id ?? 0);
  }

  /** Events above `afterId`, newest first. */
  async #ask(afterId: number, limit: number): Promise<Item[]> {
    const found = await this.#api.json(`/api/events?after_id=${afterId}&limit=${limit}`);
    if (!Array.isArray(found) || found.some(({ id }) => !Number.isSafeInteger(id))) {
      throw new ApiError(`${this.#api.url}/api/events answers no list of events`);
    }
    return found;
  }

  #isWanted(event: Item): boolean {
    const { nodes, anomaliesOnly } = this.#o;
    return (!anomaliesOnly || isAnomalyEvent(event)) &&
      (nodes.length === 0 || nodes.includes(String(event.node_id)));
  }

  #showEvent(event: Item): void {
    this.#eventId = Math.max(this.#eventId ?? 0, Number(event.id));
    if (!this.#isWanted(event)) return;
    const line = this.#o.json ? jsonLine(event, "event") : this.#view.event(event, widthOut());
    writeOut(line + "\n");
  }

  async #records(node: string, alive: () => void): Promise<void> {
    for await (const told of this.#api.live(node, this.#never)) {
      alive();
      if (told.event === "records") {
        const records = listOf(told).filter((record) => this.#seen.isNew(recordKey(record)));
        for (const record of records) this.#showRecord(record);
      } else if (told.event === "nodes") this.#noteUnknown(node, told);
    }
  }

  /** The first list on a connection is of all nodes; a node may also come later. */
  #noteUnknown(node: string, told: ServerEvent): void {
    if (this.#looked.has(node)) return;
    this.#looked.add(node);
    const isKnown = listOf(told).some(({ node_id }) => node_id === node);
    if (!isKnown) this.#note(`no node "${node}" is known yet; waiting for it`);
  }

  #showRecord(record: Item): void {
    if (this.#o.anomaliesOnly && !isAnomalousRecord(record)) return;
    const line = this.#o.json ? jsonLine(record, "record") : this.#view.record(record, widthOut());
    writeOut(line + "\n");
  }
}

function listOf(told: ServerEvent): Item[] {
  const found = dataOf(told);
  return Array.isArray(found)
    ? found.filter((item) => typeof item === "object" && item !== null)
    : [];
}
