/** Whom a fleet trusts, and how that changes: never by the word of a host alone. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  authoritiesIn,
  follow,
  signerOf,
  tagOf,
  vouchFor,
} from "../../lib/identity/authorities.ts";
import { isKeyOf, makeAuthority, makeKey, makeRequest, sign } from "../../lib/identity/pki.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";

const NOW = Date.UTC(2026, 10, 30);
const random = seededRandom(6);
const times = { nowMs: NOW, days: 1_000 };
const former = await makeAuthority("fleet", times, random);
const newer = await makeAuthority("fleet 2", times, random);
const stranger = await makeAuthority("fleet 2", times, random);
const cross = await vouchFor(newer.cert, former, random);

Deno.test("a newer authority is followed by the former one's word for it, and then the former one can go", async () => {
  const both = await follow([former.cert], { ca: newer.cert + former.cert, cross });
  assertEquals(both, [newer.cert, former.cert]);
  assertEquals(await follow(both, { ca: newer.cert }), [newer.cert]);
  assertEquals(await follow([former.cert], { ca: former.cert }), [former.cert]);
});

Deno.test("an authority for which none of the known ones speaks is not followed", async () => {
  const own = await vouchFor(stranger.cert, stranger, random);
  const told = [
    { ca: newer.cert + former.cert },
    { ca: stranger.cert + former.cert, cross },
    { ca: stranger.cert + former.cert, cross: own },
    { ca: stranger.cert + former.cert, cross: stranger.cert },
    { ca: newer.cert, cross: "nonsense" },
  ];
  for (const one of told) {
    await assertRejects(() => follow([former.cert], one), Error, "enroll anew");
  }
  await assertRejects(() => follow([former.cert], { ca: "" }), Error, "are needed");
});

Deno.test("a host's or node's certificate is no word of the authority for a namesake with its key", async () => {
  const key = await makeKey();
  const wanted = { names: ["localhost"], kind: "host", ...times } as const;
  const leaf = await sign(former, await makeRequest(key, "localhost"), wanted, random);
  // An authority of the leaf's name and key, made by who has that key.
  const self = { cert: leaf, key };
  assert(isKeyOf(key, leaf) && !isKeyOf(newer.key, leaf));
  const fake = await makeAuthority("localhost", times, random, key);
  assert(isKeyOf(key, fake.cert));
  await assertRejects(
    () => follow([former.cert], { ca: fake.cert + former.cert, cross: self.cert }),
    Error,
    "enroll anew",
  );
});

Deno.test("the known authority's own certificate is no word for another certificate of its name and key", async () => {
  // As a host could make one that has the former one's public key, signed by whatever key it has.
  const forged = await vouchFor(former.cert, { cert: former.cert, key: stranger.key }, random);
  const again = await makeAuthority("fleet", times, random, former.key);
  for (const ca of [forged, forged + former.cert, again.cert]) {
    for (const word of [former.cert, cross]) {
      await assertRejects(() => follow([former.cert], { ca, cross: word }), Error, "enroll anew");
    }
  }
  const faked = await vouchFor(newer.cert, { cert: newer.cert, key: stranger.key }, random);
  await assertRejects(() => follow([former.cert], { ca: faked, cross }), Error, "enroll anew");
});

Deno.test("one or two certificates are authorities, and nothing stands around them", async () => {
  const one = former.cert, two = newer.cert + former.cert;
  assertEquals(authoritiesIn(one), [one]);
  assertEquals(authoritiesIn(two.replaceAll("\n", "\r\n")), [newer.cert, former.cert]);
  for (const bad of ["", "x" + one, one + "x", two + stranger.cert, one.slice(0, -40)]) {
    assertThrows(() => authoritiesIn(bad), Error, "certificates of authorities in PEM");
  }
  assert(tagOf([one]) !== tagOf([newer.cert, one]));
  assertEquals(await signerOf(cross, [newer.cert, former.cert]), former.cert);
  assertEquals(await signerOf(cross, [newer.cert]), undefined);
});
