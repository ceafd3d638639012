/** Who gets a certificate, and that nobody else does. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Enroller } from "../../lib/host/enroller.ts";
import {
  type EnrolmentRow,
  makeEnrolmentToken,
  readEnrolmentToken,
} from "../../lib/identity/enrolment_token.ts";
import { type Issuing, vouchFor } from "../../lib/identity/authorities.ts";
import {
  type Authority,
  fingerprintOf,
  isSignedBy,
  makeAuthority,
  makeKey,
  makeRequest,
  readCertificate,
  sign,
} from "../../lib/identity/pki.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";
import { openDatabase } from "../../lib/store/sqlite/engine.ts";
import {
  putCertificate,
  readCertificates,
  renewCertificate,
  revokeCertificates,
} from "../../lib/store/sqlite/pki.ts";
import type { AuditRow } from "../../lib/store/store.ts";
import { Kernel, MachineClock } from "../sim/kernel.ts";

const NOW = Date.UTC(2026, 10, 30);
const DAY_MS = 86_400_000;
const random = seededRandom(11);
const authority = await makeAuthority("fleet", { nowMs: NOW, days: 7_000 }, random);
const key = await makeKey();
const csr = await makeRequest(key, "pump-7");

function only(authority: Authority, isOffline = false): Issuing {
  const { cert } = authority;
  return { trusted: [cert], shown: cert, ...(isOffline ? {} : { signer: authority }) };
}

function setUp({ isOffline = false, atMs = NOW, issuing = only(authority, isOffline) } = {}) {
  const tokens = new Map<string, EnrolmentRow>();
  const db = openDatabase(":memory:");
  const certificates = () => readCertificates(db);
  const trail: AuditRow[] = [];
  const enroller = new Enroller({
    store: {
      takeEnrolment: (hash) => {
        const row = tokens.get(hash);
        tokens.delete(hash);
        return Promise.resolve(row);
      },
      putEnrolment: (row) => Promise.resolve(void tokens.set(row.hash, row)),
      putCertificate: (row) => Promise.resolve(putCertificate(db, row)),
      renewCertificate: (row, from) => Promise.resolve(renewCertificate(db, row, from)),
      addAudit: (row) => Promise.resolve(void trail.push(row)),
    },
    clock: new MachineClock(new Kernel(), atMs),
    random,
    issuing: () => Promise.resolve(issuing),
    hostNames: ["host.example"],
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
  /** A certificate that this host gave at some time. */
  const gave = async (nowMs: number, nodeId = "pump-7") => {
    const cert = await given(nowMs, [nodeId]);
    const { serial, notAfterMs } = readCertificate(cert);
    putCertificate(db, {
      ...{ serial, node_id: nodeId, issued_wall_ms: nowMs },
      ...{ not_after_ms: notAfterMs, revoked_wall_ms: null },
    });
    return cert;
  };
  const invite = (nodeId: string) => enroller.invite(nodeId, DAY_MS);
  return { db, invite, ask, token, tokens, certificates, trail, gave };
}

/** A certificate as the authority gave it at some time. */
function given(nowMs: number, names = ["pump-7"], by = authority): Promise<string> {
  return sign(by, csr, { names, kind: "node", nowMs, days: 90 }, random);
}

Deno.test("everybody is told the authority, and nothing else without a proof", async () => {
  const { ask, certificates } = setUp();
  assertEquals(await ask({}), { type: "enrolled", ca: authority.cert });
  assertMatch(String(await ask({ csr })), /can't be read/);
  assertEquals(certificates(), []);
});

Deno.test("a token gives its node a certificate, once, and the trail says so", async () => {
  const { ask, token, certificates, trail } = setUp();
  const one = token();
  const answer = await ask({ token: one, csr }) as { cert: string };
  const { names, serial, notAfterMs } = readCertificate(answer.cert);
  assertEquals([names, notAfterMs], [["pump-7"], NOW + 90 * DAY_MS]);
  assert(await isSignedBy(answer.cert, authority.cert));
  assertEquals(certificates().map((row) => [row.serial, row.revoked_wall_ms]), [[serial, null]]);
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
  assertEquals(certificates(), []);
});

Deno.test("who has a certificate renews it with the same key, also a year after its end", async () => {
  for (const days of [-40, 0, 300]) {
    const { ask, trail, gave } = setUp({ atMs: NOW + (90 + days) * DAY_MS });
    const answer = await ask({ cert: await gave(NOW), csr }) as { cert: string };
    assertEquals(readCertificate(answer.cert).names, ["pump-7"], `${days} days after its end`);
    assertEquals(trail[0]?.action, "renew");
  }
  const late = setUp({ atMs: NOW + 491 * DAY_MS });
  const ended = /ended more than 400 days ago/;
  assertMatch(String(await late.ask({ cert: await late.gave(NOW), csr })), ended);
  const early = setUp({ atMs: NOW + 10 * DAY_MS });
  assertMatch(String(await early.ask({ cert: await early.gave(NOW), csr })), /counts for long/);
});

Deno.test("a certificate that was copied, revoked, forged, or names no node renews nothing", async () => {
  const { db, ask, certificates, gave } = setUp({ atMs: NOW + 80 * DAY_MS });
  const cert = await gave(NOW);
  const thief = await makeRequest(await makeKey(), "pump-7");
  assertMatch(String(await ask({ cert, csr: thief })), /keeps its key/);
  const forger = await makeAuthority("fleet", { nowMs: NOW, days: 7_000 }, random);
  const forged = await given(NOW, ["pump-7"], forger);
  assertMatch(String(await ask({ cert: forged, csr })), /another authority/);
  assertMatch(String(await ask({ cert: await given(NOW, ["no node"]), csr })), /names no node/);
  assertMatch(String(await ask({ cert: authority.cert, csr })), /is an authority's/);
  assertEquals(certificates().length, 1);
  assertEquals(revokeCertificates(db, "pump-7", undefined, NOW + 79 * DAY_MS).length, 1);
  assertMatch(String(await ask({ cert, csr })), /is revoked/);
  // One of before that this host doesn't know, as after a restore, is not the way back in.
  assertMatch(String(await ask({ cert: await given(NOW), csr })), /is revoked/);
  assertEquals(certificates().length, 1);
});

Deno.test("after a restore of an older database a device renews what that doesn't know", async () => {
  const { ask, certificates } = setUp({ atMs: NOW + 80 * DAY_MS });
  assert(typeof await ask({ cert: await given(NOW), csr }) === "object");
  assertEquals(certificates().length, 1);
});

Deno.test("one text is one certificate: what stands beside it, or is written in another way, is not looked at by anybody", async () => {
  const { ask, certificates, gave } = setUp({ atMs: NOW + 80 * DAY_MS });
  const victim = await gave(NOW);
  // Whoever asks calls themselves what they like, and shows the authority's own certificate as proof.
  const mine = await makeKey();
  const self = await makeAuthority("pump-7", { nowMs: NOW, days: 90 }, random);
  const own = await sign(self, await makeRequest(mine, "pump-7"), {
    ...{ names: ["pump-7"], kind: "node", nowMs: NOW, days: 90 },
  }, random);
  const request = await makeRequest(mine, "pump-7");
  for (const proof of [authority.cert, victim]) {
    for (
      const cert of [
        own + proof,
        proof + own,
        own.replace("CERTIFICATE-----\n", "CERTIFICATE----- \n") + proof,
        own.replace("-----END CERTIFICATE", "-----end certificate") + proof,
        own.replace("\nM", "\n\nM").replace(/\n(?=.{64}\n)/, " \n") + proof,
        `x\n${own}`,
        own.replaceAll("\n", "\v\n") + proof,
      ]
    ) {
      const answer = await ask({ cert, csr: request });
      assertEquals(typeof answer, "string", "a certificate was given");
    }
  }
  assertEquals(certificates().length, 1);
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
  const later = setUp({ atMs: NOW + 80 * DAY_MS });
  const cert = await later.gave(NOW);
  const many = await Promise.all(Array.from({ length: 12 }, () => later.ask({ cert, csr })));
  assertEquals(many.filter((answer) => typeof answer === "object").length, 8);
  assert(typeof await later.ask({ cert, csr }) === "object");
});

Deno.test("a device that is invited gets its certificate; nobody is invited under the host's own name", async () => {
  const { ask, invite } = setUp();
  const answer = await ask({ token: await invite("pump-9"), csr }) as { cert: string };
  assertEquals(readCertificate(answer.cert).names, ["pump-9"]);
  for (const name of ["host.example", "", "a b", "x".repeat(65)]) {
    assertEquals(
      await invite(name).then(() => true, (error) => !(error instanceof RangeError)),
      false,
    );
  }
});

Deno.test("while the authority is changed certificates of the former one are renewed at once, by the newer", async () => {
  const newer = await makeAuthority("fleet 2", { nowMs: NOW, days: 7_000 }, random);
  const cross = await vouchFor(newer.cert, authority, random);
  const trusted = [newer.cert, authority.cert];
  const issuing = { trusted, cross, shown: authority.cert, signer: newer };
  const { ask, gave, invite } = setUp({ issuing });
  const old = await gave(NOW - DAY_MS);
  const made = await ask({ cert: old, csr }) as { ca: string; cert: string; cross: string };
  assertEquals([made.ca, made.cross], [trusted.join(""), cross]);
  assert(await isSignedBy(made.cert, newer.cert));
  assertMatch(String(await ask({ cert: made.cert, csr })), /counts for long/);
  // Who has the former one's key makes what they like of it: nothing comes of that.
  for (const nodeId of ["pump-7", "pump-8"]) {
    const forged = await given(NOW - DAY_MS, [nodeId], authority);
    assertMatch(String(await ask({ cert: forged, csr })), /not known here: enroll anew/);
  }
  const host = await gave(NOW - DAY_MS, "host.example");
  assertMatch(String(await ask({ cert: host, csr })), /a name of the host/);
  // The host still shows the former one's certificate.
  const { fingerprint } = readEnrolmentToken(await invite("pump-8"))!;
  assertEquals(fingerprint, fingerprintOf(authority.cert));
  const after = setUp({ issuing: only(newer) });
  assertMatch(String(await after.ask({ cert: old, csr })), /another authority/);
});
