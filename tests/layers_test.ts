/** Holds the shape of the code: imports point one way, and only the edges touch the real world. */
import { assert, assertEquals } from "@std/assert";

import { HOST_V8_FLAGS, NODE_V8_FLAGS } from "../lib/v8_flags.ts";
import { isAllowed, realTest } from "./real.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** What each folder of lib/ may import from the others, and why not more. */
const ALLOWED: Record<string, { from: string[]; why: string }> = {
  platform: { from: [], why: "the seams know nothing of what is built on them" },
  codec: { from: [], why: "lines in, bytes out, whatever the lines mean" },
  protocol: { from: ["codec"], why: "bytes in, messages out" },
  wal: { from: ["platform", "codec"], why: "a payload is bytes to the log" },
  anomaly: {
    from: ["config"],
    why: "numbers in, verdicts out; which kinds there are is a setting",
  },
  config: { from: [], why: "settings know nothing of who reads them" },
  identity: {
    from: ["platform", "protocol"],
    why: "who somebody is; what they may do it to is others' business",
  },
  node: {
    from: ["platform", "protocol", "codec", "wal", "anomaly", "config", "fleet"],
    why: "node and host never import each other",
  },
  fleet: { from: [], why: "what is known of a node and what it means: read by all, reads nobody" },
  store: {
    from: ["platform", "codec", "protocol", "identity"],
    why: "rows go in and out; what they mean is the host's",
  },
  host: {
    from: ["platform", "protocol", "codec", "config", "fleet", "store", "identity"],
    why: "node and host never import each other",
  },
  web: {
    from: ["platform", "protocol", "config", "fleet", "store", "node", "host", "identity"],
    why: "pages show what node and host offer",
  },
  cli: {
    from: ["platform", "protocol", "wal", "anomaly", "config", "fleet", "store", "identity"],
    why: "part of the executables",
  },
  demo: {
    from: ["config", "platform", "wal", "store"],
    why: "drives the executables from outside",
  },
  build: { from: ["config", "fleet", "node", "web"], why: "makes pages and executables" },
};

/** Folders that are the edge: they may touch the real world. */
const EDGES = new Set(["platform", "cli", "demo", "build"]);

/** Real time, chance, network and I/O. */
const FORBIDDEN =
  /\bDeno\.|\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bset(?:Timeout|Interval|Immediate)\(|\bMath\.random\b|\bcrypto\.|(?<![.\w])fetch\(|from "node:(?:fs|net|tls|http|https|child_process|os|timers)/;

function* sources(directory: string): Generator<string> {
  for (const entry of Deno.readDirSync(directory)) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) yield* sources(path);
    else if (/\.(?:tsx?|js|css|html)$/.test(entry.name) && !/\.min\./.test(entry.name)) yield path;
  }
}

const files = (isAllowed ? [...sources(`${ROOT}lib`)] : []).map((path) => ({
  path: path.slice(ROOT.length),
  folder: /^lib\/(\w+)\//.exec(path.slice(ROOT.length))?.[1] ?? "",
  text: Deno.readTextFileSync(path),
}));

realTest("imports point one way", () => {
  for (const { path, folder, text } of files) {
    if (folder === "") continue;
    const rule = ALLOWED[folder];
    assert(rule, `lib/${folder} is not in the table`);
    for (const [, up, target] of text.matchAll(/from "((?:\.\.\/)+)(\w+)\/[^"]+"/g)) {
      const depth = path.split("/").length - 2;
      if (up!.length / 3 !== depth || target === folder) continue;
      assert(rule.from.includes(target!), `${path} imports lib/${target}: ${rule.why}`);
    }
  }
});

realTest("deno task host runs with the flags that the executables have", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  assert(tasks.host.includes(`--v8-flags=${HOST_V8_FLAGS}`));
  assert(tasks.node.includes(`--v8-flags=${NODE_V8_FLAGS}`));
});

realTest("every folder in the table exists", () => {
  for (const folder of Object.keys(ALLOWED)) {
    assert(files.some((file) => file.folder === folder), `lib/${folder} is gone`);
  }
});

realTest("only the edges touch real time, chance, disk and network", () => {
  for (const { path, folder, text } of files) {
    // What a browser runs has its own clock and network.
    if (EDGES.has(folder) || path.startsWith("lib/web/pages/assets/")) continue;
    const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    const found = FORBIDDEN.exec(code);
    assertEquals(found, null, `${path}: ${found?.[0]}`);
  }
});

realTest("no file is longer than a head can hold, and none has leftovers", () => {
  for (const { path, text } of files) {
    const lines = text.trimEnd().split("\n").length;
    assert(lines <= 500, `${path} has ${lines} lines`);
    const leftover = /\b(?:TODO|FIXME|XXX|debugger)\b/.exec(text);
    assertEquals(leftover, null, `${path}: ${leftover?.[0]}`);
  }
});
