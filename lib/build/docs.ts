/** `deno task docs`: writes the pages that are made from the source. A test compares them with it. */
import { markdownTables } from "../config/document.ts";
import { HOST_SETTINGS } from "../config/host_settings.ts";
import { NODE_SETTINGS } from "../config/node_settings.ts";
import { CONCERNS } from "../fleet/concerns.ts";
import { STATES } from "../fleet/states.ts";
import { SENSORS } from "../node/sensors/registry.ts";
import { ROUTES } from "../web/host_routes.ts";
import { routesMarkdown } from "../web/reference.ts";

const ROUTES_BEGIN = "<!-- routes: made by deno task docs -->";
const ROUTES_END = "<!-- /routes -->";

/** The text of `docs/config.md`. */
export function configPage(): string {
  const sensors = Object.entries(SENSORS).map(([kind, { options }]) => {
    const list = Object.entries(options).map(([name, value]) => `\`${name}=${value}\``).join(", ");
    return `| \`${kind}\` | ${list} |`;
  });
  return `# Settings

Made from \`lib/config/\` by \`deno task docs\`. Every setting can be given as a flag (\`sample_hz\` as \`--sample-hz 5\`), in the
environment (\`HOLDFAST_SAMPLE_HZ=5\`) and in a TOML file named by \`--config\` (\`sample_hz = 5\`). Flags win over the
environment, that over the file, that over the default. A list's flag is its singular, but for \`--detectors\`, and may be repeated
(\`--sensor sim --sensor linux\`); in the environment its entries are parted by semicolons. All that is wrong is reported at
once, one line each, and the exit status is 2.

## The node

${markdownTables(NODE_SETTINGS, 3)}
### Sensors

An entry of \`sensors\` is a kind and its options: \`file:name=temp_c,path=/sys/class/thermal/thermal_zone0/temp,scale=0.001\`.
Values with commas, quotes or spaces stand in quotes.

| kind | options with their defaults |
| --- | --- |
${sensors.join("\n")}

## The host

${markdownTables(HOST_SETTINGS, 3)}`.trimEnd() + "\n";
}

/** `docs/http-api.md` with its list of routes made anew. Throws where the marks of the list are missing. */
export function apiPage(page: string): string {
  const [begin, end] = [page.indexOf(ROUTES_BEGIN), page.indexOf(ROUTES_END)];
  if (begin < 0 || end < begin) {
    throw new Error("docs/http-api.md has lost the marks of its routes");
  }
  const list = routesMarkdown(Object.values(ROUTES));
  return `${page.slice(0, begin + ROUTES_BEGIN.length)}\n\n${list}\n${page.slice(end)}`;
}

/** The page's script `fleet.js`: the tables of states and concerns, so that pages use the fleet's words. */
export function fleetScript(): string {
  return "/** Made from lib/fleet/ by deno task docs. */\n" +
    `export const STATES = ${JSON.stringify(STATES, null, 2)};\n` +
    `export const CONCERNS = ${JSON.stringify(CONCERNS, null, 2)};\n`;
}

/** Address of that script. */
export const FLEET_SCRIPT: URL = new URL("../web/pages/assets/fleet.js", import.meta.url);

/** Address of a page in `docs/`. */
export function docsUrl(name: string): URL {
  return new URL(`../../docs/${name}`, import.meta.url);
}

if (import.meta.main) {
  await Deno.writeTextFile(docsUrl("config.md"), configPage());
  const api = await Deno.readTextFile(docsUrl("http-api.md"));
  await Deno.writeTextFile(docsUrl("http-api.md"), apiPage(api));
  await Deno.writeTextFile(FLEET_SCRIPT, fleetScript());
}
