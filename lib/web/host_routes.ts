/**
 * The host's HTTP API: every path with its parameters and answers, once. Routing, validation, the OpenAPI
 * document and `docs/http-api.md` come from here.
 */
import Type, { type TSchema } from "typebox";
import { NodeSummary } from "../fleet/node_info.ts";
import { type Role, TOKEN_ROLES } from "../identity/roles.ts";
import type { Param, Params } from "./params.ts";

/** One path and method. */
export interface Route {
  readonly method: "get" | "put" | "post" | "delete";
  /** With `:name` for its parameters. */
  readonly path: string;
  readonly summary: string;
  /** Least role that it needs; `undefined`: everybody may ask. */
  readonly role: Role | undefined;
  readonly params: Params;
  /** What a body must be; JSON. */
  readonly body?: TSchema;
  /** What a 200 brings. Other media types than JSON are named by `formats`. */
  readonly answer: TSchema;
  /** Media types of the answer; JSON alone unless given. */
  readonly formats?: readonly string[];
  /** Only there on a host that was started with `--allow-faults`. */
  readonly faultsOnly?: true;
}

const text = Type.String();
const number = Type.Number();
const whole = Type.Integer();
const some = Type.Optional;
const settings = Type.Record(text, Type.Unknown());

const StoredRecord = Type.Object({
  type: Type.Literal("telemetry"),
  node_id: text,
  epoch: text,
  seq: whole,
  ts_wall_ms: number,
  ts_mono_ms: number,
  boot_id: text,
  metrics: Type.Record(text, number),
  agg: some(Type.Unknown()),
  anomaly: Type.Unknown(),
  diagnostics: Type.Record(text, Type.Unknown()),
  degraded: Type.Boolean(),
  cfg_version: whole,
  received_wall_ms: number,
}, { title: "Record" });

const Gap = Type.Object({
  id: whole,
  node_id: text,
  epoch: text,
  from_seq: whole,
  to_seq: whole,
  reason: text,
  declared_wall_ms: number,
  from_wall_ms: some(number),
  to_wall_ms: some(number),
}, { title: "Gap" });

const Event = Type.Object({
  id: whole,
  node_id: text,
  at_wall_ms: number,
  kind: text,
  detail: Type.Record(text, Type.Unknown()),
}, { title: "Event" });

const Series = Type.Object({
  metric: text,
  from_ms: number,
  to_ms: number,
  step_ms: number,
  t: Type.Array(number),
  min: Type.Array(number),
  mean: Type.Array(number),
  max: Type.Array(number),
  n: Type.Array(whole),
  anomalies: Type.Array(whole),
  complete: Type.Boolean(),
}, { title: "Series" });

const role = Type.Union(TOKEN_ROLES.map((name) => Type.Literal(name)));
const Token = Type.Object({
  id: text,
  name: text,
  role,
  created_wall_ms: number,
  expires_wall_ms: Type.Union([number, Type.Null()]),
}, { title: "Token" });

const Audit = Type.Object({
  id: whole,
  at_wall_ms: number,
  who: text,
  role: text,
  address: text,
  action: text,
  target: text,
  before: some(Type.Unknown()),
  after: some(Type.Unknown()),
}, { title: "Audit" });

const Version = Type.Object({ target: text, cfg_version: whole });
const Fault = Type.Object({ kind: text, hits: whole });

const id = { in: "path", kind: "text", required: true, max: 64, help: "Id of the node." } as const;
const query = <const P extends Omit<Param, "in">>(param: P) => ({ in: "query", ...param }) as const;

const format = query({
  kind: "choice",
  choices: ["json", "ndjson", "csv"],
  default: "json",
  help: "Form of the answer.",
});
const limit = query({
  kind: "integer",
  min: 1,
  max: 1_000,
  default: 100,
  help: "Most entries of the answer.",
});
const history = {
  from: query({ kind: "time", help: "Only from then on, by the host's clock." }),
  to: query({ kind: "time", help: "Only before then, by the host's clock." }),
  after_id: query({ kind: "integer", help: "Only entries with a higher id." }),
  before_id: query({ kind: "integer", help: "Only entries with a lower id; for the next page." }),
  limit,
  format,
} as const;
const events = {
  ...history,
  kind: query({
    kind: "text",
    max: 64,
    help: "Only of that kind, or of kinds that start with it: `anomaly` finds `anomaly_open`.",
  }),
} as const;

const records = {
  id,
  from: query({ kind: "time", help: "Only from then on, by the device's clock." }),
  to: query({ kind: "time", help: "Only before then, by the device's clock." }),
  cursor: query({
    kind: "text",
    max: 64,
    help: "Goes on behind a page by time; the header `link` of that page has it.",
  }),
  epoch: query({
    kind: "text",
    max: 16,
    help: "Only of that epoch. Without a time: the newest one unless given.",
  }),
  after_seq: query({ kind: "integer", help: "Only higher numbers. Not together with a time." }),
  before_seq: query({ kind: "integer", help: "Only lower numbers. Not together with a time." }),
  anomalies: query({ kind: "flag", help: "Only records that are flagged as anomalous." }),
  order: query({
    kind: "choice",
    choices: ["oldest", "newest"],
    default: "oldest",
    help: "What comes first.",
  }),
  limit: query({
    kind: "integer",
    min: 1,
    max: 1_000_000,
    help: "Most records: 100 unless given and at most 1,000 as JSON; 1,000,000 in other forms.",
  }),
  format,
} as const;

const series = {
  id,
  metric: query({ kind: "text", required: true, max: 200, help: "Name of the metric." }),
  from: query({ kind: "time", required: true, help: "Start, by the device's clock." }),
  to: query({ kind: "time", help: "End, by the device's clock; the host's present unless given." }),
  points: query({
    kind: "integer",
    min: 1,
    max: 4_000,
    default: 500,
    help: "Columns over the window, as the screen has pixels; one more may come.",
  }),
  format,
} as const;

const lists = ["json", "ndjson", "csv"] as const;

/** See the head of the file. */
export const ROUTES = {
  status: {
    method: "get",
    path: "/status",
    summary: "The host at a glance: is the data safe, and what needs attention.",
    role: "viewer",
    params: {},
    answer: Type.Object(
      { safe: Type.Boolean(), verdict: text, attention: Type.Array(text) },
      { title: "Status" },
    ),
  },
  healthz: {
    method: "get",
    path: "/healthz",
    summary: "200 while the store takes records, else 503 with the reason.",
    role: undefined,
    params: {},
    answer: text,
    formats: ["text"],
  },
  metrics: {
    method: "get",
    path: "/metrics",
    summary: "Metrics for Prometheus.",
    role: "viewer",
    params: {},
    answer: text,
    formats: ["text"],
  },
  openapi: {
    method: "get",
    path: "/api/openapi.json",
    summary: "This API as an OpenAPI 3.1 document.",
    role: "viewer",
    params: {},
    answer: settings,
  },
  live: {
    method: "get",
    path: "/api/live",
    summary:
      "Server-sent events each second: `host`, then `nodes` (all at first, then what changed of " +
      "each, `null` for what is gone), and with `node` its new `records`, at most 50.",
    role: "viewer",
    params: {
      node: query({ kind: "text", max: 64, help: "Id of a node whose records are wanted, too." }),
    },
    answer: text,
    formats: ["event-stream"],
  },
  nodes: {
    method: "get",
    path: "/api/nodes",
    summary: "All nodes by name.",
    role: "viewer",
    params: {},
    answer: Type.Array(NodeSummary),
  },
  node: {
    method: "get",
    path: "/api/nodes/:id",
    summary: "One node.",
    role: "viewer",
    params: { id },
    answer: NodeSummary,
  },
  forget_node: {
    method: "delete",
    path: "/api/nodes/:id",
    summary: "Forgets a node that is not connected; its records stay unless they are to go, too.",
    role: "operator",
    params: {
      id,
      records: query({
        kind: "choice",
        choices: ["keep", "drop"],
        default: "keep",
        help: "Whether its records, gaps and events stay.",
      }),
    },
    answer: Type.Object({ forgotten: text, records: text }),
  },
  node_metrics: {
    method: "get",
    path: "/api/nodes/:id/metrics",
    summary: "The metrics that are stored of a node, with the device times of the first and last.",
    role: "viewer",
    params: { id },
    answer: Type.Array(Type.Object({
      name: text,
      last: some(number),
      first_ms: number,
      last_ms: number,
    })),
  },
  series: {
    method: "get",
    path: "/api/nodes/:id/series",
    summary: "A metric in columns with lowest, mean and highest value: no more than a screen has.",
    role: "viewer",
    params: series,
    answer: Series,
    formats: lists,
  },
  records: {
    method: "get",
    path: "/api/nodes/:id/records",
    summary: "Records as the node sent them, by number or by the device's clock.",
    role: "viewer",
    params: records,
    answer: Type.Array(StoredRecord),
    formats: lists,
  },
  node_gaps: {
    method: "get",
    path: "/api/nodes/:id/gaps",
    summary: "Ranges of a node that are lost for good, the newest first.",
    role: "viewer",
    params: { id, ...history },
    answer: Type.Array(Gap),
    formats: lists,
  },
  node_events: {
    method: "get",
    path: "/api/nodes/:id/events",
    summary: "What happened to a node, the newest first.",
    role: "viewer",
    params: { id, ...events },
    answer: Type.Array(Event),
    formats: lists,
  },
  gaps: {
    method: "get",
    path: "/api/gaps",
    summary: "Lost ranges of all nodes, the newest first.",
    role: "viewer",
    params: history,
    answer: Type.Array(Gap),
    formats: lists,
  },
  events: {
    method: "get",
    path: "/api/events",
    summary: "What happened to all nodes, the newest first.",
    role: "viewer",
    params: events,
    answer: Type.Array(Event),
    formats: lists,
  },
  settings: {
    method: "get",
    path: "/api/settings",
    summary: "The settings of a node that can change at run time.",
    role: "viewer",
    params: {},
    answer: Type.Array(Type.Object({
      name: text,
      type: text,
      default: Type.Unknown(),
      min: some(number),
      max: some(number),
      unit: some(text),
      choices: some(Type.Array(text)),
      help: text,
    })),
  },
  node_config: {
    method: "get",
    path: "/api/nodes/:id/config",
    summary: "The configuration that a node should have, and the version that it has.",
    role: "viewer",
    params: { id },
    answer: Type.Object({
      desired: Type.Union([Type.Null(), Type.Object({ cfg_version: whole, config: settings })]),
      cfg_version_applied: Type.Union([whole, Type.Null()]),
      error: Type.Union([text, Type.Null()]),
    }),
  },
  check_config: {
    method: "post",
    path: "/api/config/check",
    summary: "Whether nodes could use a configuration; nothing is sent.",
    role: "viewer",
    params: {},
    body: settings,
    answer: Type.Object({
      ok: Type.Boolean(),
      problems: some(Type.Array(
        Type.Object({ setting: text, expected: text, received: text, wrong: some(text) }),
      )),
    }),
  },
  put_node_config: {
    method: "put",
    path: "/api/nodes/:id/config",
    summary: "Sets the configuration of a node; it goes there at once, or when it connects.",
    role: "operator",
    params: { id },
    body: settings,
    answer: Version,
  },
  put_config: {
    method: "put",
    path: "/api/config",
    summary: "Sets the configuration of all nodes; one that is set for a node later wins there.",
    role: "operator",
    params: {},
    body: settings,
    answer: Version,
  },
  faults: {
    method: "get",
    path: "/api/faults",
    summary: "Faults that are injected, and how often each kind struck.",
    role: "viewer",
    params: {},
    answer: Type.Object({ active: Type.Array(Fault), struck: Type.Record(text, whole) }),
    faultsOnly: true,
  },
  add_fault: {
    method: "post",
    path: "/api/faults",
    summary: "Injects a fault.",
    role: "operator",
    params: {},
    body: Type.Object({ fault: text }),
    answer: Fault,
    faultsOnly: true,
  },
  clear_faults: {
    method: "delete",
    path: "/api/faults",
    summary: "Ends all faults.",
    role: "operator",
    params: {},
    answer: Type.Object({ active: Type.Array(Fault) }),
    faultsOnly: true,
  },
  me: {
    method: "get",
    path: "/api/me",
    summary: "Who is asking, as the host sees it, and whether that took a token.",
    role: "viewer",
    params: {},
    answer: Type.Object({ name: text, role, logged_in: Type.Boolean() }),
  },
  tokens: {
    method: "get",
    path: "/api/tokens",
    summary: "Who can log in: all tokens, without their secrets.",
    role: "admin",
    params: {},
    answer: Type.Array(Token),
  },
  create_token: {
    method: "post",
    path: "/api/tokens",
    summary: "Makes a token; it is shown in this answer and never again.",
    role: "admin",
    params: {},
    body: Type.Object({ name: text, role, expires_s: some(number) }),
    answer: Type.Object({ token: text, row: Token }),
  },
  revoke_token: {
    method: "delete",
    path: "/api/tokens/:id",
    summary: "Takes a token away; who has it is out at once.",
    role: "admin",
    params: { id: { ...id, help: "Id of the token." } },
    answer: Token,
  },
  add_node: {
    method: "post",
    path: "/api/enrolments",
    summary: "Makes a one-time token for a device that is to come, good for seven days.",
    role: "admin",
    params: {},
    body: Type.Object({ node_id: text }),
    answer: Type.Object({ node_id: text, token: text, command: text }),
  },
  audit: {
    method: "get",
    path: "/api/audit",
    summary: "Who changed what at this host, the newest first.",
    role: "admin",
    params: history,
    answer: Type.Array(Audit),
    formats: lists,
  },
} as const satisfies Record<string, Route>;

/** The name of a route. */
export type RouteName = keyof typeof ROUTES;
