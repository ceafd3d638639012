/**
 * The authorities that a fleet trusts: one, and while it is changed for another both, the newer first. A host alone
 * can't bring devices to trust another authority: the former one's key must have signed it, in a certificate for the
 * newer one's key that serves for nothing else.
 */
import { createHash } from "node:crypto";
import type { Random } from "../platform/platform.ts";
import { type Authority, certify, isSameAuthority, isSignedBy, onlyCertificate } from "./pki.ts";

/** The authorities of a host. */
export interface Issuing {
  /** Those that count, the newest first. */
  readonly trusted: readonly string[];
  /** The former one's word for the newest, where there are two. */
  readonly cross?: string | undefined;
  /** The one that signed the host's own certificate. */
  readonly shown: string;
  /** The newest, unless its key is kept elsewhere. */
  readonly signer?: Authority | undefined;
}

/** One in use, and the former one. */
const AUTHORITIES_MAX = 2;
const ONE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\s*/g;

/** The certificates in a text, one or two, in PEM as we write it. Throws one line where it holds anything else. */
export function authoritiesIn(text: string): string[] {
  const parts = text.match(ONE) ?? [];
  if (parts.join("") !== text || parts.length === 0 || parts.length > AUTHORITIES_MAX) {
    throw new Error(`one or ${AUTHORITIES_MAX} certificates of authorities in PEM are needed`);
  }
  return parts.map(onlyCertificate);
}

/** What stands for authorities where it is asked whether they are the same: SHA-256 in base64url. */
export function tagOf(authorities: readonly string[]): string {
  return createHash("sha256").update(authorities.join("")).digest("base64url");
}

/** Which of the authorities signed a certificate; `undefined` where none did. */
export async function signerOf(
  cert: string,
  authorities: readonly string[],
): Promise<string | undefined> {
  for (const authority of authorities) if (await isSignedBy(cert, authority)) return authority;
  return undefined;
}

/** The former authority's word for a newer one. */
export function vouchFor(
  cert: string,
  former: Authority,
  random: Pick<Random, "bytes">,
): Promise<string> {
  return certify(cert, former, random);
}

/** Whether an authority has the key of one of those: its own certificate would speak for it. */
async function hasKeyOfAny(authority: string, trusted: readonly string[]): Promise<boolean> {
  for (const one of trusted) if (await isSameAuthority(one, authority)) return true;
  return false;
}

/**
 * What to trust from now on, as a host tells it that proved itself to who trusts `trusted`. Throws one line where it
 * names an authority for which none of those speaks.
 */
export async function follow(
  trusted: readonly string[],
  told: { readonly ca: string; readonly cross?: string | undefined },
): Promise<string[]> {
  const authorities = authoritiesIn(told.ca);
  for (const authority of authorities) {
    if (trusted.includes(authority)) continue;
    const { cross } = told;
    // Signed by the key that is vouched for, or others could give it another name's limits.
    const isVouched = cross !== undefined && await isSameAuthority(cross, authority) &&
      await isSignedBy(authority, authority) && await signerOf(cross, trusted) !== undefined &&
      !await hasKeyOfAny(authority, trusted);
    if (!isVouched) {
      throw new Error("the host tells of an authority that the known one didn't sign: enroll anew");
    }
  }
  return authorities;
}
