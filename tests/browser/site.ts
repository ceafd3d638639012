/** A host, its nodes and the pages that look at them; all of it is gone when the test ends, however it ends. */
import { freePort, Process } from "../../lib/demo/processes.ts";
import { type View, Watched } from "./browser.ts";

/** Directories and addresses stay the same over restarts. */
export class Site implements AsyncDisposable {
  readonly port = freePort();
  readonly httpPort = freePort();
  readonly nodePort = freePort();
  #directory = Deno.makeTempDirSync({ prefix: "holdfast-browser-" });
  #running: Process[] = [];

  get hostData(): string {
    return `${this.#directory}/host`;
  }
  host(...args: string[]): Promise<Process> {
    const own = ["--listen", `127.0.0.1:${this.port}`, "--data", this.hostData];
    return this.#start(new Process("host", [...own, ...args], this.httpPort));
  }
  node(id: string, ...args: string[]): Promise<Process> {
    const own = ["--id", id, "--host", `127.0.0.1:${this.port}`];
    const all = [...own, "--data", `${this.#directory}/${id}`, "--reconnect-ms-max", "500"];
    return this.#start(new Process("node", [...all, ...args], this.nodePort));
  }
  /** A node beside the one of which the page is looked at. */
  otherNode(id: string): Promise<Process> {
    const own = ["--id", id, "--host", `127.0.0.1:${this.port}`];
    return this.#start(new Process("node", [...own, "--data", `${this.#directory}/${id}`]));
  }
  hostPage(path = "/", view: View = {}): Promise<Watched> {
    return Watched.open(`http://127.0.0.1:${this.httpPort}${path}`, view);
  }
  nodePage(view: View = {}): Promise<Watched> {
    return Watched.open(`http://127.0.0.1:${this.nodePort}/`, view);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running.map((process) => process.kill()));
    await Deno.remove(this.#directory, { recursive: true });
  }
  #start(process: Process): Promise<Process> {
    this.#running.push(process);
    return process.ready();
  }
}
