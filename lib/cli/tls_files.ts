/** The files of TLS: read at the start, and again when they change, so that a renewed certificate needs no restart. */
import { getLogger } from "@logtape/logtape";
import { oneLine } from "../errors.ts";
import { demandUsable, expiryMs } from "../platform/certificates.ts";
import { fail } from "./output.ts";
import type { DenoTransport, TlsOptions } from "../platform/deno_transport.ts";

const EXIT_USAGE = 2;
/** How often it is looked whether the files changed. */
const LOOK_MS = 10_000;
/** It is told that a certificate expires soon from then on. */
const SOON_MS = 14 * 86_400_000;
const DAY_MS = 86_400_000;
const log = getLogger(["holdfast", "tls"]);

/** Paths of PEM files; empty for none. */
export interface TlsPaths {
  readonly tls_ca: string;
  readonly tls_cert: string;
  readonly tls_key: string;
}

function textOf(setting: string, path: string): string | undefined {
  if (path === "") return undefined;
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(`cannot read ${setting} "${path}": ${oneLine(error)}`);
  }
}

/** What the files say; `undefined` where TLS is off. Throws one line where they can't be used. */
export function readTlsFiles(paths: TlsPaths): TlsOptions | undefined {
  const { tls_ca, tls_cert, tls_key } = paths;
  const ca = textOf("tls_ca", tls_ca);
  const cert = textOf("tls_cert", tls_cert), key = textOf("tls_key", tls_key);
  if (ca === undefined) {
    if (cert === undefined && key === undefined) return undefined;
    throw new Error("TLS needs tls_ca, the authority that signed the other side's certificate");
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error("tls_cert and tls_key go together");
  }
  const options = cert === undefined || key === undefined ? { ca } : { ca, cert, key };
  demandUsable(options);
  return options;
}

/** As {@linkcode readTlsFiles}, but ends the process with what is wrong. */
export function tlsOrExit(program: string, paths: TlsPaths): TlsOptions | undefined {
  try {
    return readTlsFiles(paths);
  } catch (error) {
    fail(program, oneLine(error), EXIT_USAGE);
  }
}

/**
 * Hands files that changed over to a transport: connections that are made from then on use them, those that are there
 * live on. What can't be used is told and changes nothing. Returns what looks at once.
 */
export function keepRenewed(
  transport: Pick<DenoTransport, "renew">,
  paths: TlsPaths,
  current: TlsOptions | undefined,
): () => void {
  if (current === undefined) return () => {};
  let known = JSON.stringify(current), told = "", warnedAtMs = -Infinity;
  const warn = (options: TlsOptions) => {
    const now = Date.now(), left = expiryMs(options) - now;
    if (left > SOON_MS || now - warnedAtMs < DAY_MS) return;
    warnedAtMs = now;
    const days = Math.floor(Math.abs(left) / DAY_MS);
    if (left < 0) log.error("a certificate expired {days} days ago: renew it", { days });
    else log.warn("a certificate expires in {days} days: renew it", { days });
  };
  const look = () => {
    try {
      const options = readTlsFiles(paths);
      const text = JSON.stringify(options);
      told = "";
      if (options === undefined || text === known) return warn(options ?? current);
      transport.renew(options);
      known = text;
      warnedAtMs = -Infinity;
      log.info("certificates were renewed, new connections use them");
      warn(options);
    } catch (error) {
      // Files are replaced one after the other: only what stays wrong is worth a word.
      const reason = oneLine(error);
      if (reason === told) return;
      told = reason;
      log.warn("certificates stay as they were: {reason}", { reason });
    }
  };
  warn(current);
  Deno.unrefTimer(setInterval(look, LOOK_MS));
  return look;
}
