/**
 * `deno task compile [--only linux-x64]`: makes the executables in dist/. Run by the Deno that is to be inside
 * them. Where the base runtime can't be downloaded, DENORT_BIN names one for the target.
 */
import { HOST_V8_FLAGS, NODE_V8_FLAGS } from "../v8_flags.ts";
import { demandFlags } from "../config/flags.ts";

const TARGETS: Record<string, string> = {
  "linux-x64": "x86_64-unknown-linux-gnu",
  "linux-arm64": "aarch64-unknown-linux-gnu",
};

/** As narrow as the product allows: the data directory and the addresses are the operator's choice. */
const PERMISSIONS: Record<string, string[]> = {
  host: ["--allow-read", "--allow-write", "--allow-net", "--allow-env"],
  // Deno lets nothing less than this read /proc and /sys, where the boot id and the real sensors are.
  node: ["--allow-all"],
};

/** Small young generation and heap: a node's live data is a few megabytes. A host may need more. */
const V8_FLAGS: Record<string, string> = { host: HOST_V8_FLAGS, node: NODE_V8_FLAGS };

/** Files that are loaded by their address and not by an import. */
const INCLUDES: Record<string, string[]> = {
  host: ["--include", "lib/store/sqlite/thread.ts", "--include", "lib/web/pages/assets"],
  node: ["--include", "lib/web/pages/assets"],
};

const values = demandFlags(Deno.args, { text: ["only"] }).values as { only?: string };
const targets = values.only === undefined ? Object.keys(TARGETS) : [values.only];
await Deno.mkdir("dist", { recursive: true });
for (const target of targets) {
  const triple = TARGETS[target];
  if (triple === undefined) {
    fail(`unknown target "${target}", known are ${Object.keys(TARGETS).join(", ")}`);
  }
  for (const program of ["host", "node"]) await compile(program, target, triple);
}

async function compile(program: string, target: string, triple: string): Promise<void> {
  const output = `dist/${program}-${target}`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--quiet",
      "--no-prompt",
      // `deno task check` has checked the types; the compiling Deno may be another one.
      "--no-check",
      // All packages that the lock names would be inside, also those of tests (12 MB). Versions are pinned in
      // deno.json; the lock's sums were checked when the packages were fetched.
      "--no-lock",
      ...PERMISSIONS[program]!,
      `--v8-flags=${V8_FLAGS[program]}`,
      ...INCLUDES[program]!,
      ...["--target", triple, "--output", output, `${program}.ts`],
    ],
    env: {
      // Some npm trees overflow the compiler's default stack (Deno 2.4).
      RUST_MIN_STACK: "33554432",
      DENO_TLS_CA_STORE: "mozilla,system",
      NO_COLOR: "1",
    },
    stderr: "piped",
  }).output();
  if (!success) {
    const text = new TextDecoder().decode(stderr);
    if (/denort|archive/i.test(text)) {
      fail(`the base runtime for ${target} can't be downloaded: name one with DENORT_BIN`);
    }
    fail(`${output}: ${text.trim()}`);
  }
  const { size } = await Deno.stat(output);
  console.log(`${output}  ${(size / 1e6).toFixed(1)} MB  Deno ${Deno.version.deno}`);
}

function fail(message: string): never {
  console.error(`compile: ${message}`);
  Deno.exit(1);
}
