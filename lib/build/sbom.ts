/**
 * `deno task sbom`: what the executables are made of, as a CycloneDX 1.6 document on standard output: the packages of
 * `deno.lock` that the code of the product reaches, and the runtime. Tests' packages are not in the executables.
 */
import { VERSION } from "../version.ts";

/** A package in `deno.lock`. */
interface Locked {
  readonly integrity: string;
  readonly dependencies?: readonly string[];
}
/** The part of `deno.lock` that is read here. */
export interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, Locked>>;
}

/** Keys of the packages in a lock that these specifiers (`npm:hono@4.13.19`) reach. Throws where one is missing. */
export function reached(lock: Lock, specifiers: Iterable<string>): string[] {
  const found = new Set<string>();
  const visit = (key: string) => {
    if (found.has(key)) return;
    const entry = lock.npm[key];
    if (entry === undefined) throw new Error(`deno.lock has no ${key}`);
    found.add(key);
    for (const dependency of entry.dependencies ?? []) visit(keyOf(lock, dependency));
  };
  for (const specifier of specifiers) {
    const { name } = /^npm:\/?(?<name>(?:@[^/@]+\/)?[^/@]+)@/.exec(specifier)!.groups!;
    const version = Object.entries(lock.specifiers)
      .find(([known]) => known.startsWith(`npm:${name}@`))?.[1];
    visit(`${name}@${version}`);
  }
  return [...found].sort();
}

/** The key of a dependency, which is named with its version only where there are several. */
function keyOf(lock: Lock, dependency: string): string {
  if (lock.npm[dependency] !== undefined) return dependency;
  const found = Object.keys(lock.npm).find((key) => key.startsWith(`${dependency}@`));
  if (found === undefined) throw new Error(`deno.lock has no ${dependency}`);
  return found;
}

/** The document. */
export function sbom(lock: Lock, keys: readonly string[], denoVersion: string): unknown {
  const components = keys.map((key) => {
    const [, name, version] = /^((?:@[^/]+\/)?[^@]+)@([^_]+)/.exec(key)!;
    const [algorithm, sum] = lock.npm[key]!.integrity.split("-");
    const bytes = Uint8Array.from(atob(sum!), (char) => char.charCodeAt(0));
    const content = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return {
      ...{
        type: "library",
        name,
        version,
        purl: `pkg:npm/${name!.replace("@", "%40")}@${version}`,
      },
      hashes: [{ alg: algorithm!.toUpperCase().replace("SHA", "SHA-"), content }],
    };
  });
  const runtime = { type: "platform", name: "deno", version: denoVersion };
  return {
    ...{ bomFormat: "CycloneDX", specVersion: "1.6", version: 1 },
    metadata: { component: { type: "application", name: "holdfast", version: VERSION } },
    components: [{ ...runtime, purl: `pkg:github/denoland/deno@v${denoVersion}` }, ...components],
  };
}

/** What the product's own files import from outside, by the names of the import map. */
function importsOf(directory: URL): Set<string> {
  const found = new Set<string>();
  for (const entry of Deno.readDirSync(directory)) {
    const url = new URL(entry.name + (entry.isDirectory ? "/" : ""), directory);
    if (entry.isDirectory) importsOf(url).forEach((name) => found.add(name));
    else if (entry.name.endsWith(".ts")) {
      const text = Deno.readTextFileSync(url);
      for (const [, name] of text.matchAll(/(?:from|import\() ?"([^."][^"]*)"/g)) found.add(name!);
    }
  }
  return found;
}

if (import.meta.main) {
  const root = new URL("../../", import.meta.url);
  const read = (name: string) => JSON.parse(Deno.readTextFileSync(new URL(name, root)));
  const lock: Lock = read("deno.lock");
  const { imports } = read("deno.json") as { imports: Record<string, string> };
  const used = importsOf(new URL("lib/", root));
  const specifiers = Object.entries(imports)
    .filter(([name]) =>
      name.endsWith("/") ? [...used].some((one) => one.startsWith(name)) : used.has(name)
    )
    .map(([, specifier]) => specifier);
  const keys = reached(lock, specifiers);
  console.log(JSON.stringify(sbom(lock, keys, Deno.version.deno), null, 2));
}
