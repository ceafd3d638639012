/** Where host and node keep keys and certificates that `host pki` and `node enroll` made. Part of the executables. */
import type { TlsPaths } from "./tls_files.ts";

/** Name of the folder in the data directory. */
export const PKI_DIRECTORY = "pki";

/** Files of a host or a node; those of an authority only at a host. */
export interface PkiFiles {
  readonly directory: string;
  readonly ca: string;
  readonly caKey: string;
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
 * Writes files, each whole or not at all, as their folder's owner; a folder that isn't there is made. Keys can be read
 * by their owner only. Durable when it returns.
 */
export function writePkiFiles(directory: string, files: Readonly<Record<string, string>>): void {
  Deno.mkdirSync(directory, { recursive: true, mode: 0o750 });
  const { uid, gid } = Deno.statSync(`${directory}/..`);
  const own = (path: string) => {
    // Done by root for a service's user.
    const { uid: owner } = Deno.statSync(path);
    if (uid !== null && gid !== null && owner !== uid) Deno.chownSync(path, uid, gid);
  };
  own(directory);
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
    own(temporary);
    Deno.renameSync(temporary, path);
  }
  const folder = Deno.openSync(directory);
  folder.syncSync();
  folder.close();
}
