/**
 * Keeps rollups and spans behind the records. They are derived and late on purpose: commits don't wait for
 * them. What was read since the last flush is kept in memory; a flush writes it together with how far the
 * blocks were read, so that each record counts once, whatever ends in between.
 */
import { type Database, isConstraint } from "../../platform/sqlite.ts";
import { valueAt } from "../../codec/column.ts";
import { type BlockRow, STORED } from "./block.ts";
import { type Block, blocksInOrder, ID_MAX } from "./block_tables.ts";
import { addTo, bucketOf, ROLLUP_MS, samplesOf, SERIES_PER_NODE_MAX, type Sum } from "../series.ts";
import { runsOf, type SampledRows, type SampledRun, Samplings, sumOf } from "./sampled.ts";

/** Sums in memory before they are written. */
const SUMS_MAX = 20_000;
/** Nodes of which the ids of series are kept in memory. */
const SERIES_NODES_MAX = 2_000;

/** The largest number, in SQL. */
const MOST = "1.7976931348623157e308";

interface Span {
  readonly nodeId: string;
  readonly bucket: number;
  readonly epoch: string;
  from: number;
  to: number;
  records: number;
  anomalies: number;
}

/** Number of the last block that is in the rollups and spans on the disk; 0 where the database doesn't say. */
export function summedUpThrough(db: Database): number {
  const id = Number(db.sql("SELECT value FROM host WHERE key = 'rolled_up'").get()?.value);
  return Number.isSafeInteger(id) ? Math.max(0, Math.min(id, ID_MAX)) : 0;
}

/** See the head of the file. */
export class RollUp {
  #db: Database;
  /** By node: ids of its metrics. */
  #series = new Map<string, Map<string, number>>();
  /** By series id and start, in both widths. */
  #sums = { fine: new Map<string, Sum>(), coarse: new Map<string, Sum>() };
  #spans = new Map<string, Span>();
  #samplings = new Samplings();
  /** Number of the last block that was read, and of the one that is written. */
  #readUntil: number;
  #writtenUntil: number;
  /** Records and sums that could not be taken in, since the start. */
  skippedRecords = 0;

  constructor(db: Database) {
    this.#db = db;
    this.#writtenUntil = this.#readUntil = summedUpThrough(db);
  }

  /** Blocks up to that number are in the rollups and spans on the disk. */
  get writtenUntil(): number {
    return this.#writtenUntil;
  }

  /**
   * Reads at least `count` further records, if there are that many, and fewer where their sums are many: commits wait
   * until those are written. Returns whether there may be more.
   */
  read(count: number): boolean {
    let left = count;
    // One transaction for the ids of all metrics that are new.
    this.#orAnew(() =>
      this.#db.inTransaction(() => {
        for (const block of blocksInOrder(this.#db, "recent", this.#readUntil)) {
          const records = block.to_seq - block.from_seq + 1;
          const runs = runsOf(block, this.#samplings);
          if (runs === undefined) this.skippedRecords += records;
          else for (const run of runs) this.#addRun(block, run);
          this.#readUntil = block.id;
          left -= runs === undefined ? 1 : records;
          if (left <= 0 || this.#isFull) break;
        }
      })
    );
    const more = left <= 0 || this.#isFull;
    if (this.#isFull) this.flush();
    return more;
  }

  /** Whether there are as many sums as are written at once. */
  get #isFull(): boolean {
    const { fine, coarse } = this.#sums;
    return fine.size + coarse.size + this.#spans.size > SUMS_MAX;
  }

  /** Writes what was read. */
  flush(): void {
    if (this.#readUntil === this.#writtenUntil) return;
    this.#orAnew(() =>
      this.#db.inTransaction(() => {
        this.#writeSums("rollup_fine", this.#sums.fine);
        this.#writeSums("rollup_coarse", this.#sums.coarse);
        this.#writeSpans();
        this.#writeMark(this.#readUntil);
      })
    );
    this.#writtenUntil = this.#readUntil;
    this.#drop();
  }

  /** All of a node was deleted, after a flush. */
  forgetNode(nodeId: string): void {
    this.#series.delete(nodeId);
  }

  /** Does `work`; where that fails, what was read is read again another time. */
  #orAnew(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#readUntil = this.#writtenUntil;
      this.#series.clear();
      this.#drop();
      throw error;
    }
  }

  #drop(): void {
    this.#sums.fine.clear();
    this.#sums.coarse.clear();
    this.#spans.clear();
  }

  /**
   * Forgets what was summed up only from records of a block that is deleted. To be called in the transaction that
   * deletes it, after a flush.
   */
  forget(block: Block): void {
    if (block.id > this.#writtenUntil) return;
    const { node_id: nodeId, epoch } = block;
    const gone = new Map<number, { records: number; anomalies: number }>();
    const forget = (bucket: number | undefined, records: number, anomalies: number) => {
      if (bucket === undefined) return;
      const known = gone.get(bucket) ?? { records: 0, anomalies: 0 };
      known.records += records;
      known.anomalies += anomalies;
      gone.set(bucket, known);
    };
    for (const { rows } of runsOf(block, this.#samplings) ?? []) {
      if ("sampling" in rows) {
        for (const { bucket, from, to, anomalies } of stretchesOf(rows)) {
          forget(bucket, to - from, anomalies);
        }
      } else {
        for (const { ts_wall_ms, is_anomaly } of rows) {
          forget(bucketOf(ts_wall_ms), 1, Number(is_anomaly));
        }
      }
    }
    const left = this.#db.sql(
      "UPDATE spans SET records = records - ?, anomalies = anomalies - ? WHERE node_id = ? AND bucket = ? AND epoch = ? RETURNING records",
    );
    for (const [bucket, { records, anomalies }] of gone) {
      const span = left.get(records, anomalies, nodeId, bucket, epoch);
      if (span === undefined || Number(span.records) > 0) continue;
      this.#db.sql("DELETE FROM spans WHERE node_id = ? AND bucket = ? AND epoch = ?")
        .run(nodeId, bucket, epoch);
      this.#forgetSums("rollup_fine", nodeId, bucket, ROLLUP_MS.fine);
      const coarse = Math.floor(bucket / ROLLUP_MS.coarse) * ROLLUP_MS.coarse;
      this.#forgetSums("rollup_coarse", nodeId, coarse, ROLLUP_MS.coarse);
    }
  }

  /** Deletes a column once none of the records in it is left. */
  #forgetSums(table: string, nodeId: string, bucket: number, width: number): void {
    const other = this.#db.sql(
      "SELECT 1 FROM spans WHERE node_id = ? AND bucket >= ? AND bucket < ? LIMIT 1",
    ).get(nodeId, bucket, bucket + width);
    if (other !== undefined) return;
    this.#db.sql(
      `DELETE FROM ${table} WHERE bucket = ? AND series IN (SELECT id FROM series WHERE node_id = ?)`,
    ).run(bucket, nodeId);
  }

  #addRun(block: Block, { seq, rows }: SampledRun): void {
    if ("sampling" in rows) this.#addColumns(block, rows, seq);
    else for (const row of rows) this.#add(block, row);
  }

  /** Adds records in columns, of which the first has this seq. */
  #addColumns(block: Block, rows: SampledRows, seq: number): void {
    const { node_id: nodeId, epoch } = block;
    const { sampling, columns } = rows;
    for (const { bucket, from, to, anomalies } of stretchesOf(rows)) {
      if (bucket === undefined) continue;
      const first = seq + from - rows.from;
      this.#addSpan(nodeId, bucket, epoch, first, first + to - from - 1, anomalies);
      const coarse = Math.floor(bucket / ROLLUP_MS.coarse) * ROLLUP_MS.coarse;
      for (const sampled of sampling.metrics) {
        const series = this.#seriesId(nodeId, sampled.metric);
        if (series === undefined) continue;
        const sum = sumOf(sampled, columns, from, to);
        addTo(this.#sums.fine, `${series} ${bucket}`, sum);
        addTo(this.#sums.coarse, `${series} ${coarse}`, sum);
      }
    }
  }

  #addSpan(
    nodeId: string,
    bucket: number,
    epoch: string,
    from: number,
    to: number,
    anomalies: number,
  ): void {
    const key = `${nodeId} ${bucket} ${epoch}`;
    const records = to - from + 1;
    const span = this.#spans.get(key);
    if (span === undefined) {
      this.#spans.set(key, { nodeId, bucket, epoch, from, to, records, anomalies });
      return;
    }
    span.from = Math.min(span.from, from);
    span.to = Math.max(span.to, to);
    span.records += records;
    span.anomalies += anomalies;
  }

  #add({ node_id: nodeId, epoch }: Block, record: BlockRow): void {
    const { seq, ts_wall_ms: wallMs, is_anomaly: isAnomaly, payload } = record;
    const bucket = bucketOf(wallMs);
    if (bucket === undefined) return;
    this.#addSpan(nodeId, bucket, epoch, seq, seq, isAnomaly ? 1 : 0);
    const coarse = Math.floor(wallMs / ROLLUP_MS.coarse) * ROLLUP_MS.coarse;
    const samples = samplesOf(payload);
    if (samples === undefined) {
      this.skippedRecords++;
      return;
    }
    for (const sample of samples) {
      const series = this.#seriesId(nodeId, sample.metric);
      if (series === undefined) continue;
      addTo(this.#sums.fine, `${series} ${bucket}`, sample);
      addTo(this.#sums.coarse, `${series} ${coarse}`, sample);
    }
  }

  /** The id of a metric; `undefined` where the node has too many already. */
  #seriesId(nodeId: string, metric: string): number | undefined {
    let ids = this.#series.get(nodeId);
    if (ids === undefined) {
      if (this.#series.size >= SERIES_NODES_MAX) this.#series.clear();
      const rows = this.#db.sql("SELECT id, metric FROM series WHERE node_id = ?").all(nodeId);
      ids = new Map(rows.map((row) => [String(row.metric), Number(row.id)]));
      this.#series.set(nodeId, ids);
    }
    const known = ids.get(metric);
    if (known !== undefined || ids.size >= SERIES_PER_NODE_MAX) return known;
    const { lastInsertRowid } = this.#db.sql("INSERT INTO series (node_id, metric) VALUES (?, ?)")
      .run(nodeId, metric);
    ids.set(metric, Number(lastInsertRowid));
    return Number(lastInsertRowid);
  }

  #writeSums(table: string, sums: ReadonlyMap<string, Sum>): void {
    const put = this.#db.sql(
      `INSERT INTO ${table} VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n, ` +
        `sum = max(-${MOST}, min(${MOST}, sum + excluded.sum)), ` +
        "min = min(min, excluded.min), max = max(max, excluded.max), " +
        "anomalies = anomalies + excluded.anomalies",
    );
    for (const [key, { n, sum, min, max, anomalies }] of sums) {
      const [series, bucket] = key.split(" ");
      try {
        put.run(Number(series), Number(bucket), n, sum, min, max, anomalies);
      } catch (error) {
        // A column that can't hold more is left as it is: it must not stop the others for ever.
        if (!isConstraint(error)) throw error;
        this.skippedRecords++;
      }
    }
  }

  #writeSpans(): void {
    const put = this.#db.sql(
      "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET " +
        "from_seq = min(from_seq, excluded.from_seq), to_seq = max(to_seq, excluded.to_seq), " +
        "records = records + excluded.records, anomalies = anomalies + excluded.anomalies",
    );
    for (const { nodeId, bucket, epoch, from, to, records, anomalies } of this.#spans.values()) {
      put.run(nodeId, bucket, epoch, from, to, records, anomalies);
    }
  }

  #writeMark(id: number): void {
    this.#db.sql("UPDATE host SET value = ? WHERE key = 'rolled_up'").run(String(id));
  }
}

/** Rows that follow each other and lie in one bucket, or in none. */
interface Stretch {
  readonly bucket: number | undefined;
  readonly from: number;
  readonly to: number;
  readonly anomalies: number;
}

function* stretchesOf({ columns, from: start, to: end }: SampledRows): Generator<Stretch> {
  const wall = columns[STORED.wall]!, score = columns[STORED.score]!;
  for (let from = start; from < end;) {
    const bucket = bucketOf(valueAt(wall, from));
    let to = from, anomalies = 0;
    do {
      if (valueAt(score, to) >= 0) anomalies++;
      to++;
    } while (to < end && bucketOf(valueAt(wall, to)) === bucket);
    yield { bucket, from, to, anomalies };
    from = to;
  }
}
