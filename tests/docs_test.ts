import { assertEquals } from "@std/assert";
import { apiPage, configPage, docsUrl, FLEET_SCRIPT, fleetScript } from "../lib/build/docs.ts";
import { realTest } from "./real.ts";

/** The formatter may lay tables out anew; words and order count. */
function words(text: string): string {
  return text.replaceAll(/[-\s|\\_*`]+/g, " ");
}

realTest("docs/config.md is what the settings tables say (deno task docs writes it)", async () => {
  const page = await Deno.readTextFile(docsUrl("config.md"));
  assertEquals(words(page), words(configPage()));
});

realTest("docs/http-api.md lists the routes as they are (deno task docs writes it)", async () => {
  const page = await Deno.readTextFile(docsUrl("http-api.md"));
  assertEquals(words(page), words(apiPage(page)));
});

realTest("the page's fleet.js is what lib/fleet/ says (deno task docs writes it)", async () => {
  const { STATES, CONCERNS } = await import(FLEET_SCRIPT.href);
  const made = await import(`data:text/javascript,${encodeURIComponent(fleetScript())}`);
  assertEquals(STATES, made.STATES);
  assertEquals(CONCERNS, made.CONCERNS);
});
