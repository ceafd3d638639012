/** Who may ask for what over HTTP: each role at each route, cookies, foreign pages, and what is noted of changes. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { allows, type Role, ROLES } from "../../lib/identity/roles.ts";
import { Hono } from "hono";
import type { Requester } from "../../lib/platform/platform.ts";
import { certified, guard, personOf } from "../../lib/web/access.ts";
import { type Route, ROUTES } from "../../lib/web/host_routes.ts";
import { realTest } from "../real.ts";
import { settle, START, TestHost } from "./test_host.ts";

const JSON_TYPE = { "content-type": "application/json" };
const BODIES: Record<string, unknown> = {
  add_fault: { fault: "drop:every=30s" },
  create_token: { name: "new", role: "viewer" },
};
const QUERIES: Record<string, string> = { series: `?metric=temp_c&from=${START}` };

async function tokenOf(test: TestHost, role: Role): Promise<string> {
  return (await test.people.create({ name: `the ${role}`, role })).token;
}

/** A request's status; its body is left. */
async function statusOf(test: TestHost, path: string, init: RequestInit = {}): Promise<number> {
  const response = await test.get(path, init);
  await response.body?.cancel();
  return response.status;
}

realTest(
  "each role may ask for what its table says, and nothing else; without a token nobody may",
  async () => {
    const test = await TestHost.start({ allowFaults: true, isExposed: true });
    await test.filled("pump-7", 5);
    const tokens = new Map<Role | undefined, string>();
    for (const role of ROLES) tokens.set(role, await tokenOf(test, role));
    for (const [name, route] of Object.entries(ROUTES as Record<string, Route>)) {
      const method = route.method.toUpperCase();
      const path = route.path.replace(":id", "pump-7") + (QUERIES[name] ?? "");
      for (const role of [undefined, ...ROLES]) {
        const headers = {
          ...(method === "GET" ? {} : JSON_TYPE),
          ...(role === undefined ? {} : { authorization: `Bearer ${tokens.get(role)}` }),
        };
        const body = method === "GET" ? null : JSON.stringify(BODIES[name] ?? {});
        const status = await statusOf(test, path, { method, headers, body });
        const asked = `${name} as ${role ?? "nobody"}`;
        if (route.role === undefined) assertEquals(status, 200, asked);
        else if (role === undefined) assertEquals(status, 401, asked);
        else if (!allows(role, route.role)) assertEquals(status, 403, asked);
        else assert(![401, 403].includes(status), `${asked}: ${status}`);
      }
    }
    for (const path of ["/", "/nodes/pump-7", "/loginX", "/healthzX", "/assets"]) {
      assertEquals(await statusOf(test, path), 401, path);
    }
    await test.stop();
  },
);

realTest("every route says who may use it: what changes something needs more than a viewer", () => {
  for (const [name, route] of Object.entries(ROUTES as Record<string, Route>)) {
    const isOpen = route.role === undefined, isRead = route.method === "get";
    assertEquals(isOpen, name === "healthz", name);
    if (!isRead && name !== "check_config") assert(route.role !== "viewer", name);
  }
});

realTest(
  "on this machine alone all is open while there is no token, and closed once there is one",
  async () => {
    const test = await TestHost.start();
    assertEquals(await statusOf(test, "/status"), 200);
    const stream = await test.get("/api/live");
    const token = await tokenOf(test, "viewer");
    assertEquals(await statusOf(test, "/status"), 401);
    const headers = { authorization: `Bearer ${token}` };
    assertEquals(await statusOf(test, "/status", { headers }), 200);
    await test.clock.advance(3_000);
    const reader = stream.body!.getReader();
    let ended = false;
    for (let i = 0; i < 10 && !ended; i++) {
      ended = await reader.read().then(({ done }) => done, () => true);
    }
    assert(ended, "a stream that was opened before goes on");
    await test.stop();
  },
);

realTest("where the last token is revoked nobody is let in, instead of everybody", async () => {
  const test = await TestHost.start();
  const { token, row } = await test.people.create({ name: "anna", role: "admin" });
  assertEquals((await test.people.revoke(row.id))?.name, "anna");
  assertEquals([test.people.tokens, test.people.isLoginNeeded], [[], true]);
  for (const headers of [{}, { authorization: `Bearer ${token}` }]) {
    assertEquals(await statusOf(test, "/status", { headers }), 401);
  }
  assertEquals(await test.people.revoke(row.id), undefined);
  await test.stop();
});

realTest("who is revoked is out within seconds, with the streams that are open", async () => {
  const test = await TestHost.start({ isExposed: true });
  const { token, row } = await test.people.create({ name: "anna", role: "viewer" });
  const headers = { authorization: `Bearer ${token}` };
  const stream = await test.get("/api/live", { headers });
  assertEquals(stream.status, 200);
  const stop = new AbortController();
  test.people.run(stop.signal);
  // As `host token revoke` does, beside the host.
  await test.host.store.revokeToken(row.id);
  await test.clock.advance(2_100);
  for (let i = 0; i < 200 && test.people.tokens.length > 0; i++) await settle();
  assertEquals(await statusOf(test, "/status", { headers }), 401);
  const reader = stream.body!.getReader();
  let ended = false;
  for (let i = 0; i < 10 && !ended; i++) {
    await test.clock.advance(1_100);
    ended = await reader.read().then(({ done }) => done, () => true);
  }
  assert(ended);
  stop.abort();
  await test.stop();
});

realTest("a login gives a cookie that no script reads and no other site uses", async () => {
  const test = await TestHost.start({ isExposed: true });
  const token = await tokenOf(test, "operator");
  const asked = await test.get("/nodes/a?x=1", { headers: { accept: "text/html" } });
  assertEquals([asked.status, asked.headers.get("location")], [302, "/login?next=%2Fnodes%2Fa"]);
  const login = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    test.get("/login", { method: "POST", body: new URLSearchParams(fields), headers });
  const wrong = await login({ token: "hf_nonsense" });
  assertEquals([wrong.status, wrong.headers.get("set-cookie")], [401, null]);
  assertMatch(await wrong.text(), /This token is not valid\./);
  const right = await login({ token: ` ${token} `, next: "/nodes/a" });
  assertEquals([right.status, right.headers.get("location")], [303, "/nodes/a"]);
  assertMatch(right.headers.get("set-cookie")!, /^holdfast_host=hf_\S+; .*HttpOnly; SameSite=Lax$/);
  for (const next of ["//evil.example", "/\\evil.example", "https://evil.example", "/\nx", ""]) {
    assertEquals((await login({ token, next })).headers.get("location"), "/", next);
  }
  const page = await (await test.get(`/login?next=${encodeURIComponent('/"><script>')}`)).text();
  assert(!page.includes("<script>"), "what is asked for is no markup");

  const cookie = right.headers.get("set-cookie")!.split(";")[0]!;
  assertEquals(await statusOf(test, "/status", { headers: { cookie } }), 200);
  const put = (headers: Record<string, string>) =>
    statusOf(test, "/api/config", {
      ...{ method: "PUT", body: "{}" },
      headers: { ...JSON_TYPE, cookie, host: "hf.example", ...headers },
    });
  assertEquals(await put({ origin: "https://hf.example" }), 200);
  assertEquals(await put({ "sec-fetch-site": "same-origin" }), 200);
  for (
    const foreign of [
      {},
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "https://hf.example.evil.example" },
      { origin: "https://evil.example/hf.example" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
    ]
  ) assertEquals(await put(foreign as Record<string, string>), 403, JSON.stringify(foreign));
  assertEquals(
    await put({ origin: "https://hf.example", "content-type": "text/plain" }),
    415,
  );
  const cross = { origin: "https://evil.example", host: "hf.example" };
  assertEquals((await login({ token }, cross)).status, 403);
  const out = await test.get("/logout", {
    ...{ method: "POST", headers: { cookie, origin: "https://hf.example", host: "hf.example" } },
  });
  assertMatch(out.headers.get("set-cookie")!, /^holdfast_host=; Max-Age=0/);
  await test.stop();
});

realTest(
  "a page under a foreign name that leads here reads nothing and changes nothing",
  async () => {
    const test = await TestHost.start();
    const headers = { ...JSON_TYPE, host: "evil.example", origin: "http://evil.example" };
    assertEquals(await statusOf(test, "/api/nodes", { headers }), 403);
    assertEquals(await statusOf(test, "/api/config", { method: "PUT", body: "{}", headers }), 403);
    const local = { ...headers, host: "127.0.0.1:7480" };
    assertEquals(
      await statusOf(test, "/api/config", { method: "PUT", body: "{}", headers: local }),
      403,
    );
    const own = { ...JSON_TYPE, host: "127.0.0.1:7480", origin: "http://127.0.0.1:7480" };
    assertEquals(
      await statusOf(test, "/api/config", { method: "PUT", body: "{}", headers: own }),
      200,
    );
    await test.stop();
  },
);

realTest("every answer says that it is nothing else, and is in nobody's frame", async () => {
  const test = await TestHost.start({ isExposed: true });
  const headers = { authorization: `Bearer ${await tokenOf(test, "viewer")}` };
  for (const path of ["/", "/status", "/login", "/api/nothing", "/assets/nothing", "/metrics"]) {
    const response = await test.get(path, { headers });
    await response.body?.cancel();
    assertEquals(response.headers.get("x-content-type-options"), "nosniff", path);
    assertEquals(response.headers.get("x-frame-options"), "DENY", path);
  }
  await test.stop();
});

realTest(
  "who changed what, from what to what, is in the audit trail; what was refused is not",
  async () => {
    const test = await TestHost.start({ allowFaults: true, isExposed: true });
    const [operator, admin] = [await tokenOf(test, "operator"), await tokenOf(test, "admin")];
    const send = (token: string, method: string, path: string, body: unknown = {}) =>
      test.json(path, {
        ...{ method, body: JSON.stringify(body) },
        headers: { ...JSON_TYPE, authorization: `Bearer ${token}` },
      });
    await send(operator, "PUT", "/api/nodes/pump-7/config", { sample_hz: 5 });
    await send(operator, "PUT", "/api/nodes/pump-7/config", { sample_hz: 2 });
    await send(operator, "PUT", "/api/nodes/pump-7/config", { sample_hz: -2 });
    await send(operator, "POST", "/api/tokens", { name: "eve", role: "admin" });
    await send(operator, "POST", "/api/faults", { fault: "drop:every=30s" });
    const made = await send(admin, "POST", "/api/tokens", { name: "carl", role: "viewer" });
    await send(admin, "DELETE", `/api/tokens/${made.row.id}`);
    await send(admin, "DELETE", "/api/tokens/0000000000");
    const headers = { authorization: `Bearer ${admin}` };
    const trail = await test.json("/api/audit", { headers });
    assertEquals(
      trail.map(({ who, action, target }: Record<string, string>) => `${who}: ${action} ${target}`),
      [
        "the admin: revoke_token carl",
        "the admin: create_token carl",
        "the operator: add_fault faults",
        "the operator: put_node_config pump-7",
        "the operator: put_node_config pump-7",
      ],
    );
    assertEquals([trail[3].before, trail[3].after], [{ sample_hz: 5 }, { sample_hz: 2 }]);
    assertEquals("before" in trail[4], false);
    assert(!JSON.stringify(trail).includes(made.token.slice(14)), "no secret is in it");
    assertEquals((await test.json("/api/audit?limit=1", { headers })).length, 1);
    await test.stop();
  },
);

realTest("the list of tokens has no secrets, and /metrics counts what was wrong", async () => {
  const test = await TestHost.start({ isExposed: true });
  const { token } = await test.people.create({ name: "anna", role: "admin", expires_s: 60 });
  const headers = { authorization: `Bearer ${token}` };
  const [row] = await test.json("/api/tokens", { headers });
  assertEquals(Object.keys(row).sort(), [
    "created_wall_ms",
    "expires_wall_ms",
    "id",
    "name",
    "role",
  ]);
  for (let i = 0; i < 12; i++) {
    await statusOf(test, "/status", { headers: { authorization: `Bearer wrong ${i}` } });
  }
  const slowed = await test.get("/status", { headers: { authorization: "Bearer wrong" } });
  assertEquals([slowed.status, slowed.headers.get("retry-after")], [429, "10"]);
  await slowed.body?.cancel();
  const metrics = await (await test.get("/metrics", { headers })).text();
  assertMatch(metrics, /_logins_failed_total 10$/m);
  assertMatch(metrics, /_logins_slowed_total 3$/m);
  await test.stop();
});

realTest("one person's changes are not so many that they wash the audit trail out", async () => {
  const test = await TestHost.start({ isExposed: true });
  const token = await tokenOf(test, "operator");
  const put = () =>
    statusOf(test, "/api/config", {
      ...{ method: "PUT", body: "{}" },
      headers: { ...JSON_TYPE, authorization: `Bearer ${token}` },
    });
  let allowed = 0;
  while (allowed < 200 && await put() === 200) allowed++;
  assertEquals([allowed, await put()], [100, 429]);
  await test.clock.advance(2_000);
  assertEquals([await put(), await put()], [200, 429]);
  await test.stop();
});

realTest("a name is one token's, and never one that the trail has for something else", async () => {
  const test = await TestHost.start();
  await test.people.create({ name: "anna", role: "viewer" });
  for (const name of ["anna", "local", "http_token"]) {
    const made = await test.people.create({ name, role: "admin" }).then(() => true, () => false);
    assertEquals(made, false, name);
  }
  await test.stop();
});

Deno.test("who showed a certificate is valid for as long as it is, whatever their token says", async () => {
  const revoked = new Set<string>(), refused: string[] = [];
  const app = new Hono();
  app.use(certified({
    isRevoked: (serial) => revoked.has(serial),
    onRefused: (_address, reason) => refused.push(reason),
  }));
  const person = { name: "anna", role: "viewer", isValid: () => true } as const;
  const door = { isLoginNeeded: true, judge: () => Promise.resolve({ person }) };
  app.use(guard({ door, cookie: "c", isSecure: true }));
  let known: { isValid(): boolean } | undefined;
  app.get("/", (c) => {
    known = personOf(c);
    return c.text("in");
  });
  const ask = async (certificate: Requester["certificate"]) => {
    const headers = { authorization: "Bearer anything" };
    const from = { address: "10.0.0.1", certificate };
    return (await app.request("/", { headers }, from)).status;
  };
  assertEquals(await ask({ serial: "aa" }), 200);
  assert(known!.isValid());
  revoked.add("aa");
  assert(!known!.isValid(), "an open stream ends");
  assertEquals([await ask({ serial: "aa" }), await ask(undefined)], [403, 403]);
  assertEquals(refused, ["its certificate is revoked", "it shows no certificate"]);
});
