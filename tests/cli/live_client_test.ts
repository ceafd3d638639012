import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ApiError, baseUrl, EventParser, followed, HostApi } from "../../lib/cli/live_client.ts";
import { realTest } from "../real.ts";

const STREAM = 'event: host\ndata: {"a":1}\n\n: a comment\n\ndata: one\ndata: two\nid: 4\n\n' +
  "event:nodes\r\ndata:[]\r\n\r\nevent: nothing\n\ndata\n\ndata: ü\r\rdata: open";
const EVENTS = [
  { event: "host", data: '{"a":1}' },
  { event: "message", data: "one\ntwo" },
  { event: "nodes", data: "[]" },
  { event: "message", data: "" },
  { event: "message", data: "ü" },
];

realTest("EventParser gives the same events however the text is split", () => {
  for (let first = 0; first <= STREAM.length; first++) {
    for (const second of [first, Math.min(STREAM.length, first + 1), STREAM.length]) {
      const parser = new EventParser();
      const parts = [STREAM.slice(0, first), STREAM.slice(first, second), STREAM.slice(second)];
      assertEquals(parts.flatMap((part) => parser.push(part)), EVENTS, `${first} ${second}`);
    }
  }
  const cuts = fc.array(fc.nat(STREAM.length), { maxLength: 20 });
  fc.assert(fc.property(cuts, (at) => {
    const parser = new EventParser();
    const edges = [0, ...at.sort((a, b) => a - b), STREAM.length];
    const found = edges.slice(1).flatMap((end, i) => parser.push(STREAM.slice(edges[i], end)));
    assertEquals(found, EVENTS);
  }));
});

realTest("EventParser refuses an event without an end instead of keeping all of it", () => {
  const parser = new EventParser();
  const megabyte = "x".repeat(1_000_000);
  assertMatch(
    String(assertThrows(() => {
      for (let i = 0; i < 100; i++) parser.push(megabyte);
    })),
    /too long/,
  );
});

realTest("baseUrl() takes what people type and refuses the rest with one line", () => {
  const good = ["127.0.0.1:7480", "http://[::1]:7480/", "https://h.example/fleet/", "localhost:1"];
  assertEquals(good.map(baseUrl), [
    ...["http://127.0.0.1:7480", "http://[::1]:7480", "https://h.example/fleet"],
    "http://localhost:1",
  ]);
  for (const bad of ["", "::::", "ftp://x", "file:///etc/passwd", "http://", "a b", "x\n\x1b[2J"]) {
    ((check: (error: Error) => unknown) => check(assertThrows(() => baseUrl(bad))))((error) =>
      error instanceof ApiError && /^[^\n\p{Cc}]*--url [^\n]*$/u.test(error.message)
    );
  }
});

/** A host of one answer; what it was asked is kept. */
async function withServer(
  answer: (request: Request) => Response,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
  try {
    await use(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

realTest("HostApi sends the token, and says of every refusal what to do", async () => {
  const answer = (request: Request) => {
    if (request.headers.get("authorization") !== "Bearer sesame") {
      return new Response("", { status: 401 });
    }
    const { pathname } = new URL(request.url);
    return pathname === "/yes" ? Response.json([1]) : new Response("x", {
      status: pathname === "/text" ? 200 : 404,
    });
  };
  await withServer(answer, async (url) => {
    assertEquals(await new HostApi(url, "sesame").json("/yes"), [1]);
    assertMatch(
      String(await assertRejects(() => new HostApi(url, "").json("/yes"))),
      /set HOLDFAST_HTTP_TOKEN/,
    );
    assertMatch(
      String(await assertRejects(() => new HostApi(url, "sesame").json("/no"))),
      /404: is it a Holdfast host/,
    );
    assertMatch(
      String(await assertRejects(() => new HostApi(url, "sesame").json("/text"))),
      /no JSON/,
    );
    const live = new HostApi(url, "sesame").live(undefined, new AbortController().signal);
    assertMatch(String(await assertRejects(() => live.next())), /404/);
  });
});

realTest(
  "followed() rejects where nobody ever answered, and otherwise tells of loss and return once",
  async () => {
    const signal = new AbortController();
    const told: string[] = [];
    const watcher = { lost: (reason: string) => told.push(reason), back: () => told.push("back") };
    const never = () => Promise.reject(new ApiError("nobody"));
    assertMatch(
      String(await assertRejects(() => followed(never, watcher, signal.signal))),
      /nobody/,
    );
    assertEquals(told, []);
    let runs = 0;
    const pauses: number[] = [];
    const pause = (ms: number) => Promise.resolve(void pauses.push(ms));
    await followed(
      (alive) => {
        runs++;
        if (runs === 1 || runs === 3) alive();
        if (runs === 4) signal.abort();
        return Promise.reject(new ApiError(`gone ${runs}`));
      },
      watcher,
      signal.signal,
      pause,
    );
    assertEquals(told, ["gone 1", "back", "gone 3"]);
    assertEquals(pauses, [500, 1_000, 500]);
  },
);
