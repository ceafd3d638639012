/** What is kept of a token tells who shows it, and is no token. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { isSame, isToken, makeToken, tokenId, tokenParts } from "../../lib/identity/token.ts";
import { allows, isRole, ROLES } from "../../lib/identity/roles.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";

const PARTS = {
  ...{ name: "anna", role: "viewer" as const },
  ...{ created_wall_ms: 1, expires_wall_ms: null },
} as const;

Deno.test("a token is right by what is kept of it, and nothing else is", async () => {
  const { token, row } = await makeToken(PARTS, seededRandom(1));
  assertEquals(tokenId(token), row.id);
  assert(!JSON.stringify(row).includes(token.slice(14)), "the secret is not kept");
  assert(await isToken(token, row.hash));
  const last = token.at(-1) === "A" ? "B" : "A";
  for (const other of [token.slice(0, -1) + last, token.slice(0, -1), `${token}A`, "", row.hash]) {
    assert(!await isToken(other, row.hash), other);
  }
  const again = await makeToken(PARTS, seededRandom(2));
  assert(again.row.hash !== row.hash && !await isToken(token, again.row.hash));
});

Deno.test("a hash that was changed or damaged proves nobody, costs nothing much and throws nothing", async () => {
  const { token, row } = await makeToken(PARTS, seededRandom(1));
  const [kind, n, r, p, salt, key] = row.hash.split("$");
  const hash = (...parts: unknown[]) => parts.join("$");
  for (
    const bad of [
      "",
      "scrypt",
      hash("bcrypt", n, r, p, salt, key),
      hash(kind, 2 ** 30, r, p, salt, key),
      hash(kind, 1_000, r, p, salt, key),
      hash(kind, n, 1_000, p, salt, key),
      hash(kind, n, r, 1e9, salt, key),
      hash(kind, "x", r, p, salt, key),
      hash(kind, n, r, p, salt, ""),
      hash(kind, n, r, p, salt, key!.slice(4)),
      hash(kind, n, r, p, "", key),
    ]
  ) assertEquals(await isToken(token, bad), false, bad);
});

Deno.test("a text without the form of a token names none", () => {
  for (const text of ["", "hf_", "hf_0123456789", `hf_0123456789_${"x".repeat(42)}`, "sesame"]) {
    assertEquals(tokenId(text), undefined);
  }
});

Deno.test("a token has a name that fits a line, a role, and an end or none", () => {
  const parts = tokenParts({ name: "Anna-Lena Ö", role: "admin", expires_s: 60 }, 1_000);
  assertEquals(parts.expires_wall_ms, 61_000);
  assertEquals(tokenParts({ name: "a", role: "viewer" }, 1).expires_wall_ms, null);
  for (const name of ["", " a", "a\nb", "a\u001b[31m", "x".repeat(65), 5, undefined, "<b>"]) {
    assertThrows(() => tokenParts({ name, role: "viewer" }, 1), RangeError, "name: expected");
  }
  for (const role of ["root", "", undefined, "constructor"]) {
    assertThrows(() => tokenParts({ name: "a", role }, 1), RangeError, "role: expected");
  }
  for (const expires_s of [0, -1, NaN, Infinity, "60", null]) {
    assertThrows(() => tokenParts({ name: "a", role: "viewer", expires_s }, 1), RangeError, "exp");
  }
});

Deno.test("each role may do what those before it may", () => {
  const table = ROLES.map((role) => ROLES.map((needed) => allows(role, needed)));
  assertEquals(table, [[true, false, false], [true, true, false], [true, true, true]]);
  assert(!isRole("toString") && !isRole(undefined) && isRole("viewer"));
});

Deno.test("secrets are the same or not", () => {
  assert(isSame("sesame", "sesame") && !isSame("sesame", "sesam") && !isSame("", "s"));
});
