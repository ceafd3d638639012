/** Who is let in, for how long, and how guessing is slowed without locking anybody out. */
import { assert, assertEquals } from "@std/assert";
import { Gatekeeper } from "../../lib/identity/gatekeeper.ts";
import { makeToken, type TokenRow } from "../../lib/identity/token.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";

const FIXED = "a-setting-of-this-host";
const random = seededRandom(7);
let nowMs = 1_000_000;

function gatekeeper(rows: readonly TokenRow[] = [], fixed = ""): Gatekeeper {
  const made = new Gatekeeper(fixed, () => nowMs);
  made.know(rows);
  return made;
}

async function tokenOf(name: string, expires_wall_ms: number | null = null) {
  return await makeToken(
    { name, role: "operator", created_wall_ms: nowMs, expires_wall_ms },
    random,
  );
}

Deno.test("a token lets in who it was made for, until it is revoked or ends; who is in is out then, too", async () => {
  const { token, row } = await tokenOf("anna", nowMs + 1_000);
  const keeper = gatekeeper([row]);
  const { person } = await keeper.judge(token, "a");
  assertEquals([person?.name, person?.role, person?.isValid()], ["anna", "operator", true]);
  nowMs += 1_000;
  assertEquals(person?.isValid(), false);
  assertEquals((await keeper.judge(token, "a")).person, undefined);
  const other = await tokenOf("bert");
  keeper.know([other.row]);
  const bert = (await keeper.judge(other.token, "a")).person!;
  assert(bert.isValid());
  keeper.know([]);
  assert(!bert.isValid());
  const gone = await keeper.judge(other.token, "a");
  assertEquals("reason" in gone && gone.reason, "this token is not valid");
  assertEquals(keeper.hasTokens, false);
});

Deno.test("a token that was right once is known, and one that another of its id replaced is not", async () => {
  const { token, row } = await tokenOf("anna");
  const keeper = gatekeeper([row]);
  await keeper.judge(token, "a");
  const startMs = performance.now();
  for (let i = 0; i < 200; i++) assert((await keeper.judge(token, "a")).person !== undefined);
  assert(performance.now() - startMs < 200 * 10, "not derived anew each time");
  const { row: stranger } = await tokenOf("eve");
  keeper.know([{ ...stranger, id: row.id }]);
  assertEquals((await keeper.judge(token, "a")).person, undefined);
});

Deno.test("ten wrong tokens from one place, then one in ten seconds; all others are let in at once", async () => {
  const { token, row } = await tokenOf("anna");
  const keeper = gatekeeper([row], FIXED);
  let guesses = 0;
  const guess = async (where: string) => {
    const secret = String(guesses++).padStart(43, "x");
    const verdict = await keeper.judge(`hf_0000000000_${secret}`, where);
    return "retryAfterMs" in verdict;
  };
  for (let i = 0; i < 10; i++) assertEquals(await guess("a"), false);
  assertEquals(await guess("a"), true);
  assertEquals(await guess("b"), false, "another place");
  assert((await keeper.judge(token, "a")).person !== undefined, "anna is behind the same router");
  assertEquals((await keeper.judge(FIXED, "a")).person, undefined, "this one could be guessed");
  assertEquals((await keeper.judge(FIXED, "c")).person?.role, "admin");
  nowMs += 9_999;
  assertEquals(await guess("a"), true);
  nowMs += 1;
  assertEquals(await guess("a"), false);
  assertEquals(await guess("a"), true);
  assertEquals([keeper.failures, keeper.slowed], [12, 4]);
});

Deno.test("guesses at one token are slowed from where they come, and cost no more than so many checks at once", async () => {
  const { token, row } = await tokenOf("anna");
  const keeper = gatekeeper([row]);
  const guess = (i: number) => `${token.slice(0, -2)}${String(i).padStart(2, "0")}`;
  const verdicts = await Promise.all(
    Array.from({ length: 40 }, (_, i) => keeper.judge(guess(i), "a")),
  );
  const seen = verdicts.filter((verdict) => !("retryAfterMs" in verdict)).length;
  assertEquals(seen, 8, "the rest is refused unseen");
  for (let i = 50; i < 54; i++) await keeper.judge(guess(i), "a");
  assert("retryAfterMs" in await keeper.judge(token, "a"), "also the right one, from there");
  assert((await keeper.judge(token, "b")).person !== undefined);
  assert((await keeper.judge(token, "a")).person !== undefined, "it is known now");
});

Deno.test("whatever is shown as a token, nobody is let in by it and nothing breaks", async () => {
  const { token, row } = await tokenOf("anna");
  const keeper = gatekeeper([row], FIXED);
  const texts = [
    "",
    " ",
    token.toUpperCase(),
    ` ${token}`,
    `${FIXED} `,
    "__proto__",
    "x".repeat(1e5),
  ];
  for (const [i, text] of texts.entries()) {
    assertEquals((await keeper.judge(text, `place ${i}`)).person, undefined, text.slice(0, 80));
  }
});

Deno.test("the setting's token goes on where it was right before, whatever others there guess", async () => {
  const keeper = gatekeeper([], FIXED);
  assert((await keeper.judge(FIXED, "a")).person !== undefined);
  for (let i = 0; i < 15; i++) await keeper.judge(`guess ${i}`, "a");
  assert("retryAfterMs" in await keeper.judge("guess", "a"));
  assert((await keeper.judge(FIXED, "a")).person !== undefined);
});

Deno.test("a page that shows an old token again and again is told so, and slows nobody", async () => {
  const keeper = gatekeeper([], FIXED);
  for (let i = 0; i < 100; i++) {
    const verdict = await keeper.judge("the token of before", "a");
    assertEquals("retryAfterMs" in verdict, false);
  }
  assertEquals([keeper.failures, keeper.slowed], [1, 0]);
  assert((await keeper.judge(FIXED, "a")).person !== undefined);
});

Deno.test("one token that is shown many times at once is checked once, and let in each time", async () => {
  const { token, row } = await tokenOf("anna");
  const keeper = gatekeeper([row]);
  const verdicts = await Promise.all(Array.from({ length: 24 }, () => keeper.judge(token, "a")));
  assertEquals(verdicts.filter(({ person }) => person !== undefined).length, 24);
});

Deno.test("who is revoked while their token is checked is not let in", async () => {
  const { token, row } = await tokenOf("anna");
  const keeper = gatekeeper([row]);
  const judging = keeper.judge(token, "a");
  keeper.know([{ ...row, hash: "" }]);
  assertEquals((await judging).person, undefined);
});
