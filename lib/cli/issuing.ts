/** The authorities in a host's data directory, read anew each time: `host pki` may change them beside a running host. */
import { authoritiesIn, type Issuing, signerOf, tagOf } from "../identity/authorities.ts";
import { type Authority, isKeyOf } from "../identity/pki.ts";
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
