/**
 * How a node gets its certificate: one line from it instead of a hello, one line back, and the end of the connection.
 * Pure.
 */
import Type from "typebox";
import { ErrorMessage, type Parsed, parser } from "./message.ts";

/** A certificate or a request for one, in PEM. */
const Pem = Type.String({ maxLength: 8_192, pattern: "^-----BEGIN [A-Z ]{1,40}-----\\s" });

/**
 * What a node asks for: with nothing else for the authority's certificate; with a token, or the certificate that it has,
 * for a certificate of the key that signed the request.
 */
export const Enroll = Type.Object({
  type: Type.Literal("enroll"),
  token: Type.Optional(Type.String({ maxLength: 256 })),
  cert: Type.Optional(Pem),
  csr: Type.Optional(Pem),
});
export type Enroll = Type.Static<typeof Enroll>;

/**
 * The host's answer: the authority's certificate, with the former one's behind it while that counts, too, and the node's
 * where it asked for one. `cross`: the former authority's certificate for the key of the newer one.
 */
export const Enrolled = Type.Object({
  type: Type.Literal("enrolled"),
  ca: Pem,
  cross: Type.Optional(Pem),
  cert: Type.Optional(Pem),
});
export type Enrolled = Type.Static<typeof Enrolled>;

/** Reads a node's line; what is no such message is left to others. Never throws. */
export const parseEnroll: (line: string) => Parsed<Enroll> = parser({ enroll: Enroll });
/** Reads the host's answer. Never throws. */
export const parseEnrolled: (line: string) => Parsed<Enrolled | ErrorMessage> = parser({
  enrolled: Enrolled,
  error: ErrorMessage,
});

/** Whether a line is about enrolment, whatever else is wrong with it. */
export function isEnroll(line: string): boolean {
  return /^\s*\{\s*"type"\s*:\s*"enroll"/.test(line);
}

const encoder = new TextEncoder();

/** The line, newline included, that carries a message. */
export function encodeEnrolment(message: Enroll | Enrolled): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(message) + "\n");
}
