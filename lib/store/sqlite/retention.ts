/**
 * Deletes what the limits don't allow, a slice at a time, and gives freed pages back to the file system. A
 * slice ends when its time is over, so that a commit never waits for long; after each commit a slice takes
 * about as long as the commit did, so that deleting keeps up with whatever comes.
 */
import type { Database } from "../../platform/sqlite.ts";
import type { RetentionLimits } from "../store.ts";
import { type Block, blockOf, type Tier, TIERS } from "./block_tables.ts";
import type { RollUp } from "./rollup.ts";

/** Records and blocks that are deleted at once: some milliseconds of work. */
const RECORDS = 1_000;
const BLOCKS = 64;
/** Pages that are given back at once. */
const PAGES = 256;
/** Free pages that are kept for what comes next, as a part of all. */
const SPARE_PART = 0.1;
/** What SQLite's own log takes while records come fast. */
const JOURNAL_BYTES = 10 * 1024 * 1024;

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
    // Beside what is used the directory holds spare pages and SQLite's own log.
    const journal = Math.min(JOURNAL_BYTES, bytesMax / 4);
    return pages * this.#db.pragma("page_size") > (bytesMax - journal) / (1 + SPARE_PART);
  }

  #deleteSome(wallMs: number): boolean {
    const { ageMs } = this.limits;
    const isLarge = this.#isTooLarge;
    if (!isLarge && ageMs === undefined) return false;
    const before = isLarge ? Infinity : wallMs - ageMs!;
    const old = TIERS.flatMap((tier) =>
      this.#db.sql(`SELECT id, received_wall_ms FROM ${tier} ORDER BY id LIMIT ${BLOCKS}`).all()
        .map((row) => ({ tier, id: Number(row.id), receivedMs: Number(row.received_wall_ms) }))
    ).sort((a, b) => a.id - b.id).slice(0, BLOCKS)
      // Written so that a time that is none goes, too.
      .filter(({ receivedMs }) => !(receivedMs >= before));
    if (old.length === 0) return false;
    this.#rollUp.flush();
    this.deletedRecords += this.#db.inTransaction(() => this.#deleteBlocks(old));
    return true;
  }

  /** Deletes the first of the blocks; how many records were in them. */
  #deleteBlocks(blocks: readonly { tier: Tier; id: number }[]): number {
    let records = 0;
    for (const { tier, id } of blocks) {
      const block = blockOf(this.#db.sql(`DELETE FROM ${tier} WHERE id = ? RETURNING *`).get(id)!);
      this.#rollUp.forget(block);
      noteDeleted(this.#db, block);
      records += block.to_seq - block.from_seq + 1;
      if (records >= RECORDS) break;
    }
    return records;
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

/** Keeps on record that retention took those seqs. To be called in the transaction that deletes them. */
export function noteDeleted(
  db: Database,
  { node_id, epoch, from_seq, to_seq }: Pick<Block, "node_id" | "epoch" | "from_seq" | "to_seq">,
): void {
  const { changes } = db.sql(
    "UPDATE deleted SET to_seq = ? WHERE node_id = ? AND epoch = ? AND to_seq = ?",
  ).run(to_seq, node_id, epoch, from_seq - 1);
  if (Number(changes) > 0) return;
  db.sql("INSERT INTO deleted VALUES (?, ?, ?, ?)").run(node_id, epoch, from_seq, to_seq);
}
