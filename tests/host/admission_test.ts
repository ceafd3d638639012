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

Deno.test("Admission: a welcome waits until the records of the session before it are durable", async () => {
  const settled = Promise.withResolvers<void>();
  const ledger = { highAcked: 0 };
  const welcomed: number[] = [];
  const admission = new Admission({
    registry: {
      get: () => undefined,
      connected: (_hello: Hello, { highAcked }: { highAcked: number }) => {
        welcomed.push(highAcked);
        return {};
      },
      tookOver: () => false,
    },
    ledgers: { acquire: () => Promise.resolve({ ledger, isNew: false }), release: () => {} },
    intake: { settled: () => settled.promise },
    configs: { noteVersion: () => undefined, desired: () => undefined },
    events: { add: () => {} },
    onHidden: () => {},
  } as unknown as AdmissionOptions);
  const session = {
    nodeId: "pump-7",
    connection: { peer: "p" },
    isClosed: false,
  } as unknown as SessionDriver;
  const message = hello("pump-7", { ts_wall_ms: 0, ts_mono_ms: 0 }) as unknown as Hello;
  const admitted = admission.admit(session, message, "ndjson");
  await new Promise<void>((resolve) => setTimeout(resolve));
  assertEquals(welcomed, []);
  ledger.highAcked = 7;
  settled.resolve();
  assertEquals([(await admitted).ok, welcomed], [true, [7]]);
});
