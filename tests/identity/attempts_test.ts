/** How often somebody may be wrong, and that remembering it takes bounded memory. */
import { assert, assertEquals } from "@std/assert";
import { Attempts } from "../../lib/identity/attempts.ts";

Deno.test("ten at once, then one in ten seconds; all is forgiven in time, and nobody pays for others", () => {
  const attempts = new Attempts();
  for (let i = 0; i < 10; i++) {
    assertEquals(attempts.waitMs("a", 0), 0, `attempt ${i}`);
    attempts.failed("a", 0);
  }
  assertEquals(attempts.waitMs("a", 0), 10_000);
  assertEquals(attempts.waitMs("b", 0), 0);
  assertEquals(attempts.waitMs("a", 10_000), 0);
  attempts.failed("a", 10_000);
  assertEquals(attempts.waitMs("a", 10_000), 10_000);
  assertEquals(attempts.waitMs("a", 1e9), 0);
  for (let i = 0; i < 10; i++) attempts.failed("a", 1e9);
  assertEquals(attempts.waitMs("a", 1e9), 10_000);
});

Deno.test("of very many who are wrong the latest are remembered", () => {
  const attempts = new Attempts();
  for (let i = 0; i < 20_000; i++) {
    for (let n = 0; n < 10; n++) attempts.failed(`${i}`, 0);
  }
  assertEquals(attempts.waitMs("0", 0), 0);
  assert(attempts.waitMs("10000", 0) > 0 && attempts.waitMs("19999", 0) > 0);
});
