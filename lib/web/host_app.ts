/** The host over HTTP: pages, status, metrics and API, as a function from request to response. */
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { oneLine } from "../errors.ts";
import type { Host } from "../host/host.ts";
import { guardChanges, guardReads, noSniffing } from "./access.ts";
import { QueryTooLong } from "../store/store.ts";
import { addApi, Conflict, UnknownNode } from "./host_api.ts";
import { hostMetrics, type HostMetricsOptions } from "./host_metrics.ts";
import { addHostPages } from "./pages/host_pages.ts";
import { BadRequest } from "./params.ts";

/** See the settings of the same names. */
export interface HostAppOptions extends HostMetricsOptions {
  /** Token that changes need; empty on a listener on loopback. */
  readonly token: string;
  /** The address that the app is served on. */
  readonly listener: string;
}

const BODY_BYTES_MAX = 65_536;

/** Makes the app. It only talks to `host`; nothing listens. Throws where a file of the pages is missing. */
export function createHostApp(host: Host, options: HostAppOptions): Hono {
  const app = new Hono();
  app.use(noSniffing);
  app.use(guardReads(options.listener));
  app.use(guardChanges(options.token));
  app.use(bodyLimit({
    maxSize: BODY_BYTES_MAX,
    onError: (c) => c.json({ error: `a body may have at most ${BODY_BYTES_MAX} bytes` }, 413),
  }));
  app.onError((error, c) => {
    return c.json({ error: oneLine(error) }, statusOf(error));
  });
  app.notFound((c) => c.json({ error: `there is no ${c.req.path}` }, 404));
  addApi(app, { host, clock: options.clock, metricsText: () => hostMetrics(host, options) });
  addHostPages(app);
  return app;
}

function statusOf(error: unknown): 400 | 404 | 409 | 500 | 503 {
  if (error instanceof BadRequest) return 400;
  if (error instanceof UnknownNode) return 404;
  if (error instanceof Conflict) return 409;
  return error instanceof QueryTooLong ? 503 : 500;
}
