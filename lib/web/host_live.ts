/**
 * The host's state as server-sent events: each tick tells what changed since the one before, and a client
 * that missed one gets all anew.
 */
import type { NodeSummary } from "../fleet/node_info.ts";
import { fleetVerdict } from "../fleet/verdict.ts";
import type { Host } from "../host/host.ts";
import type { Watch } from "../host/activity.ts";
import type { Clock } from "../platform/platform.ts";
import type { StoreSize } from "../store/store.ts";
import { eventText, Streams } from "./streams.ts";

/** Most streams at once. */
export const CLIENTS_MAX = 100;
/** Values are told this coarsely, so that what hardly moves isn't told each second. */
const ROUND: Readonly<Record<string, number>> = {
  lag_ms: 100,
  rate: 0.1,
  clock_error_ms: 10,
  clock_offset_ms: 10,
  clock_offset_error_ms: 10,
};

type Fields = Record<string, unknown>;

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
  #streams: Streams<Watch | undefined>;
  #size: Pick<StoreSize, "bytes" | "records"> = { bytes: 0, records: 0 };
  /** What the last tick told of each node. */
  #told = new Map<string, Fields>();
  /** The events of this tick: for all, then for those that took the tick before, and for those that didn't. */
  #texts = { host: "", changes: "", everything: "" };

  constructor(host: Host, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
    this.#streams = new Streams<Watch | undefined>(
      {
        prepare: () => this.#prepare(),
        text: (watch, isCurrent) => this.#text(watch, isCurrent),
        closed: (watch) => watch?.close(),
      },
      clock,
      CLIENTS_MAX,
    );
  }

  /** Streams that are open. */
  get clients(): number {
    return this.#streams.clients;
  }

  /**
   * A new stream, with the records of `nodeId` if given; `undefined` where there are too many. It ends once `isAllowed`
   * says no.
   */
  open(nodeId: string | undefined, isAllowed: () => boolean): Response | undefined {
    const open = () => nodeId === undefined ? undefined : this.#host.activity.watch(nodeId);
    return this.#streams.open(open, isAllowed);
  }

  async #prepare(): Promise<void> {
    try {
      this.#size = await this.#host.store.size();
    } catch {
      // The store is closed or fails; the rest is still worth telling.
    }
    const summaries = this.#host.summaries();
    const nodes = summaries.map(rounded);
    const changed = nodes.map((node) => changesOf(this.#told.get(String(node.node_id)), node))
      .filter((changes) => changes !== undefined);
    this.#told = new Map(nodes.map((node) => [String(node.node_id), node]));
    this.#texts = {
      host: eventText("host", JSON.stringify(this.#hostSummary(summaries))),
      changes: eventText("nodes", JSON.stringify(changed)),
      everything: "",
    };
  }

  #text(watch: Watch | undefined, isCurrent: boolean): string {
    const texts = this.#texts;
    if (!isCurrent && texts.everything === "") {
      texts.everything = eventText("nodes", JSON.stringify([...this.#told.values()]));
    }
    return texts.host + (isCurrent ? texts.changes : texts.everything) +
      (watch === undefined ? "" : eventText("records", `[${watch.take().join(",")}]`));
  }

  #hostSummary(nodes: readonly NodeSummary[]): Fields {
    const { hostId, version, allowFaults, isInsecure, commitStats, faults } = this.#host;
    const { last_error } = commitStats;
    const store = { ok: last_error === undefined, error: last_error };
    return {
      now_wall_ms: this.#clock.wallMs(),
      host_id: hostId,
      version,
      allow_faults: allowFaults,
      insecure: isInsecure,
      strangers: this.#host.strangers,
      can_enroll: this.#host.enroller !== undefined,
      faults: faults.active.length,
      nodes_known: nodes.length,
      nodes_connected: nodes.filter((node) => node.connected).length,
      verdict: fleetVerdict(nodes, store),
      store: { ...store, bytes: this.#size.bytes, records: this.#size.records },
    };
  }
}
