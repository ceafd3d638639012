/**
 * Group commit: what all sessions received is committed together, one commit at a time; the next one gathers
 * while the disk works, and for a while after a commit, as each costs the disk some pages. What comes later than
 * that waits for nothing. Only after a commit do the sessions hear of it.
 */
import { getLogger } from "@logtape/logtape";
import { assert } from "../assert.ts";
import { oneLine } from "../errors.ts";
import type { Clock } from "../platform/platform.ts";
import { Fenced, type Store } from "../store/store.ts";
import type { Ledger } from "./ledger.ts";

/** See {@linkcode CommitQueue}. */
export interface CommitQueueOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Least time from the start of a commit to that of the next one, unless `recordsMax` wait. */
  readonly intervalMs: number;
  /** With that many waiting, a commit starts at once. */
  readonly recordsMax: number;
  /** A commit of these ledgers is durable. */
  readonly onCommitted: (ledgers: readonly Ledger[]) => void;
  /**
   * A commit failed: these ledgers were rolled back, their sessions must start anew; with `isOvertaken`, from
   * another claim.
   */
  readonly onFailed: (ledgers: readonly Ledger[], reason: string, isOvertaken: boolean) => void;
}

/** Counters since the start. */
export interface CommitStats {
  commits: number;
  failures: number;
  /** Ledgers that were given up as another host had claimed their epoch. */
  overtaken: number;
  records: number;
  /** Wall time of the last successful commit. */
  last_commit_wall_ms: number | undefined;
  last_commit_ms: number;
  last_error: string | undefined;
}

/** Bytes of one commit, so that what the store is handed stays small; the rest follows in the next. */
const COMMIT_BYTES_MAX = 1024 * 1024;
const log = getLogger(["holdfast", "store"]);

/** See the head of the file. */
export class CommitQueue {
  readonly stats: CommitStats = {
    commits: 0,
    failures: 0,
    overtaken: 0,
    records: 0,
    last_commit_wall_ms: undefined,
    last_commit_ms: 0,
    last_error: undefined,
  };
  #options: CommitQueueOptions;
  #dirty = new Set<Ledger>();
  #waitingRecords = 0;
  #heldBytes = 0;
  #committing: Promise<void> | undefined;
  #inCommit = new Set<Ledger>();
  #timer: AbortController | undefined;
  /** When the last commit started, by the monotonic clock. */
  #startedMs = -Infinity;

  constructor(options: CommitQueueOptions) {
    assert(options.recordsMax >= 1, `recordsMax is ${options.recordsMax}, must be 1 or more`);
    assert(options.intervalMs >= 0, `intervalMs is ${options.intervalMs}, must be 0 or more`);
    this.#options = options;
  }

  /** Records that wait for a commit to start. */
  get waitingRecords(): number {
    return this.#waitingRecords;
  }
  /** Memory that all waiting records take, those in a commit included. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** `ledger` took something in: so many records, and so much more memory. */
  added(ledger: Ledger, records: number, bytes: number): void {
    this.#dirty.add(ledger);
    this.#waitingRecords += records;
    this.#heldBytes += bytes;
    if (this.#committing !== undefined) return;
    const isDue = this.#waitingRecords >= this.#options.recordsMax ||
      this.#heldBytes >= COMMIT_BYTES_MAX;
    if (isDue) this.#start();
    else if (this.#timer === undefined) this.#startTimer();
  }

  /** Whether nothing of `ledger` waits for the store. */
  isSettled(ledger: Ledger): boolean {
    return !this.#dirty.has(ledger) && !this.#inCommit.has(ledger);
  }

  /** Resolves when all that `ledger` took in before is durable or rolled back. */
  async settled(ledger: Ledger): Promise<void> {
    while (!this.isSettled(ledger)) await this.nextCommit();
  }

  /** Starts a commit where none runs; resolves when it is over. */
  async nextCommit(): Promise<void> {
    if (this.#committing === undefined && this.#dirty.size > 0) this.#start();
    await this.#committing;
  }

  /** Resolves when nothing waits any more. */
  async flush(): Promise<void> {
    while (this.#dirty.size > 0 || this.#committing !== undefined) await this.nextCommit();
  }

  #startTimer(): void {
    const timer = this.#timer = new AbortController();
    const { clock, intervalMs } = this.#options;
    clock.sleepUntil(this.#startedMs + intervalMs, timer.signal).then(() => {
      if (this.#timer !== timer) return;
      this.#timer = undefined;
      if (this.#committing === undefined && this.#dirty.size > 0) this.#start();
    });
  }

  #start(): void {
    this.#timer?.abort();
    this.#timer = undefined;
    this.#startedMs = this.#options.clock.monotonicMs();
    this.#committing = this.#commit().finally(() => {
      this.#committing = undefined;
      if (this.#dirty.size === 0) return;
      if (this.#waitingRecords >= this.#options.recordsMax) this.#start();
      else this.#startTimer();
    });
  }

  /** Takes ledgers, the first ones first, until a commit is large enough. */
  #gather(): Ledger[] {
    const ledgers: Ledger[] = [];
    let bytes = 0;
    for (const ledger of this.#dirty) {
      if (bytes >= COMMIT_BYTES_MAX) break;
      bytes += ledger.heldBytes;
      this.#waitingRecords -= ledger.waitingRecords;
      ledgers.push(ledger);
      this.#dirty.delete(ledger);
    }
    return ledgers;
  }

  async #commit(): Promise<void> {
    const { store, clock } = this.#options;
    let parts = this.#gather().map((ledger) => ({
      ledger,
      bytes: ledger.heldBytes,
      batch: ledger.beginCommit(),
    }));
    this.#inCommit = new Set(parts.map(({ ledger }) => ledger));
    for (;;) {
      try {
        await store.commit(parts.map(({ batch }) => batch), clock.wallMs());
        break;
      } catch (error) {
        const overtaken = error instanceof Fenced ? new Set(error.overtaken) : undefined;
        const failed = parts.filter(({ batch }) => overtaken?.has(batch) ?? true);
        assert(failed.length > 0, "a refused commit names batches of it");
        this.#failed(failed.map(({ ledger }) => ledger), oneLine(error), overtaken !== undefined);
        // What nobody has overtaken is not harmed by it.
        parts = parts.filter((part) => !failed.includes(part));
        if (parts.length === 0) return;
      }
    }
    this.#inCommit.clear();
    const ledgers = parts.map(({ ledger }) => ledger);
    this.#heldBytes -= parts.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const ledger of ledgers) ledger.committed();
    if (this.stats.last_error !== undefined) log.info("store takes records again");
    this.stats.last_error = undefined;
    this.stats.commits++;
    this.stats.records += parts.reduce((sum, { batch }) => sum + batch.records.length, 0);
    this.stats.last_commit_wall_ms = clock.wallMs();
    this.stats.last_commit_ms = clock.monotonicMs() - this.#startedMs;
    this.#options.onCommitted(ledgers);
  }

  #failed(ledgers: readonly Ledger[], reason: string, isOvertaken: boolean): void {
    // What came in meanwhile builds on what is lost now, so it goes too.
    for (const ledger of ledgers) {
      this.#waitingRecords -= ledger.waitingRecords;
      this.#heldBytes -= ledger.heldBytes;
      ledger.rollBack();
      this.#dirty.delete(ledger);
      this.#inCommit.delete(ledger);
    }
    if (isOvertaken) {
      this.stats.overtaken += ledgers.length;
      log.warn("{reason}: nothing is acked, the sessions of {nodes} end", {
        reason,
        nodes: ledgers.map(({ nodeId }) => nodeId),
      });
    } else {
      if (this.stats.last_error !== reason) log.error("store can't commit: {reason}", { reason });
      this.stats.failures++;
      this.stats.last_error = reason;
    }
    this.#options.onFailed(ledgers, reason, isOvertaken);
  }
}
