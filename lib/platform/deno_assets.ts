/** Files that are part of the program: in the tree, or inside the executable that was compiled with them. */

/** The text of a file. Throws where there is none. */
export function readAsset(url: URL): string {
  return Deno.readTextFileSync(url);
}
