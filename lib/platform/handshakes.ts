/** Connections to a TLS server whose handshake isn't done: so many, and none for ever. */
import type net from "node:net";
import { addressGroup, addressText } from "./address.ts";

/**
 * How long a handshake may take. On this runtime what a connection takes, some 25 KB, stays until then, also where the
 * connection is gone: longer means more memory while many come and go.
 */
export const HANDSHAKE_MS = 5_000;
/** Of one address, and of all; beyond it the oldest makes room for a newer one. */
const PER_ADDRESS_MAX = 2_048, ALL_MAX = 4_096;

/** See the head of the file. */
export class Handshakes {
  /** The oldest first. */
  #waiting = new Map<
    string,
    { place: string; socket: net.Socket; timer: ReturnType<typeof setTimeout> }
  >();

  /** Looks after a server. */
  watch(server: net.Server): void {
    server.on("connection", (socket: net.Socket) => {
      const peer = peerOf(socket), place = addressGroup(socket.remoteAddress ?? "");
      // The runtime leaves who says nothing connected.
      const timer = setTimeout(() => this.#close(peer), HANDSHAKE_MS);
      this.#waiting.set(peer, { place, socket, timer });
      socket.once("close", () => this.#done(peer));
      const here = [...this.#waiting].filter(([, waiting]) => waiting.place === place);
      if (here.length > PER_ADDRESS_MAX) this.#close(here[0]![0]);
      else if (this.#waiting.size > ALL_MAX) this.#close(this.#waiting.keys().next().value!);
    });
    server.on("secureConnection", (socket: net.Socket) => this.#done(peerOf(socket)));
  }

  #done(peer: string): void {
    clearTimeout(this.#waiting.get(peer)?.timer);
    this.#waiting.delete(peer);
  }

  #close(peer: string): void {
    const socket = this.#waiting.get(peer)?.socket;
    this.#done(peer);
    socket?.destroy();
  }
}

/** The other side of a socket, `host:port`. */
export function peerOf({ remoteAddress, remotePort }: net.Socket): string {
  return addressText({ host: remoteAddress ?? "unknown", port: remotePort ?? 0 });
}
