import { assertEquals } from "@std/assert";
import { creditFor, differsMuch } from "../../lib/host/credit.ts";

const MIB = 1 << 20;

const SHARES: [what: string, total: number, replaying: number, bytes: number][] = [
  ["one alone gets the most that there is for one", 256 * MIB, 1, 4 * MIB],
  ["nobody who replays leaves as much as one", 256 * MIB, 0, 4 * MIB],
  ["a hundred share fairly", 30 * MIB, 100, Math.floor(30 * MIB / 100)],
  ["the total counts, where it is small", 400_000, 1, 400_000],
  ["ten thousand starve nobody", 256 * MIB, 10_000, 65_536],
];
for (const [what, total, replaying, bytes] of SHARES) {
  Deno.test(`creditFor(): ${what}`, () => {
    assertEquals(creditFor(total, replaying), { bytes, records: Math.floor(bytes / 256) });
  });
}

Deno.test("differsMuch() is a quarter more or less", () => {
  const credit = (bytes: number) => ({ bytes, records: 1 });
  for (const [a, b, much] of [[1_250, 1_000, false], [1_251, 1_000, true]] as const) {
    assertEquals(differsMuch(credit(a), credit(b)), much);
    assertEquals(differsMuch(credit(b), credit(a)), much);
  }
});
