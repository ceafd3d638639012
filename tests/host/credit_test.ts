import { strict as assert } from "node:assert";
import { creditFor } from "../../lib/host/credit.ts";

Deno.test("creditFor() shares fairly, starves nobody, and is generous to one alone", () => {
  const alone = creditFor(24 << 20, 1);
  assert.ok(alone.records >= 8_192 && alone.bytes >= 4 << 20);
  const many = creditFor(256 << 20, 10_000);
  assert.ok(many.bytes >= 65_536 && many.records >= 256);
});
