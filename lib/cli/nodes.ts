/** `host nodes`: one list of all nodes. Part of the executables. */
import { DEFAULT_URL, HostApi } from "./live_client.ts";
import { sorted, summaryOf, tableLines } from "./node_table.ts";
import { safeJson } from "./terminal_text.ts";
import { painter, readViewArgs, widthOut, writeOut } from "./view.ts";

const USAGE = `host nodes: all nodes that a running host knows, worst first.

Usage: host nodes [--json] [--url ${DEFAULT_URL}]

--json prints what the host's API says, for scripts.
HOLDFAST_HTTP_TOKEN is sent as bearer token where it is set. NO_COLOR is respected.`;

/** Runs the subcommand. Rejects with an `ApiError` where no host answers. */
export async function nodesCommand(args: readonly string[]): Promise<void> {
  const { values } = readViewArgs("nodes", USAGE, args, ["json"]);
  const api = new HostApi(values.url);
  const found = await api.json("/api/nodes");
  if (values.json === true) {
    writeOut(safeJson(found, 2) + "\n");
    return;
  }
  const nodes = (Array.isArray(found) ? found : []).map(summaryOf).filter((node) =>
    node !== undefined
  );
  const lines = tableLines(sorted(nodes, "worst"), Date.now(), widthOut(), painter());
  writeOut(nodes.length === 0 ? "no nodes are known yet\n" : lines.join("\n") + "\n");
}
