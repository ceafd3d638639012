import { assert } from "@std/assert";
import { creditFor } from "../../lib/host/credit.ts";

Deno.test("creditFor() shares fairly, starves nobody, and is generous to one alone", () => {
  const alone = creditFor(8 << 20, 1);
  assert(alone.records >= 2_048 && alone.bytes >= 512 << 10);
  const many = creditFor(256 << 20, 10_000);
  assert(many.bytes >= 65_536 && many.records >= 256);
});
