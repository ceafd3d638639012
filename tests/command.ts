/** Subcommands of both as real processes, from the sources. */

const ROOT = new URL("../", import.meta.url).pathname;

/** Runs one until it ends: its exit status and what it wrote. */
export async function hostCommand(
  ...args: string[]
): Promise<{ code: number; out: string; error: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}host.ts`, ...args],
  }).output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, error: error! };
}

/** Runs a subcommand of the node; its exit status and all that it wrote. */
export async function nodeCommand(...args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}node.ts`, ...args],
  }).output();
  const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  return { code, text };
}
