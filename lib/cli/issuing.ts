/** The authorities in a host's data directory, read anew each time: `host pki` may change them beside a running host. */
import { authoritiesIn, type Issuing, signerOf, tagOf } from "../identity/authorities.ts";
import { type Authority, isKeyOf, makeRequest, readCertificate, sign } from "../identity/pki.ts";
import { denoClock, denoRandom } from "../platform/deno_clock.ts";
import { pkiFiles, textIn } from "./pki_files.ts";

/** What a host signs with. Rejects with one line where there is no authority, or its files can't be read. */
export async function readIssuing(data: string): Promise<Issuing> {
  const files = pkiFiles(data, "host");
  const ca = textIn(files.ca), own = textIn(files.cert);
  if (ca === undefined) throw new Error("there is no authority: host pki init makes one");
  const trusted = authoritiesIn(ca);
  const shown = own === undefined ? undefined : await signerOf(own, trusted);
  return {
    trusted,
    cross: trusted.length > 1 ? textIn(files.cross) : undefined,
    shown: shown ?? trusted[0]!,
    signer: signerFor(data, trusted[0]!),
  };
}

/**
 * What a host signs with, worked out anew only when its files are other ones: anybody may ask for the authorities.
 */
export function issuingOf(data: string): () => Promise<Issuing> {
  const { ca, cert, caKey, caFormerKey, cross } = pkiFiles(data, "host");
  let known = "", issuing: Promise<Issuing> | undefined;
  return () => {
    const texts = JSON.stringify([ca, cert, caKey, caFormerKey, cross].map(textIn));
    if (issuing === undefined || texts !== known) {
      known = texts;
      issuing = readIssuing(data);
    }
    return issuing;
  };
}

/** A certificate for a host's key, for the names and addresses of the one that it has. */
export async function certifyHost(
  signer: Authority,
  { cert, key, days }: { cert: string; key: string; days: number },
): Promise<string> {
  const { names, addresses } = readCertificate(cert);
  const all = [...names, ...addresses];
  const request = await makeRequest(key, all[0]!);
  const wanted = { names: all, kind: "host", nowMs: denoClock.wallMs(), days } as const;
  return await sign(signer, request, wanted, denoRandom);
}

/** The key of an authority, where it is there. */
export function signerFor(data: string, cert: string): Authority | undefined {
  const { caKey, caFormerKey } = pkiFiles(data, "host");
  for (const path of [caKey, caFormerKey]) {
    const key = textIn(path);
    if (key !== undefined && isKeyOf(key, cert)) return { cert, key };
  }
  return undefined;
}

/** What stands for the authorities in a text; `undefined` where there are none in it. */
export function tagIn(ca: string | undefined): string | undefined {
  try {
    return ca === undefined ? undefined : tagOf(authoritiesIn(ca));
  } catch {
    return undefined;
  }
}
