/** `host pki`: the authority of a fleet, and the certificates that it gave. Part of the executables. */
import { HOST_SETTINGS } from "../config/host_settings.ts";
import { authoritiesIn } from "../identity/authorities.ts";
import { invite } from "../identity/enrolment_token.ts";
import {
  fingerprintOf,
  makeAuthority,
  makeKey,
  makeRequest,
  readCertificate,
  sign,
} from "../identity/pki.ts";
import { denoClock, denoRandom } from "../platform/deno_clock.ts";
import { serialText } from "../platform/certificates.ts";
import { isNodeId } from "../protocol/record.ts";
import {
  putCertificate,
  putEnrolment,
  readCertificates,
  revokeCertificates,
} from "../store/sqlite/pki.ts";
import { DATABASE_NAME } from "../store/sqlite/store.ts";
import { parseSpan } from "../times.ts";
import { noteByHand, openBeside } from "./beside.ts";
import { type CommandValues, runCommand, textOf, UsageError } from "./command.ts";
import { print } from "./output.ts";
import { readIssuing } from "./issuing.ts";
import { AUTHORITY_DAYS, beginRotation, finishRotation, nodesBehind } from "./pki_rotate.ts";
import { demandOwner, isThere, pkiFiles, textIn, writePkiFiles } from "./pki_files.ts";
import { clean } from "./terminal_text.ts";

const DATA = HOST_SETTINGS.data.default;
const DAY_MS = 86_400_000;
const TOKEN_MS = 7 * DAY_MS;
const USAGE =
  `host pki: the authority of a fleet, and the certificates that it gave. A host may run on the directory.

Usage: host pki init --name HOST [--name HOST|ADDRESS ...] [--data ${DATA}]
       host pki token NODE [--expires 7d] [--data ${DATA}]
       host pki ls [--json] [--data ${DATA}]
       host pki revoke NODE|SERIAL [--data ${DATA}]
       host pki sign FILE.csr --name NAME [--kind node|host|person] [--data ${DATA}]
       host pki rotate [--finish [--force]] [--data ${DATA}]

init makes an authority and the host's certificate, for the names and addresses that nodes connect to; the host uses
them at its next start. token prints a token for one device: node enroll TOKEN --host HOST:7400 gives it a certificate,
once. sign --kind person gives one for http_mtls, which is no node's. From then on host and nodes renew theirs by themselves. revoke ends the sessions of a device within a second.
The key of the authority is DIR/pki/ca.key: it may be kept elsewhere, then the host doesn't sign, and sign does, where
the key is. rotate makes another authority: nodes hear of it and renew while they are connected, ls says which still have
to; --finish drops the former one.`;

/** Runs the subcommand; resolves with the exit status. */
export function pkiCommand(args: readonly string[]): Promise<number> {
  const flags = {
    text: ["data", "expires", "kind"],
    list: ["name"],
    flag: ["json", "finish", "force"],
  };
  const command = { program: "host", name: "pki", usage: USAGE, flags } as const;
  return runCommand(command, args, async (values, [verb = "", subject, ...more]) => {
    const verbs: Readonly<Record<string, () => Promise<void>>> = {
      init: () => init(values),
      token: () => token(values, subject!),
      ls: () => list(values),
      revoke: () => revoke(values, subject!),
      sign: () => signFile(values, subject!),
      rotate: () => rotate(values),
    };
    if (!Object.hasOwn(verbs, verb)) {
      throw new UsageError("say init, token, ls, revoke, sign or rotate");
    }
    const needsSubject = ["token", "revoke", "sign"].includes(verb);
    if (more.length > 0 || needsSubject !== (subject !== undefined)) {
      throw new UsageError(
        needsSubject ? `say host pki ${verb} and what` : `unexpected "${subject}"`,
      );
    }
    await verbs[verb]!();
  });
}

function dataOf(values: CommandValues): string {
  return textOf(values, "data") ?? DATA;
}

function namesOf({ name }: CommandValues): readonly string[] {
  const names = Array.isArray(name) ? name as string[] : [];
  if (names.length === 0) throw new RangeError("--name is needed");
  for (const one of names) {
    if (!/^[A-Za-z0-9._:-]{1,253}$/.test(one)) throw new RangeError(`--name ${one} is no name`);
  }
  return names;
}

async function init(values: CommandValues): Promise<void> {
  const names = namesOf(values), data = dataOf(values);
  const files = pkiFiles(data, "host");
  if (isThere(files.ca)) throw new Error(`${files.ca} is there already`);
  Deno.mkdirSync(data, { recursive: true, mode: 0o750 });
  demandOwner(data);
  const nowMs = denoClock.wallMs();
  const wanted = { nowMs, days: AUTHORITY_DAYS };
  const authority = await makeAuthority(`Holdfast ${names[0]}`, wanted, denoRandom);
  const key = await makeKey();
  const request = await makeRequest(key, names[0]!);
  const days = HOST_SETTINGS.certificate_days.default;
  const cert = await sign(authority, request, { names, kind: "host", nowMs, days }, denoRandom);
  writePkiFiles(files.directory, {
    [files.caKey]: authority.key,
    [files.key]: key,
    [files.cert]: cert,
    [files.ca]: authority.cert,
  });
  print(`${files.directory} has an authority and a certificate for ${names.join(", ")}`);
}

async function token(values: CommandValues, nodeId: string): Promise<void> {
  if (!isNodeId(nodeId)) throw new RangeError(`"${clean(nodeId)}" is no name of a node`);
  const expires = textOf(values, "expires");
  const spanMs = expires === undefined ? TOKEN_MS : parseSpan(expires);
  if (spanMs === undefined) throw new RangeError("--expires: expected a time as 12h or 7d");
  const files = pkiFiles(dataOf(values), "host");
  const { shown } = await readIssuing(dataOf(values));
  const own = textIn(files.cert);
  if (own !== undefined && readCertificate(own).names.includes(nodeId)) {
    throw new Error(`"${nodeId}" is a name of the host: a node that had it could pass for it`);
  }
  const db = await openBeside(dataOf(values));
  const span = { nowMs: denoClock.wallMs(), spanMs };
  const { token: made, row } = invite(fingerprintOf(shown), nodeId, span, denoRandom);
  putEnrolment(db, row);
  noteByHand(db, { action: "pki_token", target: nodeId });
  print(made);
}

function rotate(values: CommandValues): Promise<void> {
  const isForced = values.force !== undefined;
  if (values.finish !== undefined) return finishRotation(dataOf(values), isForced);
  if (isForced) throw new RangeError("--force goes with --finish");
  return beginRotation(dataOf(values));
}

async function list(values: CommandValues): Promise<void> {
  const db = await openBeside(dataOf(values));
  const rows = readCertificates(db);
  const ca = textIn(pkiFiles(dataOf(values), "host").ca);
  const [newest, former] = ca === undefined ? [] : authoritiesIn(ca);
  const behind = former === undefined ? [] : nodesBehind(db, newest!);
  if (values.json !== undefined) return rows.forEach((row) => print(JSON.stringify(row)));
  if (rows.length === 0) print("no certificates: host pki token NODE, then node enroll");
  for (const { serial, node_id, not_after_ms, revoked_wall_ms } of rows) {
    const days = Math.floor((not_after_ms - denoClock.wallMs()) / DAY_MS);
    const state = revoked_wall_ms !== null
      ? "revoked"
      : days < 0
      ? `ended ${-days} days ago`
      : `${days} days left`;
    const note = behind.includes(node_id) ? ", of the former authority" : "";
    print(`${serial}  ${node_id.padEnd(24)}  ${state}${note}`);
  }
}

async function revoke(values: CommandValues, which: string): Promise<void> {
  const db = await openBeside(dataOf(values));
  const nowMs = denoClock.wallMs();
  const isSerial = /^[0-9A-Fa-f:]{1,60}$/.test(which);
  const serial = serialText(which);
  const found = revokeCertificates(db, which, isSerial ? serial : undefined, nowMs);
  if (found.length === 0) {
    const known = readCertificates(db).some((row) =>
      row.node_id === which || row.serial === serial
    );
    if (known || !isSerial) {
      throw new Error(`nothing of "${clean(which)}" is to be revoked: see host pki ls`);
    }
    // Made by hand: it is known by its serial number alone.
    const end = { not_after_ms: Number.MAX_SAFE_INTEGER, revoked_wall_ms: nowMs };
    putCertificate(db, { serial, node_id: "", issued_wall_ms: nowMs, ...end });
    found.push(serial);
  }
  for (const one of found) {
    noteByHand(db, { action: "pki_revoke", target: which, before: { serial: one } });
  }
  print(`${found.length === 1 ? "1 certificate is" : `${found.length} certificates are`} revoked`);
}

async function signFile(values: CommandValues, path: string): Promise<void> {
  const names = namesOf(values), { kind = "node" } = values;
  if (kind !== "node" && kind !== "host" && kind !== "person") {
    throw new RangeError("--kind: expected node, host or person");
  }
  const files = pkiFiles(dataOf(values), "host");
  const { signer } = await readIssuing(dataOf(values));
  if (signer === undefined) throw new Error(`${files.caKey}, the key of ${files.ca}, is needed`);
  const days = HOST_SETTINGS.certificate_days.default, nowMs = denoClock.wallMs();
  const made = await sign(signer, Deno.readTextFileSync(path), {
    ...{ names, kind, nowMs, days },
  }, denoRandom);
  const { serial, notAfterMs } = readCertificate(made);
  if (kind !== "host" && isThere(`${dataOf(values)}/${DATABASE_NAME}`)) {
    const db = await openBeside(dataOf(values));
    // What no node can be called.
    const node_id = kind === "person" ? `person:${names[0]}` : names[0]!;
    const row = { serial, node_id, issued_wall_ms: nowMs, not_after_ms: notAfterMs };
    putCertificate(db, { ...row, revoked_wall_ms: null });
    noteByHand(db, { action: "pki_sign", target: node_id, after: { serial } });
  }
  print(made.trimEnd());
}
