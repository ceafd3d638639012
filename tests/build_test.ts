/** What a release says of itself is what it is made of. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Lock, reached, sbom } from "../lib/build/sbom.ts";
import { realTest } from "./real.ts";

const LOCK: Lock = {
  specifiers: {
    "npm:a@1.0.0": "1.0.0",
    "npm:@x/b@2.0.0": "2.0.0_a@1.0.0",
    "npm:test@9.0.0": "9.0.0",
  },
  npm: {
    "a@1.0.0": { integrity: "sha512-AAH/", dependencies: ["c"] },
    "@x/b@2.0.0_a@1.0.0": { integrity: "sha512-AAH/", dependencies: ["a", "c@1.5.0"] },
    "c@1.5.0": { integrity: "sha512-AAH/", dependencies: ["a"] },
    "test@9.0.0": { integrity: "sha512-AAH/" },
  },
};

Deno.test("the list of parts has what is reached, with its sums, and nothing that only tests use", () => {
  const keys = reached(LOCK, ["npm:a@1.0.0", "npm:/@x/b@2.0.0/"]);
  assertEquals(keys, ["@x/b@2.0.0_a@1.0.0", "a@1.0.0", "c@1.5.0"]);
  const { components } = sbom(LOCK, keys, "2.9.6") as { components: Record<string, unknown>[] };
  assertEquals(components.map(({ purl }) => purl), [
    "pkg:github/denoland/deno@v2.9.6",
    "pkg:npm/%40x/b@2.0.0",
    "pkg:npm/a@1.0.0",
    "pkg:npm/c@1.5.0",
  ]);
  assertEquals(components[1]!.hashes, [{ alg: "SHA-512", content: "0001ff" }]);
  assertThrows(() => reached(LOCK, ["npm:gone@1.0.0"]), Error, "deno.lock has no gone");
});

realTest(
  "each package that the product imports is in docs/dependencies.md, and the list of parts has it",
  async () => {
    const root = new URL("../", import.meta.url);
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("lib/build/sbom.ts", root).pathname],
    }).output();
    assert(success);
    const { components } = JSON.parse(new TextDecoder().decode(stdout));
    const names = components.map(({ name }: { name: string }) => name);
    for (const name of ["hono", "typebox", "@peculiar/x509", "deno"]) {
      assert(names.includes(name), name);
    }
    assert(!names.includes("fast-check") && !names.includes("playwright-core"));
    const page = await Deno.readTextFile(new URL("docs/dependencies.md", root));
    const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
    for (const name of Object.keys(imports)) {
      const shown = name.replace(/\/(?:parse-args)?$/, "");
      assert(page.includes(`\`${shown}\``), `docs/dependencies.md says nothing of ${shown}`);
    }
  },
);
