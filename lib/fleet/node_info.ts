/**
 * What the host knows of a node: one schema gives the type, what the store remembers, the API's answer and
 * its documentation. Times by the host's clock unless the name says otherwise.
 */
import Type from "typebox";
import { Compile } from "typebox/compile";
import { Clean } from "typebox/value";

const text = Type.String();
const number = Type.Number();
const whole = Type.Integer({ minimum: 0 });
const yes = Type.Boolean();
const some = Type.Optional;

/** Records that a node declared as lost, lately. */
const LostLately = Type.Object({
  records: whole,
  since_wall_ms: number,
  last_wall_ms: number,
  reasons: Type.Array(text, { maxItems: 16 }),
});

const info = {
  node_id: text,
  connected: yes,
  peer: text,
  epoch: text,
  boot_id: text,
  version: text,
  encoding: text,
  first_seen_wall_ms: number,
  last_seen_wall_ms: number,
  /** When the present or last session began. */
  connected_wall_ms: number,
  high_acked: whole,
  next_seq: whole,
  /** Records that the node has and the host has not, as far as the host knows. */
  backlog: whole,
  replaying: yes,
  degraded: yes,
  /** The node said that it stops, and did. */
  stopped: yes,
  wal_bytes: number,
  wal_bytes_max: number,
  missed_ticks: whole,
  cfg_version_desired: whole,
  cfg_version_applied: whole,
  /** Since when another configuration is wanted than applied. */
  config_pending_since_wall_ms: some(number),
  config_error: some(text),
  config_error_since_wall_ms: some(number),
  degraded_since_wall_ms: some(number),
  wal_full_since_wall_ms: some(number),
  clock_off_since_wall_ms: some(number),
  /** Host's wall clock minus the node's monotonic clock, in `boot_id`. */
  clock_offset_ms: some(number),
  /** How far that may be off, beside the travel time of a message. */
  clock_offset_error_ms: some(number),
  records: whole,
  duplicates: whole,
  /** Records that the node declared as lost, ever. */
  gap_records: whole,
  /** Of those, the ones of the last day. */
  lost_lately: some(LostLately),
  anomalies: whole,
  /** Records that tell of a jump of the device's wall clock. */
  clock_jumps: some(whole),
  /** Anomaly events that opened, in all. */
  anomaly_events: some(whole),
  /** Records a second over the last seconds. */
  rate: number,
  /** Times that a newer connection of the same id took over in the last minutes. */
  takeovers: whole,
  duplicate_id: yes,
  duplicate_since_wall_ms: some(number),
};

/** See the head of the file. */
export const NodeInfo = Type.Object(info, { title: "NodeInfo" });
/** See {@linkcode NodeInfo}; only the host's registry changes one. */
export type NodeInfo = Type.Static<typeof NodeInfo>;

/** What the host saw of a node lately, beside what it remembers. */
const activity = {
  /** Newest values by metric, the first sixteen. */
  last: Type.Record(text, number),
  /** Age of the newest sample that is here; absent where the clocks can't be compared. */
  lag_ms: some(number),
  /** Device's wall clock minus the host's; absent where it isn't known. */
  clock_error_ms: some(number),
  /** Anomaly events that opened within the last hour, as far as this host process saw. */
  anomalies_hour: whole,
};
const NodeActivity = Type.Object(activity);
/** See {@linkcode NodeSummary}. */
export type NodeActivity = Type.Static<typeof NodeActivity>;

/** The states that a node can be in; see `states.ts`. */
export const NodeStateName = Type.Union([
  Type.Literal("duplicate"),
  Type.Literal("silent"),
  Type.Literal("reconnecting"),
  Type.Literal("degraded"),
  Type.Literal("replaying"),
  Type.Literal("stopped"),
  Type.Literal("live"),
]);
/** See {@linkcode NodeStateName}. */
export type NodeStateName = Type.Static<typeof NodeStateName>;

/** What somebody should look at. */
export const Concern = Type.Object({
  /** A name of `CONCERNS`. */
  kind: text,
  severity: Type.Union([Type.Literal("bad"), Type.Literal("warn")]),
  /** Without ages, so that it only changes when the matter does. */
  text,
  /** Since when; absent where that isn't known. */
  since_wall_ms: some(number),
  /** Makes concerns of one kind comparable; larger is worse. */
  weight: number,
}, { title: "Concern" });
/** See the schema. */
export type Concern = Type.Static<typeof Concern>;

/** A node as API, pages, terminal and metrics show it, verdict included. */
export const NodeSummary = Type.Object({
  ...info,
  ...activity,
  state: NodeStateName,
  concerns: Type.Array(Concern),
  /** Whether its data is safe, in a sentence; ages are left to who shows it. */
  verdict: Type.Object({ text, tone: text }),
}, { title: "Node" });
/** See the schema. */
export type NodeSummary = Type.Static<typeof NodeSummary>;

/** A node of which nothing is known but its name, first heard of at `nowWallMs`. */
export function newNodeInfo(nodeId: string, nowWallMs: number): NodeInfo {
  return {
    node_id: nodeId,
    connected: false,
    peer: "",
    epoch: "",
    boot_id: "",
    version: "",
    encoding: "",
    first_seen_wall_ms: nowWallMs,
    last_seen_wall_ms: nowWallMs,
    connected_wall_ms: nowWallMs,
    high_acked: 0,
    next_seq: 1,
    backlog: 0,
    replaying: false,
    degraded: false,
    stopped: false,
    wal_bytes: 0,
    wal_bytes_max: 0,
    missed_ticks: 0,
    cfg_version_desired: 0,
    cfg_version_applied: 0,
    records: 0,
    duplicates: 0,
    gap_records: 0,
    anomalies: 0,
    rate: 0,
    takeovers: 0,
    duplicate_id: false,
  };
}

const isInfo = Compile(NodeInfo);

/**
 * What was remembered of a node, from a disk that may say anything; fields that make no sense are as if
 * nothing were known. `nowWallMs` stands for times that are missing.
 */
export function restoreNodeInfo(nodeId: string, known: unknown, nowWallMs: number): NodeInfo {
  const fresh = newNodeInfo(nodeId, nowWallMs);
  const gone = { connected: false, replaying: false, rate: 0 };
  if (typeof known !== "object" || known === null || Array.isArray(known)) return fresh;
  const whole = { ...fresh, ...known, node_id: nodeId, ...gone };
  if (isInfo.Check(whole)) return Clean(NodeInfo, whole) as NodeInfo;
  const info: Record<string, unknown> = { ...fresh };
  for (const [name, value] of Object.entries(known)) {
    if (!Object.hasOwn(NodeInfo.properties, name)) continue;
    const before = info[name];
    info[name] = value;
    if (isInfo.Check(info)) continue;
    if (before === undefined) delete info[name];
    else info[name] = before;
  }
  return { ...info as unknown as NodeInfo, node_id: nodeId, ...gone };
}

const isSummary = Compile(NodeSummary);

/** Whether an answer from elsewhere is a summary. */
export function isNodeSummary(value: unknown): value is NodeSummary {
  return isSummary.Check(value);
}
