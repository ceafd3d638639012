/**
 * `host pki rotate`: another authority takes the place of the present one while devices go on sending. At first both
 * count: devices hear of it over the link, see that the former one speaks for the newer, and renew. Once all have, the
 * former one is dropped. Each step can be taken again after a crash at any point of it.
 */
import { HOST_SETTINGS } from "../config/host_settings.ts";
import { authoritiesIn, signerOf, vouchFor } from "../identity/authorities.ts";
import { isKeyOf, madeAtMs, makeAuthority, readCertificate } from "../identity/pki.ts";
import { denoClock, denoRandom } from "../platform/deno_clock.ts";
import type { Database } from "../platform/sqlite.ts";
import { readCertificates, revokeCertificates } from "../store/sqlite/pki.ts";
import { noteByHand, openBeside } from "./beside.ts";
import { certifyHost, signerFor } from "./issuing.ts";
import { print } from "./output.ts";
import { demandOwner, isThere, pkiFiles, textIn, writePkiFiles } from "./pki_files.ts";

/** How long an authority counts: longer than devices live. */
export const AUTHORITY_DAYS = 20 * 365;
const LATE_MS = HOST_SETTINGS.renew_late_days.default * 86_400_000;
/** Nodes that are named where they are in the way. */
const NAMED_MAX = 10;

/** Makes a newer authority beside the present one. Rejects with one line where that can't be. */
export async function beginRotation(data: string): Promise<void> {
  const files = pkiFiles(data, "host");
  const { authorities, own } = present(data);
  if (authorities.length > 1) {
    throw new Error("an authority is being changed already: host pki rotate --finish ends that");
  }
  const former = signerFor(data, authorities[0]!);
  if (former === undefined) throw new Error(`${files.caKey}, the key of ${files.ca}, is needed`);
  const db = await openBeside(data);
  const nowMs = denoClock.wallMs();
  const { names: [name] } = readCertificate(own);
  const title = `Holdfast ${name ?? "host"} ${new Date(nowMs).toISOString().slice(0, 10)}`;
  const made = await makeAuthority(title, { nowMs, days: AUTHORITY_DAYS }, denoRandom);
  const cross = await vouchFor(made.cert, former, denoRandom);
  // Durable before the newer one counts: its key can't be made again.
  writePkiFiles(files.directory, { [files.caFormerKey]: former.key });
  writePkiFiles(files.directory, { [files.cross]: cross, [files.caKey]: made.key });
  writePkiFiles(files.directory, { [files.ca]: made.cert + former.cert });
  noteByHand(db, { action: "pki_rotate", target: title });
  const behind = nodesBehind(db, made.cert).length;
  print(`${title} signs from now on; ${behind} nodes renew while they are connected: host pki ls`);
}

/** Drops the former authority; with `force` also where nodes still need it, which then have to enroll anew. */
export async function finishRotation(data: string, force: boolean): Promise<void> {
  const files = pkiFiles(data, "host");
  const { authorities: [newest, former], own } = present(data);
  const leftovers = [files.caFormerKey, files.cross].filter(isThere);
  if (former === undefined) {
    // Cut off at the end, or before the newer authority counted: then the former key is the one in use.
    const isOver = leftovers.length > 0 && isKeyOf(textIn(files.caKey) ?? "", newest!);
    if (!isOver) throw new Error("no authority is being changed: see host pki rotate");
    leftovers.forEach((path) => Deno.removeSync(path));
    return print("the former authority counts no more");
  }
  const signer = signerFor(data, newest!);
  if (signer === undefined) throw new Error(`${files.caKey} isn't the key of ${files.ca}`);
  const db = await openBeside(data);
  const behind = nodesBehind(db, newest!);
  if (behind.length > 0 && !force) {
    const named = behind.slice(0, NAMED_MAX).join(", ") + (behind.length > NAMED_MAX ? ", …" : "");
    throw new Error(
      `${behind.length} nodes have certificates of the former authority alone: ${named}. Wait, or --force and enroll them anew`,
    );
  }
  if (await signerOf(own, [newest!]) === undefined) {
    const days = HOST_SETTINGS.certificate_days.default;
    const made = await certifyHost(signer, { cert: own, key: textIn(files.key) ?? "", days });
    writePkiFiles(files.directory, { [files.cert]: made });
  }
  for (const node of behind) {
    for (const serial of revokeCertificates(db, node, undefined, denoClock.wallMs())) {
      noteByHand(db, { action: "pki_revoke", target: node, before: { serial } });
    }
  }
  writePkiFiles(files.directory, { [files.ca]: newest! });
  leftovers.forEach((path) => Deno.removeSync(path));
  noteByHand(db, { action: "pki_rotate_finish", target: "former authority", after: { behind } });
  print(
    `the former authority counts no more${force ? ": restart the host to end all sessions" : ""}`,
  );
}

/** Nodes whose certificates that count were all made before an authority was. */
export function nodesBehind(db: Database, newest: string): string[] {
  const sinceMs = madeAtMs(newest), nowMs = denoClock.wallMs();
  const behind = new Map<string, boolean>();
  for (const { node_id, issued_wall_ms, not_after_ms, revoked_wall_ms } of readCertificates(db)) {
    if (revoked_wall_ms !== null || node_id === "") continue;
    const isNew = issued_wall_ms >= sinceMs;
    // Until then a device that was off comes back and renews.
    if (!isNew && not_after_ms + LATE_MS < nowMs) continue;
    behind.set(node_id, (behind.get(node_id) ?? true) && !isNew);
  }
  return [...behind].filter(([, isBehind]) => isBehind).map(([node]) => node).sort();
}

function present(data: string): { authorities: string[]; own: string } {
  const files = pkiFiles(data, "host");
  const ca = textIn(files.ca), own = textIn(files.cert);
  if (ca === undefined || own === undefined) {
    throw new Error("there is no authority: host pki init makes one");
  }
  demandOwner(data);
  return { authorities: authoritiesIn(ca), own };
}
