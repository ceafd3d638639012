/** Whom the certificate of a TLS connection proves, or why it doesn't let anybody in; the runtime doesn't say which. */
import { X509Certificate } from "node:crypto";
import type tls from "node:tls";
import { serialText } from "./certificates.ts";
import type { Connection } from "./platform.ts";

/** What TLS says of the other side. */
export type Proof = Pick<Connection, "identity" | "serial" | "distrust">;

/** Of a node, which must have a name: the first of DNS, or its common name where it has no other at all. */
export function proofOf(socket: tls.TLSSocket): Proof {
  const { subject, subjectaltname } = socket.getPeerCertificate() ?? {};
  const [named] = /(?<=^|, )DNS:[^,]+/.exec(subjectaltname ?? "") ?? [];
  const name = (subjectaltname ?? "") === "" ? subject?.CN : named?.slice("DNS:".length);
  const { serial, distrust } = certificateOf(socket);
  if (distrust !== undefined) return { identity: "", distrust };
  if (typeof name !== "string" || name === "") {
    return { identity: "", distrust: "its certificate names no node" };
  }
  return { identity: name, serial };
}

/** Of anybody: whether the authority signed their certificate. */
export function certificateOf(socket: tls.TLSSocket): Pick<Proof, "serial" | "distrust"> {
  const { raw, serialNumber } = socket.getPeerCertificate() ?? {};
  if (raw === undefined) return { distrust: "it shows no certificate" };
  if (socket.authorized === true) return { serial: serialText(String(serialNumber)) };
  const { validFrom, validTo } = new X509Certificate(raw);
  const now = Date.now();
  if (Date.parse(validTo) < now) {
    return { distrust: `its certificate has expired, at ${validTo}` };
  }
  if (Date.parse(validFrom) > now) {
    return { distrust: `its certificate is not valid yet, only from ${validFrom}` };
  }
  return { distrust: "its certificate is of another authority, or can't be verified" };
}
