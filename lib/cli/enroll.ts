/** `node enroll`: a device gets its certificate, once and for good. Part of the executables. */
import { NODE_SETTINGS } from "../config/node_settings.ts";
import { authoritiesIn, follow, signerOf } from "../identity/authorities.ts";
import { ask } from "../identity/enrolment_client.ts";
import { readEnrolmentToken } from "../identity/enrolment_token.ts";
import {
  fingerprintOf,
  keyOfRequest,
  makeKey,
  makeRequest,
  onlyCertificate,
  readCertificate,
} from "../identity/pki.ts";
import { parseAddress } from "../platform/address.ts";
import { denoTransport } from "../platform/deno_transport.ts";
import { runCommand, textOf, UsageError } from "./command.ts";
import { print } from "./output.ts";
import { demandOwner, pkiFiles, textIn, writePkiFiles } from "./pki_files.ts";

const DATA = NODE_SETTINGS.data.default;
/** For each of the two connections. */
const ANSWER_MS = 15_000;
const USAGE = `node enroll: gets this device its certificate from a host.

Usage: node enroll TOKEN --host HOST:7400 [--data ${DATA}]
       node enroll - --host HOST:7400 [--data ${DATA}]      reads TOKEN from standard input, which nobody sees

TOKEN comes from host pki token, and is used up. The key is made here and never leaves DIR/pki; a device that has one
already keeps it. From then on node run uses the certificate, is called what it says, and renews it by itself.`;

/** Runs the subcommand; resolves with the exit status. */
export function enrollCommand(args: readonly string[]): Promise<number> {
  const flags = { text: ["host", "data"] };
  const command = { program: "node", name: "enroll", usage: USAGE, flags } as const;
  return runCommand(command, args, async (values, [given, ...more]) => {
    const shown = given === "-" ? await new Response(Deno.stdin.readable).text() : given;
    const text = shown?.trim() ?? "";
    const token = readEnrolmentToken(text);
    if (token === undefined || more.length > 0) {
      throw new UsageError("give the one token that host pki token printed");
    }
    const host = textOf(values, "host"), data = textOf(values, "data") ?? DATA;
    if (host === undefined) throw new UsageError("--host is needed");
    parseAddress(host);
    await enroll({ text, ...token }, host, data);
    print(`enrolled as ${token.nodeId}: node --host ${host} --data ${data}`);
  });
}

async function enroll(
  { text, fingerprint, nodeId }: { text: string; fingerprint: string; nodeId: string },
  host: string,
  data: string,
): Promise<void> {
  Deno.mkdirSync(data, { recursive: true, mode: 0o750 });
  demandOwner(data);
  const files = pkiFiles(data, "node");
  const key = textIn(files.key) ?? await makeKey();
  // Before the token is used up, so that a full disk costs none.
  writePkiFiles(files.directory, { [files.key]: key });
  const unverified = denoTransport({ ca: "", isUnverified: true });
  const told = await ask(unverified, host, {}, AbortSignal.timeout(ANSWER_MS));
  // What is trusted from here on is exactly what the fingerprint speaks of.
  const ca = authoritiesIn(told.ca).find((authority) => fingerprintOf(authority) === fingerprint);
  if (ca === undefined) {
    throw new Error(`${host} isn't the host that made this token: nothing was told to it`);
  }
  const csr = await makeRequest(key, nodeId);
  const wanted = { token: text, csr };
  const answer = await ask(denoTransport({ ca }), host, wanted, AbortSignal.timeout(ANSWER_MS));
  const cert = answer.cert === undefined ? undefined : onlyCertificate(answer.cert);
  const trusted = await follow([ca], answer);
  if (cert === undefined || await signerOf(cert, trusted) === undefined) {
    throw new Error(`${host} gave a certificate that its authority didn't sign`);
  }
  const { names, key: certified } = readCertificate(cert);
  if (certified !== await keyOfRequest(csr)) throw new Error(`${host} certified another key`);
  if (names[0] !== nodeId) throw new Error(`${host} gave a certificate for ${names[0]}`);
  writePkiFiles(files.directory, { [files.ca]: trusted.join(""), [files.cert]: cert });
}
