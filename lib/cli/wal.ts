/** `node wal ls|verify|export`: looks into a log without changing it. Part of the executables. */
import { openDiskForReading } from "../platform/deno_disk.ts";
import { linePrefix, recordLine } from "../protocol/record.ts";
import { listWal, readWal, verifyWal } from "../wal/inspect.ts";
import { fail, print } from "./output.ts";

const USAGE =
  `node wal: looks into the write-ahead log of a node, running or dead, without changing it.

Usage: node wal ls DIR              segments, their seqs and sizes, gaps
       node wal verify DIR          reads every record; exit status 1 if any is damaged
       node wal export DIR [--id N] every record that can be read, as JSON lines on standard output

DIR is the node's --data directory or the log's directory in it.`;

/** Runs the subcommand; resolves with the exit status. */
export async function walCommand(args: readonly string[]): Promise<number> {
  const [command, directory, ...rest] = args;
  if (command === undefined || args.includes("--help") || args.includes("-h")) {
    print(USAGE);
    return command === undefined ? 2 : 0;
  }
  if (directory === undefined || directory.startsWith("-")) {
    fail("node", `wal ${command} needs a directory (see node wal --help)`, 2);
  }
  try {
    const disk = await openDiskForReading(directory);
    switch (command) {
      case "ls":
        print(JSON.stringify(await listWal(disk), null, 2));
        return 0;
      case "verify": {
        const report = await verifyWal(disk);
        print(JSON.stringify(report, null, 2));
        return report.damaged.length > 0 ? 1 : 0;
      }
      case "export": {
        const at = rest.indexOf("--id");
        await exportRecords(disk, at < 0 ? "unknown" : rest[at + 1] ?? "unknown");
        return 0;
      }
      default:
        fail("node", `unknown "wal ${command}" (see node wal --help)`, 2);
    }
  } catch (error) {
    // Whoever reads has seen enough, as `| head` does.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    fail("node", error instanceof Error ? error.message : String(error));
  }
}

async function exportRecords(
  disk: Awaited<ReturnType<typeof openDiskForReading>>,
  nodeId: string,
): Promise<void> {
  for await (const { seq, payload, epoch } of readWal(disk)) {
    const line = recordLine(linePrefix(nodeId, epoch), seq, payload);
    for (let at = 0; at < line.length;) at += await Deno.stdout.write(line.subarray(at));
  }
}
