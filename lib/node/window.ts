/**
 * How much of the backlog may be on its way at once. It grows while what is sent is acked soon and shrinks where that
 * takes long, so that a fresh record never waits for long behind the backlog, however slow the link is. Pure.
 */

/** Bytes of lines. The least is what a host that commits seldom needs to be kept busy. */
const BYTES = { first: 524_288, least: 262_144, most: 16_777_216 } as const;
/** An ack that comes so soon lets the window grow, one that comes so late makes it shrink. */
const SOON_MS = 250, LATE_MS = 1_000;

/** See the head of the file. */
export class Window {
  #bytes: number = BYTES.first;
  /** The record whose ack is waited for, and when it was sent. */
  #probe: { readonly seq: number; readonly sentMs: number } | undefined;

  /** The most bytes that may be sent and not acked. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A record of the backlog was sent. */
  sent(seq: number, nowMs: number): void {
    this.#probe ??= { seq, sentMs: nowMs };
  }

  /** Acks came. */
  acked(isAcked: (seq: number) => boolean, nowMs: number): void {
    if (this.#probe === undefined || !isAcked(this.#probe.seq)) return;
    const tookMs = nowMs - this.#probe.sentMs;
    this.#probe = undefined;
    if (tookMs <= SOON_MS) this.#bytes = Math.min(BYTES.most, 2 * this.#bytes);
    else if (tookMs >= LATE_MS) this.#bytes = Math.max(BYTES.least, this.#bytes / 2);
  }
}
