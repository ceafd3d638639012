/** What an authority signs, what it refuses, and what others read in it. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  fingerprintOf,
  isSignedBy,
  keyOfRequest,
  makeAuthority,
  makeKey,
  makeRequest,
  onlyCertificate,
  readCertificate,
  sign,
} from "../../lib/identity/pki.ts";
import { makeEnrolmentToken, readEnrolmentToken } from "../../lib/identity/enrolment_token.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";

const NOW = Date.UTC(2026, 10, 30);
const DAY_MS = 86_400_000;
const random = seededRandom(5);
const authority = await makeAuthority("fleet", { nowMs: NOW, days: 1_000 }, random);
const other = await makeAuthority("fleet", { nowMs: NOW, days: 1_000 }, random);
const NODE = { names: ["pump_7.a-b"], kind: "node", nowMs: NOW, days: 90 } as const;

Deno.test("a certificate says whom it is for, from when to when, and who signed it", async () => {
  const key = await makeKey();
  const request = await makeRequest(key, "whatever it calls itself");
  const cert = await sign(authority, request, NODE, random);
  const facts = readCertificate(cert);
  assertEquals([facts.names, facts.addresses], [["pump_7.a-b"], []]);
  assertEquals(facts.notAfterMs, NOW + 90 * DAY_MS);
  assert(facts.notBeforeMs <= NOW - 3_600_000, "clocks differ");
  assertEquals(facts.key, await keyOfRequest(request));
  assert(/^[0-9a-f]{32}$/.test(facts.serial));
  assert(await isSignedBy(cert, authority.cert));
  assertThrows(() => readCertificate(authority.cert), Error, "an authority's");
  assertThrows(() => readCertificate(cert + cert), Error, "one in PEM");
  assertEquals(onlyCertificate(`${cert.trimEnd()}\r\n\n`), cert);
  assert(!await isSignedBy(cert, other.cert), "another authority of the same name");
  assert(!await isSignedBy("nonsense", authority.cert));
});

Deno.test("a host's certificate is for names and addresses; nothing lives longer than its authority", async () => {
  const request = await makeRequest(await makeKey(), "h");
  const names = ["host.example", "10.0.0.5", "::1"];
  const wanted = { names, kind: "host", nowMs: NOW, days: 5_000 } as const;
  const facts = readCertificate(await sign(authority, request, wanted, random));
  assertEquals(facts.names, ["host.example"]);
  assertEquals(facts.addresses.length, 2);
  const alone = { ...wanted, names: ["10.0.0.5", "10.0.0.5"] };
  const only = readCertificate(await sign(authority, request, alone, random));
  assertEquals([only.names, only.addresses], [[], ["10.0.0.5"]], "it renews to the same");
  const number = { ...NODE, names: ["2024"] };
  assertEquals(readCertificate(await sign(authority, request, number, random)).names, ["2024"]);
  assertEquals(facts.notAfterMs, NOW + 1_000 * DAY_MS);
});

Deno.test("what is no request, was changed, or has a weak key is not signed", async () => {
  const request = await makeRequest(await makeKey(), "a");
  const broken = ["", "nonsense", authority.cert, request.slice(0, 200)];
  for (const text of broken) {
    await assertRejects(() => sign(authority, text, NODE, random), Error, "request");
  }
  const proven = await keyOfRequest(request);
  const lines = request.split("\n");
  const body = atob(lines.slice(1, -2).join(""));
  for (let at = 0; at < body.length; at++) {
    const changed = body.slice(0, at) + String.fromCharCode(body.charCodeAt(at) ^ 1) +
      body.slice(at + 1);
    const text = `-----BEGIN CERTIFICATE REQUEST-----\n${
      btoa(changed)
    }\n-----END CERTIFICATE REQUEST-----`;
    // What stands around the signed part may be written in other ways; the key can't be another one.
    const read = await keyOfRequest(text).catch((error) => {
      assert(/^the request for a certificate /.test(error.message), error.message);
    });
    assert(read === undefined || read === proven, `byte ${at}`);
  }
});

Deno.test("an enrolment's token tells for which node it is and of which authority, and no text else is one", () => {
  const fingerprint = fingerprintOf(authority.cert);
  assertEquals(fingerprint.length, 43);
  assert(fingerprint !== fingerprintOf(other.cert));
  assertThrows(() => fingerprintOf("nonsense"), Error, "can't be read");
  assertThrows(() => fingerprintOf(authority.cert + other.cert), Error, "can't be read");
  assertThrows(() => fingerprintOf(`${other.cert}\n${authority.cert}`), Error, "can't be read");
  for (const nodeId of ["pump-7", "a_b_c", "x".repeat(64)]) {
    const token = makeEnrolmentToken(fingerprint, nodeId, random);
    const read = readEnrolmentToken(token)!;
    assertEquals([read.nodeId, read.fingerprint], [nodeId, fingerprint]);
    assert(!token.includes(read.hash));
    for (const bad of [token.slice(1), ` ${token}`, `${token}\n`, token.replace("hfe", "hf")]) {
      assertEquals(readEnrolmentToken(bad), undefined);
    }
  }
  assertEquals(
    readEnrolmentToken(makeEnrolmentToken(fingerprint, "x".repeat(65), random)),
    undefined,
  );
});
