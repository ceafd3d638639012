/**
 * Group commit: what all sessions received is committed together, one commit at a time; the next one gathers
 * while the disk works. Only after a commit do the sessions hear of it.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../platform/platform.ts";
import type { EpochBatch, Store } from "../platform/store.ts";
import type { Ledger } from "./ledger.ts";

/** See {@linkcode CommitQueue}. */
export interface CommitQueueOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Longest time that received records wait for company. */
  readonly intervalMs: number;
  /** With that many waiting, a commit starts at once. */
  readonly recordsMax: number;
  /** A commit of these ledgers is durable. */
  readonly onCommitted: (ledgers: readonly Ledger[]) => void;
  /** A commit failed: these ledgers were rolled back, their sessions must start anew. */
  readonly onFailed: (ledgers: readonly Ledger[], reason: string) => void;
}

/** Counters since the start. */
export interface CommitStats {
  commits: number;
  failures: number;
  records: number;
  /** Wall time of the last successful commit. */
  last_commit_wall_ms: number | undefined;
  last_commit_ms: number;
  last_error: string | undefined;
}

const log = getLogger(["holdfast", "store"]);

/** See the head of the file. */
export class CommitQueue {
  readonly stats: CommitStats = {
    commits: 0,
    failures: 0,
    records: 0,
    last_commit_wall_ms: undefined,
    last_commit_ms: 0,
    last_error: undefined,
  };
  #o: CommitQueueOptions;
  #dirty = new Set<Ledger>();
  #waitingRecords = 0;
  #committing: Promise<void> | undefined;
  #inCommit = new Set<Ledger>();
  #timer: AbortController | undefined;

  constructor(options: CommitQueueOptions) {
    this.#o = options;
  }

  /** Records that wait for a commit to start. */
  get waiting(): number {
    return this.#waitingRecords;
  }

  /** `ledger` took something in. */
  added(ledger: Ledger, records: number): void {
    this.#dirty.add(ledger);
    this.#waitingRecords += records;
    if (this.#committing !== undefined) return;
    if (this.#waitingRecords >= this.#o.recordsMax) this.#start();
    else if (this.#timer === undefined) this.#startTimer();
  }

  /** Resolves when all that `ledger` took in before is durable or rolled back. */
  async settled(ledger: Ledger): Promise<void> {
    while (this.#dirty.has(ledger) || this.#inCommit.has(ledger)) {
      if (this.#committing === undefined) this.#start();
      await this.#committing;
    }
  }

  /** Resolves when nothing waits any more. */
  async flush(): Promise<void> {
    while (this.#dirty.size > 0 || this.#committing !== undefined) {
      if (this.#committing === undefined) this.#start();
      await this.#committing;
    }
  }

  #startTimer(): void {
    const timer = this.#timer = new AbortController();
    const { clock, intervalMs } = this.#o;
    clock.sleepUntil(clock.monotonicMs() + intervalMs, timer.signal).then(() => {
      if (this.#timer !== timer) return;
      this.#timer = undefined;
      if (this.#committing === undefined && this.#dirty.size > 0) this.#start();
    });
  }

  #start(): void {
    this.#timer?.abort();
    this.#timer = undefined;
    this.#committing = this.#commit().finally(() => {
      this.#committing = undefined;
      if (this.#dirty.size === 0) return;
      if (this.#waitingRecords >= this.#o.recordsMax) this.#start();
      else this.#startTimer();
    });
  }

  async #commit(): Promise<void> {
    const { store, clock } = this.#o;
    const ledgers = [...this.#dirty];
    const batches: EpochBatch[] = ledgers.map((ledger) => ledger.take());
    const records = this.#waitingRecords;
    this.#dirty.clear();
    this.#waitingRecords = 0;
    this.#inCommit = new Set(ledgers);
    const startedMs = clock.monotonicMs();
    try {
      await store.commit(batches, clock.wallMs());
    } catch (error) {
      return this.#failed(ledgers, error instanceof Error ? error.message : String(error));
    } finally {
      this.#inCommit.clear();
    }
    batches.forEach((batch, index) => ledgers[index]!.committed(batch.state));
    if (this.stats.last_error !== undefined) log.info("store takes records again");
    this.stats.last_error = undefined;
    this.stats.commits++;
    this.stats.records += records;
    this.stats.last_commit_wall_ms = clock.wallMs();
    this.stats.last_commit_ms = clock.monotonicMs() - startedMs;
    this.#o.onCommitted(ledgers);
  }

  #failed(ledgers: readonly Ledger[], reason: string): void {
    // What came in meanwhile builds on what is lost now, so it goes too.
    for (const ledger of ledgers) {
      ledger.rollBack();
      this.#dirty.delete(ledger);
    }
    if (this.#dirty.size === 0) this.#waitingRecords = 0;
    if (this.stats.last_error !== reason) log.error("store can't commit: {reason}", { reason });
    this.stats.failures++;
    this.stats.last_error = reason;
    this.#o.onFailed(ledgers, reason);
  }
}
