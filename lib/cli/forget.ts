/** `host forget`: takes a node that is gone for good off the list. Part of the executables. */
import { ApiError, DEFAULT_URL, HostApi } from "./live_client.ts";
import { readViewArgs, writeOut } from "./view.ts";

const USAGE = `host forget: takes a node off a running host's list.

Usage: host forget NODE [--drop-records] [--url ${DEFAULT_URL}]

Its records stay and can be asked for by its name, unless --drop-records is given: then its records, gaps and
events go, too. A node that is connected is not forgotten; one that comes back is new.
HOLDFAST_HTTP_TOKEN is sent as bearer token where it is set.`;

/** Runs the subcommand. Rejects with an `ApiError` where no host answers, or it refuses. */
export async function forgetCommand(args: readonly string[]): Promise<void> {
  const { values, positionals } = readViewArgs("forget", USAGE, args, ["drop-records"], "any");
  const [node, ...more] = positionals;
  if (node === undefined || more.length > 0) {
    throw new ApiError("name one node: host forget pump-7 (see host forget --help)");
  }
  const records = values["drop-records"] === true ? "drop" : "keep";
  await new HostApi(values.url).delete(
    `/api/nodes/${encodeURIComponent(node)}?records=${records}`,
  );
  writeOut(`${node} is forgotten, its records are ${records === "drop" ? "gone" : "kept"}\n`);
}
