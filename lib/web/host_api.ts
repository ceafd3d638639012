/** The host's API as a table of handlers, one for each route. */
import type { Context, Hono } from "hono";
import { checkRuntimeConfig, RUNTIME_SETTINGS_HELP } from "../config/runtime.ts";
import { parseFault } from "../host/faults.ts";
import { ALL_NODES, type Host } from "../host/host.ts";
import { hostStatus } from "../host/status.ts";
import { oneLine } from "../errors.ts";
import { isNodeId } from "../protocol/record.ts";
import type { Change, People } from "../host/people.ts";
import { addressText, hostOf, parseAddress } from "../platform/address.ts";
import type { Clock } from "../platform/platform.ts";
import { addressOf, forbidden, later, personOf } from "./access.ts";
import { METRICS_TYPE } from "./exposition.ts";
import {
  answerAudit,
  answerEvents,
  answerGaps,
  answerRecords,
  answerSeries,
} from "./host_history.ts";
import { CLIENTS_MAX, HostLive } from "./host_live.ts";
import { type Route, type RouteName, ROUTES } from "./host_routes.ts";
import { openApi } from "./openapi.ts";
import { BadRequest, readParams, type Values } from "./params.ts";

type ParamsOf<N extends RouteName> = Values<typeof ROUTES[N]["params"]>;
type Handlers = {
  [N in RouteName]: (c: Context, params: ParamsOf<N>) => Response | Promise<Response>;
};

/** What the API is made of. */
export interface ApiParts {
  readonly host: Host;
  readonly people: People;
  readonly clock: Clock;
  /** The text of `/metrics`. */
  readonly metricsText: () => Promise<string>;
}

/** Adds all routes to the app; those of faults only where the host allows them. */
export function addApi(app: Hono, parts: ApiParts): void {
  const handlers: Handlers = {
    ...stateHandlers(parts),
    ...nodeHandlers(parts),
    ...configHandlers(parts),
    ...faultHandlers(parts),
    ...peopleHandlers(parts),
  };
  for (const [name, route] of Object.entries(ROUTES) as [RouteName, Route][]) {
    if (route.faultsOnly && !parts.host.allowFaults) continue;
    const handle = handlers[name] as (c: Context, params: unknown) => Response | Promise<Response>;
    app[route.method](route.path, async (c: Context) => {
      const refusal = route.role === undefined ? undefined : forbidden(c, route.role);
      if (refusal !== undefined) return refusal;
      if (route.role !== undefined && route.role !== "viewer" && route.method !== "get") {
        const waitMs = parts.people.changeWaitMs(personOf(c)!);
        if (waitMs > 0) return later(c, "too many changes: try again later", waitMs);
      }
      const now = parts.clock.wallMs();
      const params = readParams(route.params, c.req.param(), c.req.query(), now);
      const answer = await handle(c, params);
      const change = c.get("change") as Omit<Change, "action"> | undefined;
      if (change !== undefined) {
        await parts.people.note(personOf(c)!, addressOf(c), { action: name, ...change });
      }
      return answer;
    });
  }
}

/** How long a device may take to come. */
const INVITED_MS = 7 * 86_400_000;

/** Notes what a request changed, for the audit trail. */
function changed(c: Context, target: string, before?: unknown, after?: unknown): void {
  c.set("change", { target, before, after });
}

function stateHandlers(
  { host, clock, metricsText }: ApiParts,
): Pick<Handlers, "status" | "healthz" | "metrics" | "openapi" | "live"> {
  const live = new HostLive(host, clock);
  return {
    status: async (c) => c.json(await hostStatus(host, clock)),
    healthz(c) {
      const error = host.commitStats.last_error;
      if (error === undefined) return c.text("ok\n");
      // Whoever is not let in learns no more than that.
      return c.text(personOf(c) === undefined ? "not well\n" : `store: ${error}\n`, 503);
    },
    metrics: async (c) => c.body(await metricsText(), 200, { "content-type": METRICS_TYPE }),
    openapi(c) {
      const routes = Object.entries(ROUTES as Record<string, Route>)
        .filter(([, route]) => !route.faultsOnly || host.allowFaults);
      return c.json(openApi(Object.fromEntries(routes), host.version));
    },
    live: (c, { node }) =>
      live.open(node, () => personOf(c)!.isValid()) ??
        c.json({ error: `${CLIENTS_MAX} live streams are open, and no more are allowed` }, 503),
  };
}

function nodeHandlers({ host, clock }: ApiParts): Pick<
  Handlers,
  | "nodes"
  | "node"
  | "forget_node"
  | "node_metrics"
  | "series"
  | "records"
  | "node_gaps"
  | "node_events"
  | "gaps"
  | "events"
> {
  const { store } = host;
  /** Rejects names that were never heard of: an empty list would look like a quiet node. */
  const known = (id: string) => {
    if (host.registry.get(id) === undefined) throw unknownNode(id);
    return id;
  };
  return {
    nodes: (c) => c.json(host.summaries()),
    node: (c, { id }) => c.json(host.summaryOf(host.registry.get(known(id))!)),
    async forget_node(c, { id, records }) {
      const { records: had } = host.registry.get(known(id))!;
      try {
        await host.forget(id, records === "drop");
      } catch (error) {
        throw new Conflict(oneLine(error));
      }
      changed(c, id, { records: had }, { records });
      return c.json({ forgotten: id, records });
    },
    async node_metrics(c, { id }) {
      const { last } = host.summaryOf(host.registry.get(known(id))!);
      const metrics = await store.metrics(id);
      return c.json(metrics.map((metric) => ({
        ...metric,
        ...(Object.hasOwn(last, metric.name) ? { last: last[metric.name] } : {}),
      })));
    },
    series: (c, p) => answerSeries(c, store, known(p.id), p, clock.wallMs()),
    records: (c, p) => answerRecords(c, store, known(p.id), p),
    node_gaps: (c, p) => answerGaps(c, store, known(p.id), p),
    node_events: (c, p) => answerEvents(c, store, known(p.id), p),
    gaps: (c, p) => answerGaps(c, store, undefined, p),
    events: (c, p) => answerEvents(c, store, undefined, p),
  };
}

/** A path names something that the host doesn't know. */
export class Unknown extends Error {
  override readonly name = "Unknown";
}

function unknownNode(id: string): Unknown {
  return new Unknown(`no node "${id}" is known`);
}

/** A request that can't be carried out in the present state. */
export class Conflict extends Error {
  override readonly name = "Conflict";
}

async function jsonObject(c: Context): Promise<Record<string, unknown>> {
  const body = await c.req.json().catch(() => undefined);
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body;
  throw new BadRequest("the body must be a JSON object of settings");
}

function configHandlers({ host }: ApiParts): Pick<
  Handlers,
  "settings" | "node_config" | "check_config" | "put_node_config" | "put_config"
> {
  const put = async (c: Context, target: string) => {
    const before = host.configs.desired(target)?.config;
    const result = await host.setConfig(target, await jsonObject(c));
    if (!result.ok) throw new BadRequest(result.error);
    changed(c, target, before, result.row.config);
    return c.json({ target, cfg_version: result.row.cfg_version });
  };
  return {
    settings: (c) => c.json(RUNTIME_SETTINGS_HELP),
    node_config(c, { id }) {
      const node = host.registry.get(id);
      const desired = host.configs.desired(id);
      if (node === undefined && desired === undefined) throw unknownNode(id);
      return c.json({
        desired: desired ?? null,
        cfg_version_applied: node?.cfg_version_applied ?? null,
        error: node?.config_error ?? null,
      });
    },
    async check_config(c) {
      const checked = checkRuntimeConfig(await jsonObject(c));
      if (checked.ok) return c.json({ ok: true });
      const problems = checked.problems.map(({ source: _, ...problem }) => problem);
      return c.json({ ok: false, problems });
    },
    put_node_config(c, { id }) {
      // Also what stands for all nodes is none.
      if (isNodeId(id)) return put(c, id);
      throw new BadRequest("id: expected the name of a node: letters, digits, '.', '_' or '-'");
    },
    put_config: (c) => put(c, ALL_NODES),
  };
}

function faultHandlers(
  { host }: ApiParts,
): Pick<Handlers, "faults" | "add_fault" | "clear_faults"> {
  return {
    faults: (c) => c.json({ active: host.faults.active, struck: host.faults.struck }),
    async add_fault(c) {
      const { fault } = await jsonObject(c);
      if (typeof fault !== "string") {
        throw new BadRequest('the body must be {"fault": "drop:every=30s"} or the like');
      }
      try {
        const spec = parseFault(fault);
        changed(c, "faults", undefined, fault);
        return c.json(host.addFault(spec));
      } catch (error) {
        throw new BadRequest((error as Error).message);
      }
    },
    clear_faults(c) {
      changed(c, "faults", host.faults.active);
      host.faults.clear();
      return c.json({ active: [] });
    },
  };
}

function peopleHandlers(
  { host, people }: ApiParts,
): Pick<Handlers, "me" | "tokens" | "create_token" | "revoke_token" | "add_node" | "audit"> {
  return {
    me(c) {
      const { name, role } = personOf(c)!;
      return c.json({ name, role, logged_in: people.isLoginNeeded });
    },
    tokens: (c) => c.json(people.tokens),
    async create_token(c) {
      try {
        const made = await people.create(await jsonObject(c));
        changed(c, made.row.name, undefined, made.row);
        return c.json(made);
      } catch (error) {
        throw error instanceof RangeError ? new BadRequest(error.message) : error;
      }
    },
    async revoke_token(c, { id }) {
      const row = await people.revoke(id);
      if (row === undefined) throw new Unknown(`no token "${id}" is known`);
      changed(c, row.name, row);
      return c.json(row);
    },
    async add_node(c) {
      const { node_id } = await jsonObject(c);
      if (host.enroller === undefined) {
        throw new Conflict("this host has no authority: host pki init makes one");
      }
      try {
        const token = await host.enroller.invite(String(node_id), INVITED_MS);
        changed(c, String(node_id));
        const name = hostOf(c.req.header("host") ?? "localhost");
        const address = addressText({ host: name, port: parseAddress(host.address).port });
        const command = `node enroll ${token} --host ${address}`;
        return c.json({ node_id: String(node_id), token, command });
      } catch (error) {
        throw error instanceof RangeError ? new BadRequest(error.message) : error;
      }
    },
    audit: (c, p) => answerAudit(c, host.store, p),
  };
}
