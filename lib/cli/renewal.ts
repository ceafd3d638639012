/** Certificates of `host pki` that renew themselves, long before their end. Part of the executables. */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import { ask } from "../identity/enrolment_client.ts";
import { isSignedBy, makeRequest, readCertificate, sign } from "../identity/pki.ts";
import { denoClock, denoRandom } from "../platform/deno_clock.ts";
import { denoTransport } from "../platform/deno_transport.ts";
import { type PkiFiles, pkiFiles, textIn, writePkiFiles } from "./pki_files.ts";

/** How often it is looked, and how long a host may take to answer. */
const LOOK_MS = 3_600_000;
/** Soon after the start, and again where renewing fails while the certificate counts no more. */
const SOON_MS = 5_000, RETRY_MS = 60_000;
const ANSWER_MS = 30_000;
/** What is left of its time when a certificate is renewed. */
const LEFT_PART = 1 / 3;
const log = getLogger(["holdfast", "pki"]);

/** Renews a node's certificate over the hosts it knows; `renewed` is called when the files are new. */
export function renewNode(data: string, hosts: readonly string[], renewed: () => void): void {
  const files = pkiFiles(data, "node");
  keep(files, async (cert, key, ca) => {
    const { names } = readCertificate(cert);
    const csr = await makeRequest(key, names[0]!);
    let reason: unknown;
    for (const host of hosts) {
      try {
        const signal = AbortSignal.timeout(ANSWER_MS);
        const made = await ask(denoTransport({ ca }), host.trim(), { cert, csr }, signal);
        return made.cert;
      } catch (error) {
        reason = error;
      }
    }
    throw reason;
  }, renewed);
}

/** Renews a host's own certificate, where the key of its authority is there. */
export function renewHost(data: string, days: number, renewed: () => void): void {
  const files = pkiFiles(data, "host");
  keep(files, async (cert, key, ca) => {
    const authorityKey = textIn(files.caKey);
    if (authorityKey === undefined) return undefined;
    const { names, addresses } = readCertificate(cert);
    const all = [...names, ...addresses];
    const request = await makeRequest(key, all[0]!);
    const wanted = { names: all, kind: "host", nowMs: denoClock.wallMs(), days } as const;
    return await sign({ cert: ca, key: authorityKey }, request, wanted, denoRandom);
  }, renewed);
}

/** Looks now and then whether a certificate needs a successor, and what `make` gives is one. */
function keep(
  files: PkiFiles,
  make: (cert: string, key: string, ca: string) => Promise<string | undefined>,
  renewed: () => void,
): void {
  const look = async (): Promise<number> => {
    const cert = textIn(files.cert), key = textIn(files.key), ca = textIn(files.ca);
    if (cert === undefined || key === undefined || ca === undefined) return LOOK_MS;
    const { notBeforeMs, notAfterMs } = readCertificate(cert);
    const leftMs = notAfterMs - denoClock.wallMs();
    if (leftMs > LEFT_PART * (notAfterMs - notBeforeMs)) return LOOK_MS;
    try {
      const made = await make(cert, key, ca);
      if (made === undefined) return LOOK_MS;
      const { key: proven } = readCertificate(made);
      const isOurs = proven === readCertificate(cert).key && await isSignedBy(made, ca);
      if (!isOurs) throw new Error("what came is no certificate of ours");
      writePkiFiles(files.directory, { [files.cert]: made });
      log.info("the certificate is renewed");
      renewed();
      return LOOK_MS;
    } catch (error) {
      log.warn("the certificate can't be renewed yet: {reason}", { reason: oneLine(error) });
      return leftMs < 0 ? RETRY_MS : LOOK_MS;
    }
  };
  const later = (ms: number) =>
    Deno.unrefTimer(setTimeout(async () => {
      // A fleet that was made in an hour doesn't renew in one second.
      later(await look().catch(() => LOOK_MS) * (0.75 + denoRandom.below(512) / 1_024));
    }, ms));
  later(SOON_MS);
}
