import { Kernel, MachineClock } from "../sim/kernel.ts";
import { Durable, SimStore } from "../sim/store.ts";
import { LEDGER_PROMISES, PROMISES } from "./conformance.ts";
import { openStore } from "./open.ts";
import { realTest } from "../real.ts";

for (const [promise, holds] of Object.entries(PROMISES)) {
  realTest(`sqlite store ${promise}`, async () => {
    const directory = await Deno.makeTempDir();
    let lives = 0;
    await holds({ open: () => openStore(directory, `host-${++lives}`) });
    await Deno.remove(directory, { recursive: true });
  });
}

for (const [promise, holds] of Object.entries(LEDGER_PROMISES)) {
  Deno.test(`simulated store ${promise}`, async () => {
    const kernel = new Kernel(), durable = new Durable();
    const open = () => Promise.resolve(new SimStore(durable, new MachineClock(kernel, 0)));
    let isOver = false;
    const over = holds({ open }).finally(() => isOver = true);
    while (!isOver) await kernel.runUntil(kernel.nowMs + 1_000);
    await over;
  });
}
