/**
 * Certificates of a fleet: an authority, and what it signs. ECDSA on P-256, X.509 version 3 (RFC 5280), requests in
 * PKCS #10 (RFC 2986). The library is loaded when it is first needed: a node needs it some times a year.
 */
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, webcrypto, X509Certificate } from "node:crypto";
import { isIpAddress } from "../platform/address.ts";
import { serialText } from "../platform/certificates.ts";
import type { Random } from "../platform/platform.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** One certificate and nothing else: two readers of more would not agree on which. */
const ONE_CERTIFICATE =
  /^-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)\r?\n-----END CERTIFICATE-----\s*$/;
const DAY_MS = 86_400_000;
/** Clocks differ: what is signed now is valid since then. */
const SKEW_MS = 3_600_000;
/** Before the name in a person's certificate. */
const PERSON = "holdfast:person:";
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1", CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** PEM texts of who can sign. */
export interface Authority {
  readonly cert: string;
  readonly key: string;
}

/** What to sign. */
export interface Wanted {
  /** Names and addresses that the certificate is for; the first is its common name. */
  readonly names: readonly string[];
  /** A person's proves nothing on the link: its names are none of nodes. */
  readonly kind: "host" | "node" | "person";
  readonly nowMs: number;
  readonly days: number;
}

/** What a certificate says. Times in ms since 1970. */
export interface CertificateFacts {
  /** Hexadecimal, lower case. */
  readonly serial: string;
  /** Names of DNS in its subject alternative name, or its common name where it has none. */
  readonly names: readonly string[];
  /** Its addresses. */
  readonly addresses: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

async function library(): Promise<typeof import("@peculiar/x509")> {
  // What the library's own library asks for.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto as never);
  return x509;
}

/** A new private key, in PKCS #8. */
export async function makeKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const bytes = await webcrypto.subtle.exportKey("pkcs8", privateKey);
  return pem("PRIVATE KEY", new Uint8Array(bytes));
}

/** A new authority of that name, with a new key unless one is given. */
export async function makeAuthority(
  name: string,
  { nowMs, days }: { nowMs: number; days: number },
  random: Pick<Random, "bytes">,
  given?: string,
): Promise<Authority> {
  const x509 = await library();
  const key = given ?? await makeKey();
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialOf(random),
    name: [{ CN: [name] }],
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys: await keysOf(key),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create((await keysOf(key)).publicKey),
    ],
  });
  return { cert: made.toString("pem") + "\n", key };
}

/** A certificate by one authority for the key and name of another. */
export async function certify(
  authority: string,
  by: Authority,
  random: Pick<Random, "bytes">,
): Promise<string> {
  const x509 = await library();
  const of = new x509.X509Certificate(derOf(authority) as never);
  const issuer = new x509.X509Certificate(derOf(by.cert) as never);
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: serialOf(random),
    subject: of.subject,
    issuer: issuer.subject,
    notBefore: of.notBefore,
    notAfter: of.notAfter,
    signingAlgorithm: ALGORITHM,
    publicKey: of.publicKey,
    signingKey: (await keysOf(by.key)).privateKey,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return made.toString("pem") + "\n";
}

/**
 * Whether two certificates are of the same authority: both stand for one, of the same name and key. Never throws. That
 * they stand for one is what keeps a certificate of a host or node from passing for the word of its authority.
 */
export async function isSameAuthority(one: string, other: string): Promise<boolean> {
  const x509 = await library();
  try {
    const areAuthorities = [one, other].every((cert) =>
      new X509Certificate(Buffer.from(derOf(cert))).ca
    );
    if (!areAuthorities) return false;
    const [a, b] = [one, other].map((cert) => new x509.X509Certificate(derOf(cert) as never));
    return a!.subject === b!.subject &&
      Buffer.from(a!.publicKey.rawData).equals(Buffer.from(b!.publicKey.rawData));
  } catch {
    return false;
  }
}

/** Whether a key is that of a certificate. Never throws. */
export function isKeyOf(key: string, cert: string): boolean {
  try {
    const own = createPublicKey(key).export({ type: "spki", format: "der" });
    const certified = new X509Certificate(Buffer.from(derOf(cert))).publicKey;
    return own.equals(certified.export({ type: "spki", format: "der" }));
  } catch {
    return false;
  }
}

/** From when a certificate counts, without the hour that is allowed for clocks; in ms since 1970. */
export function madeAtMs(cert: string): number {
  return Date.parse(new X509Certificate(Buffer.from(derOf(cert))).validFrom) + SKEW_MS;
}

/** Asks for a certificate for that key. */
export async function makeRequest(key: string, name: string): Promise<string> {
  const x509 = await library();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys: await keysOf(key),
    signingAlgorithm: ALGORITHM,
  });
  return request.toString("pem") + "\n";
}

/**
 * Signs what a request asks for, under the names that are wanted: what it calls itself is left out. Throws one line
 * where it can't be read, isn't signed by its own key, or has another kind of key.
 */
export async function sign(
  authority: Authority,
  request: string,
  { names, kind, nowMs, days }: Wanted,
  random: Pick<Random, "bytes">,
): Promise<string> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(authority.cert);
  const { publicKey } = await readRequest(request);
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: serialOf(random),
    subject: [{ CN: [names[0]!] }],
    issuer: issuer.subject,
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(Math.min(nowMs + days * DAY_MS, issuer.notAfter.getTime())),
    signingAlgorithm: ALGORITHM,
    publicKey,
    signingKey: (await keysOf(authority.key)).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(
        { host: [SERVER_AUTH], node: [CLIENT_AUTH, SERVER_AUTH], person: [CLIENT_AUTH] }[kind],
      ),
      new x509.SubjectAlternativeNameExtension(
        [...new Set(names)].map((value) =>
          kind === "person"
            ? { type: "url" as const, value: `${PERSON}${encodeURIComponent(value)}` }
            : { type: isIpAddress(value) ? "ip" as const : "dns" as const, value }
        ),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return made.toString("pem") + "\n";
}

/** The key in a request, in base64. Throws as {@linkcode sign}. */
export async function keyOfRequest(request: string): Promise<string> {
  return (await readRequest(request)).publicKey.toString("base64");
}

async function readRequest(request: string) {
  const x509 = await library();
  let read: InstanceType<typeof x509.Pkcs10CertificateRequest>, isSigned: boolean;
  try {
    read = new x509.Pkcs10CertificateRequest(request);
    isSigned = await read.verify();
  } catch {
    throw new Error("the request for a certificate can't be read");
  }
  if (!isSigned) throw new Error("the request for a certificate isn't signed by its key");
  const { name, namedCurve } = read.publicKey.algorithm as { name: string; namedCurve?: string };
  if (name !== ALGORITHM.name || namedCurve !== ALGORITHM.namedCurve) {
    throw new Error("the request for a certificate must have a key of ECDSA on P-256");
  }
  return read;
}

/**
 * The one certificate in a text, in PEM as we write it; whoever reads it then reads the same one. Throws one line for
 * more than one, or what stands around it.
 */
export function onlyCertificate(text: string): string {
  return pem("CERTIFICATE", derOf(text));
}

function derOf(cert: string): Uint8Array {
  const base64 = ONE_CERTIFICATE.exec(cert)?.[1];
  if (base64 === undefined) throw new Error("the certificate can't be read: one in PEM is needed");
  return Buffer.from(base64, "base64");
}

/**
 * What a certificate says. Throws one line where it can't be read, or stands for an authority: what proves something
 * else than itself is no certificate of a node or host.
 */
export function readCertificate(cert: string): CertificateFacts & { key: string } {
  let read: X509Certificate;
  try {
    read = new X509Certificate(Buffer.from(derOf(cert)));
  } catch {
    throw new Error("the certificate can't be read: one in PEM is needed");
  }
  if (read.ca) throw new Error("the certificate is an authority's");
  const all = (read.subjectAltName ?? "").split(", ");
  const of = (kind: string) =>
    all.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length));
  const names = of("DNS:");
  const common = /^CN=(.*)$/m.exec(read.subject ?? "")?.[1];
  return {
    serial: serialText(read.serialNumber),
    names: all.join("") !== "" || common === undefined ? names : [common],
    addresses: of("IP Address:"),
    notBeforeMs: Date.parse(read.validFrom),
    notAfterMs: Date.parse(read.validTo),
    key: read.publicKey.export({ type: "spki", format: "der" }).toString("base64"),
  };
}

/** Whether a certificate was signed by an authority, whatever the time is. */
export async function isSignedBy(cert: string, authority: string): Promise<boolean> {
  const x509 = await library();
  try {
    const issuer = new x509.X509Certificate(derOf(authority) as never);
    const read = new x509.X509Certificate(derOf(cert) as never);
    return read.issuer === issuer.subject &&
      await read.verify({ publicKey: issuer, signatureOnly: true });
  } catch {
    return false;
  }
}

/** SHA-256 of the one certificate in a text, in base64url. Throws one line where it isn't one. */
export function fingerprintOf(cert: string): string {
  return createHash("sha256").update(derOf(cert)).digest("base64url");
}

async function keysOf(key: string) {
  const bytes = Buffer.from(key.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const privateKey = await webcrypto.subtle.importKey("pkcs8", bytes, ALGORITHM, true, ["sign"]);
  const { key_ops: _, d: __, ...open } = await webcrypto.subtle.exportKey("jwk", privateKey);
  const publicKey = await webcrypto.subtle.importKey("jwk", open, ALGORITHM, true, ["verify"]);
  return { privateKey, publicKey };
}

/** 16 random bytes, of which the first is neither 0 nor negative. */
function serialOf(random: Pick<Random, "bytes">): string {
  const bytes = random.bytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

function pem(what: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes).toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${what}-----\n${base64}\n-----END ${what}-----\n`;
}
