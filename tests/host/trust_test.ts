/** Who is believed on the link: by a certificate, or by a token of the node's own. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Trust } from "../../lib/host/trust.ts";
import { Gatekeeper } from "../../lib/identity/gatekeeper.ts";
import { isToken, makeToken, tokenParts, type TokenRow } from "../../lib/identity/token.ts";
import type { Connection } from "../../lib/platform/platform.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";

const random = seededRandom(1);
const clock = { nowMs: 1_000_000, wallMs: () => clock.nowMs } as never as
  & { nowMs: number }
  & Parameters<typeof Trust.load>[1];

/** A connection of which TLS says that. */
function by(said: Partial<Connection>): Connection {
  return {
    peer: "10.0.0.1:5000",
    read: () => Promise.resolve(undefined),
    write: () => Promise.resolve(),
    close: () => {},
    ...said,
  };
}

const plain = by({}), certified = by({ identity: "pump-7", serial: "aa" });
const bare = by({ identity: "", distrust: "it shows no certificate" });

function tokenOf(name: string, role: string, expires_s?: number) {
  const asked = { name, role, ...(expires_s === undefined ? {} : { expires_s }) };
  return makeToken(tokenParts(asked, clock.nowMs), random);
}

async function trusting(rows: readonly TokenRow[], revoked: readonly string[] = []) {
  const kept = { rows: [...rows], revoked: [...revoked], isBroken: false };
  const store = {
    tokens: () => kept.isBroken ? Promise.reject(new Error("busy")) : Promise.resolve(kept.rows),
    revokedSerials: () => Promise.resolve(kept.revoked),
  };
  return { trust: await Trust.load(store, clock), kept };
}

Deno.test("a token lets in the node that it is of, over TLS without a certificate, until its end", async () => {
  const { token, row } = await tokenOf("pump-7", "node", 60);
  const { trust, kept } = await trusting([row]);
  const shows = (nodeId: string, shown?: string, connection = bare) =>
    trust.problem({ connection, nodeId, token: shown });
  assertEquals(trust.refusal(bare, false), undefined);
  assertEquals(shows("pump-7", token), undefined);
  assertMatch(shows("pump-8", token)!, /that of "pump-7"/);
  assertMatch(shows("pump-7")!, /no certificate, and no token/);
  assertMatch(shows("pump-7", token.slice(0, -1) + "x")!, /none of this host/);
  assertMatch(shows("pump-7", "hf_")!, /none of this host/);
  clock.nowMs += 60_000;
  assertMatch(shows("pump-7", token)!, /expired/);
  clock.nowMs -= 60_000;
  kept.isBroken = true;
  kept.rows = [{ ...row, hash: "" }];
  await trust.look();
  assertEquals(shows("pump-7", token), undefined);
  kept.isBroken = false;
  await trust.look();
  assertMatch(shows("pump-7", token)!, /was revoked/);
  assertEquals(trust.refusal(bare, false), "it shows no certificate");
});

Deno.test("a person's token is no node's, and a node's is no person's", async () => {
  const person = await tokenOf("pump-7", "admin"), node = await tokenOf("pump-8", "node");
  const { trust } = await trusting([person.row, node.row]);
  assertMatch(trust.problem({ connection: bare, nodeId: "pump-7", token: person.token })!, /none/);
  assert(!await isToken(node.token, node.row.hash));
  const gatekeeper = new Gatekeeper("", () => clock.nowMs);
  gatekeeper.know([node.row]);
  assert(!gatekeeper.hasTokens);
  assertEquals((await gatekeeper.judge(node.token, "10.0.0.1")).person, undefined);
});

Deno.test("over a plain connection a node that has a token shows it, and others need none", async () => {
  const { token, row } = await tokenOf("pump-7", "node");
  const { trust, kept } = await trusting([row]);
  const shows = (nodeId: string, shown?: string) =>
    trust.problem({ connection: plain, nodeId, token: shown });
  assertMatch(shows("pump-7")!, /shows no token/);
  assertMatch(shows("pump-7", "x".repeat(20))!, /none of this host/);
  assertEquals(shows("pump-7", token), undefined);
  assertEquals(shows("pump-8"), undefined);
  assertEquals(shows("pump-8", "x".repeat(20)), undefined);
  // Revoked, it opens the door to nobody.
  kept.rows = [{ ...row, hash: "" }];
  await trust.look();
  assertMatch(shows("pump-7")!, /shows no token/);
  assertMatch(shows("pump-7", token)!, /was revoked/);
});

Deno.test("a certificate needs no token, and counts no more once it is revoked", async () => {
  const { row } = await tokenOf("pump-7", "node");
  const { trust, kept } = await trusting([row]);
  const problem = () =>
    trust.problem({ connection: certified, nodeId: "pump-7", token: undefined });
  assertEquals(problem(), undefined);
  kept.revoked.push("aa");
  await trust.look();
  assertMatch(problem()!, /revoked/);
  assertMatch(trust.refusal(certified, true)!, /revoked/);
});

Deno.test("who has to enroll first is let to the door, and nobody else without a token in the fleet", async () => {
  const { trust } = await trusting([]);
  assertEquals(trust.refusal(bare, true), undefined);
  assertEquals(trust.refusal(bare, false), "it shows no certificate");
  assertEquals(trust.refusal(plain, false), undefined);
});
