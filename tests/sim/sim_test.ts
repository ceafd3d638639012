import { strict as assert } from "node:assert";
import { runSeed } from "./run.ts";

Deno.test("simulator: twelve seeds of failures lose nothing in silence and store nothing twice", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const { error } = await runSeed(seed, { nodes: 3, minutes: 4 });
    assert.equal(error, undefined, `seed ${seed}: ${error}`);
  }
});

/** Seeds that once failed, each with what an operator saw. */
const STORIES = [
  { seed: 51, nodes: 3, minutes: 5, story: "uplink stuck on a hole after the host lost its data" },
];

for (const { seed, nodes, minutes, story } of STORIES) {
  Deno.test(`simulator: seed ${seed} stays mended: ${story}`, async () => {
    const { error } = await runSeed(seed, { nodes, minutes });
    assert.equal(error, undefined);
  });
}

Deno.test("simulator: the same seed gives the same run, to the last event", async () => {
  const first = await runSeed(7, { nodes: 2, minutes: 3 });
  const second = await runSeed(7, { nodes: 2, minutes: 3 });
  assert.deepEqual(second, first);
});
