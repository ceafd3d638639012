/** What a node says, as tests say it in its place. */

export const EPOCH = "9f2c4e11a0b3d5c7";

/** By the device's clocks, for {@linkcode hello} and {@linkcode telemetry}. */
interface Moment {
  readonly ts_wall_ms: number;
  readonly ts_mono_ms: number;
}

/** A hello of a node that begins; `more` wins over what stands here. */
export function hello(
  node_id: string,
  { ts_wall_ms, ts_mono_ms }: Moment,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    type: "hello",
    proto: [1],
    node_id,
    epoch: EPOCH,
    boot_id: "b",
    version: "1",
    first_seq: 1,
    next_seq: 1,
    cfg_version: 0,
    encodings: ["ndjson"],
    ts_wall_ms,
    ts_mono_ms,
    ...more,
  };
}

/** A quiet record of the boot of {@linkcode hello}; `more` wins over what stands here. */
export function telemetry(
  node_id: string,
  seq: number,
  { ts_wall_ms, ts_mono_ms }: Moment,
  metrics: Readonly<Record<string, number>>,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    type: "telemetry",
    node_id,
    epoch: EPOCH,
    seq,
    ts_wall_ms,
    ts_mono_ms,
    boot_id: "b",
    metrics,
    anomaly: { is_anomaly: false, score: 0, metrics: {} },
    diagnostics: {},
    degraded: false,
    cfg_version: 0,
    ...more,
  };
}
