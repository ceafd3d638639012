import { assertEquals } from "@std/assert";
import { Intake, type IntakeOptions } from "../../lib/host/intake.ts";
import type { Ledger } from "../../lib/host/ledger.ts";

const LIMITS = { heldBytesMax: 100, heldBytesTotalMax: 1_000 };

for (
  const [whose, own, all, waits] of [
    ["one session", 101, 500, 1],
    ["all sessions together", 50, 1_001, 1],
    ["nobody", 100, 1_000, 0],
  ] as const
) {
  Deno.test(`Intake stops reading where ${whose} has more waiting than allowed`, async () => {
    const ledger = { heldBytes: own as number }, commits = { heldBytes: all as number };
    let waited = 0;
    const nextCommit = () => {
      waited++;
      ledger.heldBytes = commits.heldBytes = 0;
      return Promise.resolve();
    };
    const intake = new Intake(
      { ...LIMITS, commits: Object.assign(commits, { nextCommit }) } as unknown as IntakeOptions,
    );
    await intake.room(ledger as unknown as Ledger);
    assertEquals(waited, waits);
  });
}

Deno.test("Intake reads on only once all is within limits, however many commits that takes", async () => {
  const ledger = { heldBytes: 300 }, commits = { heldBytes: 3_000 };
  let waited = 0;
  const nextCommit = () => {
    waited++;
    ledger.heldBytes -= 100;
    commits.heldBytes -= 500;
    return Promise.resolve();
  };
  const intake = new Intake(
    { ...LIMITS, commits: Object.assign(commits, { nextCommit }) } as unknown as IntakeOptions,
  );
  await intake.room(ledger as unknown as Ledger);
  assertEquals(waited, 4);
});
