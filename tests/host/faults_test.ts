import { assertEquals, assertThrows } from "@std/assert";
import { parseFault } from "../../lib/host/faults.ts";

Deno.test("parseFault() reads durations and probabilities, and refuses what it doesn't know", () => {
  assertEquals(parseFault("drop:every=30s"), { kind: "drop", p: 1, every_ms: 30_000 });
  assertEquals(parseFault("delay:ms=200,for=10s,p=0.5"), {
    kind: "delay",
    p: 0.5,
    for_ms: 10_000,
    ms: 200,
  });
  for (const bad of ["explode", "drop:every=soon", "delay:p=2", "split:ms=3"]) {
    assertThrows(() => parseFault(bad), SyntaxError);
  }
});
