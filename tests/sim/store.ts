/**
 * A store whose commits take virtual time and are lost where the host crashes before their end. What is
 * durable is kept in maps, for the oracle; in some worlds the real SQLite engine is given the same, on a
 * database in memory, and must say the same.
 */
import { Claims } from "../../lib/store/claims.ts";
import {
  type Claim,
  type ClaimedBatch,
  type ConfigRow,
  type EpochBatch,
  type EpochState,
  type EventRow,
  Fenced,
  type GapRow,
  knownNodes,
  type RecordRow,
  type RetentionLimits,
  type Store,
  type StoredEvent,
  type StoreSize,
  type StoreState,
} from "../../lib/store/store.ts";
import type { MachineClock } from "./kernel.ts";
import type { RealEngine } from "./real_engine.ts";

/** Events that are remembered. */
const EVENTS_MAX = 10_000;

/** What outlives the host's process. */
export class Durable {
  /** Each record that was ever stored, for the oracle. */
  records = new Map<string, Map<number, RecordRow>>();
  gaps = new Map<string, GapRow[]>();
  epochs = new Map<string, EpochState>();
  nodes = new Map<string, unknown>();
  configs: ConfigRow[] = [];
  events: StoredEvent[] = [];
  lastEventId = 0;
  /** Records that were offered although they were there: the key kept them single. */
  conflicts = 0;
  /** The real engine beside the maps. */
  real: RealEngine | undefined;

  /** A copy, as a backup would be. */
  copy(): Durable {
    const copy = new Durable();
    copy.records = new Map([...this.records].map(([key, rows]) => [key, new Map(rows)]));
    copy.gaps = new Map([...this.gaps].map(([key, rows]) => [key, [...rows]]));
    copy.epochs = new Map(this.epochs);
    copy.nodes = structuredClone(this.nodes);
    copy.configs = [...this.configs];
    copy.events = [...this.events];
    copy.lastEventId = this.lastEventId;
    return copy;
  }

  /** Forgets all records, gaps and epochs. */
  clearRecords(): void {
    for (const part of [this.records, this.gaps, this.epochs]) part.clear();
  }
}

/** A host's view of what is durable. */
export class SimStore implements Store {
  readonly state: StoreState;
  readonly failed: Promise<string> = new Promise(() => {});
  #durable: Durable;
  #clock: MachineClock;
  #order: Promise<unknown> = Promise.resolve();
  #limits: RetentionLimits = {};
  #claims: Claims;
  /** Every commit fails. */
  fails = false;
  commitMs = 5;
  /** Hears what was just made durable. */
  onCommit: (batches: readonly EpochBatch[]) => void = () => {};

  constructor(durable: Durable, clock: MachineClock) {
    this.#durable = durable;
    this.#clock = clock;
    this.#claims = new Claims(clock.wallMs());
    this.state = {
      host_id: "host",
      nodes: knownNodes([
        ...[...durable.epochs.values()].map(({ node_id }) => [node_id, undefined] as const),
        ...structuredClone(durable.nodes),
      ]),
      configs: [...durable.configs],
    };
  }

  claim(nodeId: string, epoch: string): Promise<Claim> {
    return this.#inTurn(() => {
      const { real, epochs } = this.#durable;
      const state = real === undefined
        ? epochs.get(`${nodeId} ${epoch}`)
        : real.epoch(nodeId, epoch);
      return { state, fence: this.#claims.take(nodeId, epoch) };
    }, 0);
  }
  epochCount(nodeId: string): Promise<number> {
    const all = [...this.#durable.epochs.values()];
    return this.#inTurn(() => all.filter(({ node_id }) => node_id === nodeId).length, 0);
  }
  forgetEmptyEpochs(nodeId: string): Promise<number> {
    const mine = [...this.#durable.epochs].filter(([, { node_id }]) => node_id === nodeId);
    for (const [key] of mine.slice(0, -1)) {
      if ((this.#durable.records.get(key)?.size ?? 0) === 0) this.#durable.epochs.delete(key);
    }
    return this.epochCount(nodeId);
  }

  commit(batches: readonly ClaimedBatch[], atWallMs: number): Promise<void> {
    return this.#inTurn(() => {
      if (this.fails) throw new Error("disk I/O error");
      const overtaken = this.#claims.overtaken(
        batches.map(({ state: { node_id, epoch }, fence }) => ({ node_id, epoch, fence })),
      );
      if (overtaken.length > 0) throw new Fenced(overtaken.map((index) => batches[index]!));
      this.#durable.real?.commit(batches, atWallMs);
      for (const { state, rangesChanged, records, gaps } of batches) {
        const key = `${state.node_id} ${state.epoch}`;
        const rows = this.#durable.records.get(key) ?? new Map<number, RecordRow>();
        this.#durable.records.set(key, rows);
        for (const record of records) {
          if (rows.has(record.seq)) this.#durable.conflicts++;
          else rows.set(record.seq, record);
        }
        const all = this.#durable.gaps.get(key) ?? [];
        this.#durable.gaps.set(key, [...all, ...gaps]);
        const ranges = rangesChanged ? state.ranges : this.#durable.epochs.get(key)?.ranges ?? [];
        this.#durable.epochs.set(key, { ...state, ranges: ranges.map(([a, b]) => [a, b]) });
      }
      this.onCommit(batches);
      this.#durable.real?.retain(this.#limits, atWallMs);
    });
  }
  putNodes(nodes: ReadonlyMap<string, unknown>): Promise<void> {
    return this.#inTurn(() => {
      for (const [id, known] of nodes) this.#durable.nodes.set(id, structuredClone(known));
    });
  }
  forgetNode(nodeId: string): Promise<void> {
    return this.#inTurn(() => void this.#durable.nodes.set(nodeId, null));
  }
  putConfig(config: ConfigRow): Promise<void> {
    return this.#inTurn(() => {
      this.#durable.configs = this.#durable.configs.filter((row) => row.target !== config.target);
      this.#durable.configs.push(config);
    });
  }
  addEvents(events: readonly EventRow[]): Promise<number> {
    return this.#inTurn(() => {
      if (this.fails) throw new Error("disk I/O error");
      for (const event of events) {
        this.#durable.events.push({ ...event, id: ++this.#durable.lastEventId });
      }
      this.#durable.events.splice(0, this.#durable.events.length - EVENTS_MAX);
      return 0;
    });
  }
  tokens(): Promise<never[]> {
    return Promise.resolve([]);
  }
  putToken(): Promise<never> {
    return Promise.reject(new Error("nobody logs in here"));
  }
  revokeToken(): Promise<never> {
    return this.putToken();
  }
  putEnrolment(): Promise<never> {
    return this.putToken();
  }
  takeEnrolment(): Promise<never> {
    return this.putToken();
  }
  putCertificate(): Promise<never> {
    return this.putToken();
  }
  renewCertificate(): Promise<never> {
    return this.putToken();
  }
  certificates(): Promise<never[]> {
    return Promise.resolve([]);
  }
  revokedSerials(): Promise<never[]> {
    return Promise.resolve([]);
  }
  addAudit(): Promise<never> {
    return this.putToken();
  }
  audit(): Promise<never[]> {
    return Promise.resolve([]);
  }
  records(): Promise<never[]> {
    return Promise.resolve([]);
  }
  gaps(): Promise<never[]> {
    return Promise.resolve([]);
  }
  events(): Promise<StoredEvent[]> {
    return Promise.resolve([...this.#durable.events]);
  }
  metrics(): Promise<never[]> {
    return Promise.resolve([]);
  }
  series(): Promise<never> {
    return Promise.reject(new Error("nobody looks at charts here"));
  }
  size(): Promise<StoreSize> {
    let records = 0;
    for (const rows of this.#durable.records.values()) records += rows.size;
    return Promise.resolve({ bytes: 0, records, retained_away_records: 0, unsummed_records: 0 });
  }
  keepWithin(limits: RetentionLimits): void {
    this.#limits = limits;
  }
  close(): Promise<void> {
    return this.#inTurn(() => {});
  }

  /** One after the other, each after its time; nothing happens once the machine is gone. */
  #inTurn<T>(work: () => T, ms = this.commitMs): Promise<T> {
    const result = this.#order.then(async () => {
      await this.#clock.sleepUntil(this.#clock.monotonicMs() + ms);
      return work();
    });
    this.#order = result.catch(() => {});
    return result;
  }
}
