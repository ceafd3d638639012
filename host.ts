/** The host: reads the command line, wires the real world to it, runs until told to stop. */
import { getLogger } from "@logtape/logtape";
import { type Program, readCommandLine, settingsOrExit } from "./lib/cli/settings.ts";
import { storeCommand } from "./lib/cli/export.ts";
import { forgetCommand } from "./lib/cli/forget.ts";
import { nodesCommand } from "./lib/cli/nodes.ts";
import { fail, writeLog } from "./lib/cli/output.ts";
import { pkiCommand } from "./lib/cli/pki.ts";
import { issuingOf, tagIn } from "./lib/cli/issuing.ts";
import { isThere, pkiFiles, textIn, tlsPathsOf } from "./lib/cli/pki_files.ts";
import { renewHost } from "./lib/cli/renewal.ts";
import { stopSignal } from "./lib/cli/stop.ts";
import { tailCommand } from "./lib/cli/tail.ts";
import { keepRenewed, tlsOrExit } from "./lib/cli/tls_files.ts";
import { peopleCommand } from "./lib/cli/token.ts";
import { topCommand } from "./lib/cli/top.ts";
import { runView } from "./lib/cli/view.ts";
import { HOST_SETTINGS, type HostSettings } from "./lib/config/host_settings.ts";
import { type FaultSpec, parseFault } from "./lib/host/faults.ts";
import { Enroller } from "./lib/host/enroller.ts";
import { Host, limitsOf } from "./lib/host/host.ts";
import { People } from "./lib/host/people.ts";
import { readCertificate } from "./lib/identity/pki.ts";
import { configureLog } from "./lib/log.ts";
import { isLoopback, parseAddress } from "./lib/platform/address.ts";
import { denoClock, denoRandom } from "./lib/platform/deno_clock.ts";
import { lockDirectory, openDisk } from "./lib/platform/deno_disk.ts";
import { serve, type Served } from "./lib/platform/deno_http.ts";
import { denoTransport, type TlsOptions } from "./lib/platform/deno_transport.ts";
import { seededRandom } from "./lib/platform/seeded_random.ts";
import { openSqliteStore } from "./lib/store/sqlite/store.ts";
import type { Store } from "./lib/store/store.ts";
import { VERSION } from "./lib/version.ts";
import { createHostApp } from "./lib/web/host_app.ts";

const PROGRAM: Program<typeof HOST_SETTINGS> = {
  name: "host",
  usage: "host: stores the telemetry of Holdfast nodes and acknowledges what is durable.\n\n" +
    "Usage: host [run] [--listen 127.0.0.1:7400] [--http 127.0.0.1:7480] [--data ./host-data] [...]\n" +
    "       host nodes                       lists the nodes of a running host, see host nodes --help\n" +
    "       host top                         shows them live, see host top --help\n" +
    "       host forget NODE                 takes a node off the list, see host forget --help\n" +
    "       host tail [NODE ...]             follows records and events, see host tail --help\n" +
    "       host export                      writes stored records as ndjson, csv or parquet, see host export --help\n" +
    "       host verify                      checks the data directory, see host verify --help\n" +
    "       host token create|ls|revoke      makes and takes away tokens that let in, see host token --help\n" +
    "       host pki init|token|revoke|...   certificates of the fleet, see host pki --help\n" +
    "       host audit                       who changed what, see host token --help",
  table: HOST_SETTINGS,
};

/** Checks that go beyond one setting; what is wrong ends the process with one line. */
function checkTogether(settings: HostSettings): FaultSpec[] {
  if (settings.fault.length > 0 && !settings.allow_faults) {
    fail("host", "--fault needs --allow-faults", 2);
  }
  const isPlain = tlsPathsOf(settings, "host").tls_cert === "" && !settings.insecure;
  for (const setting of ["listen", "http"] as const) {
    if (!isPlain || !isExposed(settings[setting])) continue;
    fail(
      "host",
      `${setting} on ${
        settings[setting]
      } can be reached from outside: make certificates with host pki init, or set --insecure where the network itself is trusted`,
      2,
    );
  }
  if (settings.http_mtls && tlsPathsOf(settings, "host").tls_cert === "") {
    fail("host", "http_mtls needs certificates: see host pki init", 2);
  }
  if (settings.unprocessed_bytes_max > settings.inflight_bytes_total) {
    fail("host", "unprocessed_bytes_max must be at most inflight_bytes_total", 2);
  }
  try {
    return settings.fault.map(parseFault);
  } catch (error) {
    fail("host", `--fault ${(error as Error).message}`, 2);
  }
}

/** Whether others than this machine reach a listener. */
function isExposed(listener: string): boolean {
  return listener !== "off" && !isLoopback(parseAddress(listener).host);
}

async function openStore(settings: HostSettings): Promise<Store> {
  try {
    const disk = await openDisk(settings.data);
    if (await lockDirectory(settings.data) === undefined) {
      fail("host", `another host runs on ${settings.data}: stop it or choose another --data`);
    }
    const hostId = crypto.randomUUID();
    return await openSqliteStore({ disk, directory: settings.data, hostId, clock: denoClock });
  } catch (error) {
    fail("host", error instanceof Error ? error.message : String(error));
  }
}

/** What TLS is made of; `undefined` where it is off. */
function tlsOf(settings: HostSettings): TlsOptions | undefined {
  const tls = tlsOrExit("host", tlsPathsOf(settings, "host"));
  if (tls !== undefined && tls.cert === undefined) {
    fail("host", "TLS needs all of tls_ca, tls_cert and tls_key", 2);
  }
  return tls;
}

/** What gives devices their certificates; `undefined` where the host has no authority of its own. */
function enrollerOf(settings: HostSettings, store: Store): Enroller | undefined {
  const { ca, cert: own } = pkiFiles(settings.data, "host");
  const ownText = textIn(own);
  if (!isThere(ca) || ownText === undefined || tlsPathsOf(settings, "host").tls_cert !== own) {
    return undefined;
  }
  return new Enroller({
    ...{ store, clock: denoClock, random: denoRandom },
    issuing: issuingOf(settings.data),
    hostNames: readCertificate(ownText).names,
    days: settings.certificate_days,
    lateDays: settings.renew_late_days,
  });
}

/** Serves pages and API; what is open without protection is told. */
async function serveWeb(
  host: Host,
  store: Store,
  settings: HostSettings,
  tls: TlsOptions | undefined,
  signal: AbortSignal,
): Promise<Served> {
  const log = getLogger(["holdfast", "host"]);
  const exposed = isExposed(settings.http);
  const people = await People.load({
    ...{ store, clock: denoClock, random: denoRandom },
    ...{ fixedToken: settings.http_token, isExposed: exposed },
  });
  people.run(signal);
  if (exposed && !people.hasTokens) {
    log.warn("nobody can log in yet: host token create --role admin --name NAME --data {data}", {
      data: settings.data,
    });
  }
  const isMutual = settings.http_mtls;
  const secured = (exposed || isMutual) && tls !== undefined ? { ...tls, isMutual } : undefined;
  const app = createHostApp(host, {
    clock: denoClock,
    people,
    isSecure: secured !== undefined,
    isMutual,
    metricsPerNode: settings.metrics_per_node,
    memoryBytes: () => Deno.memoryUsage().rss,
  });
  const web = await serve(settings.http, app.fetch, secured);
  const scheme = secured === undefined ? "http" : "https";
  log.info("page on {scheme}://{address}/", { scheme, address: web.address });
  return web;
}

async function run(args: readonly string[]): Promise<void> {
  const line = readCommandLine(PROGRAM, args);
  const settings = settingsOrExit(PROGRAM, line);
  if (line.positionals.length > 0) fail("host", `unexpected "${line.positionals[0]}"`, 2);
  const faults = checkTogether(settings);
  await configureLog(settings.log_level, settings.log_format, writeLog);
  const log = getLogger(["holdfast", "host"]);
  const stop = stopSignal();
  const tls = tlsOf(settings);
  const transport = denoTransport(tls);
  let web: Served | undefined;
  const ending = new AbortController();
  const users = { renew: (tls: TlsOptions) => (transport.renew(tls), web?.renew(tls)) };
  const look = keepRenewed(users, tlsPathsOf(settings, "host"), tls);
  Deno.addSignalListener("SIGHUP", look);
  renewHost(settings.data, settings.certificate_days, look);
  const isInsecure = tls === undefined && (isExposed(settings.listen) || isExposed(settings.http));
  if (isInsecure) {
    log.warn("insecure: without TLS whoever is on the way reads and changes what is sent");
  }
  const store = await openStore(settings);
  let host: Host;
  try {
    host = await Host.start({
      store,
      clock: denoClock,
      random: settings.allow_faults ? seededRandom(settings.fault_seed) : denoRandom,
      transport,
      version: VERSION,
      ...limitsOf(settings),
      faults,
      isInsecure,
      enroller: enrollerOf(settings, store),
      authorities: () => tagIn(textIn(pkiFiles(settings.data, "host").ca)),
    });
    log.info("host {version} listening for nodes on {address}", {
      version: VERSION,
      address: host.address,
    });
    if (settings.http !== "off") {
      web = await serveWeb(host, store, settings, tls, ending.signal);
    }
  } catch (error) {
    fail("host", error instanceof Error ? error.message : String(error));
  }
  store.failed.then((reason) =>
    fail("host", `${reason}: nodes keep their records, start it again`)
  );
  log.info("{signal}: stopping", { signal: await stop });
  ending.abort();
  await web?.close();
  await host.stop();
  log.info("stopped, everything received is committed");
  Deno.exit(0);
}

const [command, ...rest] = Deno.args;
switch (command) {
  case "nodes":
    Deno.exit(await runView(nodesCommand, rest));
    break;
  case "forget":
    Deno.exit(await runView(forgetCommand, rest));
    break;
  case "export":
  case "verify":
    Deno.exit(await storeCommand(command, rest));
    break;
  case "pki":
    Deno.exit(await pkiCommand(rest));
    break;
  case "token":
  case "audit":
    Deno.exit(await peopleCommand(command, rest));
    break;
  case "top":
    Deno.exit(await runView(topCommand, rest));
    break;
  case "tail":
    Deno.exit(await runView(tailCommand, rest));
    break;
  default:
    await run(command === "run" ? rest : Deno.args);
}
