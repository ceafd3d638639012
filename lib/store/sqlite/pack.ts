/** Batches as they cross to the store's thread: their records as blocks already. Pure. */
import type { EpochBatch, RecordRow } from "../store.ts";
import { BLOCK_RECORDS_MAX } from "./block.ts";
import { makeBlock, type NewBlock } from "./block_tables.ts";

/** Numbers of a block, about: what it is summed up to is written at once, and commits wait for that. */
const BLOCK_NUMBERS_MAX = 32_768;
/** What a line takes beside its metrics, and what one of those takes at least, about. */
const LINE_BYTES = 300, METRIC_BYTES = 8;

/** What one commit adds to one epoch; see {@linkcode EpochBatch}. */
export interface PackedBatch {
  readonly node_id: string;
  readonly epoch: string;
  readonly high_acked: number;
  readonly max_seq: number;
  /** JSON of the ranges; `null` where they are those of the last batch. */
  readonly ranges: string | null;
  readonly blocks: readonly NewBlock[];
  readonly gaps: readonly { from_seq: number; to_seq: number; reason: string }[];
}

/** A batch with its records as blocks; all came at `atWallMs`. */
export function packBatch(
  { state, rangesChanged, records, gaps }: EpochBatch,
  atWallMs: number,
): PackedBatch {
  return {
    node_id: state.node_id,
    epoch: state.epoch,
    high_acked: state.high_acked,
    max_seq: state.max_seq,
    ranges: rangesChanged ? JSON.stringify(state.ranges) : null,
    blocks: runsOf(records).map((run) => makeBlock(run, () => atWallMs)),
    gaps,
  };
}

/** The buffers that can be handed over with batches, instead of being copied. */
export function buffersOf(batches: readonly PackedBatch[]): ArrayBuffer[] {
  return batches.flatMap(({ blocks }) => blocks.map(({ lines }) => lines.buffer));
}

/**
 * Records as runs, each of one block: those whose seqs follow each other, at most as many as a block takes, and fewer
 * of large ones. Of several with one seq the first counts.
 */
function runsOf(records: readonly RecordRow[]): RecordRow[][] {
  const isAscending = records.every(({ seq }, index) =>
    index === 0 || seq > records[index - 1]!.seq
  );
  const ordered = isAscending ? records : [...records].sort((a, b) => a.seq - b.seq);
  const runs: RecordRow[][] = [];
  let run: RecordRow[] = [], next = -1, numbers = 0;
  for (const record of ordered) {
    if (record.seq === next - 1) continue;
    const more = numbersOf(record);
    const isFull = run.length >= BLOCK_RECORDS_MAX || numbers + more > BLOCK_NUMBERS_MAX;
    if (record.seq !== next || isFull) {
      runs.push(run = []);
      numbers = 0;
    }
    numbers += more;
    run.push(record);
    next = record.seq + 1;
  }
  return runs;
}

/** How many numbers a record has, about. */
function numbersOf(record: RecordRow): number {
  const { source } = record;
  if (source !== undefined) return source.columns.columns.length;
  return Math.max(1, Math.ceil((record.payload.length - LINE_BYTES) / METRIC_BYTES));
}
