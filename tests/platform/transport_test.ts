import { denoTransport } from "../../lib/platform/deno_transport.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { realTest } from "../real.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";
import { Network } from "../sim/network.ts";
import { PROMISES, type TransportSubject } from "./transport_conformance.ts";

function simulated(): TransportSubject {
  const kernel = new Kernel();
  const network = new Network(kernel, seededRandom(1));
  return {
    transport: network.transport(new MachineClock(kernel, 0)),
    address: "host:1",
    async settle(result) {
      // Whoever awaits it below hears of an error; until then nobody does.
      result.catch(() => {});
      await kernel.runUntil(kernel.nowMs + 1_000);
      return await result;
    },
  };
}

for (const [promise, holds] of Object.entries(PROMISES)) {
  Deno.test(`simulated transport ${promise}`, () => holds(simulated()));
  realTest(
    `real transport ${promise}`,
    () => holds({ transport: denoTransport(), address: "127.0.0.1:0", settle: (result) => result }),
  );
}
