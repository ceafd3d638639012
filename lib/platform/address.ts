/** `host:port` texts, with an IPv6 address in brackets. */

/** An address in its parts; `host` without brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port`. Throws a `SyntaxError` of one line. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^\s:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new SyntaxError(
      `"${text}" is not an address: host:port with a port up to 65535 is needed`,
    );
  }
  return { host: match[1] ?? match[2]!, port };
}

/** The text of an address. */
export function addressText(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** Whether only this machine can reach a listener on `host`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host) ||
    /^::ffff:127\./.test(host);
}
