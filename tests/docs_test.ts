import { strict as assert } from "node:assert";
import { configPage } from "../lib/build/docs.ts";

Deno.test("docs/config.md is what the settings tables say (deno task docs writes it)", async () => {
  const page = await Deno.readTextFile(new URL("../docs/config.md", import.meta.url));
  // The formatter may lay tables out anew; words and order count.
  const words = (text: string) => text.replaceAll(/[-\s|\\_*`]+/g, " ");
  assert.equal(words(page), words(configPage()));
});
