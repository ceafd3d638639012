/** Who is let in while a flood is at the door. */
import { assertEquals, assertMatch } from "@std/assert";
import { Gate, type Guest, placeOf } from "../../lib/host/gate.ts";
import type { Connection } from "../../lib/platform/platform.ts";

type Known = { node_id: string; peer: string };

function gate({ known = [] as Known[], connectionsMax = 100, perAddress = 4 } = {}): Gate {
  const newcomersPerAddressMax = perAddress;
  return new Gate({ connectionsMax, newcomersPerAddressMax, known: () => known });
}
function from(peer: string, identity?: string): Connection {
  return { peer, ...(identity === undefined ? {} : { identity }) } as Connection;
}
/** Somebody who came in; what changes of them is set by the test. */
function guest(peer: string): Guest & { nodeId: string | undefined; isClosed: boolean } {
  return { connection: from(peer), nodeId: undefined, isClosed: false };
}

Deno.test("of one address the oldest that says nothing makes room for a newer one, and nobody else", () => {
  const one = gate();
  const guests = [1, 2, 3, 4, 5].map((port) => guest(`10.0.0.1:${port}`));
  const [a, b, c] = guests;
  for (const each of guests.slice(0, 4)) assertEquals(one.entered(each, 4), undefined);
  assertEquals(one.entered(guest("10.0.0.2:1"), 5), undefined, "another address");
  assertEquals(one.entered(guests[4]!, 6), a);
  b!.nodeId = "b";
  assertEquals(one.entered(guest("10.0.0.1:6"), 6), undefined, "who said hello stays");
  c!.isClosed = true;
  assertEquals(one.entered(guest("10.0.0.1:7"), 6), undefined);
  assertEquals(one.entered(guest("10.0.0.1:8"), 6), guests[3]);
  one.left(guests[4]!);
  assertEquals(one.entered(guest("10.0.0.1:9"), 6), undefined);
});

Deno.test("where all places are taken, those that say nothing make room, whatever their address", () => {
  const one = gate({ connectionsMax: 5, perAddress: 100 });
  const guests = [1, 2, 3, 4, 5, 6].map((n) => guest(`10.0.0.${n}:1`));
  for (const [index, each] of guests.entries()) {
    assertEquals(one.refusal(each.connection, index, 0), undefined);
    assertEquals(one.entered(each, index + 1), index < 5 ? undefined : guests[0]);
  }
  for (const each of guests) each.nodeId = "n";
  assertMatch(one.refusal(from("10.0.0.9:1"), 5, 0)!, /as many connections/);
});

Deno.test("the last tenth of all places is for nodes that are known: by certificate, else by address", () => {
  const known = [{ node_id: "pump-7", peer: "10.0.0.7:4000" }];
  const one = gate({ known });
  assertEquals(one.refusal(from("10.9.9.9:1"), 89, 0), undefined);
  assertMatch(one.refusal(from("10.9.9.9:1"), 90, 0)!, /kept for nodes/);
  assertEquals(one.refusal(from("10.0.0.7:5555"), 90, 0), undefined);
  assertEquals(one.refusal(from("10.9.9.9:1", "pump-7"), 99, 0), undefined);
  assertEquals(
    one.refusal(from("10.0.0.7:1", ""), 90, 0),
    undefined,
    "it may ask for a certificate",
  );
  assertMatch(one.refusal(from("10.0.0.7:1", "eve"), 90, 0)!, /kept for nodes/);
  assertMatch(one.refusal(from("10.0.0.7:5555"), 100, 0)!, /as many connections/);
  known.push({ node_id: "pump-8", peer: "10.9.9.9:2" });
  assertMatch(one.refusal(from("10.9.9.9:1"), 90, 999)!, /kept for nodes/);
  assertEquals(one.refusal(from("10.9.9.9:1"), 90, 1_000), undefined);
});

Deno.test("a small host keeps no places, and lets in as many as it allows", () => {
  const one = gate({ connectionsMax: 3 });
  for (const inside of [0, 1, 2]) assertEquals(one.refusal(from("a:1"), inside, 0), undefined);
  assertMatch(one.refusal(from("a:1"), 3, 0)!, /as many connections/);
});

Deno.test("a network of 64 bits counts as one address", () => {
  assertEquals(placeOf("[2001:db8:0:1::5]:99"), placeOf("[2001:db8:0:1:aaaa::1]:1"));
  assertEquals(placeOf("[::ffff:10.0.0.1]:5"), placeOf("10.0.0.1:7"));
  assertEquals(placeOf("10.0.0.1:7") === placeOf("10.0.0.2:7"), false);
});
