/** A store in memory whose commits take virtual time and are lost where the host crashes before their end. */
import type {
  ConfigRow,
  EpochBatch,
  EpochState,
  EventRow,
  GapRow,
  RecordRow,
  Store,
  StoreState,
} from "../../lib/platform/store.ts";
import type { MachineClock } from "./kernel.ts";

/** What outlives the host's process. */
export class Durable {
  records = new Map<string, Map<number, RecordRow>>();
  gaps = new Map<string, GapRow[]>();
  epochs = new Map<string, EpochState>();
  nodes = new Map<string, unknown>();
  configs: ConfigRow[] = [];
  /** Records that were offered although they were there: the key kept them single. */
  conflicts = 0;

  /** A copy, as a backup would be. */
  copy(): Durable {
    const copy = new Durable();
    copy.records = new Map([...this.records].map(([key, rows]) => [key, new Map(rows)]));
    copy.gaps = new Map([...this.gaps].map(([key, rows]) => [key, [...rows]]));
    copy.epochs = new Map(this.epochs);
    copy.nodes = structuredClone(this.nodes);
    copy.configs = [...this.configs];
    return copy;
  }
}

/** A host's view of what is durable. */
export class SimStore implements Store {
  readonly state: StoreState;
  #durable: Durable;
  #clock: MachineClock;
  #order: Promise<unknown> = Promise.resolve();
  /** Every commit fails. */
  fails = false;
  commitMs = 5;

  constructor(durable: Durable, clock: MachineClock) {
    this.#durable = durable;
    this.#clock = clock;
    this.state = {
      host_id: "host",
      epochs: [...durable.epochs.values()],
      nodes: structuredClone(durable.nodes),
      configs: [...durable.configs],
    };
  }

  commit(batches: readonly EpochBatch[]): Promise<void> {
    return this.#inTurn(() => {
      if (this.fails) throw new Error("disk I/O error");
      for (const { state, records, gaps } of batches) {
        const key = `${state.node_id} ${state.epoch}`;
        const rows = this.#durable.records.get(key) ?? new Map<number, RecordRow>();
        this.#durable.records.set(key, rows);
        for (const record of records) {
          if (rows.has(record.seq)) this.#durable.conflicts++;
          else rows.set(record.seq, record);
        }
        const all = this.#durable.gaps.get(key) ?? [];
        this.#durable.gaps.set(key, [...all, ...gaps]);
        this.#durable.epochs.set(key, state);
      }
    });
  }
  putNodes(nodes: ReadonlyMap<string, unknown>): Promise<void> {
    return this.#inTurn(() => {
      for (const [id, known] of nodes) this.#durable.nodes.set(id, structuredClone(known));
    });
  }
  putConfig(config: ConfigRow): Promise<void> {
    return this.#inTurn(() => {
      this.#durable.configs = this.#durable.configs.filter((row) => row.target !== config.target);
      this.#durable.configs.push(config);
    });
  }
  addEvents(_events: readonly EventRow[]): Promise<void> {
    return Promise.resolve();
  }
  records(): Promise<never[]> {
    return Promise.resolve([]);
  }
  gaps(): Promise<never[]> {
    return Promise.resolve([]);
  }
  events(): Promise<never[]> {
    return Promise.resolve([]);
  }
  metrics(): Promise<never[]> {
    return Promise.resolve([]);
  }
  series(): Promise<never> {
    return Promise.reject(new Error("nobody looks at charts here"));
  }
  size(): Promise<{ bytes: number; records: number }> {
    return Promise.resolve({ bytes: 0, records: 0 });
  }
  retain(): Promise<number> {
    return Promise.resolve(0);
  }
  close(): Promise<void> {
    return this.#inTurn(() => {});
  }

  /** One after the other, each after its time; nothing happens once the machine is gone. */
  #inTurn(work: () => void): Promise<void> {
    const result = this.#order.then(async () => {
      await this.#clock.sleepUntil(this.#clock.monotonicMs() + this.commitMs);
      work();
    });
    this.#order = result.catch(() => {});
    return result;
  }
}
