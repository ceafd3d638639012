import { OPEN } from "./open.ts";
import { PROMISES } from "./conformance.ts";
import { realTest } from "../real.ts";

for (const [kind, open] of Object.entries(OPEN)) {
  for (const [promise, holds] of Object.entries(PROMISES)) {
    realTest(`${kind} store ${promise}`, async () => {
      const directory = await Deno.makeTempDir();
      let lives = 0;
      await holds({ open: () => open(directory, `host-${++lives}`) });
      await Deno.remove(directory, { recursive: true });
    });
  }
}
