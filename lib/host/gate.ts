/**
 * How many may be at the door: of connections that haven't said who they are the oldest makes room for a newer one, so
 * that a flood keeps nobody out who says hello at once; and the last tenth of all places is kept for nodes that are
 * known. Pure.
 */
import { assert } from "../assert.ts";
import { addressGroup, hostOf } from "../platform/address.ts";
import type { Connection } from "../platform/platform.ts";

/** What the gate must know of a session. */
export interface Guest {
  readonly connection: Connection;
  readonly nodeId: string | undefined;
  readonly isClosed: boolean;
}

/** See {@linkcode Gate}. */
export interface GateOptions {
  readonly connectionsMax: number;
  /** Connections of one address that haven't said hello. */
  readonly newcomersPerAddressMax: number;
  /** Nodes that were here before, with the address of their last connection. */
  readonly known: () => Iterable<{ readonly node_id: string; readonly peer: string }>;
}

/** Places that are kept, as a part of all. */
const RESERVE_PART = 0.1;
/** How long it is remembered which addresses are known. */
const KNOWN_MS = 1_000;

/** See the head of the file. */
export class Gate<G extends Guest = Guest> {
  #options: GateOptions;
  /** Those that haven't said hello, the oldest first; all, and by their addresses. */
  #newcomers = new Set<G>();
  #places = new Map<string, Set<G>>();
  #known = { names: new Set<string>(), places: new Set<string>(), atMs: -Infinity };

  constructor(options: GateOptions) {
    assert(options.newcomersPerAddressMax >= 1, "somebody must be let in");
    this.#options = options;
  }

  /** Why a connection is not let in, beside so many that are; `undefined` where it is. */
  refusal(connection: Connection, inside: number, nowMs: number): string | undefined {
    const { connectionsMax } = this.#options;
    this.#forgetGreeted(this.#newcomers);
    const settled = inside - this.#newcomers.size;
    if (settled >= connectionsMax) return "the host has as many connections as it allows";
    const isFull = settled >= connectionsMax - Math.floor(connectionsMax * RESERVE_PART);
    if (!isFull || this.#isKnown(connection, nowMs)) return undefined;
    return "the last places of the host are kept for nodes that it knows";
  }

  /** Somebody was let in, and makes it so many; who has to leave for that. */
  entered(guest: G, inside: number): G | undefined {
    const place = placeOf(guest.connection.peer);
    const here = this.#places.get(place) ?? new Set<G>();
    this.#places.set(place, here.add(guest));
    this.#newcomers.add(guest);
    this.#forgetGreeted(here);
    if (here.size > this.#options.newcomersPerAddressMax) return this.#dismiss(here);
    return inside > this.#options.connectionsMax ? this.#dismiss(this.#newcomers) : undefined;
  }

  /** Somebody who was let in is gone. */
  left(guest: G): void {
    this.#newcomers.delete(guest);
    const place = placeOf(guest.connection.peer);
    const here = this.#places.get(place);
    here?.delete(guest);
    if (here?.size === 0) this.#places.delete(place);
  }

  #dismiss(guests: Set<G>): G | undefined {
    const [oldest] = guests;
    if (oldest !== undefined) this.left(oldest);
    return oldest;
  }

  #forgetGreeted(guests: Set<G>): void {
    for (const guest of guests) {
      if (guest.nodeId !== undefined || guest.isClosed) this.left(guest);
    }
  }

  #isKnown({ identity, peer }: Connection, nowMs: number): boolean {
    if (nowMs - this.#known.atMs >= KNOWN_MS) {
      const nodes = [...this.#options.known()];
      this.#known = {
        names: new Set(nodes.map(({ node_id }) => node_id)),
        places: new Set(nodes.map(({ peer }) => placeOf(peer))),
        atMs: nowMs,
      };
    }
    const { names, places } = this.#known;
    return identity === undefined || identity === ""
      ? places.has(placeOf(peer))
      : names.has(identity);
  }
}

/** Where a peer (`host:port`) is, for limits by address. */
export function placeOf(peer: string): string {
  return addressGroup(hostOf(peer));
}
