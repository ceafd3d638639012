/** Where host and node keep keys and certificates that `host pki` and `node enroll` made. Part of the executables. */
import type { TlsPaths } from "./tls_files.ts";

/** Name of the folder in the data directory. */
export const PKI_DIRECTORY = "pki";

/** Files of a host or a node; those of an authority only at a host. */
export interface PkiFiles {
  readonly directory: string;
  readonly ca: string;
  readonly caKey: string;
  /** While one authority is changed for another: the former one's key, and its word for the newer. */
  readonly caFormerKey: string;
  readonly cross: string;
  readonly cert: string;
  readonly key: string;
}

/** The files in a data directory. */
export function pkiFiles(data: string, who: "host" | "node"): PkiFiles {
  const directory = `${data}/${PKI_DIRECTORY}`;
  return {
    directory,
    ca: `${directory}/ca.pem`,
    caKey: `${directory}/ca.key`,
    caFormerKey: `${directory}/ca-former.key`,
    cross: `${directory}/ca-cross.pem`,
    cert: `${directory}/${who}.pem`,
    key: `${directory}/${who}.key`,
  };
}

/** The files to use for TLS: those that settings name, else those in the data directory, where there are some. */
export function tlsPathsOf(
  settings: TlsPaths & { readonly data: string },
  who: "host" | "node",
): TlsPaths {
  const { tls_ca, tls_cert, tls_key } = settings;
  const { ca, cert, key } = pkiFiles(settings.data, who);
  const isNamed = tls_ca !== "" || tls_cert !== "" || tls_key !== "";
  if (isNamed || !isThere(cert)) return { tls_ca, tls_cert, tls_key };
  return { tls_ca: ca, tls_cert: cert, tls_key: key };
}

/** Whether there is such a file. */
export function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The text of a file; `undefined` where it can't be read. */
export function textIn(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Throws one line where a directory is another user's: who may change it could lead what is done here, as root above
 * all, to files of others.
 */
export function demandOwner(directory: string): void {
  const { uid } = Deno.statSync(directory);
  // Whoever runs this owns its folder there.
  const { uid: own } = Deno.statSync("/proc/self");
  if (uid === null || uid === own) return;
  throw new Error(`${directory} is of user ${uid}: run this as that one, with sudo -u '#${uid}'`);
}

/**
 * Writes files, each whole or not at all; a folder that isn't there is made. Keys can be read by their owner only.
 * Durable when it returns.
 */
export function writePkiFiles(directory: string, files: Readonly<Record<string, string>>): void {
  Deno.mkdirSync(directory, { recursive: true, mode: 0o750 });
  for (const [path, text] of Object.entries(files)) {
    const temporary = `${path}.new`;
    if (isThere(temporary)) Deno.removeSync(temporary);
    const mode = path.endsWith(".key") ? 0o600 : 0o640;
    const file = Deno.openSync(temporary, { write: true, createNew: true, mode });
    try {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      file.syncSync();
    } finally {
      file.close();
    }
    Deno.renameSync(temporary, path);
  }
  const folder = Deno.openSync(directory);
  folder.syncSync();
  folder.close();
}
