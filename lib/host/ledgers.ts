/**
 * Which ledgers are in memory: those that a session writes to, or that wait for a commit. All others come back
 * from the store when they are needed. How many epochs a node may have is bounded.
 */
import type { Store } from "../store/store.ts";
import { Ledger } from "./ledger.ts";

/** See the head of the file. */
export class Ledgers {
  #store: Store;
  #epochsMax: number;
  #held = new Map<string, { ledger: Ledger; users: number }>();
  #isSettled: (ledger: Ledger) => boolean;

  /** `isSettled` says whether nothing of a ledger waits for the store. */
  constructor(store: Store, epochsMax: number, isSettled: (ledger: Ledger) => boolean) {
    this.#store = store;
    this.#epochsMax = epochsMax;
    this.#isSettled = isSettled;
  }

  /** Ledgers in memory. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * The ledger of an epoch, to be given back with {@linkcode release}; `undefined` where the node has as many
   * epochs as it may. `isNew` where nothing of the epoch is known. Not to be called for one epoch twice at a time.
   */
  async acquire(
    nodeId: string,
    epoch: string,
  ): Promise<{ ledger: Ledger; isNew: boolean } | undefined> {
    const key = keyOf(nodeId, epoch);
    const held = this.#held.get(key);
    if (held !== undefined) {
      held.users++;
      return { ledger: held.ledger, isNew: false };
    }
    const { state: known, fence } = await this.#store.claim(nodeId, epoch);
    if (known === undefined && await this.#isFull(nodeId)) return undefined;
    const fresh = { node_id: nodeId, epoch, high_acked: 0, ranges: [], max_seq: 0 };
    const ledger = new Ledger(known ?? fresh, fence);
    this.#held.set(key, { ledger, users: 1 });
    return { ledger, isNew: known === undefined };
  }

  /** A session writes to it no more. */
  release(ledger: Ledger): void {
    const held = this.#held.get(keyOf(ledger.nodeId, ledger.epoch));
    if (held?.ledger !== ledger) return;
    held.users--;
    this.dropIfIdle(ledger);
  }

  /** Lets a ledger go that nobody writes to and of which nothing waits. */
  dropIfIdle(ledger: Ledger): void {
    const key = keyOf(ledger.nodeId, ledger.epoch);
    const held = this.#held.get(key);
    if (held?.ledger === ledger && held.users === 0 && this.#isSettled(ledger)) {
      this.#held.delete(key);
    }
  }

  /** Lets a ledger go whoever writes to it: what another host made of its epoch since, it doesn't know. */
  drop(ledger: Ledger): void {
    const key = keyOf(ledger.nodeId, ledger.epoch);
    if (this.#held.get(key)?.ledger === ledger) this.#held.delete(key);
  }

  async #isFull(nodeId: string): Promise<boolean> {
    if (await this.#store.epochCount(nodeId) < this.#epochsMax) return false;
    return await this.#store.forgetEmptyEpochs(nodeId) >= this.#epochsMax;
  }
}

function keyOf(nodeId: string, epoch: string): string {
  return `${nodeId} ${epoch}`;
}
