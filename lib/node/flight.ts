/** The records that were sent and are not acked. Pure; work for an ack grows with what is in flight. */
export class Flight {
  #seqs: number[] = [];
  #sizes: number[] = [];
  #bytes = 0;

  /** How many they are. */
  get records(): number {
    return this.#seqs.length;
  }
  /** What they were counted with. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A record was sent. */
  add(seq: number, bytes: number): void {
    this.#seqs.push(seq);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** Acks came. */
  settle(isAcked: (seq: number) => boolean): void {
    let kept = 0;
    for (let i = 0; i < this.#seqs.length; i++) {
      if (isAcked(this.#seqs[i]!)) {
        this.#bytes -= this.#sizes[i]!;
        continue;
      }
      this.#seqs[kept] = this.#seqs[i]!;
      this.#sizes[kept++] = this.#sizes[i]!;
    }
    this.#seqs.length = this.#sizes.length = kept;
  }
}
