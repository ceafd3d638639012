/** The one version of the product, from `deno.json`. */
import manifest from "../deno.json" with { type: "json" };

/** For `--version`, `hello`, pages and metrics. */
export const VERSION: string = manifest.version;
