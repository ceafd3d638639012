/** PEM texts of TLS, looked at before they are used: this runtime takes anything for a certificate. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { oneLine } from "../errors.ts";
import type { TlsOptions } from "./deno_transport.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates in a PEM text. Throws one line where there is none, or one can't be read. */
function certificatesIn(name: string, pem: string): X509Certificate[] {
  const texts = pem.match(CERTIFICATE);
  if (texts === null) throw new Error(`${name} holds no certificate in PEM`);
  return texts.map((text) => {
    try {
      return new X509Certificate(text);
    } catch (error) {
      throw new Error(`${name} holds a certificate that can't be read: ${oneLine(error)}`);
    }
  });
}

/**
 * Throws one line where the texts can't be used together. An expired certificate can: the other side says so, and a
 * wrong clock may be all that is wrong.
 */
export function demandUsable({ ca, cert, key }: TlsOptions): void {
  certificatesIn("tls_ca", ca);
  if (cert === undefined || key === undefined) return;
  const [own] = certificatesIn("tls_cert", cert);
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (error) {
    throw new Error(`tls_key holds no private key in PEM: ${oneLine(error)}`);
  }
  if (!belongs(own!, privateKey)) throw new Error("tls_key is not the key of tls_cert");
}

function belongs(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch (error) {
    // Deno 2.4 can't tell; the other side will.
    if ((error as { code?: string }).code === "ERR_NOT_IMPLEMENTED") return true;
    throw error;
  }
}

/**
 * When the link stops for a certificate, in ms since 1970: the own one ends, or the last of the authorities. The texts
 * must be usable.
 */
export function expiryMs({ ca, cert }: TlsOptions): number {
  const ends = (name: string, pem: string) =>
    certificatesIn(name, pem).map(({ validTo }) => Date.parse(validTo));
  const own = cert === undefined ? Infinity : ends("tls_cert", cert)[0]!;
  return Math.min(Math.max(...ends("tls_ca", ca)), own);
}

/** A serial number as all compare it: hexadecimal in lower case, without zeros in front. */
export function serialText(serial: string): string {
  return serial.replaceAll(":", "").toLowerCase().replace(/^0+(?=.)/, "");
}
