/** The host's HTTP API as its document says. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import Value from "typebox/value";
import { type Route, ROUTES } from "../../lib/web/host_routes.ts";
import { EPOCH } from "../messages.ts";
import { START, TestHost } from "./test_host.ts";
import { realTest } from "../real.ts";

realTest("the OpenAPI document and the host's routes are the same", async () => {
  const test = await TestHost.start({ allowFaults: true });
  const { openapi, paths } = await test.json("/api/openapi.json");
  assertEquals(openapi, "3.1.0");
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method} ${path}`)
  ).sort();
  const pages = new Set(["get /", "get /nodes/{id}", "get /assets/{version}/{name}"]);
  for (const path of ["/login", "/assets/page.css", "/assets/login.css", "/audit"]) {
    pages.add(`get ${path}`);
  }
  for (const path of ["/login", "/logout"]) pages.add(`post ${path}`);
  const served = test.app.routes.filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, "{$1}")}`)
    .filter((route) => !pages.has(route)).sort();
  assertEquals(documented, served);
  await test.stop();
});

realTest("every route that is read answers what the document says", async () => {
  const test = await TestHost.start({ allowFaults: true });
  const wire = await test.filled("pump-7", 25);
  wire.say({ type: "gap", epoch: EPOCH, from_seq: 26, to_seq: 30, reason: "evicted" });
  await test.clock.advance(2_000);
  const { token } = await test.json("/api/tokens", {
    ...{ method: "POST", body: JSON.stringify({ name: "anna", role: "admin" }) },
    headers: { "content-type": "application/json" },
  });
  const headers = { authorization: `Bearer ${token}` };
  const query: Record<string, string> = { series: `?metric=temp_c&from=${START}` };
  for (const [name, route] of Object.entries(ROUTES as Record<string, Route>)) {
    if (route.method !== "get" || name === "live") continue;
    const path = route.path.replace(":id", "pump-7") + (query[name] ?? "");
    const response = await test.get(path, { headers });
    assertEquals(response.status, 200, `${path}: ${response.status}`);
    const isText = route.formats?.[0] === "text";
    const answer = isText ? await response.text() : await response.json();
    const problems = Value.Errors(route.answer, answer);
    assertEquals(problems.slice(0, 3), [], path);
    if (Array.isArray(answer)) assert(answer.length > 0, `${path} is empty`);
  }
  await test.stop();
});

realTest(
  "pages of records follow the link header, each record once, by number and by time",
  async () => {
    const test = await TestHost.start();
    await test.filled("pump-7", 250);
    for (
      const query of [
        "limit=70",
        "limit=70&order=newest",
        `limit=70&from=${START}`,
        "limit=70&from=-1d&order=newest",
      ]
    ) {
      const seqs: number[] = [];
      let path: string | undefined = `/api/nodes/pump-7/records?${query}`;
      let pages = 0;
      while (path !== undefined) {
        const response = await test.get(path);
        const found = await response.json();
        seqs.push(...found.map(({ seq }: { seq: number }) => seq));
        path = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
        pages++;
      }
      assertEquals(pages, 4);
      const up = Array.from({ length: 250 }, (_, i) => i + 1);
      assertEquals(seqs, query.includes("newest") ? up.reverse() : up, query);
    }
    await test.stop();
  },
);

realTest("records come as CSV and JSON lines, a page at a time", async () => {
  const test = await TestHost.start();
  await test.filled("pump-7", 30);
  const csv = await (await test.get("/api/nodes/pump-7/records?format=csv&from=0")).text();
  const lines = csv.trimEnd().split("\r\n");
  assertEquals(
    lines[0],
    'received_wall_ms,node_id,epoch,seq,ts_wall_ms,ts_mono_ms,is_anomaly,score,degraded,cfg_version,"odd,name",temp_c',
  );
  assertEquals(lines.length, 31);
  assertMatch(lines[10]!, /,pump-7,9f2c4e11a0b3d5c7,10,\d+,900,1,9,0,0,1,41.25$/);
  const ndjson = await (await test.get("/api/nodes/pump-7/records?format=ndjson&limit=7")).text();
  const rows = ndjson.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(rows.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7]);
  assert(rows.every(({ received_wall_ms }) => received_wall_ms >= START));
  const anomalies = await test.json("/api/nodes/pump-7/records?anomalies=1");
  assertEquals(anomalies.map(({ seq }: { seq: number }) => seq), [10, 20, 30]);
  const series = await (await test.get(
    `/api/nodes/pump-7/series?metric=temp_c&from=0&points=1&format=csv`,
  )).text();
  assertMatch(series, /^t,min,mean,max,n,anomalies\r\n\d+,40.125,[\d.]+,43.75,30,3\r\n$/);
  await test.stop();
});

realTest(
  "what is wrong with a request is said in one line, and a misspelt filter is no filter",
  async () => {
    const test = await TestHost.start();
    await test.filled("pump-7", 1);
    for (
      const [path, status, error] of [
        ["/api/nodes/pump-7/records?form=1", 400, /^unknown parameter "form": known are from, /],
        ["/api/nodes/pump-7/records?limit=0", 400, /^limit: expected a whole number from 1 to /],
        ["/api/nodes/pump-7/records?limit=5000", 400, /^limit: at most 1000 as JSON/],
        ["/api/nodes/pump-7/records?from=soon", 400, /^from: expected milliseconds since 1970/],
        ["/api/nodes/pump-7/records?from=1&after_seq=3", 400, /^after_seq and before_seq don't go/],
        ["/api/nodes/pump-7/records?cursor=x", 400, /^cursor: expected one from the header/],
        ["/api/nodes/pump-7/records?anomalies=yes", 400, /^anomalies: expected 1 or 0/],
        ["/api/nodes/pump-7/series?metric=temp_c", 400, /^from is needed/],
        ["/api/nodes/pump-7/series?metric=temp_c&from=9&to=8", 400, /^to: expected a time after/],
        ["/api/events?format=xml", 400, /^format: expected one of json, ndjson, csv/],
        ["/api/nodes/pump-8/records", 404, /^no node "pump-8" is known$/],
        ["/api/nothing", 404, /^there is no \/api\/nothing$/],
      ] as const
    ) {
      const response = await test.get(path);
      assertEquals(response.status, status, path);
      assertMatch((await response.json()).error, error);
    }
    await test.stop();
  },
);

realTest("a configuration is checked by the table of settings before it is sent", async () => {
  const test = await TestHost.start();
  const send = (method: string, path: string, body: unknown) =>
    test.json(path, {
      method,
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
  assertEquals(await send("POST", "/api/config/check", { sample_hz: 5 }), { ok: true });
  const { ok, problems } = await send("POST", "/api/config/check", { sample_hz: -1, nonsense: 1 });
  assertEquals(ok, false);
  assertEquals(problems.map(({ setting }: { setting: string }) => setting), [
    "sample_hz",
    "nonsense",
  ]);
  const version = await send("PUT", "/api/nodes/pump-7/config", { sample_hz: 5 });
  assertEquals(version, { target: "pump-7", cfg_version: 1 });
  assertMatch((await send("PUT", "/api/config", { sample_hz: -1 })).error, /sample_hz/);
  for (const id of ["*", "%2A", "a%20b"]) {
    const answer = await send("PUT", `/api/nodes/${id}/config`, { sample_hz: 5 });
    assertMatch(answer.error, /name of a node/, `${id} would set more than one node`);
  }
  const { desired } = await test.json("/api/nodes/pump-7/config");
  assertEquals(desired, { cfg_version: 1, config: { sample_hz: 5 } });
  const settings = await test.json("/api/settings");
  assert(settings.every(({ help }: { help: string }) => help.length > 10));
  await test.stop();
});
