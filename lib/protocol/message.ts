/**
 * The messages between node and host: one schema each gives type, validator and the tables of
 * `docs/protocol.md`. Unknown fields are allowed everywhere; unknown types are refused.
 */
import Type from "typebox";
import { Compile } from "typebox/compile";
import { oneLine } from "../errors.ts";
import { CFG_VERSION_MAX, PROTO_VERSION, SEQ_MAX } from "../limits.ts";
import { EPOCH_PATTERN, NODE_ID_PATTERN, recordProblem, Seq, TelemetryRecord } from "./record.ts";

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const HighSeq = Type.Integer({ minimum: 0, maximum: SEQ_MAX });
const Version = Type.Integer({ minimum: 0, maximum: CFG_VERSION_MAX });
const Text = Type.String({ maxLength: 1_024 });
const Ranges = Type.Array(Type.Tuple([Seq, Seq]), { maxItems: 4_096 });
const ConfigValues = Type.Record(Type.String(), Type.Unknown());

/** How messages are put into bytes after the handshake. */
export const Encoding = Type.Union([Type.Literal("ndjson"), Type.Literal("block")]);
/** See {@linkcode Encoding}. */
export type Encoding = Type.Static<typeof Encoding>;

/** Why a range is lost for good. `compacted`: acked once by a host, and no longer kept by the node. */
export const GapReason = Type.Union([
  Type.Literal("evicted"),
  Type.Literal("corrupt"),
  Type.Literal("unsynced"),
  Type.Literal("unwritten"),
  Type.Literal("compacted"),
]);
/** See {@linkcode GapReason}. */
export type GapReason = Type.Static<typeof GapReason>;

/** What may be in flight: sent and not yet acked. Both limits hold at once. */
export const Credit = Type.Object({
  records: Type.Integer({ minimum: 1 }),
  bytes: Type.Integer({ minimum: 1 }),
});
/** See {@linkcode Credit}. */
export type Credit = Type.Static<typeof Credit>;

/** A whole runtime configuration and its version; higher versions replace lower ones. */
export const VersionedConfig = Type.Object({ cfg_version: Version, config: ConfigValues });
/** See {@linkcode VersionedConfig}. */
export type VersionedConfig = Type.Static<typeof VersionedConfig>;

/** Node's first message. */
export const Hello = Type.Object({
  type: Type.Literal("hello"),
  /** Protocol versions that the node speaks. */
  proto: Type.Array(Type.Integer(), { minItems: 1, maxItems: 16 }),
  node_id: Type.String({ pattern: NODE_ID_PATTERN }),
  epoch: Type.String({ pattern: EPOCH_PATTERN }),
  boot_id: Type.String({ maxLength: 64 }),
  version: Text,
  /** By which a node without a certificate proves who it is. */
  token: Type.Optional(Type.String({ maxLength: 256 })),
  /** Oldest seq that the node still has; `next_seq` where it has none. */
  first_seq: Seq,
  /** The seq that its next record will get. */
  next_seq: Seq,
  cfg_version: Version,
  /** Encodings that the node can use, preferred first. */
  encodings: Type.Array(Type.String({ maxLength: 32 }), { maxItems: 16 }),
  ts_wall_ms: Type.Number(),
  ts_mono_ms: Type.Number(),
});
/** Host's answer to `hello`. */
export const Welcome = Type.Object({
  type: Type.Literal("welcome"),
  proto: Type.Literal(PROTO_VERSION),
  encoding: Encoding,
  host_id: Text,
  /** For this (node_id, epoch): all up to it is durable or a gap. */
  high_acked: HighSeq,
  /** What is durable or a gap above `high_acked`, inclusive, ascending, the lowest first. */
  ranges: Type.Optional(Ranges),
  /** The highest seq of this epoch that the host ever accounted for; 0 where none. */
  max_seq: HighSeq,
  credit: Credit,
  limits: Type.Object({
    line_bytes_max: Type.Integer({ minimum: 1_024 }),
    /** The node sends a heartbeat at least this often. */
    heartbeat_ms: Type.Integer({ minimum: 100 }),
    /** The host sends a broadcast at least this often. */
    broadcast_ms: Type.Integer({ minimum: 100 }),
  }),
  /** Present when the host holds a newer version than the node's. */
  config: Type.Optional(VersionedConfig),
});
/** Node declares that a range is lost for good. */
export const Gap = Type.Object({
  type: Type.Literal("gap"),
  from_seq: Seq,
  to_seq: Seq,
  reason: GapReason,
  /** So many of its seqs at most named records that are lost; all of them where it is absent. */
  records_max: Type.Optional(Type.Integer({ minimum: 0 })),
});
/** Host's acknowledgement: sent only for what its store has made durable. */
export const Ack = Type.Object({
  type: Type.Literal("ack"),
  high_acked: HighSeq,
  ranges: Type.Optional(Ranges),
  /** Present when it differs from the last one given. */
  credit: Type.Optional(Credit),
});
/** Host hands over a configuration. */
export const ConfigUpdate = Type.Object({
  type: Type.Literal("config_update"),
  ...VersionedConfig.properties,
});
/** Node says what became of a configuration; `cfg_version_applied` is the one in force. */
export const ConfigApplied = Type.Object({
  type: Type.Literal("config_applied"),
  cfg_version: Version,
  cfg_version_applied: Version,
  ok: Type.Boolean(),
  error: Type.Optional(Type.String({ maxLength: 8_192 })),
});
/** Host's periodic sign of life. */
export const Broadcast = Type.Object({
  type: Type.Literal("broadcast"),
  host_id: Text,
  ts_wall_ms: Type.Number(),
  /** The newest version that the host wants this node to have. */
  cfg_version: Version,
  /** Stands for the authorities that the host's own certificates are of; once a session, and when they change. */
  ca: Type.Optional(Type.String({ maxLength: 64 })),
});
/** Node's periodic sign of life; `final` on shutdown. */
export const Heartbeat = Type.Object({
  type: Type.Literal("heartbeat"),
  ts_wall_ms: Type.Number(),
  ts_mono_ms: Type.Number(),
  next_seq: Seq,
  backlog: Count,
  wal_bytes: Count,
  wal_bytes_max: Count,
  degraded: Type.Boolean(),
  cfg_version: Version,
  missed_ticks: Count,
  final: Type.Optional(Type.Boolean()),
});
/** Stable codes; `message` is for people. */
export const ErrorCode = Type.Union([
  Type.Literal("bad_message"),
  Type.Literal("too_long"),
  Type.Literal("bad_order"),
  Type.Literal("unsupported"),
  Type.Literal("forbidden"),
  Type.Literal("superseded"),
  Type.Literal("timeout"),
  Type.Literal("busy"),
  Type.Literal("store_failed"),
  Type.Literal("too_many_ranges"),
  Type.Literal("over_credit"),
  Type.Literal("internal"),
  Type.Literal("shutdown"),
]);
/** See {@linkcode ErrorCode}. */
export type ErrorCode = Type.Static<typeof ErrorCode>;
/** Either side, just before it closes. */
export const ErrorMessage = Type.Object({
  type: Type.Literal("error"),
  /** One that the receiver doesn't know is as good as any: it only tells people and counters why. */
  code: Type.String({ pattern: "^[a-z][a-z0-9_]{0,31}$" }),
  message: Type.String({ maxLength: 4_096 }),
  retry_after_ms: Type.Optional(Count),
});

export type Hello = Type.Static<typeof Hello>;
export type Welcome = Type.Static<typeof Welcome>;
export type Gap = Type.Static<typeof Gap>;
export type Ack = Type.Static<typeof Ack>;
export type ConfigUpdate = Type.Static<typeof ConfigUpdate>;
export type ConfigApplied = Type.Static<typeof ConfigApplied>;
export type Broadcast = Type.Static<typeof Broadcast>;
export type Heartbeat = Type.Static<typeof Heartbeat>;
export type ErrorMessage = Type.Static<typeof ErrorMessage>;

/** Schemas of what a node sends, by type. */
export const FROM_NODE = {
  hello: Hello,
  telemetry: TelemetryRecord,
  gap: Gap,
  config_applied: ConfigApplied,
  heartbeat: Heartbeat,
  error: ErrorMessage,
};
/** Schemas of what a host sends, by type. */
export const FROM_HOST = {
  welcome: Welcome,
  ack: Ack,
  config_update: ConfigUpdate,
  broadcast: Broadcast,
  error: ErrorMessage,
};

export type NodeMessage = Hello | TelemetryRecord | Gap | ConfigApplied | Heartbeat | ErrorMessage;
export type HostMessage = Welcome | Ack | ConfigUpdate | Broadcast | ErrorMessage;

/** A line as it was read: the message, or what is wrong with it in one line. */
export type Parsed<M> = { ok: true; message: M } | { ok: false; error: string };

interface Check {
  Check(value: unknown): boolean;
  Errors(value: unknown): { instancePath: string; message: string }[];
}

/** Reads lines of these schemas. */
export function parser<M>(schemas: Record<string, Type.TSchema>): (text: string) => Parsed<M> {
  const checks = new Map<string, Check>();
  for (const [type, schema] of Object.entries(schemas)) checks.set(type, Compile(schema) as Check);
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return { ok: false, error: "line is not valid JSON" };
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return { ok: false, error: "line is not a JSON object" };
    }
    const type = (value as { type?: unknown }).type;
    const check = typeof type === "string" ? checks.get(type) : undefined;
    if (check === undefined) {
      return { ok: false, error: `unknown message type ${JSON.stringify(type)?.slice(0, 80)}` };
    }
    if (check.Check(value)) {
      const problem = type === "telemetry" ? recordProblem(value as TelemetryRecord) : undefined;
      if (problem !== undefined) return { ok: false, error: `${type}: ${problem}` };
      return { ok: true, message: value as M };
    }
    const first = check.Errors(value)[0];
    const where = (first?.instancePath || "message").slice(0, 200);
    return { ok: false, error: oneLine(`${type}: ${where} ${first?.message}`) };
  };
}

/** Reads one line (without newline) that a node sent. Never throws. */
export const parseNodeMessage: (text: string) => Parsed<NodeMessage> = parser(FROM_NODE);
/** Reads one line (without newline) that a host sent. Never throws. */
export const parseHostMessage: (text: string) => Parsed<HostMessage> = parser(FROM_HOST);

const versionedConfig = Compile(VersionedConfig);

/** Whether a value from a file or elsewhere is a configuration with its version, from 1 on. */
export function isVersionedConfig(value: unknown): value is VersionedConfig {
  return versionedConfig.Check(value) && (value as VersionedConfig).cfg_version >= 1 &&
    !Array.isArray((value as VersionedConfig).config);
}

const encoder = new TextEncoder();

/** The line, newline included, that carries `message`. */
export function encodeMessage(message: NodeMessage | HostMessage): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(message) + "\n");
}
