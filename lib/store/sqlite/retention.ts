/**
 * Deletes what the limits don't allow, a slice at a time, and gives freed pages back to the file system. A
 * slice ends when its time is over, so that a commit never waits for long; after each commit a slice takes
 * about as long as the commit did, so that deleting keeps up with whatever comes.
 */
import type { Database } from "../../platform/sqlite.ts";
import type { RetentionLimits } from "../store.ts";
import type { DeletedRecord, RollUp } from "./rollup.ts";

/** Rows that are deleted at once: some milliseconds of work. */
const ROWS = 1_000;
/** Pages that are given back at once. */
const PAGES = 256;
/** Free pages that are kept for what comes next, as a part of all. */
const SPARE_PART = 0.1;

/** See the head of the file. */
export class Retention {
  limits: RetentionLimits = {};
  /** Records deleted since the start. */
  deletedRecords = 0;
  #db: Database;
  #rollUp: RollUp;
  #nowMs: () => number;

  /** `nowMs` reads a monotonic clock. */
  constructor(db: Database, rollUp: RollUp, nowMs: () => number) {
    this.#db = db;
    this.#rollUp = rollUp;
    this.#nowMs = nowMs;
  }

  /** Deletes for at most about `budgetMs`; whether there is more to do. Throws what the disk throws. */
  slice(wallMs: number, budgetMs: number): boolean {
    const endMs = this.#nowMs() + budgetMs;
    for (;;) {
      const more = this.#deleteSome(wallMs) || this.#giveBackSome();
      if (!more) return false;
      if (this.#nowMs() >= endMs) return true;
    }
  }

  get #isTooLarge(): boolean {
    const { bytesMax } = this.limits;
    if (bytesMax === undefined) return false;
    const pages = this.#db.pragma("page_count") - this.#db.pragma("freelist_count");
    return pages * this.#db.pragma("page_size") > bytesMax;
  }

  #deleteSome(wallMs: number): boolean {
    const { ageMs } = this.limits;
    const isLarge = this.#isTooLarge;
    if (!isLarge && ageMs === undefined) return false;
    const before = isLarge ? Infinity : wallMs - ageMs!;
    const oldest = this.#db.sql("SELECT received_wall_ms FROM records ORDER BY rowid LIMIT 1")
      .get();
    if (oldest === undefined || !(Number(oldest.received_wall_ms) < before)) return false;
    this.#rollUp.flush();
    const { count, isEmpty } = this.#db.inTransaction(() => {
      const deleted = this.#db.sql(
        "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY rowid LIMIT ?) " +
          "AND received_wall_ms < ? RETURNING rowid, node_id, epoch, ts_wall_ms, is_anomaly",
      ).all(ROWS, Math.min(before, Number.MAX_VALUE)) as unknown as DeletedRecord[];
      const isEmpty = this.#db.sql("SELECT 1 FROM records LIMIT 1").get() === undefined;
      this.#rollUp.forget(deleted, isEmpty);
      return { count: deleted.length, isEmpty };
    });
    if (isEmpty) this.#rollUp.restart();
    this.deletedRecords += count;
    return count > 0;
  }

  /** Gives pages back while more are free than the next records need. */
  #giveBackSome(): boolean {
    const free = this.#db.pragma("freelist_count");
    if (free <= SPARE_PART * this.#db.pragma("page_count") + PAGES) return false;
    this.#db.exec(`PRAGMA incremental_vacuum(${PAGES})`);
    // A database of an older program can't be shortened: its pages are used again.
    return this.#db.pragma("freelist_count") < free;
  }
}
