/**
 * The SQLite store as plain functions of a database: what the store's threads call, and the simulator, too.
 * Writing and summing up belong to one engine; another one may read beside it.
 */
import { Database, isConstraint } from "../../platform/sqlite.ts";
import type { ConfigRow, EpochState, EventRow, RetentionLimits, StoreState } from "../store.ts";
import { insertBlock, missingRanges, partOf, sizeOf, TIERS } from "./block_tables.ts";
import type { PackedBatch } from "./pack.ts";
import { readEpoch, readState } from "./queries.ts";
import { Retention } from "./retention.ts";
import { RollUp } from "./rollup.ts";
import { MIGRATIONS } from "./schema.ts";
import { Sealing } from "./sealing.ts";

const EVENTS_MAX = 100_000;
/** Records that are summed up at once: commits wait that long at most, some milliseconds. */
const ROLLUP_ROWS = 1_000;
/** What was summed up is written that often at least. */
const ROLLUP_FLUSH_MS = 15_000;

/** Opens the database for an engine or, with `readOnly`, beside one. Throws as {@linkcode Database}. */
export function openDatabase(path: string, readOnly = false): Database {
  return new Database(path, { migrations: MIGRATIONS, readOnly });
}

/** See the head of the file. */
export class SqliteEngine {
  readonly rollUp: RollUp;
  readonly retention: Retention;
  #db: Database;
  #nowMs: () => number;
  #flushedMs: number;
  #sealing: Sealing;
  /** No block ever had it: also of one that was deleted, the number is not given out again. */
  #nextId: number;
  /** Stored records, without what retention deleted. */
  #records = 0;

  /** `nowMs` reads a monotonic clock. */
  constructor(db: Database, nowMs: () => number) {
    this.#db = db;
    this.#nowMs = nowMs;
    this.#flushedMs = nowMs();
    this.rollUp = new RollUp(db);
    this.retention = new Retention(db, this.rollUp, nowMs);
    this.#sealing = new Sealing(db);
    let last = this.rollUp.writtenUntil;
    for (const tier of TIERS) {
      const { records, lastId } = sizeOf(db, tier);
      last = Math.max(last, lastId);
      this.#records += records;
    }
    this.#nextId = last + 1;
  }

  /** Records that are stored. */
  get records(): number {
    return this.#records - this.retention.deletedRecords;
  }

  /** Names the host where it has no name yet; what there is. */
  open(hostId: string): StoreState {
    this.#db.sql("INSERT INTO host VALUES ('host_id', ?) ON CONFLICT DO NOTHING").run(hostId);
    return readState(this.#db);
  }

  epoch(nodeId: string, epoch: string): EpochState | undefined {
    return readEpoch(this.#db, nodeId, epoch);
  }

  epochCount(nodeId: string): number {
    const row = this.#db.sql("SELECT COUNT(*) AS n FROM epochs WHERE node_id = ?").get(nodeId);
    return Number(row!.n);
  }

  forgetEmptyEpochs(nodeId: string): number {
    this.#db.inTransaction(() => {
      const empty = this.#db.sql(
        "DELETE FROM epochs WHERE node_id = ? AND NOT EXISTS (SELECT 1 FROM recent r " +
          "WHERE r.node_id = epochs.node_id AND r.epoch = epochs.epoch) AND NOT EXISTS (SELECT 1 FROM sealed s " +
          "WHERE s.node_id = epochs.node_id AND s.epoch = epochs.epoch) AND last_wall_ms < " +
          "(SELECT MAX(last_wall_ms) FROM epochs WHERE node_id = ?) RETURNING epoch",
      ).all(nodeId, nodeId);
      for (const { epoch } of empty) {
        for (const table of ["gaps", "deleted"]) {
          this.#db.sql(`DELETE FROM ${table} WHERE node_id = ? AND epoch = ?`)
            .run(nodeId, String(epoch));
        }
      }
    });
    return this.epochCount(nodeId);
  }

  commit(batches: readonly PackedBatch[], atWallMs: number): void {
    const gap = this.#db.sql(
      "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    const epoch = this.#db.sql(
      "INSERT INTO epochs VALUES (?, ?, ?, ?, coalesce(?, '[]'), ?, ?) ON CONFLICT DO UPDATE SET " +
        "high_acked = excluded.high_acked, max_seq = excluded.max_seq, " +
        "ranges = coalesce(?, ranges), last_wall_ms = excluded.last_wall_ms",
    );
    const stored = this.#db.inTransaction(() =>
      batches.map((b) => {
        const records = this.#storeRecords(b);
        for (const { from_seq, to_seq, reason } of b.gaps) {
          gap.run(b.node_id, b.epoch, from_seq, to_seq, reason, atWallMs);
        }
        const { ranges } = b;
        epoch.run(b.node_id, b.epoch, b.high_acked, b.max_seq, ranges, atWallMs, atWallMs, ranges);
        return records;
      })
    );
    batches.forEach(({ node_id, epoch }, index) => {
      this.#records += stored[index]!;
      this.#sealing.added(node_id, epoch, stored[index]!, atWallMs);
    });
  }

  /** How many of a batch's records were not there already. */
  #storeRecords(batch: PackedBatch): number {
    const { node_id, epoch } = batch;
    let stored = 0;
    for (const block of batch.blocks) {
      const { from_seq: from, to_seq: to } = block;
      for (const range of missingRanges(this.#db, { node_id, epoch, from, to })) {
        const part = range[0] === from && range[1] === to ? block : partOf(block, range);
        insertBlock(this.#db, "recent", { ...part, id: this.#nextId++, node_id, epoch });
        stored += part.to_seq - part.from_seq + 1;
      }
    }
    return stored;
  }

  putNodes(nodes: ReadonlyMap<string, unknown>): void {
    const put = this.#db.sql(
      "INSERT INTO nodes VALUES (?, ?) ON CONFLICT DO UPDATE SET known = excluded.known",
    );
    this.#db.inTransaction(() => {
      for (const [nodeId, known] of nodes) put.run(nodeId, JSON.stringify(known));
    });
  }

  /** Forgets some of a node; true while there is more. The caller goes on until it is false. */
  forgetNode(nodeId: string, records: boolean): boolean {
    if (!records) {
      // Its epochs stay: that it is forgotten must be on record, or they would make it known again.
      this.putNodes(new Map([[nodeId, null]]));
      return false;
    }
    this.#db.sql("DELETE FROM nodes WHERE node_id = ?").run(nodeId);
    this.rollUp.flush();
    for (const tier of TIERS) {
      const deleted = this.#db.sql(
        `DELETE FROM ${tier} WHERE id IN (SELECT id FROM ${tier} INDEXED BY ${tier}_by_seq ` +
          "WHERE node_id = ? LIMIT 100) RETURNING from_seq, to_seq",
      ).all(nodeId);
      for (const { from_seq, to_seq } of deleted) {
        this.#records -= Number(to_seq) - Number(from_seq) + 1;
      }
      if (deleted.length > 0) return true;
    }
    this.#db.inTransaction(() => {
      for (const table of ["epochs", "gaps", "deleted", "spans", "events"]) {
        this.#db.sql(`DELETE FROM ${table} WHERE node_id = ?`).run(nodeId);
      }
      for (const table of ["rollup_fine", "rollup_coarse"]) {
        this.#db.sql(
          `DELETE FROM ${table} WHERE series IN (SELECT id FROM series WHERE node_id = ?)`,
        ).run(nodeId);
      }
      this.#db.sql("DELETE FROM series WHERE node_id = ?").run(nodeId);
    });
    this.rollUp.forgetNode(nodeId);
    return false;
  }

  putConfig(config: ConfigRow): void {
    this.#db.sql(
      "INSERT INTO configs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET cfg_version = excluded.cfg_version, config = excluded.config, at_wall_ms = excluded.at_wall_ms",
    ).run(config.target, config.cfg_version, JSON.stringify(config.config), config.at_wall_ms);
  }

  /** How many of the events break a rule of the table and were left out. */
  addEvents(events: readonly EventRow[]): number {
    const add = this.#db.sql(
      "INSERT INTO events (at_wall_ms, node_id, kind, detail) VALUES (?, ?, ?, ?)",
    );
    let refused = 0;
    this.#db.inTransaction(() => {
      for (const { at_wall_ms, node_id, kind, detail } of events) {
        try {
          add.run(at_wall_ms, node_id, kind, JSON.stringify(detail));
        } catch (error) {
          if (
            !isConstraint(error) && !(error instanceof TypeError || error instanceof RangeError)
          ) {
            throw error;
          }
          refused++;
        }
      }
      const { last } = this.#db.sql("SELECT MAX(id) AS last FROM events").get()!;
      this.#db.sql("DELETE FROM events WHERE id <= ?").run(Number(last ?? 0) - EVENTS_MAX);
    });
    return refused;
  }

  /** Sums up some more records for charts; false once all are, and that is on disk. */
  sumUp(): boolean {
    if (this.rollUp.read(ROLLUP_ROWS)) return true;
    this.rollUp.flush();
    return false;
  }

  /** As {@linkcode sumUp}, in the background: what was summed up is written now and then. */
  sumUpSome(): boolean {
    const more = this.rollUp.read(ROLLUP_ROWS);
    if (this.#nowMs() - this.#flushedMs > ROLLUP_FLUSH_MS) {
      this.rollUp.flush();
      this.#flushedMs = this.#nowMs();
    }
    return more;
  }

  /** Seals blocks for about `budgetMs`; whether there may be more. Throws what the disk throws. */
  sealSome(wallMs: number, budgetMs: number): boolean {
    const endMs = this.#nowMs() + budgetMs;
    return this.#sealing.sealSome(
      this.rollUp.writtenUntil,
      wallMs,
      () => this.#nowMs() >= endMs,
    );
  }

  keepWithin(limits: RetentionLimits): void {
    this.retention.limits = limits;
    this.#sealing.keepApart(limits.ageMs ?? Infinity);
  }

  close(): void {
    this.rollUp.flush();
    this.#db.exec("PRAGMA optimize");
    this.#db.close();
  }
}
