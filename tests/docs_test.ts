import { strict as assert } from "node:assert";
import { apiPage, configPage, docsUrl } from "../lib/build/docs.ts";

/** The formatter may lay tables out anew; words and order count. */
function words(text: string): string {
  return text.replaceAll(/[-\s|\\_*`]+/g, " ");
}

Deno.test("docs/config.md is what the settings tables say (deno task docs writes it)", async () => {
  const page = await Deno.readTextFile(docsUrl("config.md"));
  assert.equal(words(page), words(configPage()));
});

Deno.test("docs/http-api.md lists the routes as they are (deno task docs writes it)", async () => {
  const page = await Deno.readTextFile(docsUrl("http-api.md"));
  assert.equal(words(page), words(apiPage(page)));
});
