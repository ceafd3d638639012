/** Batches in columns: so they cross to the store's thread with few copies. Pure. */
import type { EpochBatch } from "../store.ts";
import { BLOCK_RECORDS_MAX, type BlockColumns } from "./block.ts";

/** Records of one epoch in columns, as that crosses to a thread with few copies. */
export interface PackedBatch {
  readonly node_id: string;
  readonly epoch: string;
  readonly high_acked: number;
  readonly max_seq: number;
  /** JSON of the ranges; `null` where they are those of the last batch. */
  readonly ranges: string | null;
  readonly seqs: Float64Array<ArrayBuffer>;
  readonly wallMs: Float64Array<ArrayBuffer>;
  readonly monoMs: Float64Array<ArrayBuffer>;
  /** Score of each record; -1 where it is no anomaly. */
  readonly scores: Float64Array<ArrayBuffer>;
  /** All payloads in one text, and where each ends. */
  readonly payloads: string;
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly gaps: readonly { from_seq: number; to_seq: number; reason: string }[];
}

/** The columns of a batch. */
export function packBatch({ state, rangesChanged, records, gaps }: EpochBatch): PackedBatch {
  const count = records.length;
  const seqs = new Float64Array(count);
  const wallMs = new Float64Array(count);
  const monoMs = new Float64Array(count);
  const scores = new Float64Array(count);
  const ends = new Uint32Array(count);
  const texts = new Array<string>(count);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const record = records[i]!;
    seqs[i] = record.seq;
    wallMs[i] = record.ts_wall_ms;
    monoMs[i] = record.ts_mono_ms;
    scores[i] = record.is_anomaly ? Math.max(0, record.score) : -1;
    texts[i] = record.payload;
    ends[i] = end += record.payload.length;
  }
  return {
    node_id: state.node_id,
    epoch: state.epoch,
    high_acked: state.high_acked,
    max_seq: state.max_seq,
    ranges: rangesChanged ? JSON.stringify(state.ranges) : null,
    seqs,
    wallMs,
    monoMs,
    scores,
    payloads: texts.join(""),
    ends,
    gaps,
  };
}

/**
 * The records of a batch as runs, each of one block: those whose seqs follow each other, at most as many as a block
 * takes. Of several with one seq the first counts.
 */
export function runsOf(batch: PackedBatch, receivedWallMs: number): BlockColumns[] {
  const { seqs, wallMs, monoMs, scores, payloads, ends } = batch;
  const order = Array.from(seqs, (_, index) => index);
  if (seqs.some((seq, index) => index > 0 && seq <= seqs[index - 1]!)) {
    order.sort((a, b) => seqs[a]! - seqs[b]!);
  }
  const runs: Run[] = [];
  for (const index of order) {
    let run = runs.at(-1);
    const next = run === undefined ? undefined : run.fromSeq + run.payloads.length;
    const seq = seqs[index]!;
    if (next !== undefined && seq < next) continue;
    if (run === undefined || seq !== next || run.payloads.length >= BLOCK_RECORDS_MAX) {
      run = { fromSeq: seq, received: [], wallMs: [], monoMs: [], scores: [], payloads: [] };
      runs.push(run);
    }
    run.received.push(receivedWallMs);
    run.wallMs.push(wallMs[index]!);
    run.monoMs.push(monoMs[index]!);
    run.scores.push(scores[index]!);
    run.payloads.push(payloads.slice(index === 0 ? 0 : ends[index - 1]!, ends[index]!));
  }
  return runs;
}

/** {@linkcode BlockColumns} that grow. */
type Run = Record<Exclude<keyof BlockColumns, "fromSeq" | "payloads">, number[]> & {
  readonly fromSeq: number;
  readonly payloads: string[];
};

/** The part of a run with the seqs of a range. */
export function partOf(
  run: BlockColumns,
  [from, to]: readonly [number, number],
): BlockColumns {
  const of = <T>(column: readonly T[]) => column.slice(from - run.fromSeq, to - run.fromSeq + 1);
  return {
    fromSeq: from,
    received: of(run.received),
    wallMs: of(run.wallMs),
    monoMs: of(run.monoMs),
    scores: of(run.scores),
    payloads: of(run.payloads),
  };
}
