/** Which nodes still need the authority that is changed for another. */
import { assertEquals } from "@std/assert";
import { nodesBehind } from "../../lib/cli/pki_rotate.ts";
import { makeAuthority } from "../../lib/identity/pki.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { openDatabase } from "../../lib/store/sqlite/engine.ts";
import { putCertificate } from "../../lib/store/sqlite/pki.ts";

const DAY_MS = 86_400_000;

Deno.test("behind are those with certificates of the former authority alone, also ended ones that may still be renewed", async () => {
  const nowMs = Date.now(), db = openDatabase(":memory:");
  const { cert } = await makeAuthority("b", { nowMs: nowMs - DAY_MS, days: 9 }, seededRandom(2));
  let serial = 0;
  const put = (node_id: string, issuedDays: number, endsDays: number, isRevoked = false) =>
    putCertificate(db, {
      serial: String(++serial),
      node_id,
      issued_wall_ms: nowMs + issuedDays * DAY_MS,
      not_after_ms: nowMs + endsDays * DAY_MS,
      revoked_wall_ms: isRevoked ? nowMs : null,
    });
  put("waits", -50, 40);
  put("ended", -150, -60);
  put("long-gone", -900, -800);
  put("renewed", -50, 40);
  put("renewed", -0.5, 90);
  put("new", -0.5, 90);
  put("revoked", -50, 40, true);
  put("", -50, 40);
  assertEquals(nodesBehind(db, cert), ["ended", "waits"]);
});
