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

/** The host in `host:port`, `[address]:port` or either without a port; a text that is neither stays as it is. */
export function hostOf(authority: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d{1,5})?$/.exec(authority);
  return match?.[1] ?? match?.[2] ?? authority;
}

/** The text of an address. */
export function addressText(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** The four bytes of an IPv4 address in its usual form, or `undefined`: no other text is one. */
function ipv4(host: string): number[] | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host);
  const bytes = match?.slice(1).map(Number);
  return bytes?.every((byte) => byte <= 255) ? bytes : undefined;
}

/** Whether a host is an address, not a name. */
export function isIpAddress(host: string): boolean {
  return ipv4(host) !== undefined || host.includes(":");
}

/** Whether only this machine can reach a listener on `host`: an address of it, or the one name that means it. */
export function isLoopback(host: string): boolean {
  const mapped = /^::ffff:([\d.]+)$/i.exec(host)?.[1];
  return host === "localhost" || host === "::1" || ipv4(mapped ?? host)?.[0] === 127;
}

/** Addresses that one site has at will count as one: what limits are kept by. An IPv6 network of 64 bits is one. */
export function addressGroup(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !address.includes(":")) return mapped ?? address;
  const [head = "", tail] = address.split("%")[0]!.toLowerCase().split("::");
  const words = (text: string | undefined) => (text ?? "").split(":").filter((word) => word !== "");
  const first = words(head), last = words(tail);
  const zeros = tail === undefined
    ? []
    : Array(Math.max(0, 8 - first.length - last.length)).fill("0");
  const all = [...first, ...zeros, ...last].map((word) => word.replace(/^0+(?=.)/, ""));
  return `${all.slice(0, 4).join(":")}::/64`;
}
