/** What is said of those who weren't let in. */
import { assertEquals } from "@std/assert";
import { Strangers } from "../../lib/host/strangers.ts";

Deno.test("who wasn't let in is told of for ten minutes, the last one by address and reason", () => {
  const strangers = new Strangers();
  assertEquals(strangers.lately(0), undefined);
  strangers.refused("10.0.0.9:1", "its certificate has expired", 1_000);
  assertEquals(
    strangers.lately(1_000),
    "1 connection was refused in the last 10 min, the last from 10.0.0.9:1: its certificate has expired",
  );
  strangers.refused("10.0.0.8:1", "it shows no certificate", 301_000);
  const both =
    "2 connections were refused in the last 10 min, the last from 10.0.0.8:1: it shows no certificate";
  assertEquals(strangers.lately(601_000), both);
  assertEquals(strangers.lately(601_001)?.startsWith("1 connection was"), true);
  assertEquals(strangers.lately(901_001), undefined);
});

Deno.test("a flood of them takes bounded memory, and is said to be one", () => {
  const strangers = new Strangers();
  for (let i = 0; i < 5_000; i++) strangers.refused("10.0.0.9:1", "x", i);
  assertEquals(strangers.lately(5_000)?.startsWith("1000 or more connections were"), true);
});
