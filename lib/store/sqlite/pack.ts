/** Batches in columns: so they cross to the store's thread with few copies. Pure. */
import type { EpochBatch } from "../store.ts";
import type { PackedBatch } from "./engine.ts";

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
