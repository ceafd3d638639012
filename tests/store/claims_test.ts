import { assertEquals } from "@std/assert";
import { Claims } from "../../lib/store/claims.ts";
import { EPOCH } from "../messages.ts";

Deno.test("Claims: a claim holds until the epoch is claimed again, whatever is claimed besides", () => {
  const claims = new Claims(5);
  const of = (node_id: string) => ({ node_id, epoch: EPOCH, fence: claims.take(node_id, EPOCH) });
  const a = of("a"), b = of("b");
  assertEquals(claims.overtaken([a, b]), []);
  const again = of("a");
  assertEquals(claims.overtaken([b, a, again]), [1]);
  assertEquals(claims.overtaken([{ ...again, epoch: "00000000000000bb" }]), [0]);
});

Deno.test("Claims: of more epochs than are remembered, those claimed longest ago must be claimed anew", () => {
  const claims = new Claims(0);
  const all = Array.from({ length: 100_001 }, (_, i) => {
    const node_id = `n${i}`;
    return { node_id, epoch: EPOCH, fence: claims.take(node_id, EPOCH) };
  });
  assertEquals(claims.overtaken(all), [0]);
  const fence = claims.take("n0", EPOCH);
  assertEquals(claims.overtaken([...all, { ...all[0]!, fence }]), [0, 1]);
});

Deno.test("Claims: a claim that was renewed is remembered longer than those of between", () => {
  const claims = new Claims(0);
  const take = (node_id: string) => ({ node_id, epoch: EPOCH, fence: claims.take(node_id, EPOCH) });
  take("often");
  const seldom = take("seldom");
  for (let i = 0; i < 50_000; i++) take(`n${i}`);
  const renewed = take("often");
  for (let i = 0; i < 49_999; i++) take(`m${i}`);
  assertEquals(claims.overtaken([seldom, renewed]), [0]);
});
