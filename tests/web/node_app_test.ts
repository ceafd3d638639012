/** The node over HTTP: one small document, what the stream tells, and who is let in. */
import { assert, assertEquals, assertNotMatch } from "@std/assert";
import { Recent } from "../../lib/node/recent.ts";
import type { NodeStatus } from "../../lib/node/status.ts";
import { sha256 } from "../../lib/platform/digest.ts";
import { CLIENTS_MAX, createNodeApp } from "../../lib/web/node_app.ts";
import { ManualClock, START } from "./test_host.ts";
import { realTest } from "../real.ts";

const STATUS = {
  safe: true,
  attention: [],
  backlog: 3,
  node_id: "pump-7",
  diagnostics: { note: "</script><script>alert(1)</script>" },
} as unknown as NodeStatus;

function made(token = "") {
  const clock = new ManualClock();
  const recent = new Recent();
  recent.add({ temp_c: 41 }, () => false, { monoMs: 0, wallMs: START });
  let status = STATUS;
  const app = createNodeApp({
    status: () => Promise.resolve(status),
    health: () => undefined,
    memoryBytes: () => 1,
    recent,
  }, {
    clock,
    isSecure: false,
    door: {
      isLoginNeeded: token !== "",
      judge: (given) =>
        Promise.resolve(
          given === token
            ? { person: { name: "http_token", role: "admin" as const, isValid: () => true } }
            : { reason: "this token is not valid" },
        ),
    },
  });
  return {
    app,
    clock,
    recent,
    set: (changes: Partial<NodeStatus>) => status = { ...status, ...changes },
  };
}

/** The events of one second. */
async function told(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<Record<string, unknown>> {
  const text = new TextDecoder().decode((await reader.read()).value);
  return Object.fromEntries(
    text.trimEnd().split("\n\n").map((event) => {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event)!;
      return [name, JSON.parse(data!)];
    }),
  );
}

realTest("the page is one document under 100 KB that asks for nothing elsewhere", async () => {
  const html = await (await made().app.request("/")).text();
  assert(new TextEncoder().encode(html).length < 100_000);
  assertNotMatch(html, /\b(?:src|href)="(?!#|data:|\/status)/);
  assertNotMatch(html, /^(?:import|export) /m);
});

realTest(
  "the policy allows exactly the scripts and the style of the page, by their hash",
  async () => {
    const response = await made().app.request("/");
    const policy = response.headers.get("content-security-policy")!;
    const html = await response.text();
    const inline = [...html.matchAll(/<(script|style)(?! type="application)[^>]*>(.*?)<\/\1>/gs)];
    assertEquals(inline.length, 3);
    for (const [, , code] of inline) {
      assert(policy.includes(`'sha256-${sha256(code!, "base64")}'`));
    }
    assertNotMatch(policy, /unsafe|\*/);
    assertNotMatch(html, / style="/);
  },
);

realTest("the status inside the page is data, whatever a sensor calls itself", async () => {
  const html = await (await made().app.request("/")).text();
  const [, json] = /<script type="application\/json" id="status">(.*?)<\/script>/s.exec(html)!;
  assertEquals(JSON.parse(json!), STATUS);
  assertNotMatch(html, /alert\(1\)<\/script>/);
});

realTest(
  "a stream tells the status at first, then what changed in it, and the last seconds",
  async () => {
    const { app, clock, recent, set } = made();
    const reader = (await app.request("/api/live")).body!.getReader();
    assertEquals((await told(reader)).status, STATUS);
    set({ backlog: 4 });
    recent.add({ temp_c: 43 }, () => true, { monoMs: 1_000, wallMs: START + 1_000 });
    const next = told(reader);
    await clock.advance(1_100);
    assertEquals(await next, {
      status: { backlog: 4 },
      recent: recent.read(),
    });
    await reader.cancel();
  },
);

realTest("there are never too many streams, and those that take nothing are let go", async () => {
  const { app, clock } = made();
  for (let i = 0; i < CLIENTS_MAX; i++) {
    assertEquals((await app.request("/api/live")).status, 200);
  }
  assertEquals((await app.request("/api/live")).status, 503);
  await clock.advance(20_000);
  const response = await app.request("/api/live");
  assertEquals(response.status, 200);
  await response.body!.cancel();
});

realTest(
  "without a token only the names of this machine are answered, with one any who shows it",
  async () => {
    const foreign = { headers: { host: "evil.example" } };
    assertEquals((await made().app.request("/status", foreign)).status, 403);
    const { app } = made("sesame-sesame-sesame");
    for (const path of ["/status", "/", "/metrics", "/api/recent", "/api/live"]) {
      const response = await app.request(path, foreign);
      assertEquals(response.status, 401, path);
      await response.body?.cancel();
    }
    assertEquals(await (await app.request("/healthz", foreign)).text(), "ok\n");
    const shown = { headers: { ...foreign.headers, authorization: "Bearer sesame-sesame-sesame" } };
    assertEquals((await app.request("/status", shown)).status, 200);
  },
);

realTest("a browser is led to the page of the login, and comes back with a cookie", async () => {
  const { app } = made("sesame-sesame-sesame");
  const asked = await app.request("/", { headers: { accept: "text/html" } });
  assertEquals(asked.headers.get("location"), "/login?next=%2F");
  const page = await (await app.request("/login?next=%2F")).text();
  assert(page.includes('name="token"'));
  const login = (token: string) =>
    app.request("/login", {
      method: "POST",
      body: new URLSearchParams({ token, next: "/status" }),
    });
  const wrong = await login("open");
  assertEquals([wrong.status, wrong.headers.get("set-cookie")], [401, null]);
  const right = await login("sesame-sesame-sesame");
  assertEquals([right.status, right.headers.get("location")], [303, "/status"]);
  const cookie = right.headers.get("set-cookie")!;
  assert(/; HttpOnly; SameSite=Lax$/.test(cookie), cookie);
  const headers = { cookie: cookie.split(";")[0]! };
  assertEquals((await app.request("/status", { headers })).status, 200);
});
