/** Lines about enrolment: told apart from all others, and checked. */
import { assert, assertEquals } from "@std/assert";
import {
  encodeEnrolment,
  isEnroll,
  parseEnroll,
  parseEnrolled,
} from "../../lib/protocol/enrolment.ts";
import { seededRandom } from "../../lib/platform/seeded_random.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("what is written is read again, each message by its own side", () => {
  for (const message of [{ type: "enroll" }, { type: "enroll", token: "t", csr: PEM }] as const) {
    const line = text(encodeEnrolment(message));
    assert(line.endsWith("\n") && isEnroll(line));
    assertEquals(parseEnroll(line), { ok: true, message });
    assertEquals(parseEnrolled(line).ok, false);
  }
  const answer = { type: "enrolled", ca: PEM, cert: PEM } as const;
  assertEquals(parseEnrolled(text(encodeEnrolment(answer))), { ok: true, message: answer });
  assertEquals(parseEnroll(text(encodeEnrolment(answer))).ok, false);
});

Deno.test("other lines are not about enrolment", () => {
  for (const line of ["", "{}", '{"type":"hello"}', '{"a":{"type":"enroll"}}', "enroll"]) {
    assert(!isEnroll(line), line);
  }
  assert(isEnroll(' { "type" : "enroll", "token": 5 }'));
});

Deno.test("what is wrong in a line is said in one line, whatever it is", () => {
  const bad = ['{"type":"enroll","token":5}', '{"type":"enroll","csr":"x"}', '{"type":"enroll"'];
  for (const line of [...bad, `{"type":"enroll","csr":"${"-".repeat(9_000)}"}`]) {
    const parsed = parseEnroll(line);
    assert(!parsed.ok && !parsed.error.includes("\n") && parsed.error.length < 400);
  }
  const random = seededRandom(3), whole = text(encodeEnrolment({ type: "enroll", csr: PEM }));
  for (let i = 0; i < 2_000; i++) {
    const at = random.below(whole.length);
    parseEnroll(whole.slice(0, at) + String.fromCharCode(random.below(256)) + whole.slice(at + 1));
  }
});
