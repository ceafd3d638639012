/** `node backtest`: runs a detector over CSV from standard input. Part of the executables. */
import { Backtest } from "../anomaly/backtest.ts";
import { detectorMaker, DETECTORS } from "../anomaly/registry.ts";
import { fail, print } from "./output.ts";

function usage(): string {
  const lines = [
    "node backtest: runs a detector over CSV from standard input.",
    "",
    "Usage: node backtest [--detector KIND] [--OPTION N ...] < in.csv > out.csv",
    "",
    "Input has a header with timestamp and value. Output has one row for each row:",
    "timestamp,value,score,is_anomaly; a score is 0 or more, larger is more anomalous.",
    "",
  ];
  for (const [kind, { help, options }] of Object.entries(DETECTORS)) {
    lines.push(`--detector ${kind}: ${help}`);
    for (const [name, option] of Object.entries(options)) {
      lines.push(`  --${name} N   ${option.help} Default: ${option.default}.`);
    }
  }
  return lines.join("\n");
}

/** Runs the subcommand; resolves with the exit status. */
export async function backtestCommand(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    print(usage());
    return 0;
  }
  const options = new Map<string, string>();
  let kind = "zscore";
  for (let i = 0; i < args.length; i++) {
    const match = /^--([a-z_-]+)(?:=(.*))?$/.exec(args[i]!);
    if (match === null) fail("node", `backtest: unexpected "${args[i]}" (see --help)`, 2);
    const value = match[2] ?? args[++i];
    if (value === undefined) fail("node", `backtest: ${args[i - 1]} needs a value`, 2);
    if (match[1] === "detector") kind = value;
    else options.set(match[1]!.replaceAll("-", "_"), value);
  }
  try {
    await run(new Backtest(detectorMaker(kind, options)()));
    return 0;
  } catch (error) {
    if (error instanceof SyntaxError) fail("node", `backtest: ${error.message}`, 2);
    throw error;
  }
}

async function run(backtest: Backtest): Promise<void> {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  let rest = "";
  const push = async (lines: string[]) => {
    let out = "";
    for (const line of lines) {
      const row = backtest.push(line);
      if (row !== undefined) out += row + "\n";
    }
    const bytes = encoder.encode(out);
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  };
  for await (const chunk of Deno.stdin.readable) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    await push(lines);
  }
  await push([rest]);
}
