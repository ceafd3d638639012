/** The real HTTP server. */
import { addressText, parseAddress } from "./address.ts";

/** Serves until closed. Throws one line where it can't listen. */
export function serve(
  address: string,
  handler: (request: Request) => Response | Promise<Response>,
): { address: string; close(): Promise<void> } {
  const { host, port } = parseAddress(address);
  const stopped = new AbortController();
  try {
    const server = Deno.serve(
      { hostname: host, port, signal: stopped.signal, onListen: () => {} },
      (request) => handler(request),
    );
    const { hostname, port: bound } = server.addr;
    return {
      address: addressText({ host: hostname, port: bound }),
      // Pages hold streams open for ever: they are cut, not waited for.
      close() {
        stopped.abort();
        return server.finished;
      },
    };
  } catch (error) {
    const busy = error instanceof Deno.errors.AddrInUse;
    const reason = busy ? "the port is in use by another process" : (error as Error).message;
    throw new Error(`cannot serve http on ${address}: ${reason}`);
  }
}
