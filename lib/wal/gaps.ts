/** Lost ranges that are not acked yet, in order, each with its reason. */

/** Why a range is lost for good; see `docs/protocol.md`. */
export type LossReason = "evicted" | "corrupt" | "unsynced" | "unwritten" | "compacted";

/** A lost range, inclusive. */
export interface LostRange {
  readonly from_seq: number;
  readonly to_seq: number;
  readonly reason: LossReason;
  /** Of its numbers so many at most can have named records; all of them where it isn't given. */
  readonly records_max?: number;
}

/** Disjoint ranges in ascending order. The first reason given for a seq stays. */
export class GapList {
  #gaps: LostRange[] = [];

  /** A view: valid until the next change. */
  get list(): readonly LostRange[] {
    return this.#gaps;
  }

  /** Number of seqs that are lost. */
  get records(): number {
    return this.#gaps.reduce((sum, gap) => sum + gap.to_seq - gap.from_seq + 1, 0);
  }

  /**
   * Adds what of `from` to `to` is not in the list yet; true if anything was. `most` is the most records that can
   * have been in it.
   */
  add(from: number, to: number, reason: LossReason, most?: number): boolean {
    let next = from;
    const added: LostRange[] = [];
    const lost = { reason, ...(most === undefined ? {} : { records_max: most }) };
    for (const gap of this.#gaps) {
      if (gap.to_seq < next) continue;
      if (gap.from_seq > to) break;
      if (gap.from_seq > next) added.push({ from_seq: next, to_seq: gap.from_seq - 1, ...lost });
      next = gap.to_seq + 1;
    }
    if (next <= to) added.push({ from_seq: next, to_seq: to, ...lost });
    if (added.length === 0) return false;
    const all = [...this.#gaps, ...added].sort((a, b) => a.from_seq - b.from_seq);
    this.#gaps = [];
    for (const gap of all) {
      const last = this.#gaps.at(-1);
      const isSame = last?.reason === gap.reason && last.to_seq + 1 === gap.from_seq &&
        (last.records_max ?? gap.records_max) === undefined;
      if (last !== undefined && isSame) {
        this.#gaps[this.#gaps.length - 1] = { ...last, to_seq: gap.to_seq };
      } else this.#gaps.push(gap);
    }
    return true;
  }

  /** The gap that holds `seq`. */
  find(seq: number): LostRange | undefined {
    return this.#gaps.find((gap) => gap.from_seq <= seq && seq <= gap.to_seq);
  }

  /** Forgets everything up to `seq`. */
  trim(seq: number): void {
    if (this.#gaps.length === 0 || this.#gaps[0]!.from_seq > seq) return;
    this.#gaps = this.#gaps.filter((gap) => gap.to_seq > seq).map((gap) =>
      gap.from_seq > seq ? gap : { ...gap, from_seq: seq + 1 }
    );
  }
}
