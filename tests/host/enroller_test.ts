/** Who gets a certificate, and that nobody else does. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Enroller } from "../../lib/host/enroller.ts";
import { makeEnrolmentToken, readEnrolmentToken } from "../../lib/identity/enrolment_token.ts";
import {
  fingerprintOf,
  isSignedBy,
  makeAuthority,
  makeKey,
  makeRequest,
  readCertificate,
  sign,
} from "../../lib/identity/pki.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import type { AuditRow, CertificateRow, EnrolmentRow } from "../../lib/store/store.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const NOW = Date.UTC(2026, 10, 30);
const DAY_MS = 86_400_000;
const random = seededRandom(11);
const authority = await makeAuthority("fleet", { nowMs: NOW, days: 7_000 }, random);
const key = await makeKey();
const csr = await makeRequest(key, "pump-7");

function setUp({ isOffline = false, atMs = NOW } = {}) {
  const tokens = new Map<string, EnrolmentRow>();
  const certificates: CertificateRow[] = [];
  const trail: AuditRow[] = [];
  const enroller = new Enroller({
    store: {
      takeEnrolment: (hash) => {
        const row = tokens.get(hash);
        tokens.delete(hash);
        return Promise.resolve(row);
      },
      putEnrolment: (row) => Promise.resolve(void tokens.set(row.hash, row)),
      putCertificate: (row) => Promise.resolve(void certificates.push(row)),
      certificates: () => Promise.resolve(certificates),
      addAudit: (row) => Promise.resolve(void trail.push(row)),
    },
    clock: new MachineClock(new Kernel(), atMs),
    random,
    authority: isOffline ? { cert: authority.cert } : authority,
    days: 90,
    lateDays: 400,
  });
  const token = (expires_wall_ms = NOW + DAY_MS) => {
    const made = makeEnrolmentToken(fingerprintOf(authority.cert), "pump-7", random);
    const { hash } = readEnrolmentToken(made)!;
    tokens.set(hash, { hash, node_id: "pump-7", created_wall_ms: NOW, expires_wall_ms });
    return made;
  };
  const ask = async (request: Record<string, string>, peer = "10.0.0.9:4000") => {
    const answer = await enroller.answer({ type: "enroll", ...request }, peer);
    return "code" in answer ? answer.message : answer;
  };
  return { ask, token, tokens, certificates, trail };
}

/** A certificate as the authority gave it at some time. */
function given(nowMs: number, names = ["pump-7"], by = authority): Promise<string> {
  return sign(by, csr, { names, kind: "node", nowMs, days: 90 }, random);
}

Deno.test("everybody is told the authority, and nothing else without a proof", async () => {
  const { ask, certificates } = setUp();
  assertEquals(await ask({}), { type: "enrolled", ca: authority.cert });
  assertMatch(String(await ask({ csr })), /can't be read/);
  assertEquals(certificates, []);
});

Deno.test("a token gives its node a certificate, once, and the trail says so", async () => {
  const { ask, token, certificates, trail } = setUp();
  const one = token();
  const answer = await ask({ token: one, csr }) as { cert: string };
  const { names, serial, notAfterMs } = readCertificate(answer.cert);
  assertEquals([names, notAfterMs], [["pump-7"], NOW + 90 * DAY_MS]);
  assert(await isSignedBy(answer.cert, authority.cert));
  assertEquals(certificates.map((row) => [row.serial, row.revoked_wall_ms]), [[serial, null]]);
  assertEquals(trail.map(({ action, target }) => [action, target]), [["enroll", "pump-7"]]);
  assertMatch(String(await ask({ token: one, csr })), /was used, or is none of this host/);
});

Deno.test("a token that has expired, is unknown, or comes with a request that can't be signed gives nothing", async () => {
  const { ask, token, tokens, certificates } = setUp();
  assertMatch(String(await ask({ token: token(NOW - 1), csr }, "10.0.0.1:1")), /has expired/);
  for (const bad of ["", "hfe_", "x".repeat(200)]) {
    assertMatch(String(await ask({ token: bad, csr }, "10.0.0.2:1")), /none of this host/);
  }
  const one = token();
  assertMatch(String(await ask({ token: one, csr: "nonsense" }, "10.0.0.3:1")), /can't be read/);
  assertEquals(tokens.size, 1, "it is not used up");
  assertEquals(certificates, []);
});

Deno.test("who has a certificate renews it with the same key, also a year after its end", async () => {
  for (const days of [-80, 0, 300]) {
    const { ask, trail } = setUp({ atMs: NOW + (90 + days) * DAY_MS });
    const answer = await ask({ cert: await given(NOW), csr }) as { cert: string };
    assertEquals(readCertificate(answer.cert).names, ["pump-7"], `${days} days after its end`);
    assertEquals(trail[0]?.action, "renew");
  }
  const { ask } = setUp({ atMs: NOW + 491 * DAY_MS });
  assertMatch(String(await ask({ cert: await given(NOW), csr })), /ended more than 400 days ago/);
});

Deno.test("a certificate that was copied, revoked, forged or names no node renews nothing", async () => {
  const { ask, certificates } = setUp();
  const cert = await given(NOW);
  const thief = await makeRequest(await makeKey(), "pump-7");
  assertMatch(String(await ask({ cert, csr: thief }, "10.0.0.1:1")), /keeps its key/);
  const forger = await makeAuthority("fleet", { nowMs: NOW, days: 7_000 }, random);
  const forged = await given(NOW, ["pump-7"], forger);
  assertMatch(String(await ask({ cert: forged, csr }, "10.0.0.2:1")), /another authority/);
  const odd = await given(NOW, ["no node at all"]);
  assertMatch(String(await ask({ cert: odd, csr }, "10.0.0.3:1")), /names no node/);
  const { serial } = readCertificate(cert);
  certificates.push({
    ...{ serial, node_id: "pump-7", issued_wall_ms: 1, not_after_ms: 2, revoked_wall_ms: 3 },
  });
  assertMatch(String(await ask({ cert, csr }, "10.0.0.4:1")), /is revoked/);
});

Deno.test("without the authority's key nothing is signed, and what to do is said", async () => {
  const { ask, token, tokens } = setUp({ isOffline: true });
  assertMatch(String(await ask({ token: token(), csr })), /key of its authority is kept elsewhere/);
  assertEquals(tokens.size, 1);
});

Deno.test("who guesses is in nobody's way; of renewals few are looked at at once", async () => {
  const { ask, token } = setUp();
  const guesses = Array.from({ length: 40 }, (_, i) => ask({ token: `hfe_${i}`, csr }));
  assert(typeof await ask({ token: token(), csr }) === "object");
  await Promise.all(guesses);
  const cert = await given(NOW);
  const many = await Promise.all(Array.from({ length: 12 }, () => ask({ cert, csr })));
  assertEquals(many.filter((answer) => typeof answer === "object").length, 8);
  assert(typeof await ask({ cert, csr }) === "object");
});
