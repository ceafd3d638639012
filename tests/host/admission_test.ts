import { assertEquals } from "@std/assert";
import { Admission, type AdmissionOptions } from "../../lib/host/admission.ts";
import type { SessionDriver } from "../../lib/host/session_driver.ts";
import type { Hello } from "../../lib/protocol/message.ts";
import { hello } from "../messages.ts";

Deno.test("Admission gives a ledger back where its session ends while it is let in", async () => {
  let users = 0;
  const driver = { nodeId: "pump-7", connection: { peer: "p" }, isClosed: false };
  const acquire = () => {
    users++;
    return Promise.resolve({ ledger: {}, isNew: true });
  };
  const settled = () => {
    driver.isClosed = true;
    return Promise.resolve();
  };
  const admission = new Admission({
    registry: { get: () => undefined },
    ledgers: { acquire, release: () => users-- },
    intake: { settled },
    configs: {},
    events: { add: () => {} },
    onHidden: () => {},
  } as unknown as AdmissionOptions);
  const session = driver as unknown as SessionDriver;
  const message = hello("pump-7", { ts_wall_ms: 0, ts_mono_ms: 0 }) as unknown as Hello;
  const { ok } = await admission.admit(session, message, "ndjson");
  admission.ended(session);
  assertEquals([ok, users], [false, 0]);
});
