/** Certificates of `host pki` that renew themselves, long before their end. Part of the executables. */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import { authoritiesIn, follow, signerOf, tagOf } from "../identity/authorities.ts";
import { ask } from "../identity/enrolment_client.ts";
import { isSignedBy, makeRequest, readCertificate } from "../identity/pki.ts";
import { denoClock, denoRandom } from "../platform/deno_clock.ts";
import { denoTransport } from "../platform/deno_transport.ts";
import type { Enrolled } from "../protocol/enrolment.ts";
import { certifyHost, signerFor, tagIn } from "./issuing.ts";
import { type PkiFiles, pkiFiles, textIn, writePkiFiles } from "./pki_files.ts";

/** How often it is looked, and how long a host may take to answer. */
const LOOK_MS = 3_600_000;
/** Soon after the start, or after something was told; and again where renewing fails. */
const SOON_MS = 5_000, RETRY_MS = 10_000;
/** The longest pause while the link is cut for it. */
const CUT_RETRY_MS = 60_000;
const ANSWER_MS = 30_000;
/** What is left of its time when a certificate is renewed. */
const LEFT_PART = 1 / 3;
const log = getLogger(["holdfast", "pki"]);

/** Renews a node's certificate over the hosts it knows; `renewed` is called when files are new. */
export function renewNode(
  data: string,
  hosts: readonly string[],
  renewed: () => void,
): { heard(tag: string): void } {
  const files = pkiFiles(data, "node");
  let told: string | undefined;
  const ask = (trusted: readonly string[], request: { cert?: string; csr?: string }) =>
    askAny(hosts, trusted.join(""), request);
  const { soon } = keep(files, {
    trusted: async (known) => {
      if (told === undefined || told === tagOf(known)) return known;
      return await follow(known, await ask(known, {}));
    },
    make: async (cert, key, trusted) => {
      const csr = await makeRequest(key, readCertificate(cert).names[0]!);
      return (await ask(trusted, { cert, csr })).cert;
    },
  }, renewed);
  return {
    heard: (tag) => {
      // What is told again is being tried already, with the pauses that failures cost.
      const isNews = tag !== told;
      told = tag;
      if (isNews && tag !== tagIn(textIn(files.ca))) soon();
    },
  };
}

/** Renews a host's own certificate, where the key of the authority that signed it is there. */
export function renewHost(data: string, days: number, renewed: () => void): void {
  keep(pkiFiles(data, "host"), {
    make: async (cert, key, trusted) => {
      const by = await signerOf(cert, trusted);
      const signer = by === undefined ? undefined : signerFor(data, by);
      return signer === undefined ? undefined : await certifyHost(signer, { cert, key, days });
    },
  }, renewed);
}

async function askAny(
  hosts: readonly string[],
  ca: string,
  request: { cert?: string; csr?: string },
): Promise<Enrolled> {
  let reason: unknown;
  for (const host of hosts) {
    try {
      return await ask(denoTransport({ ca }), host.trim(), request, AbortSignal.timeout(ANSWER_MS));
    } catch (error) {
      reason = error;
    }
  }
  throw reason;
}

/** How a certificate and its authorities are made new. */
interface Renewal {
  /** The authorities to trust, where others than those that are known may be; the newest signs. */
  readonly trusted?: (known: readonly string[]) => Promise<readonly string[]>;
  /** A successor of a certificate; `undefined` where nobody can make one here. */
  readonly make: (
    cert: string,
    key: string,
    trusted: readonly string[],
  ) => Promise<string | undefined>;
}

/** Looks now and then whether a certificate needs a successor; `soon` has it looked within seconds. */
function keep(
  files: PkiFiles,
  { trusted, make }: Renewal,
  renewed: () => void,
): { soon(): void } {
  const renew = async (): Promise<void> => {
    const cert = textIn(files.cert), key = textIn(files.key), ca = textIn(files.ca);
    if (cert === undefined || key === undefined || ca === undefined) return;
    const known = authoritiesIn(ca);
    const authorities = await trusted?.(known) ?? known;
    if (tagOf(authorities) !== tagOf(known)) {
      writePkiFiles(files.directory, { [files.ca]: authorities.join("") });
      log.info("the authorities that are trusted are new");
      renewed();
    }
    const { notBeforeMs, notAfterMs, key: certified } = readCertificate(cert);
    const isLong = notAfterMs - denoClock.wallMs() > LEFT_PART * (notAfterMs - notBeforeMs);
    // A host goes on to show what all its nodes trust.
    const isSettled = trusted === undefined || authorities.length === 1;
    const isOfNewest = isSettled || await isSignedBy(cert, authorities[0]!);
    if (isLong && isOfNewest) return;
    const made = await make(cert, key, authorities);
    if (made === undefined) return;
    const isOurs = readCertificate(made).key === certified &&
      await signerOf(made, authorities) !== undefined;
    if (!isOurs) throw new Error("what came is no certificate of ours");
    writePkiFiles(files.directory, { [files.cert]: made });
    log.info("the certificate is renewed");
    renewed();
  };
  let timer: ReturnType<typeof setTimeout> | undefined, dueMs = 0;
  let told = "", retryMs = RETRY_MS;
  let isLooking = false, isAsked = false;
  const look = async (): Promise<void> => {
    isLooking = true;
    isAsked = false;
    let nextMs = LOOK_MS;
    try {
      await renew();
      told = "";
      retryMs = RETRY_MS;
    } catch (error) {
      const reason = oneLine(error);
      if (reason !== told) log.warn("the certificate can't be renewed yet: {reason}", { reason });
      told = reason;
      nextMs = hasEnded(files) ? Math.min(CUT_RETRY_MS, retryMs) : retryMs;
      retryMs = Math.min(LOOK_MS, 2 * retryMs);
    }
    isLooking = false;
    later(isAsked ? SOON_MS : nextMs);
  };
  const later = (ms: number) => {
    clearTimeout(timer);
    // A fleet that was made in an hour doesn't renew in one second.
    const waitMs = ms * (0.75 + denoRandom.below(512) / 1_024);
    dueMs = denoClock.monotonicMs() + waitMs;
    timer = setTimeout(look, waitMs);
    Deno.unrefTimer(timer);
  };
  later(SOON_MS);
  return {
    soon: () => {
      isAsked = true;
      // Never put off: who is told again and again looks all the same.
      if (!isLooking && dueMs - denoClock.monotonicMs() > SOON_MS) later(SOON_MS);
    },
  };
}

/** Whether the link is cut until there is another certificate. */
function hasEnded({ cert }: PkiFiles): boolean {
  try {
    return readCertificate(textIn(cert) ?? "").notAfterMs < denoClock.wallMs();
  } catch {
    return false;
  }
}
