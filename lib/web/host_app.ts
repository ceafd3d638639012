/** The host over HTTP: pages, status, metrics and API, as a function from request to response. */
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { oneLine } from "../errors.ts";
import type { Host } from "../host/host.ts";
import type { People } from "../host/people.ts";
import { certified, guard, secureHeaders } from "./access.ts";
import { addLogin } from "./login.ts";
import { QueryTooLong } from "../store/store.ts";
import { addApi, Conflict, Unknown } from "./host_api.ts";
import { hostMetrics, type HostMetricsOptions } from "./host_metrics.ts";
import { addHostPages } from "./pages/host_pages.ts";
import { BadRequest } from "./params.ts";

/** See the settings of the same names. */
export interface HostAppOptions extends HostMetricsOptions {
  readonly people: People;
  /** Served over TLS. */
  readonly isSecure: boolean;
  /** Whoever asks is asked for a certificate. */
  readonly isMutual?: boolean;
}

const BODY_BYTES_MAX = 65_536;

/** Makes the app. It only talks to `host`; nothing listens. Throws where a file of the pages is missing. */
export function createHostApp(host: Host, options: HostAppOptions): Hono {
  const app = new Hono();
  const { people, isSecure } = options;
  const access = { door: people, cookie: "holdfast_host", isSecure };
  app.use(secureHeaders(isSecure));
  if (options.isMutual) {
    app.use(certified({
      isRevoked: (serial) => host.isRevoked(serial),
      onRefused: (address, reason) => host.noteUntrusted(address, reason),
    }));
  }
  app.use(guard(access));
  app.use(bodyLimit({
    maxSize: BODY_BYTES_MAX,
    onError: (c) => c.json({ error: `a body may have at most ${BODY_BYTES_MAX} bytes` }, 413),
  }));
  app.onError((error, c) => {
    return c.json({ error: oneLine(error) }, statusOf(error));
  });
  app.notFound((c) => c.json({ error: `there is no ${c.req.path}` }, 404));
  const { clock } = options;
  addApi(app, { host, people, clock, metricsText: () => hostMetrics(host, options) });
  addLogin(app, access, {
    title: "Holdfast",
    hint: "Who runs this host makes a token for you:",
    code: "host token create --role viewer --name you",
  });
  addHostPages(app);
  return app;
}

function statusOf(error: unknown): 400 | 404 | 409 | 500 | 503 {
  if (error instanceof BadRequest) return 400;
  if (error instanceof Unknown) return 404;
  if (error instanceof Conflict) return 409;
  return error instanceof QueryTooLong ? 503 : 500;
}
