/** `host token` and `host audit`: who may do what at a host, and who did what. Part of the executables. */
import { HOST_SETTINGS } from "../config/host_settings.ts";
import { counts, isUnique, makeToken, tokenParts, type TokenRow } from "../identity/token.ts";
import { denoClock, denoRandom } from "../platform/deno_clock.ts";
import type { Database } from "../platform/sqlite.ts";
import { putToken, readAudit, readTokens, revokeToken } from "../store/sqlite/people.ts";
import { parseSpan } from "../times.ts";
import { noteByHand, openBeside } from "./beside.ts";
import { type CommandValues, runCommand, textOf, UsageError } from "./command.ts";
import { print } from "./output.ts";
import { clean } from "./terminal_text.ts";

const DATA = HOST_SETTINGS.data.default;
const USAGE =
  `host token, host audit: who may do what at a host, and who did what. A host may run on the directory.

Usage: host token create --role viewer|operator|admin|node --name anna [--expires 90d] [--data ${DATA}]
       host token ls [--json] [--data ${DATA}]
       host token revoke ID|NAME [--data ${DATA}]
       host audit [--limit 100] [--json] [--data ${DATA}]

A viewer reads, an operator changes nodes, configurations and faults, an admin manages tokens. A node shows its token
on the link, instead of a certificate: --name is its id, the node's setting token takes it. create prints the token
on standard output, this once: what is kept can't be turned back into it. People log in with it on the host's page,
scripts send it as bearer token, host top and the like take it from HOLDFAST_HTTP_TOKEN. revoke takes NAME where one
token has it; a running host lets nobody in with it two seconds later. --expires is a number of s, m, h or d.`;

/** Runs `host token` or `host audit`; resolves with the exit status. */
export function peopleCommand(name: "token" | "audit", args: readonly string[]): Promise<number> {
  const flags = { text: ["data", "role", "name", "expires", "limit"], flag: ["json"] };
  const command = { program: "host", name, usage: USAGE, flags } as const;
  return runCommand(command, args, async (values, positionals) => {
    const [verb = "", ...rest] = name === "audit" ? ["audit", ...positionals] : positionals;
    if (!["create", "ls", "revoke", "audit"].includes(verb)) {
      throw new UsageError("say create, ls or revoke");
    }
    if (rest.length !== (verb === "revoke" ? 1 : 0)) {
      throw new UsageError(rest.length === 0 ? "name the token" : `unexpected "${rest.at(-1)}"`);
    }
    const db = await openBeside(textOf(values, "data") ?? DATA);
    const isJson = values.json !== undefined;
    if (verb === "create") await create(db, values);
    else if (verb === "ls") list(readTokens(db).filter(counts), isJson);
    else if (verb === "audit") listAudit(db, Number(textOf(values, "limit") ?? 100), isJson);
    else revoke(db, rest[0]!);
  });
}

async function create(db: Database, values: CommandValues): Promise<void> {
  const [role, name, expires] = ["role", "name", "expires"].map((flag) => textOf(values, flag));
  const spanMs = expires === undefined ? undefined : parseSpan(expires);
  if (expires !== undefined && spanMs === undefined) {
    throw new RangeError("--expires: expected a time as 12h or 90d");
  }
  const expires_s = spanMs === undefined ? undefined : spanMs / 1_000;
  const parts = tokenParts({ name, role, expires_s }, denoClock.wallMs());
  const isTaken = isUnique(parts) &&
    readTokens(db).filter(counts).some(({ name }) => name === parts.name);
  if (isTaken) {
    throw new RangeError(`--name: ${parts.name} has a token already, revoke it first`);
  }
  const { token, row } = await makeToken(parts, denoRandom);
  putToken(db, row);
  const { hash: _, ...after } = row;
  noteByHand(db, { action: "create_token", target: row.name, after });
  print(token);
}

function revoke(db: Database, which: string): void {
  const found = readTokens(db).filter(counts)
    .filter(({ id, name }) => id === which || name === which);
  if (found.length === 0) throw new Error(`there is no token "${which}": see host token ls`);
  if (found.length > 1) {
    const ids = found.map(({ id }) => id).join(", ");
    throw new Error(`"${which}" has ${found.length} tokens, name one of ${ids}`);
  }
  const [row] = found;
  revokeToken(db, row!.id);
  const { hash: _, ...before } = row!;
  noteByHand(db, { action: "revoke_token", target: row!.name, before });
  print(`the token ${row!.id} of ${row!.name} is revoked`);
}

function list(rows: readonly TokenRow[], isJson: boolean): void {
  if (isJson) return rows.forEach(({ hash: _, ...row }) => print(JSON.stringify(row)));
  if (rows.length === 0) print("no tokens: host token create --role viewer --name NAME makes one");
  for (const { id, name, role, created_wall_ms, expires_wall_ms } of rows) {
    const end = expires_wall_ms === null ? "no end" : `until ${stamp(expires_wall_ms)}`;
    print(`${id}  ${role.padEnd(8)}  ${stamp(created_wall_ms)}  ${end}  ${clean(name)}`);
  }
}

function listAudit(db: Database, limit: number, isJson: boolean): void {
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= 100_000)) {
    throw new RangeError("--limit: expected a whole number from 1 to 100000");
  }
  for (const row of readAudit(db, { limit })) {
    if (isJson) {
      print(JSON.stringify(row));
      continue;
    }
    const { at_wall_ms, who, role, address, action, target, before, after } = row;
    const change = [before, after].map((part) => part === undefined ? "-" : JSON.stringify(part));
    const text = `${who} (${role}, ${address})  ${action} ${target}  ${change.join(" -> ")}`;
    print(`${stamp(at_wall_ms)}  ${clean(text)}`);
  }
}

function stamp(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19) + "Z";
}
