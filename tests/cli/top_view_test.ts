import { assert, assertEquals, assertMatch } from "@std/assert";
import { ansi, plain, widthOf } from "../../lib/cli/terminal_text.ts";
import { keysOf, screenUpdate, TopView } from "../../lib/cli/top_view.ts";

import { summary } from "../fleet/summary.ts";

const NOW = 1_800_000_000_000;
const SIZE = { rows: 10, columns: 90 };

function host(more: Record<string, unknown> = {}): [string, unknown] {
  const store = { ok: true, bytes: 13_214_500_000, records: 45_012_311 };
  const host = { now_wall_ms: NOW, version: "0.2.0", nodes_known: 20, nodes_connected: 19, store };
  return ["host", { ...host, ...more }];
}

function nodes(count: number, more: Record<string, unknown> = {}): [string, unknown] {
  const all = Array.from({ length: count }, (_, i) => ({
    ...summary(`pump-${i + 1}`, NOW, {
      connected: i !== 4,
      last_seen_wall_ms: NOW - (i === 4 ? 60_000 : 100),
      backlog: i,
      ...more,
    }),
    ...more,
  }));
  return ["nodes", all];
}

function view(count = 20): TopView {
  const made = new TopView("http://h");
  made.take(...host());
  made.take(...nodes(count));
  return made;
}

/** First words of the rows of nodes. */
function names(top: TopView): string[] {
  return top.screen(SIZE, plain).slice(3, -1).map((line) => line.split(" ")[0]!).filter((n) => n);
}

Deno.test("the screen is exactly as large as the terminal, at any size", () => {
  const top = view();
  for (const rows of [1, 2, 3, 4, 5, 24, 60]) {
    for (const columns of [1, 20, 80, 200]) {
      const lines = top.screen({ rows, columns }, plain);
      assertEquals(lines.length, rows);
      assert(lines.every((line) => widthOf(line) <= columns));
    }
  }
  const lines = top.screen(SIZE, plain);
  assertEquals(
    lines[0],
    "holdfast 0.2.0   19 of 20 nodes connected, 1 to look at   store ok, 45.0 M records, 13.2 …",
  );
  assertMatch(lines[1]!, /^sorted by worst {3}1-6 of 20$/);
  assertMatch(lines[3]!, /^pump-5 +Silent/);
});

Deno.test("keys sort, filter, scroll and quit, and scrolling stops at both ends", () => {
  const top = view();
  const press = (text: string) => keysOf(text).map((key) => top.press(key, SIZE)).at(-1);
  press("s");
  assertEquals(names(top), [1, 2, 3, 4, 5, 6].map((n) => `pump-${n}`));
  press("j\x1b[B");
  assertEquals(names(top)[0], "pump-3");
  press("kkkk");
  assertEquals(names(top)[0], "pump-1");
  press("G");
  assertEquals(names(top).at(-1), "pump-20");
  assertEquals(names(top).length, 6);
  press("/PUMP-1q\x7f");
  assertMatch(top.screen(SIZE, plain).at(-1)!, /^\/PUMP-1_/);
  assertEquals(press("\r"), false);
  assertEquals(names(top), [1, 10, 11, 12, 13, 14].map((n) => `pump-${n}`));
  press("\x1b");
  assertEquals(names(top)[1], "pump-2");
  press("/silent\r");
  assertEquals(names(top), ["pump-5"]);
  press("/\x15zzz\r");
  assertMatch(top.screen(SIZE, plain)[1]!, /none of 20/);
  assertEquals(press("q"), true);
  assertEquals(press("/\x03"), true);
});

Deno.test("keysOf() knows sequences of both modes and takes no harm from others", () => {
  assertEquals(keysOf("\x1b[A\x1bOB\x1b[5~\x1b[1;5C\x1bü\x03"), [
    ...["up", "down", "pageup", "unknown", "escape", "ü", "interrupt"],
  ]);
});

Deno.test("screenUpdate() writes only the lines that differ", () => {
  const top = view();
  const before = top.screen(SIZE, ansi);
  assertEquals(screenUpdate(before, top.screen(SIZE, ansi)), "");
  top.take("nodes", [{ node_id: "pump-2", connected: true, rate: 3, last_seen_wall_ms: NOW }]);
  const update = screenUpdate(before, top.screen(SIZE, ansi));
  assertEquals(update.match(/\p{Cc}\[\d+;1H/gu)?.length, 1);
  assertMatch(update, /^\p{Cc}\[6;1H\p{Cc}\[2Kpump-2 /u);
  assertEquals(screenUpdate([], before).match(/\p{Cc}\[\d+;1H/gu)?.length, SIZE.rows);
});

Deno.test("a failing store and a lost connection are the first thing on the screen", () => {
  const top = view();
  top.take(...host({ store: { ok: false, error: "disk\x1b[2J full", bytes: 1, records: 1 } }));
  assertMatch(
    top.screen({ rows: 5, columns: 200 }, plain)[0]!,
    /store FAILS: disk\ufffd\[2J full/,
  );
  top.link("connection refused");
  assertEquals(top.screen(SIZE, plain)[0], "no connection: connection refused");
  assertMatch(top.screen(SIZE, plain)[3]!, /^pump-5/);
});

Deno.test("no text of the network reaches the terminal as a command", () => {
  const hostile = "\x1b]0;owned\x07\u009b2J\r\n\u202e";
  const top = new TopView("http://h");
  top.take(...host({ version: hostile, store: { ok: false, error: hostile } }));
  top.take(...nodes(3, { node_id: hostile, config_error: hostile }));
  top.link(undefined);
  const text = [...top.screen({ rows: 9, columns: 300 }, plain), ...top.snapshot()].join("");
  assertEquals(/[\p{Cc}\p{Cf}]/u.test(text), false);
});

Deno.test("a snapshot has every node, uncut", () => {
  const lines = view(100).snapshot();
  assertEquals(lines.length, 102);
  assertMatch(lines[0]!, /13\.2 GB$/);
});
