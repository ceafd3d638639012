/** The node: reads the command line, wires the real world to it, runs until told to stop. */
import { getLogger } from "@logtape/logtape";
import { backtestCommand } from "./lib/cli/backtest.ts";
import { enrollCommand } from "./lib/cli/enroll.ts";
import { fail, writeLog } from "./lib/cli/output.ts";
import { textIn, tlsPathsOf } from "./lib/cli/pki_files.ts";
import { renewNode } from "./lib/cli/renewal.ts";
import { type Program, readCommandLine, readSettings, settingsOrExit } from "./lib/cli/settings.ts";
import { stopSignal } from "./lib/cli/stop.ts";
import { keepRenewed, tlsOrExit } from "./lib/cli/tls_files.ts";
import { walCommand } from "./lib/cli/wal.ts";
import { NODE_SETTINGS, type NodeSettings } from "./lib/config/node_settings.ts";
import { problemText } from "./lib/config/setting.ts";
import { oneLine } from "./lib/errors.ts";
import { Gatekeeper } from "./lib/identity/gatekeeper.ts";
import { readCertificate } from "./lib/identity/pki.ts";
import { configureLog } from "./lib/log.ts";
import { runLed } from "./lib/node/led.ts";
import { Node } from "./lib/node/node.ts";
import { isLoopback, parseAddress } from "./lib/platform/address.ts";
import { denoClock, denoRandom } from "./lib/platform/deno_clock.ts";
import {
  lockDirectory,
  makeDirectory,
  openDiskLate,
  WAL_DIRECTORY,
} from "./lib/platform/deno_disk.ts";
import { serve, type Served } from "./lib/platform/deno_http.ts";
import { DenoLed } from "./lib/platform/deno_led.ts";
import { denoSensorRuntime } from "./lib/platform/deno_sensors.ts";
import { memoryDiskFor } from "./lib/platform/memory_disk.ts";
import { denoTransport, type TlsOptions } from "./lib/platform/deno_transport.ts";
import { isNodeId } from "./lib/protocol/record.ts";
import { VERSION } from "./lib/version.ts";
import { createNodeApp } from "./lib/web/node_app.ts";

const PROGRAM: Program<typeof NODE_SETTINGS> = {
  name: "node",
  usage: "node: samples sensors and keeps every record until a Holdfast host has it.\n\n" +
    "Usage: node [run] [--id pump-7] [--host 10.0.0.5:7400] [--data DIR] [--sensor KIND ...] [...]\n" +
    "       node wal ls|verify|export DIR    looks into a log, see node wal --help\n" +
    "       node backtest < in.csv           tries a detector, see node backtest --help\n" +
    "       node enroll TOKEN --host HOST    gets this device its certificate, see node enroll --help",
  table: NODE_SETTINGS,
};

async function lockOrExit(data: string): Promise<void> {
  try {
    await makeDirectory(data);
    if (await lockDirectory(data) !== undefined) return;
  } catch {
    return; // Nothing can be written there, so nobody else can do harm either.
  }
  fail("node", `another node runs on ${data}: stop it or choose another --data`);
}

function osBootId(): string {
  try {
    return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
  } catch {
    return crypto.randomUUID(); // Unknown counts as another boot, which is the safe side.
  }
}

/** Bytes that this process had the kernel write to storage; `undefined` where it doesn't tell. */
function blockWrites(): number | undefined {
  try {
    return Number(/^write_bytes: (\d+)$/m.exec(Deno.readTextFileSync("/proc/self/io"))![1]);
  } catch {
    return undefined;
  }
}

/** The setting, else the name in the certificate, else that of the machine. */
function nodeIdOf(settings: NodeSettings): string {
  if (settings.id !== "") return settings.id;
  const cert = textIn(tlsPathsOf(settings, "node").tls_cert);
  if (cert !== undefined) {
    try {
      const [name = ""] = readCertificate(cert).names;
      if (isNodeId(name)) return name;
    } catch {
      // A chain, or what TLS alone can read: it says no name here.
    }
  }
  const name = Deno.hostname().replaceAll(/[^A-Za-z0-9._-]/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  if (name === "") fail("node", "this machine has no usable host name: give --id", 2);
  return name.slice(0, 64);
}

/** What TLS is made of; `undefined` where it is off, which beyond this machine has to be asked for. */
function tlsOf(settings: NodeSettings): TlsOptions | undefined {
  const tls = tlsOrExit("node", tlsPathsOf(settings, "node"));
  const isFar = settings.host.split(",").some((host) =>
    !isLoopback(parseAddress(host.trim()).host)
  );
  if (tls === undefined && isFar && !settings.insecure) {
    const remedy =
      "enroll it (node enroll --help), or set --insecure where the network itself is trusted";
    fail("node", `the link to ${settings.host} would go without TLS: ${remedy}`, 2);
  }
  return tls;
}

/** The settings without which a page would be open to others; `undefined` where none is missing. */
function lackOf(
  { http_mtls, http_token, insecure }: NodeSettings,
  isExposed: boolean,
  isSecured: boolean,
): string | undefined {
  if (http_mtls && !isSecured) return "tls_ca, tls_cert and tls_key, which http_mtls needs";
  if (!isExposed) return undefined;
  if (http_token === "") return "http_token";
  return isSecured || insecure ? undefined : "tls_ca, tls_cert and tls_key, or --insecure";
}

/** Serves the page. What would be open to anybody is not served: the node samples all the same. */
async function serveWeb(
  node: Node,
  settings: NodeSettings,
  tls: TlsOptions | undefined,
): Promise<Served | undefined> {
  const log = getLogger(["holdfast", "node"]);
  const exposed = !isLoopback(parseAddress(settings.http).host);
  const isMutual = settings.http_mtls;
  const isWanted = exposed || isMutual;
  const secured = isWanted && tls?.cert !== undefined ? { ...tls, isMutual } : undefined;
  const lack = lackOf(settings, exposed, secured !== undefined);
  if (lack !== undefined) {
    const http = settings.http;
    log.error("no page on {http}: it would be open to others, set {lack}", { http, lack });
    return undefined;
  }
  const gatekeeper = new Gatekeeper(settings.http_token, () => denoClock.wallMs());
  const app = createNodeApp({
    status: () => node.status(),
    health: () => node.health(),
    memoryBytes: () => Deno.memoryUsage().rss,
    recent: node.recent,
  }, {
    clock: denoClock,
    door: {
      isLoginNeeded: gatekeeper.hasTokens,
      judge: (token, address) => gatekeeper.judge(token, address),
    },
    isSecure: secured !== undefined,
    onUncertified: isMutual
      ? (address, reason) => log.warn("{address}: refused: {reason}", { address, reason })
      : undefined,
  });
  const web = await serve(settings.http, app.fetch, secured);
  const scheme = secured === undefined ? "http" : "https";
  log.info("page on {scheme}://{address}/", { scheme, address: web.address });
  return web;
}

/** Lets the LED show the node's health, where there is one; what ends that and gives the LED back. */
async function startLed(node: Node, { led, led_path }: NodeSettings): Promise<() => Promise<void>> {
  if (led === "") return async () => {};
  const log = getLogger(["holdfast", "led"]);
  try {
    const light = await DenoLed.open(led_path, led);
    light.onError = (reason) =>
      log.warn("LED {path}: {reason}; further failures are not logged", {
        path: light.path,
        reason,
      });
    const stop = new AbortController();
    const running = runLed({ clock: denoClock, light, state: () => node.ledState }, stop.signal);
    return async () => {
      stop.abort();
      await running;
      await light.close();
    };
  } catch (error) {
    log.warn("{reason}", { reason: oneLine(error) });
    return async () => {};
  }
}

async function run(args: readonly string[]): Promise<void> {
  const line = readCommandLine(PROGRAM, args);
  const settings = settingsOrExit(PROGRAM, line);
  if (line.positionals.length > 0) fail("node", `unexpected "${line.positionals[0]}"`, 2);
  await configureLog(settings.log_level, settings.log_format, writeLog);
  const log = getLogger(["holdfast", "node"]);
  const stop = stopSignal();
  const tls = tlsOf(settings);
  const transport = denoTransport(tls);
  let web: Served | undefined;
  const users = { renew: (tls: TlsOptions) => (transport.renew(tls), web?.renew(tls)) };
  const renew = keepRenewed(users, tlsPathsOf(settings, "node"), tls);
  const renewal = renewNode(settings.data, settings.host.split(","), renew);
  await lockOrExit(settings.data);
  let node: Node;
  try {
    const memory = memoryDiskFor(settings.wal_memory, settings.data);
    node = await Node.start({
      settings,
      nodeId: nodeIdOf(settings),
      version: VERSION,
      walDisk: openDiskLate(`${settings.data}/${WAL_DIRECTORY}`),
      memoryDisk: memory?.disk,
      memoryPlace: () => memory?.place,
      blockWrites,
      configDisk: openDiskLate(settings.data),
      clock: denoClock,
      random: denoRandom,
      transport,
      sensors: denoSensorRuntime,
      bootId: crypto.randomUUID(),
      osBootId: osBootId(),
      onAuthorities: renewal.heard,
    });
    if (settings.http !== "off") web = await serveWeb(node, settings, tls);
  } catch (error) {
    fail("node", error instanceof Error ? error.message : String(error));
  }
  const stopLed = await startLed(node, settings);
  Deno.addSignalListener("SIGHUP", async () => {
    renew();
    const read = readSettings(PROGRAM, line);
    try {
      if (!read.ok) throw new Error(read.problems.map(problemText).join("; "));
      await node.reload(read.values);
      log.info("SIGHUP: settings read again");
    } catch (error) {
      log.error("SIGHUP: settings unchanged: {reason}", { reason: (error as Error).message });
    }
  });
  log.info("{signal}: stopping", { signal: await stop });
  await node.stop(settings.stop_grace_ms);
  await stopLed();
  await web?.close();
  Deno.exit(0);
}

switch (Deno.args[0]) {
  case "wal":
    Deno.exit(await walCommand(Deno.args.slice(1)));
    break;
  case "enroll":
    Deno.exit(await enrollCommand(Deno.args.slice(1)));
    break;
  case "backtest":
    Deno.exit(await backtestCommand(Deno.args.slice(1)));
    break;
  default:
    await run(Deno.args[0] === "run" ? Deno.args.slice(1) : Deno.args);
}
